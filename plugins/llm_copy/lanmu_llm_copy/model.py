"""The writer that asks a model: what it may see, how often it is asked, and what its answer is worth."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lanmu.i18n import Filled, _
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.rewriting import Brief, Draft, Proposal, RewriterFailed
from lanmu_llm_copy import prompt
from lanmu_llm_copy.answer import AnswerUnusable, Variant, bare, read_answer
from lanmu_llm_copy.calls import BudgetUsedUp, CallLedger
from lanmu_llm_copy.endpoint import RETRYABLE, CallFailed, Endpoint, Fault, Reply
from lanmu_llm_copy.glyphs import clean
from lanmu_llm_copy.mask import Masked, mask
from lanmu_llm_copy.rules import judged, names_of, notices_on_likeness
from lanmu_llm_copy.sentences import tidy
from lanmu_llm_copy.settings import LlmCopySettings

log = logging.getLogger(__name__)

RETRIES = 2
_LADDER = ("json_schema", "json_object", "text")
_PAUSE_S = (0.5, 1.5)
_TRIP_AFTER = 5
_REST_S = 60.0


class ModelFailed(RewriterFailed):
    """The model gave nothing to work with; the text says why."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How a server is asked: the rung of the ladder, and whether it is to count the tokens of a stream."""

    rung: int
    stream_usage: bool


@dataclass(slots=True)
class _Job:
    """One brief on its way: what was sent, and what it has cost."""

    brief: Brief
    masked: Masked
    until: float
    progress: Callable[[str], None]
    max_tokens: int
    calls: int = 0
    answered: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False


class ModelWriter:
    """Polishes and varies by an OpenAI-compatible model, with every fact locked away before the call.

    What form of JSON the server takes is found out once and remembered for this (base_url, model).
    """

    def __init__(
        self,
        settings: LlmCopySettings,
        ledger: CallLedger,
        clock: Clock,
        *,
        wait: Callable[[float], None] | None = None,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._endpoint = Endpoint(settings, clock)
        self._wait = wait or _sleep
        self._form = _Form(0, stream_usage=True)
        self._lock = threading.Lock()
        self._failed_in_row = 0
        self._rest_until = 0.0

    def propose(self, brief: Brief, progress: Callable[[str], None] | None = None) -> Draft:
        """Raises ModelFailed, and BudgetUsedUp when today's calls are used up before the first."""
        if len(brief.text) > prompt.SOURCE_LIMIT:
            raise ModelFailed(
                Filled(
                    _("The text has %(size)d characters; a model gets at most %(limit)d. Split it first."),
                    size=len(brief.text),
                    limit=prompt.SOURCE_LIMIT,
                )
            )
        self._mind_rest()
        masked = mask(brief.text, names_of(brief))
        job = _Job(
            brief,
            masked,
            self._clock.boottime() + self._settings.deadline_s,
            progress or _silent,
            prompt.token_room(brief, masked),
        )
        turn = prompt.messages(brief, masked, self._settings.banned)
        reply = self._ask(job, turn)
        variants, problems = self._read(job, reply)
        if problems:
            variants, reply = self._repaired(job, turn, reply, variants, problems)
        proposals = [self._proposal(job, variant) for variant in variants]
        notices: list[str] = []
        if not proposals:
            proposals = [self._plain(job, reply)]
            notices.append(_("The model did not keep to the format; its answer is shown as one plain text."))
        proposals = [
            Proposal("ABCDEF"[n], p.angle, p.text, p.rationale, p.facts, p.usable, p.problems, p.findings)
            for n, p in enumerate(proposals[:6])
        ]
        usable = sum(proposal.usable for proposal in proposals)
        wanted = len(prompt.angles_for(brief))
        if usable < wanted:
            notices.append(
                Filled(_("%(usable)d of %(wanted)d texts can be used."), usable=usable, wanted=wanted)
            )
        notices += notices_on_likeness(proposals)
        self._ledger.judge(
            job.answered, "usable" if usable >= wanted else "partial" if usable else "rejected"
        )
        usage = {
            "calls": job.calls,
            "prompt_tokens": job.prompt_tokens,
            "completion_tokens": job.completion_tokens,
            "estimated": int(job.estimated),
        }
        return Draft(self._settings.model, True, tuple(proposals), tuple(notices), usage)

    # Asking

    def _ask(self, job: _Job, turn: Sequence[dict[str, str]]) -> Reply:
        """Ask until there is an answer, the retries are used up, or the time is."""
        tries = 0
        longer = False
        while True:
            form = self._form
            try:
                reply = self._once(job, turn, form)
            except CallFailed as failure:
                if self._step_down(failure, form):
                    continue
                left = job.until - self._clock.boottime()
                pause = failure.retry_after
                if pause is None:
                    pause = _PAUSE_S[min(tries, len(_PAUSE_S) - 1)]
                retry = failure.fault in RETRYABLE and tries < RETRIES and pause < left
                if not retry:
                    raise ModelFailed(failure.told) from failure
                tries += 1
                self._wait(pause)
                continue
            if reply.finish_reason == "length":
                if longer:
                    raise ModelFailed(
                        _("The model's answer was cut off at its length limit twice. Ask for fewer variants.")
                    )
                longer = True
                job.max_tokens = job.max_tokens * 3 // 2
                continue
            return reply

    def _mind_rest(self) -> None:
        """A server that failed time and again is left alone for a while: nobody should wait in vain."""
        left = self._rest_until - self._clock.boottime()
        if left > 0:
            raise ModelFailed(
                Filled(
                    _("%(host)s failed %(times)d times in a row; it is asked again in %(seconds)d seconds."),
                    host=self._settings.host,
                    times=_TRIP_AFTER,
                    seconds=round(left) or 1,
                )
            )

    def _count(self, failed: bool) -> None:
        with self._lock:
            self._failed_in_row = self._failed_in_row + 1 if failed else 0
            if self._failed_in_row >= _TRIP_AFTER:
                self._failed_in_row = 0
                self._rest_until = self._clock.boottime() + _REST_S

    def _once(self, job: _Job, turn: Sequence[dict[str, str]], form: _Form) -> Reply:
        job.calls += 1
        call = self._ledger.open(
            job=job.brief.job,
            brief_hash=prompt.brief_hash(job.brief),
            prompt_version=prompt.VERSION,
            host=self._settings.host,
            model=self._settings.model,
            attempt=job.calls,
        )
        start = self._clock.boottime()
        job.progress(Filled(_("Asking %(model)s …"), model=self._settings.model))
        try:
            reply = self._endpoint.ask(
                turn,
                response_format=_format(form),
                max_tokens=job.max_tokens,
                until=job.until,
                stream_usage=form.stream_usage,
                progress=lambda size: job.progress(Filled(_("Writing: %(size)d characters"), size=size)),
            )
        except CallFailed as failure:
            self._count(failure.fault in RETRYABLE)
            self._ledger.close(call, outcome=failure.fault.value, latency_ms=self._since(start))
            log.warning(
                "model call failed", extra={"host": self._settings.host, "fault": failure.fault.value}
            )
            raise
        self._ledger.close(
            call,
            outcome="answered",
            finish_reason=reply.finish_reason,
            latency_ms=self._since(start),
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            estimated=reply.estimated,
        )
        self._count(False)
        job.answered = call
        job.prompt_tokens += reply.prompt_tokens
        job.completion_tokens += reply.completion_tokens
        job.estimated = job.estimated or reply.estimated
        job.progress(_("Checking facts …"))
        return reply

    def _since(self, start: float) -> int:
        return round((self._clock.boottime() - start) * 1000)

    def _step_down(self, failure: CallFailed, asked: _Form) -> bool:
        """A refused request may only mean that the server knows no such form of answer: ask more plainly.

        Where another thread has found that out meanwhile, its step is enough.
        """
        if failure.fault is not Fault.REFUSED or failure.status not in {400, 415, 422, 501}:
            return False
        with self._lock:
            if self._form != asked:
                return True
            if asked.stream_usage and "stream_options" in failure.told:
                self._form = replace(asked, stream_usage=False)
            elif asked.rung + 1 < len(_LADDER):
                self._form = replace(asked, rung=asked.rung + 1)
            elif asked.stream_usage:
                self._form = replace(asked, stream_usage=False)
            else:
                return False
        return True

    # Reading

    def _read(self, job: _Job, reply: Reply) -> tuple[list[Variant], list[str]]:
        """The variants of an answer, and what the model should mend."""
        try:
            variants = read_answer(reply.text)
        except AnswerUnusable as fault:
            self._ledger.judge(job.answered, "not_json")
            return [], [f"JSON: {fault}"]
        problems = []
        wanted = len(prompt.angles_for(job.brief))
        if len(variants) < wanted:
            problems.append(f"variants: {len(variants)}/{wanted}")
        for variant in variants:
            gone, unknown = job.masked.gone(variant.text), job.masked.unknown(variant.text)
            if gone:
                problems.append(f"{variant.key} 缺少 {'、'.join(f'⟦{token}⟧' for token in gone)}")
            if unknown:
                problems.append(f"{variant.key} 多出 {'、'.join(f'⟦{token}⟧' for token in unknown)}")
            if not gone and not unknown:
                checked = self._proposal(job, variant)
                if not checked.usable:
                    added = [line.proposal for line in checked.facts if line.state.value == "added"]
                    lost = [line.source for line in checked.facts if line.state.value == "missing"]
                    changed = [line.proposal for line in checked.facts if line.state.value == "changed"]
                    told = [f"不得新增 {'、'.join(added + changed)}"] if added or changed else []
                    told += [f"不得丢掉 {'、'.join(lost)}"] if lost else []
                    problems.append(f"{variant.key} {'，'.join(told) or '超过长度上限'}")
        return variants, problems

    def _repaired(
        self,
        job: _Job,
        turn: list[dict[str, str]],
        reply: Reply,
        variants: list[Variant],
        problems: list[str],
    ) -> tuple[list[Variant], Reply]:
        """One turn to mend; what was right in the first answer stays where the second is no better."""
        said = {"role": "assistant", "content": bare(reply.text)[:8000] or "{}"}
        try:
            second = self._ask(job, [*turn, said, prompt.repair(problems)])
        except (RewriterFailed, BudgetUsedUp):
            return variants, reply  # what is right in the first answer is worth more than none
        mended, _problems = self._read(job, second)
        by_key = {variant.key: variant for variant in variants}
        for variant in mended:
            old = by_key.get(variant.key)
            if old is None or not self._proposal(job, old).usable:
                by_key[variant.key] = variant
        return [by_key[key] for key in sorted(by_key)], second if mended or not variants else reply

    def _proposal(self, job: _Job, variant: Variant) -> Proposal:
        text = tidy(job.masked.restore(variant.text))
        proposal = judged(job.brief, variant.key, variant.angle, text, variant.rationale)
        notes = [Filled(_("The model is unsure: %(note)s"), note=note) for note in variant.risk_notes]
        if not notes:
            return proposal
        problems = (*proposal.problems, *notes)
        return Proposal(
            proposal.key, proposal.angle, text, proposal.rationale, proposal.facts, proposal.usable, problems
        )

    def _plain(self, job: _Job, reply: Reply) -> Proposal:
        text = tidy(job.masked.restore(clean(bare(reply.text))[:4000]))
        return judged(job.brief, "A", "polish", text, "")


def _format(form: _Form) -> dict[str, Any] | None:
    match _LADDER[form.rung]:
        case "json_schema":
            shape = {"name": "copy", "strict": True, "schema": prompt.schema()}
            return {"type": "json_schema", "json_schema": shape}
        case "json_object":
            return {"type": "json_object"}
    return None


def _silent(_told: str) -> None:
    """Nobody watches."""


def _sleep(seconds: float) -> None:
    threading.Event().wait(seconds)
