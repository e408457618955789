"""How a contract tells which of its rules was broken: the rule's name first, then the story."""

from collections.abc import Callable
from typing import Any, TypeVar

from lanmu.interfaces.channels import Channel
from lanmu.plugin_faults import WrongAnswer
from lanmu.secret_settings import TELLING, secrets_in

Answer = TypeVar("Answer")

_RULES = {
    "Request.body": "compose-bytes",
    "Request.meta": "compose-meta",
    "Request.targets": "request-targets",
    "compose()": "compose-type",
    "Observation": "observation-type",
    "connect()": "connect-type",
    "transmit()": "observation-type",
    "Verdict.ref": "verdict-ref",
    "Verdict.retry_after": "retry-after",
    "NotConnected.retry_after": "retry-after",
    "Verdict": "verdict-type",
    "classify()": "classify-total",
    "TargetResult": "results-type",
    "results()": "results-type",
    "upload()": "upload-type",
    "AssetRef": "upload-type",
    "find()": "find-type",
    "cancel()": "cancel-type",
}
"""The rule that an answer breaks, by the beginning of what is wrong in it; the longer ones come first."""


def holds(condition: bool, rule: str, story: str) -> None:
    if not condition:
        raise AssertionError(f"{rule}: {story}")


def holds_to(check: Callable[..., Answer], *arguments: Any) -> Answer:
    """What a check answers; the core refuses the same answers when it sends."""
    try:
        return check(*arguments)
    except WrongAnswer as wrong:
        rule = next((rule for what, rule in _RULES.items() if wrong.what.startswith(what)), "answer-type")
        raise AssertionError(f"{rule}: {wrong}") from None


def hides(channel: Channel, text: str, rule: str, story: str) -> None:
    """Fails where one of the channel's secrets stands in a text."""
    leaked = [len(secret.reveal()) for secret in secrets_in(channel) if secret.reveal() in text]
    holds(
        not leaked or max(leaked) >= TELLING,
        "secret-too-short",
        f"a secret of the channel may stand anywhere by chance; test with {TELLING} letters or more",
    )
    holds(not leaked, rule, story)
