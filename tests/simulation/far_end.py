"""The far end of the simulation: it forgets nothing, breaks lines, answers late, lies when looked up."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from tests.simulation.sim_clock import SimClock

from lanmu.authoring import BaseChannel
from lanmu.interfaces.channels import (
    Abilities,
    CancelResult,
    Message,
    NotConnected,
    Observation,
    Outcome,
    Ref,
    Request,
    Target,
    Verdict,
    Window,
)

SETTLE = timedelta(minutes=10)
REMEMBERS = timedelta(hours=4)

LISTING = Abilities(lookup=True, settle=SETTLE, cancel=True, batch_max=2, by_sender=True)
"""Can be asked afterwards, and can take a message back: a broadcast of 企业微信."""
MUTE = Abilities(batch_max=1)
"""Can be asked nothing: a group's robot."""
REMEMBERING = Abilities(idempotency=REMEMBERS, batch_max=1)
"""Does not take the same bytes twice within hours: an app's message."""

CHANNELS = {"sim.listing": LISTING, "sim.mute": MUTE, "sim.remembering": REMEMBERING}

FAULTS = (
    ("unwritten", 0.010),
    ("refused", 0.008),
    ("later", 0.012),
    ("stale", 0.005),
    ("content", 0.0005),
    ("cut_before", 0.012),
    ("cut_after", 0.012),
    ("garbage", 0.004),
    ("raise", 0.002),
    ("twice", 0.002),
)
"""How often the far end does what, of all calls; else it takes the message and says so."""

_TAKES = frozenset({"fine", "cut_after", "garbage", "raise", "twice"})


@dataclass(slots=True)
class Effect:
    """A message that reached its recipients. `shown_from` is when a lookup begins to tell of it; an `echo` is
    the far end's own repetition of a call. `leave` counts the words "send again" that the write relied on."""

    ref: str
    token: str
    body: bytes
    targets: tuple[str, ...]
    at: datetime
    shown_from: datetime
    echo: bool = False
    leave: int = 0
    cancelled: bool = False


class FarEnd:
    """What all channels' far ends remember. `calm` ends the faults; `took` is told of each effect at once,
    and `called` of each call by the name of its channel."""

    def __init__(
        self,
        clock: SimClock,
        random: Random,
        took: Callable[[Effect], None],
        called: Callable[[str], None],
        often: float = 1.0,
    ) -> None:
        self.clock = clock
        self.random = random
        self.calm = False
        self.took = took
        self.called = called
        self.often = often
        self.of_token: defaultdict[str, list[Effect]] = defaultdict(list)
        self.of_ref: dict[str, Effect] = {}
        self.missed: set[str] = set()
        self.did: defaultdict[str, int] = defaultdict(int)

    def fault(self) -> str:
        """What happens to this call."""
        if self.calm:
            return "fine"
        roll = self.random.random() / self.often
        for name, share in FAULTS:
            roll -= share
            if roll < 0:
                self.did[name] += 1
                return name
        return "fine"

    def take(self, request: Request, *, echo: bool = False) -> Effect:
        """The message takes effect."""
        now = self.clock.true()
        settled = now + SETTLE * self.random.random()
        token = request.meta["token"]
        ref = f"ref-{len(self.of_ref) + 1}"
        effect = Effect(ref, token, request.body, request.targets, now, settled, echo)
        self.of_ref[ref] = effect
        self.of_token[token].append(effect)
        self.took(effect)
        return effect


class SimChannel(BaseChannel):
    """One of the three kinds of channel there are. `reach` is where the simulation may stop or kill it."""

    def __init__(
        self, name: str, abilities: Abilities, far_end: FarEnd, reach: Callable[[str], None]
    ) -> None:
        self.name = self.title = name
        self.abilities = abilities
        self._far = far_end
        self._reach = reach

    def compose(self, message: Message, targets: Sequence[Target]) -> Request:
        keys = tuple(target.key for target in targets)
        body = f"{message.token}|{message.text}|{','.join(keys)}".encode()
        return Request("send", body, keys, meta={"token": message.token})

    def connect(self, request: Request) -> None:
        if not self._far.calm and self._far.random.random() < 0.005:
            self._far.did["unreachable"] += 1
            raise NotConnected("connection refused")
        self._reach("connecting")

    def transmit(self, request: Request, line: object) -> Observation:
        far = self._far
        far.called(self.name)
        does = far.fault()
        if does == "unwritten":
            return Observation(wrote=False, fault="the connection was refused")
        ref = ""
        if does in _TAKES:
            ref = self._take(request).ref
        if does == "twice" and self.abilities.lookup:  # the far end's own gateway repeats a call
            far.take(request, echo=True)
        self._reach("answering")
        if does == "raise":
            raise RuntimeError("this channel is faulty on purpose")
        if does in ("cut_before", "cut_after", "twice"):
            return Observation(wrote=True, fault="the connection was reset before an answer came")
        if does == "garbage":
            return Observation(wrote=True, status=200, body=b"<html>")
        return Observation(wrote=True, status=200, body=f"{does} {ref}".encode())

    def _take(self, request: Request) -> Effect:
        if (ttl := self.abilities.idempotency) is not None:
            for earlier in self._far.of_token.get(request.meta["token"], ()):
                if earlier.body == request.body and self._far.clock.true() - earlier.at < ttl:
                    return earlier
        return self._far.take(request)

    def classify(self, observation: Observation) -> Verdict:
        if not observation.wrote:
            return Verdict(Outcome.NOT_SENT, reason=observation.fault)
        does, _space, ref = observation.body.decode().partition(" ")
        match does:
            case "fine":
                return Verdict(Outcome.ACCEPTED, ref=Ref(ref))
            case "refused":
                return Verdict(Outcome.REFUSED, reason="refused by the far end", code="40003")
            case "content":
                return Verdict(Outcome.REFUSED, reason="content refused", code="45002", scope="content")
            case "later":
                wait = timedelta(minutes=1)
                return Verdict(Outcome.LATER, reason="limit reached", code="45009", retry_after=wait)
            case "stale":
                return Verdict(Outcome.LATER, reason="token has run out", code="42001", free=True)
            case _:
                return Verdict(Outcome.AMBIGUOUS, reason=observation.fault or "the answer cannot be read")

    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        """What is listed by now: an effect may not be while it settles, and a listing may miss it once."""
        self._reach("looking")
        far = self._far
        if not far.calm and far.random.random() < 0.05:
            far.did["find_failed"] += 1
            raise NotConnected("the listing cannot be reached")
        now = far.clock.true()
        listed = [e for e in far.of_token.get(request.meta["token"], ()) if not e.cancelled]
        found = [e for e in listed if e.shown_from <= now and window.since <= e.at <= window.until]
        token = request.meta["token"]
        if found and token not in far.missed and far.random.random() < 0.15:
            far.missed.add(token)
            found = []
        if listed and not found:
            far.did["find_lied"] += 1
        return tuple(Ref(effect.ref) for effect in found)

    def cancel(self, ref: Ref) -> CancelResult:
        effect = self._far.of_ref.get(ref.id)
        if not self.abilities.cancel or effect is None:
            return super().cancel(ref)
        effect.cancelled = True
        self._far.did["cancelled"] += 1
        return CancelResult(cancelled=True)
