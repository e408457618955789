"""What a channel must answer: the types, as deep as what is stored of them, and texts without secrets.

The contract kit holds a channel to the same in its author's tests.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

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
from lanmu.plugin_faults import Said, WrongAnswer, safe, safe_param
from lanmu.storage.types import json_text

_LONGEST_WAIT = timedelta(days=366)

Answer = TypeVar("Answer")


def check_composed(answer: object, targets: Sequence[Target]) -> Request | Refusal:
    """Raises WrongAnswer."""
    if isinstance(answer, Refusal):
        if not answer.reason:
            raise WrongAnswer("Refusal.reason", "a text", Said('""'))
        params = _mapping("Refusal.params", answer.params)
        return Refusal(
            _text("Refusal.reason", answer.reason),
            _text("Refusal.way_out", answer.way_out),
            {str(name): safe_param(value) for name, value in params.items()},
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
        raise WrongAnswer("Request.targets", "the keys of all the targets", Said(repr(keys)[:200]))
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
        raise WrongAnswer("Verdict.outcome", "NOT_SENT | LATER | REFUSED (wrote=False)", Said(answer.outcome))
    if answer.scope not in ("unit", "content", "account", "unclear"):
        raise WrongAnswer("Verdict.scope", '"unit" | "content" | "account" | "unclear"', Said(answer.scope))
    if answer.trips not in ("", "rate", "concurrency"):
        raise WrongAnswer("Verdict.trips", '"" | "rate" | "concurrency"', Said(answer.trips))
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
        raise WrongAnswer(what, f"str <= {longest}", Said(len(value)))
    if not value.isprintable():
        raise WrongAnswer(what, "printable", Said(ascii(value)[:80]))


def _mapping(what: str, value: object) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise WrongAnswer(what, "Mapping", value)
    return value


def _texts(what: str, value: object) -> Mapping[str, str]:
    """A mapping from text to text, such as JSON and the database take."""
    for name, each in _mapping(what, value).items():
        if not isinstance(name, str):
            raise WrongAnswer(what, "Mapping[str, str]", Said(f"{type(name).__name__} → …"))
        if not isinstance(each, str):
            raise WrongAnswer(f"{what}[{name!r}]", "str", each)
    try:
        json_text(dict(_mapping(what, value))).encode()
    except UnicodeEncodeError:
        raise WrongAnswer(what, "UTF-8", Said(ascii(value)[:80])) from None
    return _mapping(what, value)


def _wait(what: str, value: object) -> timedelta | None:
    if value is None:
        return None
    if not isinstance(value, timedelta):
        raise WrongAnswer(what, "timedelta | None", value)
    if not timedelta(0) <= value <= _LONGEST_WAIT:
        raise WrongAnswer(what, "0 … 366 days", Said(value))
    return value


def _instant(what: str, value: object) -> None:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise WrongAnswer(what, "aware datetime", value)
