"""The dispatcher: claim → pre-flight → connect → intent → one write → outcome, a batch at a time.

A batch is never larger than the concurrency, so one crash leaves no more than that ambiguous. The whole batch
shares one transaction for its intents; its outcomes share another with the next batch's claim. So a message
costs a fraction of a commit.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from sqlalchemy.orm import Session

from lanmu.delivery import crash_points
from lanmu.delivery.carried import Claimed, Ready, Sheet
from lanmu.delivery.door import gate
from lanmu.delivery.door.questions import Gatekeeper
from lanmu.delivery.installation.owner import Owner
from lanmu.delivery.sending import asking, unwritten
from lanmu.delivery.sending.breakers import Breakers
from lanmu.delivery.sending.crew import Crew
from lanmu.delivery.sending.journal import Journal, Recorder
from lanmu.delivery.sending.outcomes import Next, after_gate, after_no_connection, after_write
from lanmu.delivery.sending.preflight import Preflight, read_pushes
from lanmu.delivery.sending.queue import claim, intend
from lanmu.delivery.sending.recorded import Recorded
from lanmu.delivery.sending.recording import compile_statements, record
from lanmu.delivery.states import UnitState
from lanmu.i18n import _
from lanmu.interfaces.channels import Channel, Line, NotConnected, Observation
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.events import Receipt
from lanmu.plugin_faults import failure
from lanmu.storage import Database
from lanmu.storage.away import AWAY
from lanmu.storage.types import AnyRow

log = logging.getLogger(__name__)

GUARD_GAP = 5.0
"""Seconds of boot time between the intent and the write after which the worker is taken to have slept."""

Tell = Callable[[Receipt], None]


class _Claim(NamedTuple):
    """What is due and may go on, what a breaker keeps back, and the pushes of both."""

    batch: Sequence[Claimed] = ()
    turned_away: Sequence[Recorded] = ()
    pushes: Sequence[AnyRow] = ()

    @property
    def units(self) -> list[Claimed]:
        return [*self.batch, *(each.unit for each in self.turned_away)]


class _Waiting(NamedTuple):
    """A claimed unit with what it needs to be made ready."""

    unit: Claimed
    sheet: Sheet
    values: Mapping[str, object]


class _Connected(NamedTuple):
    """A unit that is ready, with its way to the far end open.

    `channel` goes along with it: its plugin may be set aside before the write, and the batch would be lost.
    """

    ready: Ready
    channel: Channel
    line: Line | None


class _Intended(NamedTuple):
    """A unit whose intent is stored; `boot` is the boot time just before."""

    connected: _Connected
    boot: float


class Dispatcher:
    """Sends what is due. Any number may run, in any number of threads and processes.

    `pool` makes the calls: no more are made at once than it has threads. `preparing` gets messages ready and
    opens connections, so that none of that waits for a call; without it the pool does. Without a
    `gatekeeper` no hours are quiet. `answered` hears what the last door says, other than to send. `elsewhere`
    names the channels whose units are left to other workers.
    """

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
        preparing: Executor | None = None,
        lease: timedelta = timedelta(seconds=60),
        clock_is_sane: Callable[[], bool] = lambda: True,
        journal: Journal | None = None,
        pause: Callable[[float], object] | None = None,
        gatekeeper: Gatekeeper | None = None,
        answered: Callable[[gate.Answer], None] = lambda _answer: None,
        elsewhere: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self._database = database
        self._clock = clock
        self._channels = channels
        self._preflight = preflight
        self._owner = str(owner)
        self._tell = tell
        self._concurrency = concurrency
        self._lease = lease
        self._clock_is_sane = clock_is_sane
        self._gatekeeper = gatekeeper or Gatekeeper(channels, "UTC", None)
        self._answered = answered
        self._elsewhere = elsewhere
        self._breakers = Breakers(channels, concurrency)
        self._recorder = Recorder(database, clock, journal, lease, pause)
        self._lining_up = Crew(preparing or pool, clock, self._line_up, concurrency)
        self._writing = Crew(pool, clock, self._write, concurrency)

    def warm_up(self) -> None:
        """Run every statement over nothing, so that what is due first does not wait for their compiling."""
        now = self._clock.now()
        with self._database.write() as session:
            read_pushes(session.connection(), [])
            self._gatekeeper.ask(session, now, [])
            intend(session, now, self._owner, self._lease, [])
            compile_statements(session, now)

    def run_due(self, stopping: Callable[[], bool] = lambda: False, push: int | None = None) -> int:
        """Send everything that is due now, batch after batch; of one `push` (its row) where it is named.

        Answers how many units were moved.
        """
        if stopping() or not self._clock_is_sane():
            return 0
        take = partial(self._claim, self._elsewhere(), push)
        with self._database.write() as session:
            claimed = take(session)
        moved = 0
        while claimed.pushes:
            crash_points.reach("after_claim")
            try:
                sheets = self._preflight.sheets(claimed.pushes)
                results = [*self._send(claimed.batch, sheets), *claimed.turned_away]
            except AWAY:
                self._give_back(claimed.units, stopping)
                raise
            crash_points.reach("before_record")
            now = self._clock.now()
            written = self._recorder.write(
                results, partial(self._record, now, results, stopping, take), stopping
            )
            if written is None:  # the database is away, and the journal has them
                return moved
            recorded, claimed = written
            crash_points.reach("after_record")
            moved += len(recorded)
            self._tell_of(recorded, sheets, now)
        return moved

    def _claim(self, without: Collection[str], push: int | None, session: Session) -> _Claim:
        now = self._clock.now()
        units = claim(session, now, self._owner, self._lease, self._concurrency, without, push)
        if not units:
            return _Claim()
        batch, turned_away = self._breakers.let_through(session, now, units)
        pushes = read_pushes(session.connection(), {unit.push_id for unit in units})
        return _Claim(batch, turned_away, pushes)

    def _record(
        self,
        now: datetime,
        results: Sequence[Recorded],
        stopping: Callable[[], bool],
        take: Callable[[Session], _Claim],
        session: Session,
    ) -> tuple[list[Recorded], _Claim]:
        """Write a batch down, and claim the next one."""
        recorded = record(session, now, results)
        self._breakers.note(session, now, recorded)
        if stopping() or not self._clock_is_sane():
            return recorded, _Claim()
        return recorded, take(session)

    def _give_back(self, units: Sequence[Claimed], stopping: Callable[[], bool]) -> None:
        """The database was away before anything was written."""
        results, now = unwritten.back(units), self._clock.now()
        self._recorder.write(
            results, lambda session: record(session, now, unwritten.as_stored(session, results)), stopping
        )

    def _send(self, batch: Sequence[Claimed], sheets: Mapping[int, Sheet]) -> list[Recorded]:
        """What becomes of a batch. From the first write on nothing is asked of the database: what that raises
        comes while nothing is written."""
        values = self._preflight.values(batch, sheets)
        outcomes = self._lining_up.each(
            [_Waiting(unit, sheets[unit.push_id], values.get(unit.id, {})) for unit in batch]
        )
        lined_up = [outcome for outcome in outcomes if isinstance(outcome, _Connected)]
        results = [outcome for outcome in outcomes if isinstance(outcome, Recorded)]
        try:
            intended, turned_away = self._intend(lined_up)
            return results + turned_away + self._writing.each(intended)
        finally:
            for connected in lined_up:
                asking.closed(connected.ready.unit.channel, connected.line)

    def _line_up(self, waiting: _Waiting) -> _Connected | Recorded:
        """Pre-flight and connection of one unit, or what becomes of it instead."""
        unit = waiting.unit
        channel = self._channels.get(unit.channel)
        if channel is None:
            gone = _("The channel is not running.")
            return Recorded(unit, Next(UnitState.HELD, gone, "channel_missing", hold_push=True))
        try:
            ready = self._preflight.prepare(unit, waiting.sheet, channel, waiting.values)
            if isinstance(ready, Next):
                return Recorded(unit, ready)
            return _Connected(ready, channel, asking.connected(channel, ready.request))
        except NotConnected as error:
            return Recorded(unit, after_no_connection(error, unit.tries))
        except asking.ChannelFault as fault:
            return Recorded(unit, Next(UnitState.HELD, fault.reason, asking.CODE))
        except AWAY:
            return Recorded(unit, unwritten.BACK)
        except Exception as error:  # nothing was sent, and the rest of the batch shall be
            log.exception("failed before sending", extra={"channel": unit.channel, "unit": unit.id})
            return Recorded(unit, Next(UnitState.HELD, failure(error), "error"))

    def _intend(self, lined_up: Sequence[_Connected]) -> tuple[list[_Intended], list[Recorded]]:
        """The durable intents, after whose commit a write may happen, and what the gate turned away."""
        if not lined_up:
            return [], []
        crash_points.reach("before_intent")
        boot = self._clock.boottime()
        now = self._clock.now()
        if not self._clock_is_sane():  # asked after `now` was read: it may have jumped since the claim
            doubted = Next(
                UnitState.PENDING, _("The clock of this machine cannot be trusted just now."), "clock"
            )
            return [], [Recorded(each.ready.unit, doubted) for each in lined_up]
        with self._database.write() as session:
            answers = self._gatekeeper.ask(session, now, [each.ready for each in lined_up])
            passed, turned_away = [], []
            for each in lined_up:
                answer = answers.by_unit[each.ready.unit.id]
                if answer.door is gate.Door.SEND:
                    passed.append(each)
                else:
                    turned_away.append(Recorded(each.ready.unit, after_gate(answer)))
            ours = intend(
                session,
                now,
                self._owner,
                self._lease,
                [(each.ready.unit, each.ready.request) for each in passed],
            )
            answers.keep(session, ours)
        crash_points.reach("after_intent")
        return [_Intended(each, boot) for each in passed if each.ready.unit.id in ours], turned_away

    def _write(self, intended: _Intended) -> Recorded:
        """The one write. A worker that slept since its intent writes nothing: its lease may be over."""
        ready, channel, line = intended.connected
        unit = ready.unit
        if self._clock.boottime() - intended.boot > GUARD_GAP:
            slept = Observation(wrote=False, fault=_("The worker slept between its intent and the write."))
            return Recorded(unit, Next(UnitState.RETRY_WAIT, slept.fault, "slept", timedelta(0)), slept)
        crash_points.reach("during_write")
        verdict, seen = asking.written(channel, ready.request, line)
        return Recorded(unit, after_write(verdict, channel.abilities, unit.tries, unit.code), seen)

    def _tell_of(self, recorded: Sequence[Recorded], sheets: Mapping[int, Sheet], now: datetime) -> None:
        for result in recorded:
            if result.next.answer is not None:
                self._answered(result.next.answer)
            if result.next.state in _TOLD:
                self._tell(
                    Receipt(
                        push=sheets[result.unit.push_id].public_id,
                        unit=result.unit.id,
                        channel=result.unit.channel,
                        state=str(result.next.state),
                        targets=len(result.unit.targets),
                        at=now,
                    )
                )


_TOLD = frozenset(UnitState) - {UnitState.PENDING, UnitState.LEASED, UnitState.CALLING, UnitState.RETRY_WAIT}
