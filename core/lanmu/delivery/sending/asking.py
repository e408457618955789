"""Asking a channel: each call made alone, its answer checked, and no secret kept of what it says.

A channel is a stranger's code, and its units share a batch with other channels' units. So a channel that
raises or answers what its contract forbids is found out here, where that costs one unit its turn, and not
in the statement that stores the whole batch.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, TypeVar

from lanmu.delivery import crash_points
from lanmu.delivery.sending.answers import (
    check_asset_ref,
    check_cancel,
    check_composed,
    check_each,
    check_line,
    check_no_connection,
    check_observation,
    check_ref,
    check_target_result,
    check_verdict,
)
from lanmu.i18n import Filled, _
from lanmu.interfaces.channels import (
    Asset,
    AssetRef,
    CancelResult,
    Channel,
    Line,
    Message,
    NotConnected,
    Observation,
    Outcome,
    Ref,
    Refusal,
    Request,
    Target,
    TargetResult,
    Verdict,
    Window,
)
from lanmu.interfaces.errors import Invalid, LanmuError
from lanmu.plugin_faults import WrongAnswer, failure, mistakes, safe
from lanmu.storage.away import AWAY, cause_of

log = logging.getLogger(__name__)

CODE = "channel_error"
"""The code of a unit that met a channel's mistake."""

_KEPT = 4000
"""Bytes of an answer that are looked at for secrets; fewer are stored."""

Answer = TypeVar("Answer")


class ChannelFault(Exception):
    """A channel raised, or answered what its contract forbids; `reason` names it, the call and the fault."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def no_such_channel(place: str, name: str, running: Iterable[str], plugins: Iterable[str] = ()) -> Invalid:
    """The fault of whoever named a channel that does not run, with what helps: the one that may be meant, or
    where to set it up. `plugins` are those known besides the ones whose channels run.

    Names of one plugin begin alike (wecom.group, wecom.robot), so only what follows tells a slip.
    """
    known = sorted(running)
    plugin, _dot, own = name.partition(".")
    if own and plugin in {*plugins, *(each.partition(".")[0] for each in known)}:
        near = get_close_matches(own, [each.partition(".")[2] for each in known if _is_of(each, plugin)], n=1)
        near = [f"{plugin}.{each}" for each in near]
        way_out = _(
            "If it is called so, it is not set up: see [plugins.%(plugin)s] in config.toml. "
            "Running channels: %(known)s."
        )
    else:
        near = get_close_matches(name, known, n=1)
        way_out = _("Running channels: %(known)s.")
    return Invalid(
        place,
        _("“%(channel)s” is not a channel that runs."),
        _("Did you mean %(near)s?") if near else way_out,
        channel=name,
        plugin=plugin,
        near="".join(near),
        known=", ".join(known) or "–",
    )


def _is_of(channel: str, plugin: str) -> bool:
    return channel.startswith(f"{plugin}.")


def uploaded(channel: Channel, asset: Asset) -> AssetRef:
    """Raises NotConnected, LanmuError for a file that the far end does not want, or ChannelFault."""
    return _ask(channel, "upload", check_asset_ref, asset)


def composed(channel: Channel, message: Message, targets: Sequence[Target]) -> Request | Refusal:
    """Raises ChannelFault. Nothing was sent."""

    def check(answer: object) -> Request | Refusal:
        return check_composed(answer, targets)

    return _ask(channel, "compose", check, message, targets)


def connected(channel: Channel, request: Request) -> Line | None:
    """Raises NotConnected or ChannelFault. Nothing was sent."""
    return _ask(channel, "connect", check_line, request)


def written(channel: Channel, request: Request, line: Line | None) -> tuple[Verdict, Observation]:
    """The one write, what it proves, and what may be kept of what was seen. Never raises.

    Where the channel makes a mistake nobody knows what became of the message, unless the channel had seen
    before that nothing was written.
    """
    try:
        seen = check_observation(channel.transmit(request, line))
    except mistakes() as error:  # whatever it does, the write may have happened
        reason = _fault(channel, "transmit", error)
        return Verdict(Outcome.AMBIGUOUS, reason=reason, code=CODE), Observation(wrote=True, fault=reason)
    crash_points.reach("after_write")
    try:
        verdict = check_verdict(channel.classify(seen), seen)
    except mistakes() as error:
        reason = _fault(channel, "classify", error)
        outcome = Outcome.AMBIGUOUS if seen.wrote else Outcome.NOT_SENT
        return Verdict(outcome, reason=reason, code=CODE), _to_keep(seen)
    return verdict, _to_keep(seen)


def closed(channel: str, line: Line | None) -> None:
    """Close a line; what goes wrong in that changes nothing about what was sent on it."""
    try:
        if line is not None:
            line.close()
    except mistakes():
        log.warning("a line could not be closed", extra=_who(channel), exc_info=True)


def found(channel: Channel, request: Request, window: Window) -> tuple[Ref, ...]:
    """Raises NotConnected or ChannelFault: neither is the answer "nothing"."""
    return _ask(channel, "find", lambda refs: check_each("find()", refs, check_ref), request, window)


def results(channel: Channel, ref: Ref) -> tuple[TargetResult, ...]:
    """Raises NotConnected or ChannelFault."""
    return _ask(channel, "results", lambda said: check_each("results()", said, check_target_result), ref)


def cancelled(channel: Channel, ref: Ref) -> CancelResult:
    """Raises NotConnected or ChannelFault."""
    return _ask(channel, "cancel", check_cancel, ref)


def _ask(channel: Channel, call: str, check: Callable[[Any], Answer], *arguments: object) -> Answer:
    try:
        return check(getattr(channel, call)(*arguments))
    except NotConnected as error:
        no_connection = error
    except AWAY as error:  # a channel keeps its token in our database: that this is away is not its mistake
        log.warning(
            "the database was not there for a channel", extra={"cause": cause_of(error), "call": call}
        )
        raise NotConnected(_("The database did not answer the channel.")) from error
    except LanmuError as error:
        if call != "upload" or safe(str(error)) != str(error):
            raise ChannelFault(_fault(channel, call, error)) from None
        raise
    except mistakes() as error:  # a stranger's mistake costs one unit, not a batch
        raise ChannelFault(_fault(channel, call, error)) from None
    try:
        raise check_no_connection(no_connection)
    except WrongAnswer as error:
        raise ChannelFault(_fault(channel, call, error)) from None


def _fault(channel: Channel, call: str, error: BaseException) -> str:
    """The mistake in a sentence; the log tells where in the plugin's code it happened."""
    name = str(channel.name)
    log.error("a channel made a mistake", extra={**_who(name), "call": call}, exc_info=error)
    return Filled(
        _("The channel %(channel)s made a mistake in %(call)s: %(fault)s"),
        channel=name,
        call=call,
        fault=failure(error),
    )


def _who(channel: str) -> dict[str, str]:
    return {"channel": channel, "plugin": channel.partition(".")[0]}


def _to_keep(seen: Observation) -> Observation:
    """What was seen, as it may be stored: a far end may well send back what it was sent."""
    if not seen.body and not seen.fault:
        return seen
    answer = seen.body[:_KEPT].decode("utf-8", "replace")
    shown, fault = safe(answer), safe(seen.fault) if seen.fault else ""
    if shown is answer and fault == seen.fault and len(seen.body) <= _KEPT:
        return seen  # as most are: a copy would cost more than the look
    return replace(seen, body=shown.encode(), fault=fault)
