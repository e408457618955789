"""Releases a frozen copy: tells first what would go out, and sees that nothing goes out a second time.

What was due before the release may have been sent by the original after the backup was made. So it is looked
up where the channel can be asked, put to a person where not, and sent only where somebody vouches for it.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from lanmu.delivery.carried import Claimed, Ready
from lanmu.delivery.door import limits
from lanmu.delivery.door.limit_models import SendLimit
from lanmu.delivery.followup.look_times import ABSENT_AFTER
from lanmu.delivery.installation.instance_models import InstanceRecord
from lanmu.delivery.models import Attempt, Push, Unit, UnitTarget
from lanmu.delivery.progress import lock_pushes, settle
from lanmu.delivery.sending import asking
from lanmu.delivery.sending.preflight import Preflight
from lanmu.delivery.sending.queue import as_claimed
from lanmu.delivery.states import FINISHED_PUSHES, RESTORED, UnitState
from lanmu.i18n import _
from lanmu.interfaces.channels import NotConnected, Ref, Request, Window
from lanmu.interfaces.errors import Conflict
from lanmu.schedule.models import Occurrence
from lanmu.server import Server

log = logging.getLogger(__name__)

_OPEN = (UnitState.PENDING, UnitState.RETRY_WAIT, UnitState.LEASED, UnitState.HELD)
_BATCH = 50
_BEFORE = timedelta(minutes=2)


class About(StrEnum):
    """What is done about units that were due before the release.

    ASK_PEOPLE: a person decides on each. LOOK_UP: the channel is asked where it can be, a person else.
    UNSENT: somebody vouches that the original has sent nothing since the backup, so they simply go out.
    """

    ASK_PEOPLE = "ask_people"
    LOOK_UP = "look_up"
    UNSENT = "unsent"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a release is about, in numbers. `since`: the state of this copy is as of then.

    `due` units with `recipients` were due by now and may have been sent by the original; of these `findable`
    can be looked up. `unfinished` were being sent when the copy was made. `missed` are planned slots whose
    time has passed. `to_come` units are due later.
    """

    reason: str
    since: datetime | None
    due: int
    recipients: int
    findable: int
    unfinished: int
    missed: int
    to_come: int


@dataclass(frozen=True, slots=True)
class Released:
    """What became of the units that were due: found at the channel, still to be looked up, left to a person,
    or sent from now on."""

    found: int = 0
    looked_up: int = 0
    to_people: int = 0
    go_out: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True)
class _Looked:
    """A unit with the bytes that it would have been sent as, and what the channel has of it.

    `refs` is None where it could not be asked.
    """

    unit: Claimed
    request: Request | None
    refs: tuple[Ref, ...] | None


class Releasing:
    """The release of one installation."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._database, self._clock = server.database, server.clock
        self._preflight = Preflight(
            server.database,
            server.clock,
            server.library.materials.snapshot,
            lambda _message, _channel: (),  # it is not to be sent, but to be recognised
            server.config.server.shop_name,
        )

    def outlook(self) -> Outlook:
        """What would go out. Raises Conflict where the installation is not frozen."""
        now = self._clock.now()
        with self._database.read() as session:
            row = session.scalar(select(InstanceRecord))
            if row is None or row.frozen_at is None:
                raise Conflict("", _("This installation is not frozen."))
            units = select(Unit.channel, func.count()).join(Push, Push.id == Unit.push_id)
            rows = session.execute(units.where(*_due(now)).group_by(Unit.channel))
            due = {row[0]: int(row[1]) for row in rows}
            targets = select(func.count(UnitTarget.id)).join(Unit, Unit.id == UnitTarget.unit_id)
            to_come = select(func.count(Unit.id)).join(Push, Push.id == Unit.push_id)
            later = or_(Push.due_at > now, Unit.not_before > now)
            return Outlook(
                row.frozen_reason,
                row.backup_at or row.heartbeat_at,
                sum(due.values()),
                session.scalar(targets.join(Push, Push.id == Unit.push_id).where(*_due(now))) or 0,
                sum(count for channel, count in due.items() if self._can_be_asked(channel)),
                session.scalar(select(func.count(Unit.id)).where(Unit.state == UnitState.CALLING)) or 0,
                session.scalar(select(func.count(Occurrence.id)).where(*_missed(now))) or 0,
                session.scalar(to_come.where(*_OPEN_UNITS, later)) or 0,
            )

    def release(self, by: str, about: About) -> Released:
        """Settle what was due, then let the installation send. Raises Conflict where it is not frozen.

        It may be broken off and begun again: what is settled is not due any more.
        """
        self.outlook()
        self._server.delivery.expand()  # what is no unit yet would be sent as if the original had not
        outlook = self.outlook()
        now = self._clock.now()
        if about is About.UNSENT:
            done = Released(go_out=outlook.due)
        else:
            done = Released(missed=self._mark_missed(now))
            last = 0
            while batch := self._next(now, last):
                last = batch[-1][0].id
                done = self._settle([self._look(*each, now, about) for each in batch], now, done)
            with self._database.write() as session:
                for limit in session.scalars(select(SendLimit)):
                    limits.recount(session, limit, now)
        self._server.home.release(by, {"about": str(about), **asdict(done)})
        return done

    def _can_be_asked(self, channel: str) -> bool:
        """A channel that takes the same bytes only once is asked too, but never sent them again for this:
        what the original wrote may have differed."""
        found = self._server.plugins.channels.get(channel)
        return found is not None and found.abilities.lookup and found.abilities.idempotency is None

    def _next(self, now: datetime, last: int) -> list[tuple[Claimed, datetime]]:
        """The next units that were due, with the instant from which the original may have sent them."""
        with self._database.read() as session:
            query = select(Unit, Push.due_at).join(Push, Push.id == Unit.push_id).where(*_due(now))
            rows = session.execute(query.where(Unit.id > last).order_by(Unit.id).limit(_BATCH)).all()
            targets: defaultdict[int, list[UnitTarget]] = defaultdict(list)
            mine = UnitTarget.unit_id.in_([unit.id for unit, _due_at in rows])
            for target in session.scalars(select(UnitTarget).where(mine).order_by(UnitTarget.id)):
                targets[target.unit_id].append(target)
            return [(as_claimed(unit, targets[unit.id]), due_at) for unit, due_at in rows]

    def _look(self, unit: Claimed, due_at: datetime, now: datetime, about: About) -> _Looked:
        channel = self._server.plugins.channels.get(unit.channel)
        request = None
        try:
            sheet = self._preflight.read_sheets({unit.push_id})[unit.push_id]
            values = self._preflight.values([unit], {unit.push_id: sheet}).get(unit.id, {})
            if channel is not None:
                ready = self._preflight.prepare(unit, sheet, channel, values)
                request = ready.request if isinstance(ready, Ready) else None
            if channel is None or request is None or about is not About.LOOK_UP:
                return _Looked(unit, request, None)
            if not self._can_be_asked(unit.channel):
                return _Looked(unit, request, None)
            return _Looked(unit, request, asking.found(channel, request, Window(due_at - _BEFORE, now)))
        except (NotConnected, asking.ChannelFault) as error:
            log.warning("could not be looked up", extra={"unit": unit.id, "why": error.reason})
            return _Looked(unit, request, None)

    def _settle(self, looked: Sequence[_Looked], now: datetime, done: Released) -> Released:
        found = looked_up = to_people = 0
        with self._database.write() as session:
            pushes = {each.unit.push_id for each in looked}
            lock_pushes(session, pushes)
            for each in looked:
                unit = session.get_one(Unit, each.unit.id, with_for_update=True)
                if unit.state not in _OPEN or unit.fence != each.unit.fence:
                    continue
                ref = _of_nobody_else(session, unit.channel, each.refs or ())
                self._move(session, unit, each, ref, now)
                found += ref is not None
                looked_up += ref is None and each.refs is not None
                to_people += each.refs is None
            session.flush()
            settle(session, now, pushes)
        return replace(
            done,
            found=done.found + found,
            looked_up=done.looked_up + looked_up,
            to_people=done.to_people + to_people,
        )

    def _move(self, session: Session, unit: Unit, looked: _Looked, ref: Ref | None, now: datetime) -> None:
        channel = self._server.plugins.channels.get(unit.channel)
        settles = max(channel.abilities.settle if channel is not None else timedelta(0), ABSENT_AFTER)
        push = session.get_one(Push, unit.push_id)
        request = looked.request or Request("", b"", ())
        unit.fence, unit.owner, unit.lease_until, unit.counted_at = unit.fence + 1, "", None, now
        evidence = {"looked_at": now.isoformat(), "found": [each.id for each in looked.refs or ()]}
        session.add(
            Attempt(
                unit_id=unit.id,
                fence=unit.fence,
                owner=RESTORED,
                call=request.call,
                request=request.body,
                request_sha256=sha256(request.body).hexdigest(),
                meta=dict(request.meta),
                # What the listing may not show yet is what was written last: that is looked up again.
                started_at=min(max(now - settles, push.due_at), push.deadline_at),
                finished_at=now,
                outcome="unknown" if ref is None else "accepted",
                evidence={"lookups": [evidence]} if looked.refs is not None else {},
            )
        )
        if ref is not None:
            unit.state, unit.code, unit.reason = UnitState.ACCEPTED, "found", ""
            unit.ref, unit.ref_detail, unit.accepted_at = ref.id, dict(ref.detail), now
            if channel is not None and channel.abilities.acceptance == "async":
                unit.results_at = now
        else:
            unit.state, unit.code, unit.reason = UnitState.UNKNOWN, "restored", _MAY_BE_OUT
            unit.look_at, unit.looks = (None if looked.refs is None else now), 0
        session.execute(
            update(UnitTarget)
            .where(UnitTarget.unit_id == unit.id)
            .values(state="unknown" if ref is None else "accepted", changed_at=now)
            .execution_options(synchronize_session=False)
        )

    def _mark_missed(self, now: datetime) -> int:
        """Slots whose time has passed: the original may have made pushes of them that this copy never saw."""
        with self._database.write() as session:
            rows = session.scalars(
                update(Occurrence)
                .where(*_missed(now))
                .values(state="missed", why={"missed": _MAY_BE_OUT})
                .returning(Occurrence.id)
                .execution_options(synchronize_session=False)
            )
            return len(rows.all())


_MAY_BE_OUT = _("It was due before this copy was released, so the original may have sent it.")

_OPEN_UNITS = (
    Unit.state.in_(_OPEN),
    Push.state.not_in(FINISHED_PUSHES),
    Push.cancel_requested.is_(False),
)


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Of units joined with their pushes, those that were due and are not known to be out."""
    return (*_OPEN_UNITS, Push.due_at <= now, Unit.not_before <= now)


def _missed(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (Occurrence.due_at <= now, Occurrence.state.in_(("planned", "approved")))


def _of_nobody_else(session: Session, channel: str, refs: Sequence[Ref]) -> Ref | None:
    """The first of the references that no other unit has: one message must not settle two."""
    taken = set(
        session.scalars(select(Unit.ref).where(Unit.channel == channel, Unit.ref.in_([r.id for r in refs])))
    )
    return next((ref for ref in refs if ref.id not in taken), None)
