"""What the last door said, written down: units that are parted, and how often it gave which answer."""

import secrets
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import Table, Update, bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from lanmu.delivery.carried import Claimed
from lanmu.delivery.door.gate import Answer, Door
from lanmu.delivery.door.limit_models import GateCount
from lanmu.delivery.models import TARGET, UNIT
from lanmu.delivery.states import UnitState
from lanmu.i18n import to_store
from lanmu.storage.once import insert_into
from lanmu.storage.rows import Rows

_COUNT = cast(Table, GateCount.__table__)

KEPT_BACK = frozenset({"quiet", "cap", "yield", "rate"})
"""Codes of what a rule keeps back by decision: how late it is counts from the end of that."""


def part(session: Session, now: datetime, parted: Sequence[tuple[Claimed, Mapping[str, Answer]]]) -> None:
    """Move the recipients who part from the rest into units of their own, one for each answer.

    So each unit is, and stays, of one fate, and what it counted is what it holds. The caller holds the lock
    of their pushes.
    """
    connection = session.connection()
    dialect = connection.dialect.name
    highest = connection.execute(_NUMBERS, {"ids": list({unit.push_id for unit, _apart in parted})})
    numbers = {row.push_id: row.number for row in highest}
    doubted = [unit.id for unit, _apart in parted if unit.counted]
    counted = {row.id: row.counted_at for row in connection.execute(_COUNTED, {"ids": doubted})}
    moved, units = [], []
    for unit, apart in parted:
        together: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
        for key, answer in apart.items():
            together[answer.door, answer.code, answer.reason, answer.until].append(key)
        for keys in together.values():
            numbers[unit.push_id] += 1
            row = _row(unit, apart[keys[0]], numbers[unit.push_id], now, counted.get(unit.id))
            units.append(row)
            moved.append((unit.id, keys, apart[keys[0]], _OF_TARGETS[row["state"]]))
    new_ids = list(
        connection.execute(insert(UNIT).returning(UNIT.c.id, sort_by_parameter_order=True), units).scalars()
    )
    rows = [
        (old, key, new, state, to_store(answer.reason))
        for (old, keys, answer, state), new in zip(moved, new_ids, strict=True)
        for key in keys
    ]
    connection.execute(_move(dialect), _MOVED.pack(dialect, rows) | {"at": now})


def _row(
    unit: Claimed, answer: Answer, number: int, now: datetime, counted_at: datetime | None
) -> dict[str, Any]:
    """The new unit. Whoever may have got an earlier attempt of the old one is in doubt, and not skipped."""
    dropped = answer.door is Door.DROP
    ended = UnitState.SKIPPED if counted_at is None else UnitState.UNKNOWN
    return {
        "push_id": unit.push_id,
        "number": number,
        "channel": unit.channel,
        "sender": unit.sender,
        "zone": unit.zone,
        "token": secrets.token_hex(8),
        "state": ended if dropped else UnitState.PENDING,
        "counted_at": counted_at,
        "reason": answer.reason,
        "code": answer.code,
        "not_before": answer.until or now,
        "kept_until": answer.until if answer.code in KEPT_BACK else None,
        "finished_at": now if dropped and counted_at is None else None,
    }


_OF_TARGETS: dict[UnitState, str] = {
    UnitState.SKIPPED: "skipped",
    UnitState.PENDING: "planned",
    UnitState.UNKNOWN: "unknown",
}
_COUNTED = select(UNIT.c.id, UNIT.c.counted_at).where(UNIT.c.id.in_(bindparam("ids", expanding=True)))
_NUMBERS = (
    select(UNIT.c.push_id, func.max(UNIT.c.number).label("number"))
    .where(UNIT.c.push_id.in_(bindparam("ids", expanding=True)))
    .group_by(UNIT.c.push_id)
)
_MOVED = Rows("moved", unit_id=int, key=str, new_id=int, state=str, reason=str)


@cache
def _move(dialect: str) -> Update:
    moved = _MOVED.table(dialect)
    return (
        update(TARGET)
        .where(TARGET.c.unit_id == moved.c.unit_id, TARGET.c.recipient_key == moved.c.key)
        .values(
            unit_id=moved.c.new_id,
            state=moved.c.state,
            reason=moved.c.reason,
            changed_at=bindparam("at", type_=TARGET.c.changed_at.type),
        )
    )


def count(session: Session, now: datetime, answers: Sequence[tuple[int, Answer]]) -> None:
    """Add to how often the last door gave which answer for which push, and keep its latest words."""
    each = [
        (push_id, answer)
        for push_id, whole in answers
        for answer in ([whole] if whole.door is not Door.PART else whole.parted.values())
    ]
    times = Counter((push_id, str(answer.door), answer.code) for push_id, answer in each)
    reasons = {(push_id, str(answer.door), answer.code): answer.reason for push_id, answer in each}
    connection = session.connection()
    connection.execute(
        _counting(connection.dialect.name),
        [
            {"push_id": push, "door": door, "code": code, "reason": reason, "answers": number, "last_at": now}
            for (push, door, code), number in sorted(times.items())
            for reason in (reasons[push, door, code],)
        ],
    )


@cache
def _counting(dialect: str) -> Any:
    upsert = insert_into(dialect, _COUNT)
    return upsert.on_conflict_do_update(
        index_elements=["push_id", "door", "code"],
        set_={
            "answers": _COUNT.c.answers + upsert.excluded.answers,
            "reason": upsert.excluded.reason,
            "last_at": upsert.excluded.last_at,
        },
    )
