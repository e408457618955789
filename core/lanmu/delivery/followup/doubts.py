"""Finding out what became of units of which nobody knows whether they went out (delivery.md 2.7).

A unit in doubt stays `unknown` until evidence, a person or three days decide. Where the channel takes the
same bytes only once they are sent again; where it can be asked it is asked; else a person is. Everything is
stored in short transactions under the unit's fence, and none is open while a channel is asked.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from lanmu.delivery import crash_points
from lanmu.delivery.carried import Claimed, Ready
from lanmu.delivery.door.gate import Door
from lanmu.delivery.door.questions import Gatekeeper
from lanmu.delivery.followup.look_times import ABSENT_AFTER, AFTER, ASK_FOR, BEFORE, LookTimes, pace
from lanmu.delivery.followup.unknowns import (
    Doubt,
    add_evidence,
    intend_again,
    keep_to_person,
    lock_references,
    look_again,
    owned_by_others,
    rivals,
    take,
    worker_seen,
)
from lanmu.delivery.installation.owner import Owner, is_dead
from lanmu.delivery.models import Attempt, Unit
from lanmu.delivery.progress import lock_pushes
from lanmu.delivery.sending import asking
from lanmu.delivery.sending.breakers import Breakers
from lanmu.delivery.sending.dispatcher import GUARD_GAP
from lanmu.delivery.sending.journal import Journal, Recorder
from lanmu.delivery.sending.outcomes import FIRST_RESULTS, POISON, Next, after_write
from lanmu.delivery.sending.preflight import Preflight
from lanmu.delivery.sending.queue import DEADLY
from lanmu.delivery.sending.recorded import Recorded
from lanmu.delivery.sending.recording import record
from lanmu.delivery.states import COUNTED_AFTER, COUNTED_AS_SENT, UnitState
from lanmu.i18n import Filled, _, to_store
from lanmu.interfaces.channels import Channel, Line, NotConnected, Observation, Ref, Window
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.events import Receipt
from lanmu.storage import Database
from lanmu.storage.away import AWAY

log = logging.getLogger(__name__)

WINDOW_MARGIN = timedelta(minutes=10)
"""A resend keeps so far from the end of the time in which the far end takes the same bytes once."""

RESENDS = 3
"""So often the same bytes are written again by themselves."""

_FOR_A_DAY = _("The channel could not be asked for a whole day. Last: %(why)s")
_BY_CONFIG = _("The channel could not be asked, and waiting does not help: %(why)s")
_TOO_LATE = _("The time has passed in which a resend has no second effect.")


class Doubts:
    """Looks into what is due. Any number may, in any number of threads and processes.

    `elsewhere` names the channels whose doubts are left to other workers.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        channels: Mapping[str, Channel],
        preflight: Preflight,
        gatekeeper: Gatekeeper,
        here: Owner,
        *,
        lease: timedelta = timedelta(seconds=60),
        absent_after: timedelta = ABSENT_AFTER,
        journal: Journal | None = None,
        may_send: Callable[[], bool] = lambda: True,
        tell: Callable[[Receipt], None] = lambda _receipt: None,
        pause: Callable[[float], object] | None = None,
        elsewhere: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self._database = database
        self._clock = clock
        self._channels = channels
        self._preflight = preflight
        self._gatekeeper = gatekeeper
        self._here = here
        self._lease = lease
        self._absent_after = absent_after
        self._may_send = may_send
        self._tell = tell
        self._elsewhere = elsewhere
        self._breakers = Breakers(channels, 1)
        self._recorder = Recorder(database, clock, journal, lease, pause)

    def look(self, now: datetime | None = None) -> int:
        """Look into the doubts that are due, a batch of them; answers how many."""
        now = now or self._clock.now()
        self._count_the_old(now)
        elsewhere = self._elsewhere()
        with self._database.write() as session:
            doubts = take(session, now, self._lease, elsewhere)
        for doubt in doubts:
            try:
                self._look_into(doubt)
            except AWAY:  # no fault of this doubt: whoever runs this tells of it, once for all of them
                raise
            except Exception:  # its turn comes again when what `take` has set is over
                log.exception("could not look into a doubt", extra={"unit": doubt.unit.id})
        return len(doubts)

    def _look_into(self, doubt: Doubt) -> None:
        channel = self._channels.get(doubt.unit.channel)
        if channel is None:
            self._failed(doubt, _("The channel is not running."))
        elif channel.abilities.idempotency is not None:
            self._send_again(doubt, channel, channel.abilities.idempotency)
        elif channel.abilities.lookup:
            self._ask(doubt, channel)
        else:
            self._to_person(doubt, _("The channel cannot tell whether it went out."))

    # --- asking the far end ---

    def _ask(self, doubt: Doubt, channel: Channel) -> None:
        settled_at = (doubt.ended_at or doubt.intent_at) + channel.abilities.settle
        if self._clock.now() < settled_at:
            self._look_again(doubt, settled_at)
            return
        # Whoever slept after its intent wrote long after it; a clock that was set back meanwhile hides that.
        begun_at = min(doubt.intent_at, doubt.finished_at or doubt.intent_at)
        window = Window(begun_at - BEFORE, max(doubt.intent_at + AFTER, self._clock.now() + BEFORE))
        try:
            refs = asking.found(channel, doubt.request, window)
        except NotConnected as error:
            self._failed(doubt, error.reason, error.retry_after, config=error.config)
        except asking.ChannelFault as fault:
            self._failed(doubt, fault.reason)
        else:
            self._found(doubt, channel, list(dict.fromkeys(ref.id for ref in refs)), {r.id: r for r in refs})

    def _found(self, doubt: Doubt, channel: Channel, ids: list[str], refs: Mapping[str, Ref]) -> None:
        crash_points.reach("during_doubts")
        now = self._clock.now()
        with self._database.write() as session:
            lock_references(session)
            lock_pushes(session, [doubt.unit.push_id])
            others = owned_by_others(session, doubt, ids)
            mine = [each for each in ids if each not in others]
            evidence = {"looked_at": now.isoformat(), "found": mine, "of_others": others}
            first, extra, shared = refs.get(mine[0]) if mine else None, mine[1:], False
            if first is None:
                settled = self._none(session, doubt, channel, now)
                add_evidence(session, doubt, evidence, "not_found" if settled else "")
            else:
                add_evidence(session, doubt, evidence, "accepted")
                # Another doubt about the same bytes may own what looks superfluous here.
                shared = bool(extra) and rivals(session, doubt)
                why = _("It was looked up at the channel and found.")
                if extra:
                    why = _("It was found more than once at the channel; see the attempts.")
                results = FIRST_RESULTS if channel.abilities.acceptance == "async" else None
                next_ = Next(UnitState.ACCEPTED, why, "found", ref=first, results_after=results)
                settled = [Recorded(doubt.unit, next_, was=UnitState.UNKNOWN)]
            moved = record(session, now, settled)
        self._told(doubt, moved, now)
        if moved and extra:
            log.error("found more than once", extra={"unit": doubt.unit.id, "refs": mine, "shared": shared})
            if not shared:
                self._take_back(doubt, channel, [refs[each] for each in extra])

    def _none(self, session: Session, doubt: Doubt, channel: Channel, now: datetime) -> list[Recorded]:
        """What follows from having found nothing; what is to be recorded, if anything."""
        looks = doubt.looks + 1
        # A look counts only once nobody can write any more, and what was written last has settled since.
        times = LookTimes.of(channel.abilities, self._absent_after)
        apart = times.surely if doubt.ended_at is None else times.apart
        counts_at = times.counts_at(doubt.intent_at, doubt.ended_at)
        if not self._owner_is_gone(session, doubt, channel, now):
            if now - doubt.intent_at >= ASK_FOR:
                keep_to_person(
                    session, doubt, "owner_alive", _("The worker that was sending it has not ended.")
                )
            else:
                look_again(session, doubt, now + apart, 0)
        elif now < counts_at:
            look_again(session, doubt, times.soon(now, counts_at), 0)
        elif looks < 2:
            look_again(session, doubt, now + apart, looks)
        elif doubt.deaths >= DEADLY:
            keep_to_person(
                session, doubt, POISON, _("Three workers ended while they sent it; it is not sent again.")
            )
        elif now < doubt.deadline_at:
            why = _("It was looked up twice at the channel and had not gone out.")
            back = Next(UnitState.RETRY_WAIT, why, "not_found", timedelta(0))
            return [Recorded(doubt.unit, back, was=UnitState.UNKNOWN)]
        else:
            late = Next(UnitState.SKIPPED, _("It had not gone out, and its deadline has passed."), "expired")
            return [Recorded(doubt.unit, late, was=UnitState.UNKNOWN)]
        return []

    def _nobody_writes(self, doubt: Doubt, channel: Channel, now: datetime) -> bool:
        """A write that is still to come may come when the far end does not remember these bytes any more."""
        with self._database.read() as session:
            return self._owner_is_gone(session, doubt, channel, now)

    def _owner_is_gone(self, session: Session, doubt: Doubt, channel: Channel, now: datetime) -> bool:
        """Whether nobody can still be about to write: the writer is done with it, or proven dead.

        A worker on another host is taken for dead once it has been silent for a lease and the time in which
        the far end settles.
        """
        if doubt.finished_at is not None or is_dead(doubt.owner, self._here):
            return True
        if doubt.owner.partition(":")[0] == self._here.host:
            return False
        seen_at, stopped = worker_seen(session, doubt.owner)
        silence = self._lease + max(channel.abilities.settle, self._absent_after)
        return stopped or (seen_at is not None and now - seen_at > silence)

    def _failed(self, doubt: Doubt, why: str, wish: timedelta | None = None, *, config: bool = False) -> None:
        """It could not be asked, which says nothing: again later, ever less often, and at last a person; at
        once where the channel says that only a person can mend it."""
        now = self._clock.now()
        age = now - doubt.intent_at
        if config or age >= ASK_FOR:
            self._note_failure(doubt, why, now, None, _BY_CONFIG if config else _FOR_A_DAY)
        else:
            self._note_failure(doubt, why, now, now + max(wish or timedelta(0), pace(age)))

    def _note_failure(
        self, doubt: Doubt, why: str, now: datetime, again: datetime | None, to_person: str = ""
    ) -> None:
        """Leave a trace of what came to nothing, and try again then, or ask a person."""
        unit = doubt.unit
        log.warning(
            "a doubt could not be looked into",
            extra={"unit": unit.id, "channel": unit.channel, "why": str(why), "again_at": again},
        )
        with self._database.write() as session:
            lock_pushes(session, [unit.push_id])
            add_evidence(session, doubt, {"looked_at": now.isoformat(), "failed": to_store(why)})
            if again is None:
                keep_to_person(session, doubt, "in_doubt", Filled(to_person, why=why))
            else:
                look_again(session, doubt, again, doubt.looks)

    def _take_back(self, doubt: Doubt, channel: Channel, refs: list[Ref]) -> None:
        said = {}
        for ref in refs if channel.abilities.cancel else ():
            try:
                result = asking.cancelled(channel, ref)
                said[ref.id] = "cancelled" if result.cancelled else result.reason
            except (NotConnected, asking.ChannelFault) as error:
                said[ref.id] = error.reason
        log.error("took back what was found beside the first", extra={"unit": doubt.unit.id, "said": said})
        with self._database.write() as session:
            add_evidence(session, doubt, {"taken_back": said})

    # --- sending the same bytes again ---

    def _send_again(self, doubt: Doubt, channel: Channel, ttl: timedelta) -> None:
        boot, now = self._clock.boottime(), self._clock.now()
        over_at = doubt.first_at + ttl - WINDOW_MARGIN
        if doubt.deaths >= DEADLY:
            self._to_person(doubt, _("Three workers ended while they sent it; it is not sent again."), POISON)
        elif now >= over_at:
            self._to_person(doubt, _TOO_LATE)
        elif doubt.written > RESENDS:
            self._to_person(doubt, _("It was sent again three times, and still nobody knows."))
        elif not self._may_send() or not self._nobody_writes(doubt, channel, now):
            self._look_again(doubt, now + timedelta(minutes=1))
        else:
            try:
                line = asking.connected(channel, doubt.request)
            except NotConnected as error:
                wait = max(error.retry_after or timedelta(0), pace(now - doubt.first_at))
                self._note_failure(doubt, error.reason, now, None if error.config else now + wait, _BY_CONFIG)
            except asking.ChannelFault as fault:
                self._to_person(doubt, fault.reason)
            else:
                try:
                    # Whoever sleeps while it connects may wake when the far end has forgotten these bytes;
                    # by a clock that was set back meanwhile it would not know.
                    passed = timedelta(seconds=self._clock.boottime() - boot)
                    if max(self._clock.now(), now + passed) >= over_at:
                        self._to_person(doubt, _TOO_LATE)
                    elif not self._may_send():
                        self._look_again(doubt, self._clock.now() + timedelta(minutes=1))
                    else:
                        self._write_again(doubt, channel, line)
                finally:
                    asking.closed(channel.name, line)

    def _write_again(self, doubt: Doubt, channel: Channel, line: Line | None) -> None:
        boot, now = self._clock.boottime(), self._clock.now()
        sheet = self._preflight.read_sheets({doubt.unit.push_id})[doubt.unit.push_id]
        ready = Ready(doubt.unit._replace(counted=True), sheet, doubt.request)
        with self._database.write() as session:
            answers = self._gatekeeper.ask(session, now, [ready])
            answer = answers.by_unit[doubt.unit.id]
            unit = None
            if answer.door is Door.SEND:
                unit = intend_again(session, doubt, now, str(self._here), self._lease)
            answers.keep(session, () if unit is None else (unit.id,))
            if answer.door in (Door.WAIT, Door.YIELD, Door.BACK):
                look_again(session, doubt, answer.until or now + timedelta(minutes=1), doubt.looks)
            elif answer.door is not Door.SEND:
                keep_to_person(session, doubt, answer.code, answer.reason)
        if unit is None:
            return
        if self._clock.boottime() - boot > GUARD_GAP:
            slept = _("The worker slept between its intent and the write.")
            seen, next_ = Observation(wrote=False, fault=slept), self._still(doubt, slept, "slept", 0)
        else:
            verdict, seen = asking.written(channel, doubt.request, line)
            next_ = after_write(verdict, channel.abilities, 0)
            if next_.state not in (UnitState.ACCEPTED, UnitState.HANDED_OVER):
                # A "no" to the second is no proof against the first, so the doubt stays what it was.
                refused = next_.state in (UnitState.FAILED, UnitState.HELD)
                still = self._still(doubt, next_.reason, next_.code, None if refused else 1)
                next_ = still._replace(trips=next_.trips)
        now = self._clock.now()
        results = [Recorded(unit, next_, seen)]

        def work(session: Session) -> list[Recorded]:
            moved = record(session, now, results)
            self._breakers.note(session, now, moved)
            return moved

        self._told(doubt, self._recorder.write(results, work) or [], now)

    def _still(self, doubt: Doubt, reason: str, code: str, paces: int | None) -> Next:
        wait = None if paces is None else paces * pace(self._clock.now() - doubt.first_at)
        return Next(UnitState.UNKNOWN, reason, code, look_after=wait)

    # --- what is stored ---

    def _told(self, doubt: Doubt, moved: Sequence[Recorded], now: datetime) -> None:
        for result in moved:
            if result.next.state in (UnitState.ACCEPTED, UnitState.HANDED_OVER, UnitState.SKIPPED):
                unit, state = result.unit, str(result.next.state)
                self._tell(Receipt(doubt.push, unit.id, unit.channel, state, len(unit.targets), now))

    def _look_again(self, doubt: Doubt, at: datetime) -> None:
        with self._database.write() as session:
            look_again(session, doubt, at, doubt.looks)

    def _to_person(self, doubt: Doubt, why: str, code: str = "in_doubt") -> None:
        with self._database.write() as session:
            keep_to_person(session, doubt, code, why)

    def _count_the_old(self, now: datetime) -> None:
        """What nobody has settled in three days counts as sent: most of it was, and a limit must not be
        crossed for the rest."""
        begun = select(func.max(Attempt.started_at)).where(Attempt.unit_id == Unit.id).scalar_subquery()
        old = (
            select(Unit.id, Unit.push_id, Unit.channel, Unit.sender, Unit.token, Unit.fence, Unit.tries)
            .where(
                text("unit.state = 'unknown'"),
                Unit.look_at.is_(None),
                func.coalesce(begun, Unit.counted_at) < now - COUNTED_AFTER,
            )
            .order_by(Unit.id)
            .limit(50)
        )
        with self._database.read() as session:
            if session.execute(old.limit(1)).first() is None:
                return
        counted = Next(
            UnitState.ACCEPTED,
            _("Nobody could tell for three days, so it counts as sent."),
            COUNTED_AS_SENT,
        )
        with self._database.write() as session:
            units = [Claimed(*row, (), None, None) for row in session.execute(old)]
            record(session, now, [Recorded(unit, counted, was=UnitState.UNKNOWN) for unit in units])
