"""Fakes to test against: a channel whose far end does what a script says, and a host."""

import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from lanmu.authoring import BaseChannel
from lanmu.i18n import _
from lanmu.interfaces.channels import (
    Abilities,
    Asset,
    AssetRef,
    CancelResult,
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
    TargetState,
    Verdict,
    Window,
)
from lanmu.interfaces.clock import Clock
from lanmu.testing.clock import FakeClock
from lanmu.testing.host import FakeHost, FakePoints

__all__ = ["Does", "Effect", "FakeChannel", "FakeHost", "FakeLine", "FakePoints"]


class Does(StrEnum):
    """What the far end of a FakeChannel does with one call."""

    ACCEPT = "accept"
    """Takes effect; answers with a reference."""
    HAND_OVER = "hand_over"
    """Takes effect; a person will do the rest."""
    REFUSE = "refuse"
    """No effect; says so inside a 200."""
    REFUSE_CONTENT = "refuse_content"
    REFUSE_ACCOUNT = "refuse_account"
    LATER = "later"
    """No effect; asks to come again in a minute."""
    STALE = "stale"
    """No effect; a token has run out, so the next try is free."""
    CUT_BEFORE = "cut_before"
    """The connection breaks after the write; no effect, but nobody can know."""
    CUT_AFTER = "cut_after"
    """Takes effect; the answer is lost."""
    GARBAGE = "garbage"
    """Takes effect; the answer cannot be read."""
    NOT_WRITTEN = "not_written"
    """The write fails before its first byte."""
    UNREACHABLE = "unreachable"
    """`connect` fails; nothing can have been written."""
    BAD_CONFIG = "bad_config"
    """`connect` fails, and no retry helps until a person acts."""
    RAISE = "raise"
    """A faulty channel: `transmit` raises after the write took effect."""


_TAKES_EFFECT = {Does.ACCEPT, Does.HAND_OVER, Does.CUT_AFTER, Does.GARBAGE, Does.RAISE}
_AT_CONNECT = {Does.UNREACHABLE, Does.BAD_CONFIG}


@dataclass(frozen=True, slots=True)
class Effect:
    """One message that reached its recipients at the far end."""

    ref: str
    request: Request
    at: datetime
    token: str
    text: str


@dataclass
class FakeLine:
    """A line that remembers whether it was closed."""

    request: Request
    closed: bool = False

    def close(self) -> None:
        self.closed = True


@dataclass
class _FarEnd:
    effects: list[Effect] = field(default_factory=list)
    writes: list[Request] = field(default_factory=list)
    uploads: list[Asset] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    lines: list[FakeLine] = field(default_factory=list)


class FakeChannel(BaseChannel):
    """A channel whose far end lives in memory and does what the script says, call by call.

    `script(Does.LATER, Does.ACCEPT)` sets the next calls; when the script is used up, the far end does
    `otherwise`. `writes` holds every request whose bytes left, in order; `effects` those that reached their
    recipients, so `sends()` counts what each recipient really got. `before_write` is called between the
    core's intent and the write, the place where a test kills, stalls or moves the clock. `latency` (seconds)
    makes every write take that long. Safe for many threads.
    """

    def __init__(
        self,
        name: str = "fake.channel",
        *,
        abilities: Abilities | None = None,
        clock: Clock | None = None,
        otherwise: Does = Does.ACCEPT,
        latency: float = 0.0,
        before_write: Callable[[Request], None] | None = None,
    ) -> None:
        self.name = name
        self.title = name
        self.abilities = abilities or Abilities(batch_max=100)
        self.clock: Clock = clock or FakeClock()
        self.otherwise = otherwise
        self.latency = latency
        self.before_write = before_write
        self.find_fails = False
        self.results_fail = False
        self._far = _FarEnd()
        self._script: deque[Does] = deque()
        self._results: dict[str, dict[str, TargetResult]] = {}
        self._lock = threading.Lock()

    def script(self, *calls: Does) -> None:
        """What the far end does with the next calls, in order, after what is scripted already."""
        self._script.extend(calls)

    @property
    def writes(self) -> list[Request]:
        return self._far.writes

    @property
    def effects(self) -> list[Effect]:
        return self._far.effects

    @property
    def uploads(self) -> list[Asset]:
        return self._far.uploads

    @property
    def lines(self) -> list[FakeLine]:
        return self._far.lines

    def sends(self) -> Counter[str]:
        """How often each recipient really got something."""
        return Counter(key for effect in self.effects for key in effect.request.targets)

    def set_result(self, ref: str, key: str, state: TargetState, reason: str = "") -> None:
        """What `results` will say of a recipient from now on."""
        self._results.setdefault(ref, {})[key] = TargetResult(key, state, reason, self.clock.now())

    def upload(self, asset: Asset) -> AssetRef:
        with self._lock:
            self._far.uploads.append(asset)
            number = len(self._far.uploads)
        ttl = self.abilities.asset_ttl or timedelta(days=3)
        return AssetRef(f"media-{number}", self.clock.now() + ttl)

    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        refusal = refusal_of(self.abilities, message)
        if refusal is not None:
            return refusal
        body = {
            "token": message.token,
            "text": message.text,
            "sender": message.sender,
            "assets": [asset.ref or asset.sha256 for asset in message.assets],
            "targets": [target.key for target in targets],
        }
        return Request(
            call="send",
            body=json.dumps(body, ensure_ascii=False, sort_keys=True).encode(),
            targets=tuple(target.key for target in targets),
            sender=message.sender,
            meta={"token": message.token},
        )

    def connect(self, request: Request) -> Line | None:
        with self._lock:
            head = self._script[0] if self._script else self.otherwise
            if head in _AT_CONNECT:
                if self._script:
                    self._script.popleft()
                raise NotConnected("connection refused", config=head is Does.BAD_CONFIG)
            line = FakeLine(request)
            self._far.lines.append(line)
        return line

    def transmit(self, request: Request, line: Line | None) -> Observation:
        if self.before_write is not None:
            self.before_write(request)
        if self.latency:
            threading.Event().wait(self.latency)
        with self._lock:
            does = self._script.popleft() if self._script else self.otherwise
            if does is Does.NOT_WRITTEN or does in _AT_CONNECT:
                return Observation(wrote=False, fault="connection refused")
            self._far.writes.append(request)
            ref = ""
            before = self._taken_before(request) if does in _TAKES_EFFECT else None
            if before is not None:
                ref = before.ref
            elif does in _TAKES_EFFECT:
                ref = f"ref-{len(self._far.effects) + 1}"
                body = json.loads(request.body)
                effect = Effect(ref, request, self.clock.now(), body.get("token", ""), body.get("text", ""))
                self._far.effects.append(effect)
        if does is Does.RAISE:
            raise RuntimeError("this channel is faulty on purpose")
        if does in (Does.CUT_BEFORE, Does.CUT_AFTER):
            return Observation(wrote=True, fault="the connection was reset before an answer came")
        if does is Does.GARBAGE:
            return Observation(wrote=True, status=200, body=b"<html>502 Bad Gate")
        return Observation(wrote=True, status=200, body=_answer(does, ref))

    def _taken_before(self, request: Request) -> Effect | None:
        """What the same bytes did within the time in which a resend is declared to do nothing more."""
        for_long = self.abilities.idempotency
        if for_long is None:
            return None
        since = self.clock.now() - for_long
        return next(
            (each for each in self._far.effects if each.request.body == request.body and each.at > since),
            None,
        )

    def classify(self, observation: Observation) -> Verdict:
        if not observation.wrote:
            return Verdict(Outcome.NOT_SENT, reason=observation.fault)
        try:
            answer = json.loads(observation.body)
            does = Does(answer["does"])
            ref = str(answer["ref"])
        except (ValueError, TypeError, KeyError):
            return Verdict(Outcome.AMBIGUOUS, reason=observation.fault or "the answer cannot be read")
        match does:
            case Does.ACCEPT:
                return Verdict(Outcome.ACCEPTED, ref=Ref(ref))
            case Does.HAND_OVER:
                return Verdict(Outcome.HANDED_OVER, ref=Ref(ref))
            case Does.REFUSE:
                return Verdict(Outcome.REFUSED, reason="refused by the script", code="40003")
            case Does.REFUSE_CONTENT:
                return Verdict(Outcome.REFUSED, reason="content refused", code="45002", scope="content")
            case Does.REFUSE_ACCOUNT:
                return Verdict(Outcome.REFUSED, reason="account refused", code="40001", scope="account")
            case Does.LATER:
                return Verdict(
                    Outcome.LATER, reason="limit reached", code="45009", retry_after=timedelta(minutes=1)
                )
            case Does.STALE:
                return Verdict(Outcome.LATER, reason="token has run out", code="42001", free=True)
            case _:
                return Verdict(Outcome.AMBIGUOUS, reason="the answer cannot be read")

    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        if self.find_fails:
            raise NotConnected("the listing cannot be reached")
        return tuple(
            Ref(effect.ref)
            for effect in list(self.effects)
            if effect.request.body == request.body and window.since <= effect.at <= window.until
        )

    def results(self, ref: Ref) -> Iterable[TargetResult]:
        if self.results_fail:
            raise NotConnected("the results cannot be reached")
        said: Mapping[str, TargetResult] = self._results.get(ref.id, {})
        keys = [key for effect in self.effects if effect.ref == ref.id for key in effect.request.targets]
        return tuple(said.get(key, TargetResult(key, TargetState.WAITING)) for key in keys)

    def cancel(self, ref: Ref) -> CancelResult:
        if not self.abilities.cancel:
            return super().cancel(ref)
        with self._lock:
            self._far.cancelled.append(ref.id)
        return CancelResult(cancelled=True)

    @property
    def cancelled(self) -> list[str]:
        return self._far.cancelled


def refusal_of(abilities: Abilities, message: Message) -> Refusal | None:
    """Why a message is beyond the declared limits, or None: what any channel's `compose` must check."""
    size = len(message.text.encode())
    if size > abilities.text_bytes:
        return Refusal(
            _("The text has %(bytes)d bytes; %(limit)d are allowed."),
            _("Shorten the text."),
            {"bytes": size, "limit": abilities.text_bytes},
        )
    if len(message.assets) > abilities.asset_max:
        return Refusal(
            _("The message has %(count)d files; %(limit)d are allowed."),
            _("Remove some."),
            {"count": len(message.assets), "limit": abilities.asset_max},
        )
    for asset in message.assets:
        if asset.media_type not in abilities.asset_types:
            return Refusal(
                _("%(name)s is of the kind %(kind)s, which this channel does not take."),
                params={"name": asset.name, "kind": asset.media_type},
            )
        if asset.size > abilities.asset_bytes:
            return Refusal(
                _("%(name)s has %(bytes)d bytes; %(limit)d are allowed."),
                params={"name": asset.name, "bytes": asset.size, "limit": abilities.asset_bytes},
            )
    return None


def _answer(does: Does, ref: str) -> bytes:
    return json.dumps({"does": does.value, "ref": ref}).encode()
