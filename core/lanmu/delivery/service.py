"""What people and the schedule ask of deliveries: take in, look at, stop, go on, and decide what is held."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from lanmu.delivery.intake import PushRequest, take_in
from lanmu.delivery.models import Push, Unit, UnitTarget, WorkerRecord
from lanmu.delivery.owner import Owner, is_dead
from lanmu.delivery.progress import progress, settle
from lanmu.delivery.queue import next_due, reap
from lanmu.delivery.states import FINISHED_PUSHES, UNSENT, PushState, UnitState
from lanmu.delivery.views import PushView, UnitView, push_view, unit_views
from lanmu.i18n import _
from lanmu.interfaces.channels import Channel
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Conflict, Invalid, NotFound
from lanmu.storage import Database


@dataclass(frozen=True, slots=True)
class Stopped:
    """What a cancel could still stop, in recipients: stopped, already out, and could not tell."""

    stopped: int
    out: int
    unclear: int


@dataclass(frozen=True, slots=True)
class PushFilter:
    """Which pushes to list; empty takes all."""

    states: Sequence[str] = ()
    channel: str = ""
    since: datetime | None = None
    until: datetime | None = None


class DeliveryService:
    """The door of the room: every push comes in here, from whatever source."""

    def __init__(self, database: Database, clock: Clock, channels: Mapping[str, Channel]) -> None:
        self._database = database
        self._clock = clock
        self._channels = channels

    def request(self, session: Session, request: PushRequest) -> tuple[int, bool]:
        """Take in a request in the caller's transaction; answers the push's row, and whether it is new."""
        push, new = take_in(session, request, self._channels.get(request.channel), self._clock)
        return push.id, new

    def send(self, request: PushRequest) -> PushView:
        """Take in a request in a transaction of its own, and answer the push."""
        with self._database.write() as session:
            push, _new = take_in(session, request, self._channels.get(request.channel), self._clock)
            return push_view(push, progress(session, push.id))

    def pushes(
        self, wanted: PushFilter, limit: int = 50, before: tuple[datetime, int] | None = None
    ) -> list[PushView]:
        """Pushes, latest due first; `before` is the (due_at, row) of the last one already seen."""
        query = select(Push).order_by(Push.due_at.desc(), Push.id.desc()).limit(limit)
        if wanted.states:
            query = query.where(Push.state.in_(wanted.states))
        if wanted.channel:
            query = query.where(Push.channel == wanted.channel)
        if wanted.since:
            query = query.where(Push.due_at >= wanted.since)
        if wanted.until:
            query = query.where(Push.due_at < wanted.until)
        if before:
            due, row = before
            query = query.where((Push.due_at < due) | ((Push.due_at == due) & (Push.id < row)))
        with self._database.read() as session:
            return [push_view(push, progress(session, push.id)) for push in session.scalars(query)]

    def get(self, public_id: str) -> PushView:
        with self._database.read() as session:
            push = _find(session, public_id)
            return push_view(push, progress(session, push.id))

    def units(self, public_id: str, limit: int = 50, after: int = 0) -> list[UnitView]:
        """The units of a push with recipients and attempts, in order."""
        with self._database.read() as session:
            return unit_views(session, _find(session, public_id).id, limit, after)

    def cancel(self, public_id: str) -> Stopped:
        """Stop what is certainly not written yet. What is under way finishes; what is out stays out."""
        now = self._clock.now()
        with self._database.write() as session:
            push = _find(session, public_id)
            if push.state in FINISHED_PUSHES:
                raise Conflict(push.title, _("is already finished; there is nothing left to stop."))
            push.cancel_requested = True
            stopped = session.scalars(
                update(Unit)
                .where(Unit.push_id == push.id, Unit.state.in_(UNSENT))
                .values(
                    state=UnitState.CANCELLED,
                    fence=Unit.fence + 1,
                    reason=_("The push was cancelled."),
                    finished_at=now,
                )
                .returning(Unit.id)
                .execution_options(synchronize_session=False)
            ).all()
            session.execute(
                update(UnitTarget)
                .where(UnitTarget.unit_id.in_(stopped))
                .values(state="cancelled", changed_at=now)
                .execution_options(synchronize_session=False)
            )
            session.flush()
            settle(session, now, [push.id])
            counted = progress(session, push.id)
        unclear = counted.targets.get("unknown", 0) + counted.targets.get("planned", 0)
        return Stopped(counted.targets.get("cancelled", 0), counted.out, unclear)

    def pause(self, public_id: str) -> None:
        """Let nothing more of the push go out until it is resumed."""
        self._switch(public_id, (PushState.SCHEDULED, PushState.RUNNING), PushState.PAUSED)

    def resume(self, public_id: str) -> None:
        """Go on with a paused or held push. A person has looked, so being late is decided too."""
        self._switch(public_id, (PushState.PAUSED, PushState.HELD), PushState.RUNNING)

    def _switch(self, public_id: str, allowed: Sequence[PushState], to: PushState) -> None:
        with self._database.write() as session:
            push = _find(session, public_id)
            if push.state not in allowed:
                raise Conflict(push.title, _("cannot do this while it is %(state)s."), state=push.state)
            push.state, push.held_reason = to, ""
            if to is PushState.RUNNING:
                push.late_decided = True
                session.execute(
                    update(Unit)
                    .where(Unit.push_id == push.id, Unit.state == UnitState.HELD)
                    .values(state=UnitState.PENDING, reason="", code="", tries=0)
                    .execution_options(synchronize_session=False)
                )

    def decide(self, public_id: str, unit_number: int, answer: str) -> None:
        """A person's word on a unit of which nobody knows whether it went out.

        `sent` counts it as sent, `again` sends it once more, `give_up` lets it be. Raises Conflict where
        the unit is not in doubt any more.
        """
        now = self._clock.now()
        outcomes = {
            "sent": (UnitState.ACCEPTED, "accepted"),
            "again": (UnitState.PENDING, "planned"),
            "give_up": (UnitState.FAILED, "failed"),
        }
        if answer not in outcomes:
            raise Invalid("answer", _("must be sent, again or give_up."))
        state, target_state = outcomes[answer]
        with self._database.write() as session:
            push = _find(session, public_id)
            unit = session.scalar(select(Unit).where(Unit.push_id == push.id, Unit.number == unit_number))
            if unit is None or unit.state != UnitState.UNKNOWN:
                raise Conflict(push.title, _("this unit is not in doubt any more; load the page again."))
            unit.state, unit.fence = state, unit.fence + 1
            unit.accepted_at = now if answer == "sent" else None
            unit.finished_at = now if answer == "give_up" else None
            session.execute(
                update(UnitTarget)
                .where(UnitTarget.unit_id == unit.id)
                .values(state=target_state, changed_at=now)
                .execution_options(synchronize_session=False)
            )
            session.flush()
            settle(session, now, [push.id])

    def next_due(self) -> datetime | None:
        """When the next unit may go out."""
        with self._database.read() as session:
            return next_due(session)

    def beat(self, owner: Owner) -> None:
        """Let others know that this worker is alive."""
        now = self._clock.now()
        with self._database.write() as session:
            row = session.get(WorkerRecord, str(owner))
            if row is None:
                session.add(
                    WorkerRecord(
                        owner=str(owner), host=owner.host, pid=owner.pid, started_at=now, heartbeat_at=now
                    )
                )
            else:
                row.heartbeat_at = now

    def retire(self, owner: Owner) -> None:
        """This worker has stopped of its own will."""
        with self._database.write() as session:
            session.execute(
                update(WorkerRecord)
                .where(WorkerRecord.owner == str(owner))
                .values(stopped_at=self._clock.now())
            )

    def reap(self, here: Owner) -> dict[str, int]:
        """Take back what dead or overdue workers hold; see `queue.reap`."""
        with self._database.read() as session:
            owners = session.scalars(
                select(Unit.owner).where(Unit.state.in_((UnitState.LEASED, UnitState.CALLING))).distinct()
            ).all()
        dead = [owner for owner in owners if is_dead(owner, here)]
        with self._database.write() as session:
            return reap(session, self._clock.now(), dead)


def _find(session: Session, public_id: str) -> Push:
    push = session.scalar(select(Push).where(Push.public_id == public_id))
    if push is None:
        raise NotFound(public_id, _("there is no such push."))
    return push
