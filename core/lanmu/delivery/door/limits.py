"""Counting against the limits: in the transaction of the intent, and back again when proven not sent.

One statement adds what a whole batch wants and answers what is used then. The rows stay locked until the
commit, and what does not fit is taken off again before it: so nobody ever sees more used than is allowed, and
two workers never both have the last slot.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache
from typing import Any, NamedTuple, cast
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BindParameter,
    Date,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy import cast as cast_to
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from lanmu.delivery.door.limit_models import LimitUse, SendLimit
from lanmu.delivery.door.windows import Window, allowed, window_of
from lanmu.delivery.models import PUSH, TARGET, UNIT
from lanmu.storage.once import insert_into
from lanmu.storage.rows import Rows

COMMUNITY_DAY = "community.day"
"""The limit in whose place a community's own daily cap stands, if it has one."""

TEST_DAY = "test.day"
"""The only limit that test sends count against; nothing else does."""

_USE = cast(Table, LimitUse.__table__)
_LIMIT = cast(Table, SendLimit.__table__)

Slot = tuple[int, str, date]
"""What is counted: a limit, whose messages, and the day on which the period starts."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A limit that is switched on."""

    id: int
    code: str
    channel: str
    scope: str
    period: str
    zone: str
    most: int | None

    def window(self, instant: datetime) -> Window:
        """The period that holds the instant."""
        return window_of(self.period, instant, ZoneInfo(self.zone))


class Addressee(NamedTuple):
    """Whose message it is, in the words of the limits."""

    channel: str
    sender: str
    account: str
    key: str
    community_id: int | None
    member_id: int | None
    daily_cap: int | None = None

    def subject(self, scope: str) -> str:
        """Who is counted under a limit of this scope; empty where nobody is."""
        match scope:
            case "community":
                return str(self.community_id or "")
            case "member":
                return str(self.member_id or "")
            case "sender":
                return self.sender
            case "channel":
                return self.channel
            case _:
                return f"{self.account}/{self.key}" if self.account else self.key


class Running(NamedTuple):
    """A limit that is switched on, its running period, and how many messages that allows."""

    rule: Rule
    window: Window
    most: int


class Need(NamedTuple):
    """One slot that a message takes, and how many there are of it."""

    slot: Slot
    rule: Rule
    most: int
    window: Window


def rules(session: Session) -> list[Rule]:
    """The limits that are switched on."""
    return [Rule(*row) for row in session.connection().execute(_RULES)]


_RULES = (
    select(*(_LIMIT.c[name] for name in ("id", "code", "channel", "scope", "period", "zone", "most")))
    .where(_LIMIT.c.enabled.is_(True))
    .order_by(_LIMIT.c.id)
)


def running(rules: Sequence[Rule], now: datetime) -> list[Running]:
    """Each limit with its running period; many have the same one."""
    windows: dict[tuple[str, str], Window] = {}
    for rule in rules:
        if (rule.period, rule.zone) not in windows:
            windows[rule.period, rule.zone] = rule.window(now)
    return [
        Running(rule, window, allowed(rule.most, window.starts_on))
        for rule in rules
        for window in (windows[rule.period, rule.zone],)
    ]


def that_count(limits: Iterable[Running], channel: str, *, is_test: bool) -> list[Running]:
    """The limits that a message on this channel counts against. A test has only the tests' own."""
    return [
        each
        for each in limits
        if is_test == (each.rule.code == TEST_DAY) and each.rule.channel in ("", channel)
    ]


def house_cap(session: Session) -> int | None:
    """How many messages a day a community may have that has no cap of its own; None: any number."""
    rule = next((rule for rule in rules(session) if rule.code == COMMUNITY_DAY), None)
    return None if rule is None else rule.most


def needs(limits: Iterable[Running], addressee: Addressee) -> list[Need]:
    """The slots that one message to this addressee takes, of the limits `that_count` for it."""
    found = []
    for rule, window, most in limits:
        if not (subject := addressee.subject(rule.scope)):
            continue
        own = addressee.daily_cap if rule.code == COMMUNITY_DAY else None
        found.append(Need((rule.id, subject, window.starts_on), rule, most if own is None else own, window))
    return found


class Room:
    """How much room the slots have while a batch is decided, one message after another."""

    def __init__(self, used: Mapping[Slot, int]) -> None:
        self._used = dict(used)

    def left(self, need: Need) -> int:
        """How many more messages the slot can take."""
        return need.most - self._used.get(need.slot, 0)

    def full(self, wanted: Iterable[Need]) -> Need | None:
        """The slot that has no room for one more message, if there is one: that which opens last."""
        closed = [need for need in wanted if self.left(need) < 1]
        return max(closed, key=lambda need: need.window.ends_at, default=None)

    def take(self, wanted: Iterable[Need]) -> None:
        for need in wanted:
            self._used[need.slot] = self._used.get(need.slot, 0) + 1

    def give_back(self, wanted: Iterable[Need]) -> None:
        for need in wanted:
            self._used[need.slot] -= 1


_AMOUNTS = Rows("amounts", limit_id=int, subject=str, starts_on=str, amount=int)


def add(session: Session, amounts: Mapping[Slot, int]) -> Room:
    """Count so many more messages in each slot; answers the room as it was before. Locks the slots."""
    connection = session.connection()
    dialect = connection.dialect.name
    rows = connection.execute(_adding(dialect), _packed(dialect, amounts)).all()
    return Room({(slot := (limit, subject, day)): used - amounts[slot] for limit, subject, day, used in rows})


def take_off(session: Session, amounts: Mapping[Slot, int]) -> None:
    """Count so many fewer, in slots whose rows this transaction has locked already."""
    if amounts:
        connection = session.connection()
        dialect = connection.dialect.name
        connection.execute(_taking_off(dialect), _packed(dialect, amounts))


def release(session: Session, unit_ids: Collection[int]) -> None:
    """Give back what these units have counted, because they are proven not to have been sent.

    The caller holds the lock of their pushes. Units that are not counted are let be.
    """
    connection = session.connection()
    dialect = connection.dialect.name
    counted = connection.execute(_COUNTED, {"ids": list(unit_ids)}).all()
    if not counted:
        return
    amounts = _amounts(rules(session), counted)
    if amounts:
        if dialect == "postgresql":  # in the order in which everybody locks them
            connection.execute(_locking(dialect), _packed(dialect, amounts))
        take_off(session, amounts)
    connection.execute(_UNCOUNT, {"ids": list({row.id for row in counted})})


def recount(session: Session, limit: SendLimit, now: datetime) -> None:
    """Write anew how much of the limit is used in its running period, from the units themselves."""
    session.flush()
    rule = rule_of(limit)
    starts_on = rule.window(now).starts_on
    session.execute(delete(_USE).where(_USE.c.limit_id == rule.id, _USE.c.starts_on == starts_on))
    used = counted_in(session, rule, now)
    if used:
        session.execute(
            insert(_USE),
            [
                {"limit_id": rule.id, "subject": subject, "starts_on": starts_on, "used": number}
                for subject, number in sorted(used.items())
            ],
        )


def rule_of(limit: SendLimit) -> Rule:
    """The limit as what counts, whether it is switched on or not."""
    return Rule(limit.id, limit.code, limit.channel, limit.scope, limit.period, limit.zone, limit.most)


def counted_in(session: Session, rule: Rule, now: datetime) -> dict[str, int]:
    """How many messages each subject has used in the rule's running period: what `limit_use` caches."""
    window = rule.window(now)
    begins = datetime.combine(window.starts_on, time(), ZoneInfo(rule.zone)).astimezone(UTC)
    rows = session.execute(
        _OF_UNITS.where(UNIT.c.counted_at >= begins, UNIT.c.counted_at < window.ends_at)
    ).all()
    return {subject: number for (_id, subject, _day), number in _amounts([rule], rows).items()}


def _amounts(rules: Sequence[Rule], rows: Iterable[Any]) -> dict[Slot, int]:
    amounts: Counter[Slot] = Counter()
    known: dict[tuple[datetime, str, bool], list[Running]] = {}
    for row in rows:
        kind = row.counted_at, row.channel, row.test_text != ""
        if kind not in known:
            at, channel, is_test = kind
            known[kind] = that_count(running(rules, at), channel, is_test=is_test)
        addressee = Addressee(
            row.channel,
            row.sender,
            row.account,
            row.recipient_key,
            row.community_id,
            row.member_id,
        )
        amounts.update(need.slot for need in needs(known[kind], addressee))
    return dict(amounts)


_OF_UNITS: Select[Any] = (
    select(
        *(UNIT.c[name] for name in ("id", "channel", "sender", "counted_at")),
        *(TARGET.c[name] for name in ("account", "recipient_key", "community_id", "member_id")),
        PUSH.c.test_text,
    )
    .join(TARGET, TARGET.c.unit_id == UNIT.c.id)
    .join(PUSH, PUSH.c.id == UNIT.c.push_id)
    .where(UNIT.c.counted_at.is_not(None))
)
_IDS: BindParameter[int] = bindparam("ids", expanding=True)
_COUNTED = _OF_UNITS.where(UNIT.c.id.in_(_IDS))
_UNCOUNT = update(UNIT).where(UNIT.c.id.in_(_IDS)).values(counted_at=None)


def _packed(dialect: str, amounts: Mapping[Slot, int]) -> dict[str, str]:
    # Sorted, so that two transactions lock the same rows in the same order.
    rows = [(limit, subject, day.isoformat(), amount) for (limit, subject, day), amount in amounts.items()]
    return _AMOUNTS.pack(dialect, sorted(rows))


def _columns(dialect: str) -> tuple[Any, ...]:
    given = _AMOUNTS.table(dialect)
    day = cast_to(given.c.starts_on, Date) if dialect == "postgresql" else given.c.starts_on
    return given.c.limit_id, given.c.subject, day, given.c.amount


@cache
def _adding(dialect: str) -> ReturningInsert[Any]:
    limit_id, subject, day, amount = _columns(dialect)
    # SQLite needs the WHERE to tell the conflict clause from a join's.
    source = select(limit_id, subject, day, amount).where(true()).order_by(limit_id, subject, day)
    upsert = insert_into(dialect, _USE).from_select(["limit_id", "subject", "starts_on", "used"], source)
    return upsert.on_conflict_do_update(
        index_elements=["limit_id", "subject", "starts_on"],
        set_={"used": _USE.c.used + upsert.excluded.used},
    ).returning(_USE.c.limit_id, _USE.c.subject, _USE.c.starts_on, _USE.c.used)


@cache
def _taking_off(dialect: str) -> Update:
    limit_id, subject, day, amount = _columns(dialect)
    least = func.greatest if dialect == "postgresql" else func.max
    return (
        update(_USE)
        .where(_USE.c.limit_id == limit_id, _USE.c.subject == subject, _USE.c.starts_on == day)
        .values(used=least(_USE.c.used - amount, 0))
    )


@cache
def _locking(dialect: str) -> Select[Any]:
    limit_id, subject, day, _amount = _columns(dialect)
    return (
        select(_USE.c.limit_id)
        .where(_USE.c.limit_id == limit_id, _USE.c.subject == subject, _USE.c.starts_on == day)
        .order_by(_USE.c.limit_id, _USE.c.subject, _USE.c.starts_on)
        .with_for_update(of=_USE)
    )
