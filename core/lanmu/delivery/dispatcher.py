"""The dispatcher: claim → pre-flight → connect → intent → one write → outcome, a batch at a time.

A batch is never larger than the concurrency: each of its units has a thread of its own for the write, and
one crash leaves no more than the batch ambiguous. The whole batch shares one transaction for its intents
and one for its outcomes, so a message costs a fraction of a commit.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from lanmu.delivery import gate
from lanmu.delivery.models import Push
from lanmu.delivery.outcomes import Next, after_no_connection, after_write
from lanmu.delivery.owner import Owner
from lanmu.delivery.preflight import Preflight, Ready
from lanmu.delivery.progress import settle
from lanmu.delivery.queue import Claimed, Recorded, claim, intend, record
from lanmu.delivery.states import UnitState
from lanmu.i18n import _
from lanmu.interfaces.channels import Channel, Line, NotConnected, Observation
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.events import Receipt
from lanmu.storage import Database

log = logging.getLogger(__name__)

GUARD_GAP = 5.0
"""Seconds of boot time between the intent and the write after which the worker is taken to have slept."""

Tell = Callable[[Receipt], None]


@dataclass(frozen=True, slots=True)
class Connected:
    """A unit that is ready, with its way to the far end open."""

    ready: Ready
    line: Line | None


class Dispatcher:
    """Sends what is due. Any number may run, in any number of processes."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        channels: Mapping[str, Channel],
        preflight: Preflight,
        owner: Owner,
        pool: Executor,
        tell: Tell,
        *,
        concurrency: int = 16,
        lease: timedelta = timedelta(seconds=60),
    ) -> None:
        self._database = database
        self._clock = clock
        self._channels = channels
        self._preflight = preflight
        self._owner = str(owner)
        self._pool = pool
        self._tell = tell
        self._concurrency = concurrency
        self._lease = lease

    def run_due(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Send everything that is due now, batch after batch; answers how many units were moved."""
        moved = 0
        while not stopping():
            batch = self._claim()
            if not batch:
                break
            moved += len(self._send(batch))
        return moved

    def _claim(self) -> list[Claimed]:
        with self._database.write() as session:
            return claim(session, self._clock.now(), self._owner, self._lease, self._concurrency)

    def _send(self, batch: Sequence[Claimed]) -> list[Recorded]:
        results: list[Recorded] = []
        lined_up = self._line_up(batch, results)
        try:
            to_write = self._intend(lined_up, results)
            results.extend(self._pool.map(self._write, to_write))
        finally:
            for connected in lined_up:
                if connected.line is not None:
                    connected.line.close()
        return self._record(results)

    def _line_up(self, batch: Sequence[Claimed], results: list[Recorded]) -> list[Connected]:
        """Pre-flight and connection of each unit; those that fall out go to the results."""
        sheets = self._preflight.read_sheets({unit.push_id for unit in batch})
        values = self._preflight.values(batch)

        def line_up(unit: Claimed) -> Connected | Next:
            channel = self._channels.get(unit.channel)
            if channel is None:
                return Next(
                    UnitState.HELD, _("The channel is not running."), "channel_missing", hold_push=True
                )
            try:
                ready = self._preflight.prepare(unit, sheets[unit.push_id], channel, values[unit.id])
                if isinstance(ready, Next):
                    return ready
                return Connected(ready, channel.connect(ready.request))
            except NotConnected as error:
                return after_no_connection(error, unit.tries)
            except Exception as error:  # a channel's mistake before the intent: nothing was sent
                log.exception(
                    "channel failed before sending", extra={"channel": unit.channel, "unit": unit.id}
                )
                return Next(UnitState.HELD, f"{type(error).__name__}: {error}", "channel_error")

        lined_up: list[Connected] = []
        for unit, outcome in zip(batch, self._pool.map(line_up, batch), strict=True):
            if isinstance(outcome, Next):
                results.append(Recorded(unit, outcome))
            else:
                lined_up.append(outcome)
        return lined_up

    def _intend(
        self, lined_up: Sequence[Connected], results: list[Recorded]
    ) -> list[tuple[Connected, float]]:
        """The durable intents; from their commit on a write may have happened."""
        if not lined_up:
            return []
        boot = self._clock.boottime()
        now = self._clock.now()
        with self._database.write() as session:
            passed = []
            pushes = {
                push.id: push
                for push in session.scalars(
                    select(Push).where(Push.id.in_({each.ready.unit.push_id for each in lined_up}))
                )
            }
            for each in lined_up:
                unit, sheet = each.ready.unit, each.ready.sheet
                answer = gate.ask(
                    _question(pushes[unit.push_id], sheet.rendered_hash, sheet.valid_until, now)
                )
                if answer.door is gate.Door.SEND:
                    passed.append(each)
                else:
                    results.append(Recorded(unit, _turned_away(answer)))
            ours = intend(
                session, now, self._owner, [(each.ready.unit, each.ready.request) for each in passed]
            )
        return [(each, boot) for each in passed if each.ready.unit.id in ours]

    def _write(self, lined_up: tuple[Connected, float]) -> Recorded:
        """The one write. A worker that slept since its intent writes nothing: its lease may be over."""
        connected, boot = lined_up
        unit, request = connected.ready.unit, connected.ready.request
        channel = self._channels[unit.channel]
        if self._clock.boottime() - boot > GUARD_GAP:
            slept = Observation(wrote=False, fault="The worker slept between its intent and the write.")
            return Recorded(unit, Next(UnitState.RETRY_WAIT, slept.fault, "slept", timedelta(0)), slept)
        try:
            seen = channel.transmit(request, connected.line)
            verdict = channel.classify(seen)
        except Exception as error:  # the contract forbids it; what it means is that nobody knows
            log.exception("channel raised while sending", extra={"channel": channel.name, "unit": unit.id})
            seen = Observation(wrote=True, fault=f"{type(error).__name__}: {error}")
            return Recorded(unit, Next(UnitState.UNKNOWN, seen.fault, "channel_error"), seen)
        return Recorded(unit, after_write(verdict, channel.abilities, unit.tries), seen)

    def _record(self, results: Sequence[Recorded]) -> list[Recorded]:
        now = self._clock.now()
        with self._database.write() as session:
            moved = record(session, now, results)
            settle(session, now, {result.unit.push_id for result in moved})
            names = _public_ids(session, {result.unit.push_id for result in moved})
        for receipt in _receipts(moved, names, now):
            self._tell(receipt)
        return moved


def _question(push: Push, rendered: str, valid_until: datetime | None, now: datetime) -> gate.Question:
    return gate.Question(
        now=now,
        due_at=push.due_at,
        deadline_at=push.deadline_at,
        late_after=timedelta(seconds=push.late_after),
        late_policy=push.late_policy,
        push_state=push.state,
        cancel_requested=push.cancel_requested,
        approved_hash=push.approved_hash,
        rendered_hash=rendered,
        content_valid_until=valid_until,
        late_decided=push.late_decided,
    )


_DROPPED = {"cancelled": UnitState.CANCELLED}


def _turned_away(answer: gate.Answer) -> Next:
    if answer.door is gate.Door.DROP:
        return Next(_DROPPED.get(answer.code, UnitState.SKIPPED), answer.reason, answer.code)
    if answer.code in ("paused", "early"):
        return Next(UnitState.PENDING, answer.reason, answer.code)
    return Next(UnitState.HELD, answer.reason, answer.code, hold_push=True)


def _public_ids(session: Session, push_ids: set[int]) -> dict[int, str]:
    return {
        row.id: row.public_id
        for row in session.execute(select(Push.id, Push.public_id).where(Push.id.in_(push_ids)))
    }


_TOLD = frozenset(UnitState) - {UnitState.PENDING, UnitState.LEASED, UnitState.CALLING, UnitState.RETRY_WAIT}


def _receipts(moved: Iterable[Recorded], names: Mapping[int, str], now: datetime) -> list[Receipt]:
    return [
        Receipt(
            push=names[result.unit.push_id],
            unit=result.unit.id,
            channel=result.unit.channel,
            state=str(result.next.state),
            targets=len(result.unit.targets),
            at=now,
        )
        for result in moved
        if result.next.state in _TOLD
    ]
