"""One OpenAI-compatible server, asked under a deadline of our own; what its failures mean in words."""

import queue
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lanmu.i18n import Filled, _
from lanmu.interfaces.clock import Clock
from lanmu_llm_copy.pump import Over, Pump, TooLong, WebPage
from lanmu_llm_copy.settings import LlmCopySettings

LENGTH_CAP = 32_000
"""Characters of text that one answer may hold; six variants with their parts need less than half."""


class Fault(StrEnum):
    """Why there is no answer. Also what the ledger notes as a call's outcome."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    SERVER = "server_error"
    RATE = "rate_limited"
    QUOTA = "quota"
    KEY = "key_refused"
    NOT_FOUND = "not_found"
    REFUSED = "request_refused"
    WEB_PAGE = "web_page"
    TOO_LONG = "too_long"
    CUT = "cut_off"
    LENGTH = "length"
    FILTERED = "filtered"
    EMPTY = "empty"
    BROKEN = "broken"


# A new try may find the server better; the rest stays as it is until a person acts.
RETRYABLE = frozenset({Fault.TIMEOUT, Fault.CONNECTION, Fault.SERVER, Fault.RATE, Fault.CUT, Fault.EMPTY})


class CallFailed(Exception):
    """One call failed. `told` is for a person and holds no secret; `retry_after` is in seconds."""

    def __init__(
        self,
        fault: Fault,
        told: str,
        *,
        retry_after: float | None = None,
        status: int | None = None,
        started: bool = False,
    ) -> None:
        super().__init__(told)
        self.fault = fault
        self.told = told
        self.retry_after = retry_after
        self.status = status
        self.started = started


@dataclass(frozen=True, slots=True)
class Reply:
    """What one call brought."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    estimated: bool


class Endpoint:
    """Calls `chat.completions` with streaming. No retries here, and none in the SDK: `model` decides on them.

    `boottime` measures the deadline, since a wall clock may be set. The call runs in a thread of its own:
    a stream that sends only keep-alive comments never comes back from the SDK, and a deadline that is
    looked at between pieces would wait for ever.
    """

    def __init__(self, settings: LlmCopySettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    def ask(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        response_format: Mapping[str, Any] | None,
        max_tokens: int,
        until: float,
        stream_usage: bool = True,
        progress: Callable[[int], None] | None = None,
    ) -> Reply:
        """One call, over by the boot time `until`. Raises CallFailed."""
        left = until - self._clock.boottime()
        if left <= 0:
            raise CallFailed(Fault.TIMEOUT, self._late())
        body: dict[str, Any] = {
            "model": self._settings.model,
            "messages": [dict(message) for message in messages],
            "stream": True,
            "temperature": self._settings.temperature,
            "max_tokens": max_tokens,
        }
        if stream_usage:
            body["stream_options"] = {"include_usage": True}
        if response_format is not None:
            body["response_format"] = dict(response_format)
        pump = Pump(self._settings, body, left)
        threading.Thread(target=pump.run, name="llm_copy call", daemon=True).start()
        try:
            return self._gather(pump, messages, until, progress)
        finally:
            pump.abandoned.set()

    def _gather(
        self,
        pump: Pump,
        messages: Sequence[Mapping[str, str]],
        until: float,
        progress: Callable[[int], None] | None,
    ) -> Reply:
        text, finish, usage = "", "", None
        while True:
            left = until - self._clock.boottime()
            try:
                piece = pump.pieces.get(timeout=left) if left > 0 else None
            except queue.Empty:
                piece = None
            if piece is None:
                raise CallFailed(Fault.TIMEOUT, self._late(), started=bool(text))
            if isinstance(piece, Over):
                if piece.error is not None:
                    raise self._failure(piece.error, bool(text))
                break
            text += piece.text
            finish = piece.finish_reason or finish
            usage = piece.usage or usage
            if len(text) > LENGTH_CAP:
                raise CallFailed(Fault.TOO_LONG, self._too_long(), started=True)
            if progress is not None and piece.text:
                progress(len(text))
        if not text.strip() and finish not in {"length", "content_filter"}:
            raise CallFailed(
                Fault.EMPTY, Filled(_("%(host)s sent an empty answer."), host=self._settings.host)
            )
        if not finish:
            raise CallFailed(
                Fault.CUT,
                Filled(_("The answer of %(host)s broke off."), host=self._settings.host),
                started=True,
            )
        if finish == "content_filter":
            raise CallFailed(
                Fault.FILTERED,
                Filled(
                    _("%(host)s refused this text under its content rules. Change the text."),
                    host=self._settings.host,
                ),
            )
        if usage is not None:
            return Reply(text, finish, usage[0], usage[1], estimated=False)
        asked = sum(len(message["content"]) for message in messages)
        return Reply(text, finish, asked, len(text), estimated=True)

    def _late(self) -> str:
        return Filled(
            _("%(host)s did not finish within %(seconds)d seconds."),
            host=self._settings.host,
            seconds=round(self._settings.deadline_s),
        )

    def _too_long(self) -> str:
        return Filled(
            _("%(host)s sent more than anybody asked for; the answer was cut off."), host=self._settings.host
        )

    def _failure(self, error: BaseException, started: bool) -> CallFailed:
        """What an exception of the SDK means, in words without the key."""
        import openai

        host = self._settings.host
        chain = list(_causes(error))
        if any(isinstance(cause, TooLong) for cause in chain):
            return CallFailed(Fault.TOO_LONG, self._too_long(), started=started)
        if any(isinstance(cause, WebPage) for cause in chain):
            return CallFailed(
                Fault.WEB_PAGE,
                Filled(
                    _("%(host)s answered with a web page. Check base_url: it usually ends with /v1."),
                    host=host,
                ),
            )
        if isinstance(error, openai.APITimeoutError) or any("Timeout" in type(c).__name__ for c in chain):
            return CallFailed(Fault.TIMEOUT, self._late(), started=started)
        if isinstance(error, openai.APIStatusError):
            return self._by_status(error)
        if isinstance(error, openai.APIConnectionError) or any(
            type(cause).__module__.startswith(("httpx2", "httpcore2")) for cause in chain
        ):
            fault = Fault.CUT if started else Fault.CONNECTION
            told = _("The answer of %(host)s broke off.") if started else _("%(host)s cannot be reached.")
            return CallFailed(fault, Filled(told, host=host), started=started)
        if isinstance(error, openai.APIError):  # an error object in the middle of a stream
            body = error.body if isinstance(error.body, Mapping) else {}
            if _is_quota(body.get("code"), error.message):
                return self._quota()
            return CallFailed(
                Fault.SERVER,
                Filled(_("%(host)s reported: %(told)s"), host=host, told=self._redact(error.message)),
                started=started,
            )
        return CallFailed(
            Fault.BROKEN,
            Filled(
                _("%(host)s sent what is no chat completion (%(kind)s)."),
                host=host,
                kind=type(error).__name__,
            ),
            started=started,
        )

    def _by_status(self, error: Any) -> CallFailed:
        host, status = self._settings.host, int(error.status_code)
        body = error.body if isinstance(error.body, Mapping) else {}
        code = getattr(error, "code", None) or body.get("code")
        if status == 402 or _is_quota(code, error.message):
            return self._quota(status)
        if status in {401, 403}:
            told = _("%(host)s refused the key. Check api_key under [plugins.llm_copy].")
            return CallFailed(Fault.KEY, Filled(told, host=host), status=status)
        if status == 404:
            told = _("%(host)s knows no model %(model)s at this address. Check base_url and model.")
            return CallFailed(
                Fault.NOT_FOUND, Filled(told, host=host, model=self._settings.model), status=status
            )
        after = _retry_after(error.response.headers)
        if status == 429:
            if after is not None and after > 1:
                told = Filled(
                    _("%(host)s is busy; it asks to wait %(seconds)d seconds."), host=host, seconds=after
                )
            else:
                told = Filled(_("%(host)s is busy."), host=host)
            return CallFailed(Fault.RATE, told, retry_after=after, status=status)
        if status in {408, 409} or status >= 500:
            told = Filled(_("%(host)s has trouble of its own (HTTP %(status)d)."), host=host, status=status)
            return CallFailed(Fault.SERVER, told, retry_after=after, status=status)
        told = Filled(
            _("%(host)s refused the request (HTTP %(status)d): %(told)s"),
            host=host,
            status=status,
            told=self._redact(str(body.get("message") or error.message)),
        )
        return CallFailed(Fault.REFUSED, told, status=status)

    def _quota(self, status: int | None = None) -> CallFailed:
        told = _("The account at %(host)s has no credit left. Top it up, or write by rules.")
        return CallFailed(Fault.QUOTA, Filled(told, host=self._settings.host), status=status)

    def _redact(self, told: str) -> str:
        """A stranger's message, short, and without anything that looks like a key."""
        key = self._settings.api_key.reveal()
        if key:
            told = told.replace(key, "***")
        told = re.sub(r"(?i)\b(?:sk|key|bearer)[-_ ][\w*.-]{6,}", "***", told)
        return " ".join(told.split())[:160]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_quota(code: object, message: str) -> bool:
    told = f"{code or ''} {message}".lower()
    return bool(
        re.search(
            r"insufficient[_ ](?:quota|balance|credit)|credit_balance|arrears|billing|余额不足|欠费", told
        )
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            value = float(headers.get(name, "")) * scale
        except ValueError:
            continue  # a date, or nonsense: our own pause will do
        if 0 <= value < 86_400:
            return value
    return None
