"""What stands in place of clock, channels and threads: a rehearsal can reach nobody, whatever it runs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from lanmu.authoring import BaseChannel
from lanmu.delivery.carried import Ready
from lanmu.delivery.door.gate import Answer, Door
from lanmu.delivery.door.questions import Answers, Gatekeeper
from lanmu.delivery.door.quiet import QuietHours
from lanmu.i18n import _
from lanmu.interfaces.channels import (
    Abilities,
    Asset,
    AssetRef,
    Channel,
    Line,
    Message,
    Observation,
    Outcome,
    Ref,
    Refusal,
    Request,
    Sending,
    Target,
    Verdict,
)
from lanmu.rehearsal.comparing import Word

_LONG = timedelta(days=3650)


class VirtualClock:
    """Stands still until it is set; boot time goes along with it."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def boottime(self) -> float:
        return (self._now - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()

    def set(self, now: datetime) -> None:
        """Let time pass until this instant."""
        self._now = now


class AtOnce(Executor):
    """A pool whose work is done where it is asked for, so that a rehearsal has one order."""

    def submit(self, work: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  it reaches whoever waits for it
            done.set_exception(error)
        return done


class Captured(NamedTuple):
    """A message that would have gone out, to one recipient."""

    at: datetime
    channel: str
    push: str
    recipient: str
    sender: str
    text: str


class CapturingChannel(BaseChannel):
    """Keeps what a real channel would have sent. Of that channel it knows its name and what it declares."""

    def __init__(self, name: str, abilities: Abilities, clock: VirtualClock, kept: list[Captured]) -> None:
        self.name = self.title = name
        self.abilities = abilities
        self._clock = clock
        self._kept = kept

    def upload(self, asset: Asset) -> AssetRef:
        return AssetRef(f"rehearsal-{asset.sha256[:16]}", self._clock.now() + _LONG)

    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        body = message.text.encode()
        if len(body) > self.abilities.text_bytes:
            too_long = _("the text is longer than the %(most)s bytes of its channel.")
            return Refusal(too_long, params={"most": self.abilities.text_bytes})
        keys = tuple(target.key for target in targets)
        return Request("capture", body, keys, message.sender, {"token": message.token, "push": message.push})

    def transmit(self, request: Request, line: Line | None) -> Observation:
        now, text = self._clock.now(), request.body.decode()
        for key in request.targets:
            self._kept.append(Captured(now, self.name, request.meta["push"], key, request.sender, text))
        return Observation(wrote=True, status=200, body=request.meta["token"].encode())

    def classify(self, observation: Observation) -> Verdict:
        by_hand = self.abilities.sending is Sending.PERSON
        ref = Ref(observation.body.decode())
        return Verdict(Outcome.HANDED_OVER if by_hand else Outcome.ACCEPTED, ref=ref)


class NotingGatekeeper(Gatekeeper):
    """The gatekeeper, which also notes why it let something wait or fall: by push and recipient."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        zone: str,
        quiet: QuietHours | None,
    ) -> None:
        super().__init__(channels, zone, quiet)
        self.words: defaultdict[tuple[int, str], list[Word]] = defaultdict(list)

    def ask(self, session: Session, now: datetime, batch: Sequence[Ready]) -> Answers:
        answers = super().ask(session, now, batch)
        for ready in batch:
            answer = answers.by_unit[ready.unit.id]
            for target in ready.unit.targets:
                own: Answer | None = answer.parted.get(target.key) if answer.parted else answer
                if own is not None and own.door not in (Door.SEND, Door.BACK):
                    word = Word(now, own.code, own.reason, own.until)
                    self.words[ready.unit.push_id, target.key].append(word)
        return answers
