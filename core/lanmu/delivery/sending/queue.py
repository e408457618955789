"""The moves of units between states in the database: claim, intend, reap; each under its fence.

Written with statements, not objects: a message should cost little more than its rows. Whoever locks both
locks pushes first, in the order of their ids, and units after them; claiming waits for nobody.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Select,
    and_,
    any_,
    bindparam,
    case,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from lanmu.delivery.carried import Claimed, Known
from lanmu.delivery.installation.instance_models import MAY_SEND
from lanmu.delivery.models import ATTEMPT, PUSH, SENDING, TARGET, UNIT
from lanmu.delivery.progress import lock_pushes, settle
from lanmu.delivery.sending.outcomes import POISON
from lanmu.delivery.states import UnitState
from lanmu.i18n import _
from lanmu.interfaces.channels import Request, Target
from lanmu.storage.rows import Rows
from lanmu.storage.types import UtcDateTime, json_text

CLAIM_AT_MOST = 256  # keeps the write lock short: so many take about four milliseconds

# Like SENDING in the very words of the partial indexes.
WAITING = text("unit.state IN ('pending','retry_wait')")
OWNED = text("unit.state IN ('leased','calling')")


def next_due(session: Session, now: datetime, without: Collection[str] = ()) -> datetime | None:
    """When a unit may next be claimed: an instant in the past where one may be now, None where none waits.
    Those of the channels `without` are left out.

    A push that is not due yet has no unit that is, so its own time stands for all of them.
    """
    connection = session.connection()
    first = connection.execute(
        _due(connection.dialect.name, 1, lock=False, leaves=bool(without)), {"now": now, **_left(without)}
    ).first()
    if first is not None:
        return cast(datetime, first.not_before)
    waits = select(func.min(UNIT.c.not_before)).where(UNIT.c.push_id == PUSH.c.id, WAITING).scalar_subquery()
    ours = PUSH.c.channel.not_in(without) if without else true()
    begun = select(func.min(waits)).where(SENDING, PUSH.c.due_at <= now, MAY_SEND, ours)
    to_come = select(func.min(PUSH.c.due_at)).where(SENDING, PUSH.c.due_at > now, MAY_SEND, ours)
    return min(filter(None, (session.scalar(begun), session.scalar(to_come))), default=None)


def claim(
    session: Session,
    now: datetime,
    owner: str,
    lease: timedelta,
    limit: int,
    without: Collection[str] = (),
    push: int | None = None,
) -> list[Claimed]:
    """Take units that are due and nobody's: each gets a new fence, which voids whoever held it before. Those
    of the channels `without` are left to others; of one `push` none but its own are taken."""
    connection = session.connection()
    statement = _claiming(
        connection.dialect.name, min(limit, CLAIM_AT_MOST), leaves=bool(without), alone=push is not None
    )
    given = {"now": now, "by_owner": owner, "until": now + lease, **_left(without)}
    if push is not None:
        given["push"] = push
    rows = connection.execute(statement, given).all()
    if not rows:
        return []
    targets = _targets_of(session, [row.id for row in rows])
    return [as_claimed(row, targets[row.id]) for row in sorted(rows, key=lambda row: int(row.id))]


def as_claimed(unit: Any, targets: Sequence[Any]) -> Claimed:
    """A row of a unit with the rows of its targets, as a worker holds it."""
    alone = targets[0] if len(targets) == 1 else None
    return Claimed(
        unit.id,
        unit.push_id,
        unit.channel,
        unit.sender,
        unit.token,
        unit.fence,
        unit.tries,
        tuple(
            [
                Target(each.recipient_key, each.name, "community" if each.community_id else "member")
                for each in targets
            ]
        ),
        alone.community_id if alone else None,
        alone.member_id if alone else None,
        unit.code,
        unit.zone,
        unit.kept_until,
        unit.counted_at is not None,
        tuple([Known(each.account, each.community_id, each.member_id) for each in targets]),
    )


def _left(without: Collection[str]) -> dict[str, list[str]]:
    return {"without": sorted(without)} if without else {}


@cache
def _due(
    dialect: str, limit: int, *, lock: bool, leaves: bool, alone: bool = False
) -> Select[*tuple[Any, ...]]:
    """Units that may be claimed: pushes come first, the oldest before the others, and each gives its units.

    So a stopped push costs nothing, however many units wait in it. PostgreSQL is told to do just that by
    LATERAL joins with a limit (an EXISTS it would answer by reading all units that wait); SQLite, which has
    none, does it of itself.
    """
    now = bindparam("now", type_=UNIT.c.not_before.type)
    at_most: ColumnElement[int] = literal_column(str(limit))
    sending = and_(SENDING, PUSH.c.due_at <= now, PUSH.c.cancel_requested.is_(False), MAY_SEND)
    if leaves:  # only where another worker runs what this one lacks: else the statement is as it always was
        sending = and_(sending, PUSH.c.channel.not_in(bindparam("without", expanding=True)))
    if alone:
        sending = and_(sending, PUSH.c.id == bindparam("push"))
    theirs = and_(UNIT.c.push_id == PUSH.c.id, WAITING, UNIT.c.not_before <= now)
    if dialect != "postgresql":
        found = select(UNIT.c.id, UNIT.c.not_before).select_from(PUSH.join(UNIT, theirs)).where(sending)
        return found.order_by(PUSH.c.due_at, PUSH.c.id).limit(at_most)
    first = select(UNIT.c.id).where(theirs).order_by(UNIT.c.not_before).limit(literal_column("1"))
    # The limit has the planner walk the index instead of sorting all pushes; it is wide enough to reach past
    # those whose units others are claiming just now.
    in_order = select(PUSH.c.id).select_from(PUSH.join(first.lateral("first"), true())).where(sending)
    pushes = (
        in_order.order_by(PUSH.c.due_at, PUSH.c.id).limit(literal_column(str(limit * 10))).subquery("sending")
    )
    units = (
        select(UNIT.c.id, UNIT.c.not_before)
        .where(UNIT.c.push_id == pushes.c.id, WAITING, UNIT.c.not_before <= now)
        .order_by(UNIT.c.not_before, UNIT.c.id)
        .limit(at_most)
    )
    if lock:
        units = units.with_for_update(skip_locked=True)
    theirs_each = units.lateral("theirs")
    return select(theirs_each).select_from(pushes.join(theirs_each, true())).limit(at_most)


@cache
def _claiming(dialect: str, limit: int, *, leaves: bool, alone: bool) -> ReturningUpdate[Any]:
    due = _due(dialect, limit, lock=True, leaves=leaves, alone=alone).subquery("due")
    ids = select(due.c.id)
    return (
        update(UNIT)
        # An array, and not IN: PostgreSQL's planner then knows that it is about few rows.
        .where(
            UNIT.c.id == any_(func.array(ids.scalar_subquery()))
            if dialect == "postgresql"
            else UNIT.c.id.in_(ids)
        )
        .values(
            state=UnitState.LEASED,
            fence=UNIT.c.fence + 1,
            owner=bindparam("by_owner"),
            lease_until=bindparam("until", type_=UNIT.c.lease_until.type),
        )
        .returning(
            *(UNIT.c[name] for name in ("id", "push_id", "channel", "sender", "token", "fence", "tries")),
            *(UNIT.c[name] for name in ("code", "zone", "kept_until", "counted_at")),
        )
    )


_TAKEN = Rows("taken", id=int)


@cache
def _targets(dialect: str) -> Select[*tuple[Any, ...]]:
    taken = _TAKEN.table(dialect)
    return (
        select(
            *(TARGET.c[name] for name in ("unit_id", "recipient_key", "name", "community_id", "member_id")),
            TARGET.c.account,
        )
        .join(taken, TARGET.c.unit_id == taken.c.id)
        .order_by(TARGET.c.id)
    )


def _targets_of(session: Session, unit_ids: Sequence[int]) -> dict[int, list[Any]]:
    connection = session.connection()
    dialect = connection.dialect.name
    found: dict[int, list[Any]] = {unit_id: [] for unit_id in unit_ids}
    taken = _TAKEN.pack(dialect, [(unit_id,) for unit_id in unit_ids])
    for row in connection.execute(_targets(dialect), taken).all():
        found[row.unit_id].append(row)
    return found


_HELD = Rows("held", id=int, fence=int)


def intend(
    session: Session, now: datetime, owner: str, lease: timedelta, ready: Sequence[tuple[Claimed, Request]]
) -> set[int]:
    """Store the intent to write each request; answers the ids of the units still ours.

    Once this is committed a write may have happened, and no other worker will ever write this unit
    without a person's or a lookup's word. The lease begins anew: with what a slow pre-flight has left of it,
    the unit could be put to a person, and decided, before the write.
    """
    connection = session.connection()
    dialect = connection.dialect.name
    held = _HELD.pack(dialect, [(unit.id, unit.fence) for unit, _request in ready])
    ours = set(
        connection.execute(_calling(dialect), held | {"at": now, "until": now + lease}).scalars().all()
    )
    attempts = [
        (
            unit.id,
            unit.fence,
            request.call,
            request.body,
            sha256(request.body).hexdigest(),
            json_text(dict(request.meta)),
        )
        for unit, request in ready
        if unit.id in ours
    ]
    if attempts:
        _store_attempts(connection, now, owner, attempts)
    return ours


_INTENTS = Rows("intents", unit_id=int, fence=int, call=str, request=bytes, request_sha256=str, meta=str)


def _store_attempts(
    connection: Connection, now: datetime, owner: str, attempts: Sequence[tuple[object, ...]]
) -> None:
    """Bytes fit into no JSON: SQLite gets row after row, from its driver, which takes a third of the time."""
    if connection.dialect.name == "postgresql":
        given = _INTENTS.pack("postgresql", attempts) | {"by_owner": owner, "at": now}
        connection.execute(_storing(), given)
    else:
        same = (owner, UtcDateTime().process_bind_param(now, connection.dialect), "")
        connection.exec_driver_sql(_STORING, [(*attempt, *same) for attempt in attempts])


_STORING = (
    "INSERT INTO attempt"
    " (unit_id, fence, call, request, request_sha256, meta, owner, started_at, outcome)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@cache
def _storing() -> Insert:
    intents = _INTENTS.table("postgresql")
    at = bindparam("at", type_=ATTEMPT.c.started_at.type)
    return insert(ATTEMPT).from_select(
        [*_INTENTS.names, "owner", "started_at", "outcome"],
        select(*intents.c, bindparam("by_owner", type_=ATTEMPT.c.owner.type), at, literal("")),
    )


@cache
def _calling(dialect: str) -> ReturningUpdate[Any]:
    held = _HELD.table(dialect)
    return (
        update(UNIT)
        .where(UNIT.c.id == held.c.id, UNIT.c.fence == held.c.fence, UNIT.c.state == UnitState.LEASED)
        .values(
            state=UnitState.CALLING,
            lease_until=bindparam("until", type_=UNIT.c.lease_until.type),
            counted_at=func.coalesce(UNIT.c.counted_at, bindparam("at", type_=UNIT.c.counted_at.type)),
        )
        .returning(UNIT.c.id)
    )


DEADLY = 3
"""So many workers may end while they own a unit; then it is taken to be what ends them."""


def release(session: Session, now: datetime, owner: str) -> None:
    """Give back what this owner has claimed and not begun: it stops, and did not die."""
    mine = (OWNED, UNIT.c.owner == owner, UNIT.c.state == UnitState.LEASED)
    pushes = set(session.scalars(select(UNIT.c.push_id).where(*mine)))
    if pushes:
        lock_pushes(session, pushes)
        freed = {"owner": "", "lease_until": None, "fence": UNIT.c.fence + 1}
        session.execute(update(UNIT).where(*mine).values(state=UnitState.PENDING, **freed))
        settle(session, now, pushes)


def reap(
    session: Session, now: datetime, dead: Sequence[str], unasked: Collection[str] = ()
) -> dict[str, int]:
    """Take units from owners that are dead or whose lease is over.

    `leased` goes back to wait, since nothing was written; `calling` becomes `unknown`, and doubts.py finds
    out what became of it, save for the channels `unasked`, where only a person can tell. A unit that has
    ended three workers is put on hold, or stays unknown. Answers how many of each.
    """
    lost = select(UNIT.c.id, UNIT.c.push_id, UNIT.c.state, UNIT.c.deaths, UNIT.c.counted_at).where(
        OWNED, or_(UNIT.c.lease_until < now, UNIT.c.owner.in_(dead))
    )
    pushes = {row.push_id for row in session.execute(lost)}
    if not pushes:
        return {"leased": 0, "calling": 0}
    lock_pushes(session, pushes)
    # Looked for anew under the lock: their owners may have been slow and not dead.
    rows = session.execute(lost.with_for_update(skip_locked=True)).all()
    leased = [row.id for row in rows if row.state == UnitState.LEASED]
    calling = [row.id for row in rows if row.state == UnitState.CALLING]
    freed = {"owner": "", "lease_until": None, "deaths": UNIT.c.deaths + 1}
    session.execute(
        update(UNIT)
        .where(UNIT.c.id.in_(leased))
        .values(state=UnitState.PENDING, fence=UNIT.c.fence + 1, **freed)
    )
    deadly = [row for row in rows if row.state == UnitState.LEASED and row.deaths + 1 >= DEADLY]
    _hold_poison(session, now, deadly)
    # The fence stays: late evidence of the same attempt may still tell what became of it.
    session.execute(
        update(UNIT)
        .where(UNIT.c.id.in_(calling))
        .values(
            state=UnitState.UNKNOWN,
            code="worker_died",
            reason=_("The worker stopped between its intent to send and the answer."),
            look_at=case((UNIT.c.channel.in_(unasked), None), else_=now),
            looks=0,
            **freed,
        )
    )
    _doubt_targets(session, now, calling)
    settle(session, now, pushes)
    return {"leased": len(leased), "calling": len(calling)}


def _hold_poison(session: Session, now: datetime, units: Sequence[Any]) -> None:
    """Put these units on hold; in doubt, where an earlier attempt may be out: nobody may let that go on."""
    if not units:
        return
    held = {
        "state": case((UNIT.c.counted_at.is_not(None), UnitState.UNKNOWN), else_=UnitState.HELD),
        "code": POISON,
        "reason": _(
            "Three workers ended while they prepared it. See what is wrong with it before it goes on."
        ),
        "look_at": None,
    }
    session.execute(update(UNIT).where(UNIT.c.id.in_([row.id for row in units])).values(held))
    _doubt_targets(session, now, [row.id for row in units if row.counted_at is not None])


def _doubt_targets(session: Session, now: datetime, units: Collection[int]) -> None:
    session.execute(update(TARGET).where(TARGET.c.unit_id.in_(units)).values(state="unknown", changed_at=now))
