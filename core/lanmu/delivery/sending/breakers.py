"""Ways out that a far end has closed or narrowed: known to all workers, and tried again by one unit alone.

A platform that says "too many calls" to one worker says it to all, and blocks for longer if nobody listens.
So what one has heard stands in a table, and units that would go that way wait without a call being made.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Table,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from lanmu.delivery.carried import Claimed
from lanmu.delivery.door.limit_models import Breaker
from lanmu.delivery.models import UNIT, UploadedAsset
from lanmu.delivery.sending.outcomes import Next
from lanmu.delivery.sending.recorded import Recorded
from lanmu.delivery.sending.recording import hold_push
from lanmu.delivery.states import UnitState
from lanmu.i18n import Filled, _, to_store
from lanmu.interfaces.channels import Channel
from lanmu.storage.once import insert_into
from lanmu.storage.types import AnyRow

_SHANGHAI = ZoneInfo("Asia/Shanghai")
_SHORT, _HOUR, _MONTH = timedelta(seconds=61), timedelta(minutes=61), timedelta(days=30)

CONFIG_REST = timedelta(minutes=10)
"""After this long one unit tries whether a person has set right what the far end refused the account for."""

PROBE = timedelta(seconds=60)
"""So long the others wait for what became of the unit that tries."""

SAME_CODE = 3
"""So many units of a push with the same unknown code stop it."""

_BREAKER = cast(Table, Breaker.__table__)
_OPEN = select(_BREAKER).where(_BREAKER.c.channel.in_(bindparam("channels", expanding=True)))

_HALF_OPEN = timedelta(seconds=5)
_SAME_REFUSAL = timedelta(seconds=2)
_SAME_CODE = _(
    "Three units were refused with the code %(code)s, whose meaning is not known. Look it up at the platform."
)
_TAKEN = frozenset({UnitState.ACCEPTED, UnitState.HANDED_OVER, UnitState.FAILED})


@dataclass(frozen=True, slots=True)
class BreakerView:
    """An open breaker, for people. `level` is, for `concurrency`, how many calls may go out at once."""

    channel: str
    subject: str
    kind: str
    level: int
    opened_at: datetime
    until: datetime
    code: str
    reason: str


def rate_until(now: datetime, level: int) -> datetime:
    """How long a rate limit that was met for the `level`th time in a row keeps the way closed.

    A minute's rule blocks for 60 s, an hour's for 60 min, a day's for the rest of the day in Shanghai, a
    month's for 30 days (WeCom, path 90312); which of them was met the far end does not say.
    """
    if level <= 1:
        return now + _SHORT
    if level == 2:
        return now + _HOUR
    if level == 3:
        tomorrow = (now.astimezone(_SHANGHAI) + timedelta(days=1)).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        return tomorrow.astimezone(now.tzinfo)
    return now + _MONTH


_Key = tuple[str, str, str]
"""Channel, subject and kind of a breaker."""


@dataclass(frozen=True, slots=True)
class _LetThrough:
    """What of one claim goes on so far: calls of each channel, and the breakers that one unit tries."""

    calls: Counter[str] = field(default_factory=Counter)
    tried: set[_Key] = field(default_factory=set)


class Breakers:
    """What one dispatcher does with them. `hands` is how many calls it makes at once with no breaker open."""

    def __init__(self, channels: Mapping[str, Channel], hands: int) -> None:
        self._channels = channels
        self._hands = hands
        self._known: set[str] = set()  # channels with an open breaker, as any lane has seen last

    def let_through(
        self, session: Session, now: datetime, units: Sequence[Claimed]
    ) -> tuple[list[Claimed], list[Recorded]]:
        """The units that may go on, and what becomes of the others; in the transaction of their claim."""
        if not units:
            return [], []
        asked = {unit.channel for unit in units}
        rows = session.connection().execute(_OPEN, {"channels": list(asked)}).all()
        self._known = (self._known - asked) | {row.channel for row in rows}
        if not rows:
            return list(units), []
        # A try is lost on a unit that another breaker turns away: so those that are tried come last.
        in_the_way = sorted(rows, key=lambda row: (row.kind != "concurrency", now >= row.until))
        so_far = _LetThrough()
        passed: list[Claimed] = []
        turned_away: list[Recorded] = []
        for unit in units:
            next_ = None
            for row in in_the_way:
                if next_ is None and _is_in_the_way(row, unit):
                    next_ = self._before(session, now, unit, row, so_far)
            if next_ is None:
                so_far.calls[unit.channel] += 1
                passed.append(unit)
            else:
                turned_away.append(Recorded(unit, next_))
        return passed, turned_away

    def _before(
        self, session: Session, now: datetime, unit: Claimed, row: AnyRow, so_far: _LetThrough
    ) -> Next | None:
        """What a breaker makes of a unit; None lets it go on."""
        if row.kind == "concurrency":
            if so_far.calls[unit.channel] < self._allowed(now, row.level, row.opened_at):
                return None
            return Next(UnitState.PENDING, row.reason, row.code, timedelta(seconds=1 + unit.id % 3))
        key = (row.channel, row.subject, row.kind)
        if now >= row.until and key not in so_far.tried and _probes(session, now, key):
            so_far.tried.add(key)
            return None
        if row.kind == "config" and now < row.until:
            return Next(UnitState.HELD, row.reason, "config", hold_push=True)
        wait = row.until - now if now < row.until else _HALF_OPEN
        return Next(UnitState.PENDING, row.reason, row.code, wait)

    def _allowed(self, now: datetime, level: int, since: datetime) -> int:
        """One call more for each minute without another refusal."""
        return min(self._hands, level + int((now - since).total_seconds() // 60))

    def note(self, session: Session, now: datetime, moved: Sequence[Recorded]) -> None:
        """Learn from what became of a batch; in the transaction that records it."""
        for result in moved:
            if result.next.trips:
                self._trip(session, now, result)
            elif result.unit.channel in self._known and result.next.state in _TAKEN:
                self._mend(session, now, result.unit)
        for push_id, code in {(r.unit.push_id, r.next.code) for r in moved if r.next.same_code_stops}:
            met = select(func.count()).where(
                UNIT.c.push_id == push_id, UNIT.c.state == UnitState.HELD, UNIT.c.code == code
            )
            if (session.scalar(met) or 0) >= SAME_CODE:
                hold_push(session, push_id, Filled(_SAME_CODE, code=code))
        if stale := {result.unit.channel for result in moved if result.next.forget_files}:
            session.execute(delete(UploadedAsset).where(UploadedAsset.channel.in_(stale)))

    def _trip(self, session: Session, now: datetime, result: Recorded) -> None:
        unit, next_ = result.unit, result.next
        channel = self._channels.get(unit.channel)
        limits = channel.abilities.limits if channel is not None else ()
        own = len(unit.targets) == 1 and any(rate.scope == "target" for rate in limits)
        subject = unit.targets[0].key if own and next_.trips != "concurrency" else ""
        self._known.add(unit.channel)
        key = (unit.channel, subject, next_.trips)
        row = session.execute(select(_BREAKER).where(_is(key)).with_for_update()).first()
        if next_.trips == "concurrency":
            before = self._hands if row is None else self._allowed(now, row.level, row.opened_at)
            # The calls of one batch are refused together: that is one refusal, not as many halvings.
            same = row is not None and now - row.opened_at < _SAME_REFUSAL
            level = row.level if row is not None and same else max(1, before // 2)
            until = now + timedelta(minutes=max(1, self._hands - level))
        elif next_.trips == "config":
            level, until = 1, now + CONFIG_REST
        else:
            again = row is not None and now >= row.until
            level = 1 if row is None else row.level + int(again)
            until = rate_until(now, level) if row is None or again else row.until
        values = {
            "level": level,
            "opened_at": now,
            "until": until,
            "probe_until": None,
            "code": next_.code,
            "reason": to_store(next_.reason),
        }
        fresh = insert_into(session.get_bind().dialect.name, _BREAKER).values(
            channel=key[0], subject=key[1], kind=key[2], **values
        )
        session.execute(
            fresh.on_conflict_do_update(index_elements=["channel", "subject", "kind"], set_=values)
        )

    def _mend(self, session: Session, now: datetime, unit: Claimed) -> None:
        """The far end has taken a call, so what was closed until before it is open again."""
        subjects = ["", unit.targets[0].key] if len(unit.targets) == 1 else [""]
        session.execute(
            delete(_BREAKER).where(
                _BREAKER.c.channel == unit.channel, _BREAKER.c.subject.in_(subjects), _BREAKER.c.until <= now
            )
        )


def forget(session: Session, channel: str) -> None:
    """A person has seen to what the far end refused the account for: the next unit tries it at once."""
    session.execute(delete(_BREAKER).where(_BREAKER.c.channel == channel, _BREAKER.c.kind == "config"))


def open_breakers(session: Session) -> list[BreakerView]:
    """Every breaker that is not as it should be, the oldest first."""
    rows = session.scalars(select(Breaker).order_by(Breaker.opened_at)).all()
    return [
        BreakerView(
            row.channel, row.subject, row.kind, row.level, row.opened_at, row.until, row.code, row.reason
        )
        for row in rows
    ]


def _is_in_the_way(row: AnyRow, unit: Claimed) -> bool:
    if row.channel != unit.channel:
        return False
    return not row.subject or any(target.key == row.subject for target in unit.targets)


def _is(key: _Key) -> ColumnElement[bool]:
    channel, subject, kind = key
    return (_BREAKER.c.channel == channel) & (_BREAKER.c.subject == subject) & (_BREAKER.c.kind == kind)


def _probes(session: Session, now: datetime, key: _Key) -> bool:
    """Whether this is the unit that tries: one at a time, until what became of it is known or overdue."""
    probe = (
        update(_BREAKER)
        .where(_is(key), or_(_BREAKER.c.probe_until.is_(None), _BREAKER.c.probe_until <= now))
        .values(probe_until=now + PROBE)
    )
    return cast(CursorResult[Any], session.execute(probe)).rowcount == 1
