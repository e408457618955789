"""From an approved list to units and targets: a small list at once, a large one portion by portion.

A large list is stored with its push, packed as it was approved, in the transaction that takes the push in.
Each portion then becomes units and targets in a short transaction that also removes it: what is left is the
cursor, so whoever comes next goes on after any death. The push waits as `expanding`; nothing of it is sent.
"""

import json
import zlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from threading import Event
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    String,
    Table,
    Text,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy import cast as cast_to
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from lanmu.delivery import crash_points
from lanmu.delivery.courtesy import Courtesy
from lanmu.delivery.models import Portion, Push, Unit, UnitTarget
from lanmu.delivery.states import PushState, UnitState
from lanmu.i18n import _
from lanmu.interfaces.clock import Clock
from lanmu.storage import Database
from lanmu.storage.once import insert_into

AT_ONCE = 500
"""A push of so many recipients is expanded where it is taken in: that keeps others for milliseconds."""

PORTION = 125
"""Rows, of units and of targets, that one transaction writes while others write too: a millisecond's work."""

TOGETHER = 32
"""Portions that are read at once, and that one transaction makes of them at most."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Units with their targets as JSON, ready for the database to take apart."""

    units: str
    targets: str
    recipients: int
    communities: int
    members: int


def write_at_once(session: Session, push: Push, packed: Iterable[Packed]) -> None:
    """All units and targets of a small push, in the caller's transaction."""
    for each in packed:
        _write(session.connection(), push, each.units, each.targets, None)


def portions(packed: Iterable[Packed]) -> list[dict[str, Any]]:
    """The list as rows for `store`: packed, it is a tenth of its own."""
    return [
        {
            "number": number,
            "recipients": each.recipients,
            "communities": each.communities,
            "members": each.members,
            "units": _squeezed(each.units),
            "targets": _squeezed(each.targets),
        }
        for number, each in enumerate(packed, 1)
    ]


def store(session: Session, push_id: int, rows: Iterable[dict[str, Any]]) -> None:
    """Keep these rows for `Expansion`, in the caller's transaction."""
    session.connection().execute(_PORTION.insert(), [{"push_id": push_id, **row} for row in rows])


def _squeezed(document: str) -> bytes:
    return zlib.compress(document.encode(), 1)


def _unsqueezed(document: bytes) -> str:
    return zlib.decompress(document).decode()


def is_expanded(session: Session, push_id: int) -> bool:
    """Whether all units and targets of the push are there."""
    return session.scalar(select(Portion.number).where(Portion.push_id == push_id).limit(1)) is None


def state_to_go(session: Session, push_id: int) -> PushState:
    """What a push becomes that may go out at its time: it is expanded first where that is not done."""
    return PushState.SCHEDULED if is_expanded(session, push_id) else PushState.EXPANDING


@dataclass(frozen=True, slots=True)
class Left:
    """Recipients that are not units and targets yet, in all and those that are communities and members."""

    recipients: int
    communities: int
    members: int
    cancelled: bool
    push_state: str


@dataclass(frozen=True, slots=True)
class StillPacked:
    """A recipient that is no target yet, and the number and sender of the unit that it will be in."""

    unit: int
    sender: str
    key: str
    name: str


def still_packed(session: Session, push_id: int) -> list[StillPacked]:
    """The recipients of a push that are left to be expanded, in their order."""
    found = []
    waiting = select(_PORTION.c.units, _PORTION.c.targets).where(_PORTION.c.push_id == push_id)
    for portion in session.execute(waiting.order_by(_PORTION.c.number)):
        senders = {number: sender for number, sender, *_rest in json.loads(_unsqueezed(portion.units))}
        for number, key, name, *_rest in json.loads(_unsqueezed(portion.targets)):
            found.append(StillPacked(number, senders[number], key, name))
    return found


def left(session: Session, pushes: Collection[int]) -> dict[int, Left]:
    """What is left to be expanded of these pushes; those with nothing left are not in it."""
    rows = session.execute(
        select(
            Portion.push_id,
            Push.cancel_requested,
            Push.state,
            func.sum(Portion.recipients),
            func.sum(Portion.communities),
            func.sum(Portion.members),
        )
        .join(Push, Push.id == Portion.push_id)
        .where(Portion.push_id.in_(pushes))
        .group_by(Portion.push_id, Push.cancel_requested, Push.state)
    )
    return {row[0]: Left(int(row[3]), int(row[4]), int(row[5]), bool(row[1]), row[2]) for row in rows}


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A portion that was read."""

    push_id: int
    number: int
    units: str
    targets: str
    is_last: bool


class Expansion:
    """Goes on with what is left to be expanded. Any number may, in any number of threads and processes."""

    def __init__(
        self, database: Database, clock: Clock, *, pause: Callable[[float], object] | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._pause = pause or Event().wait

    def run(self, push_id: int | None = None, stopping: Callable[[], bool] = lambda: False) -> int:
        """Expand this push, or all that wait, the one due first before the others; answers the portions."""
        done = 0
        with Courtesy(self._database, self._clock, self._pause) as courtesy:
            while waiting := self._waiting(push_id):
                while waiting:
                    if stopping():
                        return done
                    some, waiting = waiting[: courtesy.portions], waiting[courtesy.portions :]
                    # The list stays until its units are there, so what the power takes is made anew.
                    with self._database.write_hastily() as session:
                        session.connection()
                        began = self._clock.boottime()
                        made = self._make(session, some)
                    if not made:
                        break
                    done += len(some)
                    courtesy.leave(self._clock.boottime() - began, len(some))
        return done

    def _waiting(self, push_id: int | None) -> list[_Waiting]:
        """The next portions of this push, or of the one due first; none where nothing is left."""
        with self._database.read() as session:
            connection = session.connection()
            of_push = connection.scalar(_DUE_FIRST) if push_id is None else push_id
            if of_push is None:
                return []
            return [
                _Waiting(
                    of_push,
                    row.number,
                    _unsqueezed(row.units),
                    _unsqueezed(row.targets),
                    row.number == row.last,
                )
                for row in connection.execute(_FOLLOWING, {"of_push": of_push, "so_many": TOGETHER})
            ]

    def _make(self, session: Session, some: Sequence[_Waiting]) -> bool:
        """Units and targets of these portions; not where another has made the first of them meanwhile."""
        connection, push_id = session.connection(), some[0].push_id
        # The lock on the push keeps others from cancelling it, or from expanding it too, meanwhile.
        push = connection.execute(_LOCKED, {"of_push": push_id}).one()
        removed = {"of_push": push_id, "first": some[0].number, "last": some[-1].number}
        if not connection.execute(_REMOVED, removed).rowcount:
            return False
        cancelled_at = self._clock.now() if push.cancel_requested else None
        units, targets = _joined(each.units for each in some), _joined(each.targets for each in some)
        _write(connection, push, units, targets, cancelled_at)
        if some[-1].is_last and push.state == PushState.EXPANDING:
            connection.execute(_EXPANDED, {"of_push": push_id, "to_state": PushState.SCHEDULED})
        crash_points.reach("during_expansion")
        return True


def _joined(documents: Iterable[str]) -> str:
    """One JSON array with the rows of all, none of which is empty."""
    return f"[{','.join(document[1:-1] for document in documents)}]"


_PUSH = cast(Table, Push.__table__)
_UNIT = cast(Table, Unit.__table__)
_TARGET = cast(Table, UnitTarget.__table__)
_PORTION = cast(Table, Portion.__table__)

_OF_PUSH = bindparam("of_push", type_=_PUSH.c.id.type)
_LOCKED = (
    select(*(_PUSH.c[name] for name in ("id", "state", "cancel_requested", "channel", "account", "due_at")))
    .where(_PUSH.c.id == _OF_PUSH)
    .with_for_update()
)
_DUE_FIRST = (
    select(_PORTION.c.push_id)
    .join(_PUSH, _PUSH.c.id == _PORTION.c.push_id)
    .order_by(_PUSH.c.due_at, _PUSH.c.id)
    .limit(literal_column("1"))
)
_FIRST, _LAST = (
    select(which(_PORTION.c.number)).where(_PORTION.c.push_id == _OF_PUSH).scalar_subquery()
    for which in (func.min, func.max)
)
_FOLLOWING = (
    select(*(_PORTION.c[name] for name in ("number", "units", "targets")), _LAST.label("last"))
    .where(_PORTION.c.push_id == _OF_PUSH)
    .order_by(_PORTION.c.number)
    .limit(bindparam("so_many", type_=_PORTION.c.number.type))
)
# Portions are made in their order: where the first of some is still there, all of them are.
_REMOVED = delete(_PORTION).where(
    _PORTION.c.push_id == _OF_PUSH,
    _PORTION.c.number.between(bindparam("first"), bindparam("last")),
    bindparam("first", type_=_PORTION.c.number.type) == _FIRST,
)
_EXPANDED = update(_PUSH).where(_PUSH.c.id == _OF_PUSH).values(state=bindparam("to_state"))

# Number, sender, zone and token; number of its unit, key, name, community and member.
_OF_A_UNIT: tuple[TypeEngine[Any], ...] = (BigInteger(), String(), String(), String())
_OF_A_TARGET: tuple[TypeEngine[Any], ...] = (BigInteger(), String(), String(), BigInteger(), BigInteger())


def _write(
    connection: Connection, push: Any, units: str, targets: str, cancelled_at: datetime | None
) -> None:
    """Units and targets of `push`, a row of it, in two statements; cancelled as it is, if it is."""
    stopped = cancelled_at is not None
    dialect = connection.dialect.name
    connection.execute(
        _units(dialect),
        {
            "document": units,
            "of_push": push.id,
            "by_channel": push.channel,
            "in_state": UnitState.CANCELLED if stopped else UnitState.PENDING,
            "for_reason": _("The push was cancelled.") if stopped else "",
            "with_code": "cancelled" if stopped else "",
            "from_when": push.due_at,
            "ended": cancelled_at,
        },
    )
    crash_points.reach("during_intake")
    connection.execute(
        _targets(dialect),
        {
            "document": targets,
            "of_push": push.id,
            "by_account": push.account,
            "in_state": "cancelled" if stopped else "planned",
            "ended": cancelled_at,
        },
    )


@cache
def _units(dialect: str) -> Any:
    each = _each(dialect)
    number, sender, zone, token = (_at(dialect, each, place, kind) for place, kind in enumerate(_OF_A_UNIT))
    values = {
        "push_id": bindparam("of_push", type_=_UNIT.c.push_id.type),
        "number": number,
        "channel": bindparam("by_channel", type_=_UNIT.c.channel.type),
        "sender": sender,
        "zone": zone,
        "token": token,
        "state": bindparam("in_state", type_=_UNIT.c.state.type),
        "reason": bindparam("for_reason", type_=_UNIT.c.reason.type),
        "code": bindparam("with_code", type_=_UNIT.c.code.type),
        "not_before": bindparam("from_when", type_=_UNIT.c.not_before.type),
        "finished_at": bindparam("ended", type_=_UNIT.c.finished_at.type),
        **{name: literal_column("0") for name in ("fence", "tries", "deaths", "looks")},
        **{name: literal_column("''") for name in ("owner", "ref")},
    }
    return _once(dialect, _UNIT, values, each, ["push_id", "number"])


@cache
def _targets(dialect: str) -> Any:
    each = _each(dialect)
    number, key, name, community, member = (
        _at(dialect, each, place, kind) for place, kind in enumerate(_OF_A_TARGET)
    )
    of_push = bindparam("of_push", type_=_UNIT.c.push_id.type)
    # Not a join: a planner that knows nothing of a JSON document would walk all units of the push for it.
    unit = select(_UNIT.c.id).where(_UNIT.c.push_id == of_push, _UNIT.c.number == number)
    values = {
        "push_id": of_push,
        "unit_id": unit.scalar_subquery(),
        "account": bindparam("by_account", type_=_TARGET.c.account.type),
        "recipient_key": key,
        "name": name,
        "community_id": community,
        "member_id": member,
        "state": bindparam("in_state", type_=_TARGET.c.state.type),
        "reason": literal_column("''"),
        "changed_at": bindparam("ended", type_=_TARGET.c.changed_at.type),
    }
    return _once(dialect, _TARGET, values, each, ["push_id", "account", "recipient_key"])


def _once(
    dialect: str, table: Table, values: dict[str, Any], source: FromClause, unique: Iterable[str]
) -> Any:
    """The rows of `source` into the table, save those that are there."""
    # Without a WHERE, SQLite takes the ON of ON CONFLICT for that of a join.
    rows = select(*values.values()).select_from(source).where(text("1 = 1"))
    inserted = insert_into(dialect, table).from_select(list(values), rows)
    return inserted.on_conflict_do_nothing(index_elements=list(unique))


def _each(dialect: str) -> Any:
    document = bindparam("document", type_=Text())
    if dialect == "postgresql":
        rows = func.jsonb_array_elements(cast_to(document, postgresql.JSONB))
        return rows.table_valued("value").render_derived(name="each")
    return func.json_each(document).table_valued("value", name="each")


def _at(dialect: str, each: Any, place: int, kind: TypeEngine[Any]) -> ColumnElement[Any]:
    if dialect == "postgresql":
        return cast_to(each.c.value.op("->>")(literal_column(str(place))), kind)
    return func.json_extract(each.c.value, literal_column(f"'$[{place}]'"), type_=kind)
