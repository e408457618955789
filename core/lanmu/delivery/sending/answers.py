"""What a channel must answer: the types, as deep as what is stored of them, and texts without secrets.

The contract kit holds a channel to the same in its author's tests.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from lanmu.i18n import Filled, _
from lanmu.interfaces.channels import (
    AssetRef,
    CancelResult,
    Line,
    NotConnected,
    Observation,
    Outcome,
    Ref,
    Refusal,
    Request,
    Target,
    TargetResult,
    TargetState,
    Verdict,
)
from lanmu.interfaces.secrets import masked
from lanmu.storage.types import json_text

_LONGEST_WAIT = timedelta(days=366)

Answer = TypeVar("Answer")


class WrongAnswer(Exception):
    """What an answer should have been; `fault` is the sentence."""

    def __init__(self, what: str, wanted: str, got: object) -> None:
        self.fault = Filled(
            _("%(what)s must be %(wanted)s, not %(got)s."),
            what=what,
            wanted=wanted,
            got=type(got).__name__ if not isinstance(got, _Said) else str(got),
        )
        self.what = what
        super().__init__(str(self.fault))


class _Said(str):
    """What was got instead, in words rather than by its type."""


def safe(text: str) -> str:
    """A text of a stranger's as it may be stored and shown: without secrets, and such as a database takes."""
    if isinstance(text, Filled) and text.params:
        params = {name: _safe_param(value) for name, value in text.params.items()}
        return Filled(text.msgid, **params)
    shown = masked(text)
    if not shown.isprintable():
        shown = shown.translate(_UNSTORABLE).encode("utf-8", "replace").decode()
    return text if shown == text else shown


def mistakes() -> tuple[type[BaseException], ...]:
    """What a stranger's code may raise here by mistake: anything, such as what asyncio unwinds a task by.

    What ends this process is raised in its main thread alone, where it is Ctrl-C in a command and no mistake.
    """
    if threading.current_thread() is threading.main_thread():
        return Exception, SystemExit
    return (BaseException,)


def failure(error: BaseException) -> str:
    """An exception in one safe line, whatever its own text does."""
    if isinstance(error, WrongAnswer):
        return safe(error.fault)
    try:
        told = str(error)
    except mistakes():  # a stranger's __str__
        told = ""
    return safe(f"{type(error).__name__}: {told}"[:1000])


def check_composed(answer: object, targets: Sequence[Target]) -> Request | Refusal:
    """Raises WrongAnswer."""
    if isinstance(answer, Refusal):
        if not answer.reason:
            raise WrongAnswer("Refusal.reason", "a text", _Said('""'))
        params = _mapping("Refusal.params", answer.params)
        return Refusal(
            _text("Refusal.reason", answer.reason),
            _text("Refusal.way_out", answer.way_out),
            {str(name): _safe_param(value) for name, value in params.items()},
            answer.config is True,
        )
    if not isinstance(answer, Request):
        raise WrongAnswer("compose()", "Request | Refusal", answer)
    if type(answer.body) is not bytes:
        raise WrongAnswer("Request.body", "bytes", answer.body)
    _of_length("Request.call", answer.call, 60)
    if not isinstance(answer.sender, str):
        raise WrongAnswer("Request.sender", "str", answer.sender)
    if answer.meta != {}:
        _texts("Request.meta", answer.meta)
    keys = answer.targets
    if not isinstance(keys, tuple):
        raise WrongAnswer("Request.targets", "tuple[str, ...]", keys)
    if keys != tuple([target.key for target in targets]):
        raise WrongAnswer("Request.targets", "the keys of all the targets", _Said(repr(keys)[:200]))
    return answer


def check_no_connection(raised: NotConnected) -> NotConnected:
    """The exception with its text made safe. Raises WrongAnswer."""
    raised.retry_after = _wait("NotConnected.retry_after", getattr(raised, "retry_after", None))
    raised.reason = _text("NotConnected.reason", getattr(raised, "reason", None))
    raised.args = (raised.reason,)
    raised.config = bool(getattr(raised, "config", False))
    return raised


def check_line(answer: object) -> Line | None:
    """Raises WrongAnswer."""
    if answer is not None and not callable(getattr(answer, "close", None)):
        raise WrongAnswer("connect()", "None | Line (close())", answer)
    return answer  # type: ignore[return-value]  # it has what a Line has


def check_observation(answer: object) -> Observation:
    """Raises WrongAnswer."""
    if not isinstance(answer, Observation):
        raise WrongAnswer("transmit()", "Observation", answer)
    if not isinstance(answer.wrote, bool):
        raise WrongAnswer("Observation.wrote", "bool", answer.wrote)
    if answer.status is not None and (not isinstance(answer.status, int) or isinstance(answer.status, bool)):
        raise WrongAnswer("Observation.status", "int | None", answer.status)
    if type(answer.body) is not bytes:
        raise WrongAnswer("Observation.body", "bytes", answer.body)
    if not isinstance(answer.fault, str):
        raise WrongAnswer("Observation.fault", "str", answer.fault)
    return answer


def check_verdict(answer: object, seen: Observation) -> Verdict:
    """The verdict with its texts made safe. Raises WrongAnswer."""
    if not isinstance(answer, Verdict):
        raise WrongAnswer("classify()", "Verdict", answer)
    if not isinstance(answer.outcome, Outcome):
        raise WrongAnswer("Verdict.outcome", "Outcome", answer.outcome)
    if answer.outcome in (Outcome.ACCEPTED, Outcome.HANDED_OVER) and not seen.wrote:
        raise WrongAnswer(
            "Verdict.outcome", "NOT_SENT | LATER | REFUSED (wrote=False)", _Said(answer.outcome)
        )
    if answer.scope not in ("unit", "content", "account", "unclear"):
        raise WrongAnswer("Verdict.scope", '"unit" | "content" | "account" | "unclear"', _Said(answer.scope))
    if answer.trips not in ("", "rate", "concurrency"):
        raise WrongAnswer("Verdict.trips", '"" | "rate" | "concurrency"', _Said(answer.trips))
    _wait("Verdict.retry_after", answer.retry_after)
    if answer.ref is not None:
        check_ref(answer.ref, "Verdict.ref")
    reason = _text("Verdict.reason", answer.reason)
    code = _text("Verdict.code", answer.code)[:32]
    failed = answer.failed
    if failed != {}:
        failed = {}
        for key, why in _mapping("Verdict.failed", answer.failed).items():
            _of_length("Verdict.failed", key, 128)
            failed[key] = _text(f"Verdict.failed[{key!r}]", why)
    if reason is answer.reason and code == answer.code and failed == {}:
        return answer
    return replace(answer, reason=reason, code=code, failed=failed)


def check_ref(answer: object, what: str = "Ref") -> Ref:
    """Raises WrongAnswer."""
    if not isinstance(answer, Ref):
        raise WrongAnswer(what, "Ref", answer)
    _of_length(f"{what}.id", answer.id, 200)
    if answer.detail != {}:
        _texts(f"{what}.detail", answer.detail)
    return answer


def check_asset_ref(answer: object) -> AssetRef:
    """Raises WrongAnswer."""
    if not isinstance(answer, AssetRef):
        raise WrongAnswer("upload()", "AssetRef", answer)
    _of_length("AssetRef.ref", answer.ref, 400)
    _instant("AssetRef.expires_at", answer.expires_at)
    return answer


def check_target_result(answer: object) -> TargetResult:
    """Raises WrongAnswer."""
    if not isinstance(answer, TargetResult):
        raise WrongAnswer("results()", "TargetResult", answer)
    if not isinstance(answer.key, str):
        raise WrongAnswer("TargetResult.key", "str", answer.key)
    if not isinstance(answer.state, TargetState):
        raise WrongAnswer("TargetResult.state", "TargetState", answer.state)
    if answer.at is not None:
        _instant("TargetResult.at", answer.at)
    reason = _text("TargetResult.reason", answer.reason)
    return answer if reason is answer.reason else replace(answer, reason=reason)


def check_cancel(answer: object) -> CancelResult:
    """Raises WrongAnswer."""
    if not isinstance(answer, CancelResult):
        raise WrongAnswer("cancel()", "CancelResult", answer)
    if not isinstance(answer.cancelled, bool):
        raise WrongAnswer("CancelResult.cancelled", "bool", answer.cancelled)
    return replace(answer, reason=_text("CancelResult.reason", answer.reason))


def check_each(what: str, answers: object, check: Callable[[object], Answer]) -> tuple[Answer, ...]:
    if isinstance(answers, (str, bytes, Mapping)) or not isinstance(answers, Iterable):
        raise WrongAnswer(what, "Sequence", answers)
    return tuple(check(each) for each in answers)


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise WrongAnswer(what, "str", value)
    return safe(value) if value else value


def _of_length(what: str, value: object, longest: int) -> None:
    if not isinstance(value, str):
        raise WrongAnswer(what, "str", value)
    if len(value) > longest:
        raise WrongAnswer(what, f"str <= {longest}", _Said(len(value)))
    if not value.isprintable():
        raise WrongAnswer(what, "printable", _Said(ascii(value)[:80]))


def _mapping(what: str, value: object) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise WrongAnswer(what, "Mapping", value)
    return value


def _texts(what: str, value: object) -> Mapping[str, str]:
    """A mapping from text to text, such as JSON and the database take."""
    for name, each in _mapping(what, value).items():
        if not isinstance(name, str):
            raise WrongAnswer(what, "Mapping[str, str]", _Said(f"{type(name).__name__} → …"))
        if not isinstance(each, str):
            raise WrongAnswer(f"{what}[{name!r}]", "str", each)
    try:
        json_text(dict(_mapping(what, value))).encode()
    except UnicodeEncodeError:
        raise WrongAnswer(what, "UTF-8", _Said(ascii(value)[:80])) from None
    return _mapping(what, value)


def _wait(what: str, value: object) -> timedelta | None:
    if value is None:
        return None
    if not isinstance(value, timedelta):
        raise WrongAnswer(what, "timedelta | None", value)
    if not timedelta(0) <= value <= _LONGEST_WAIT:
        raise WrongAnswer(what, "0 … 366 days", _Said(value))
    return value


def _instant(what: str, value: object) -> None:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise WrongAnswer(what, "aware datetime", value)


def _safe_param(value: object) -> object:
    if isinstance(value, (int, float)):
        return value
    return safe(value if isinstance(value, str) else str(value))


# NUL is no text to PostgreSQL, and the other begins a stored text that has slots (lanmu.i18n).
_UNSTORABLE = {0: "\N{REPLACEMENT CHARACTER}", 0x1E: " "}
