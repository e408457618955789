"""Facts: recorded once for their key, and counted by kind and day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.orm import Session

from lanmu.i18n import _
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Conflict, Invalid
from lanmu.interfaces.events import MemberEvent
from lanmu.metrics.definitions import RATES
from lanmu.metrics.models import Fact
from lanmu.storage import Database
from lanmu.storage.once import insert_once


@dataclass(frozen=True, slots=True)
class NewFact:
    """Something that happened. `key` makes it count once; `local_date` is the day where it happened."""

    key: str
    kind: str
    at: datetime
    local_date: date
    member: str = ""
    community: str = ""
    push: str = ""
    value: int = 1
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DayCount:
    """One kind on one day: facts, the members in them, and the sum of their values."""

    day: date
    kind: str
    facts: int
    members: int
    total: int


@dataclass(frozen=True, slots=True)
class RateValue:
    """A rate over a span of days. `share` is None where there is nobody to have a share of."""

    name: str
    numerator: int
    denominator: int

    @property
    def share(self) -> float | None:
        return self.numerator / self.denominator if self.denominator else None


class MetricsService:
    """The facts of this server."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def record(self, fact: NewFact) -> bool:
        """Store a fact; False where its key is there already, with the same content.

        Raises Conflict where the key stands for something else: the first report holds, for ever.
        """
        _check(fact)
        values = {
            "key": fact.key,
            "kind": fact.kind,
            "member": fact.member,
            "community": fact.community,
            "push": fact.push,
            "value": fact.value,
            "local_date": fact.local_date,
            "at": fact.at,
            "data": dict(fact.data),
        }
        with self._database.write() as session:
            if insert_once(session, Fact, ["key"], values) is not None:
                return True
            kept = session.scalars(select(Fact).where(Fact.key == fact.key)).one()
            if (kept.kind, kept.member, kept.value, kept.data) != (
                fact.kind,
                fact.member,
                fact.value,
                dict(fact.data),
            ):
                raise Conflict(
                    "key",
                    _("“%(key)s” was reported before with another content."),
                    _("An event's key names one event for ever; give a new event a new key."),
                    key=fact.key,
                )
            return False

    def record_event(self, event: MemberEvent) -> bool:
        """Store what a member did, once; see `record`."""
        return self.record(
            NewFact(
                key=event.key,
                kind=event.kind,
                at=event.at,
                local_date=event.local_date,
                member=event.member,
                community=event.data.get("community", ""),
                value=_value(event),
                data=event.data,
            )
        )

    def by_day(self, since: date, until: date, kinds: Sequence[str] = ()) -> list[DayCount]:
        """Counts from `since` to `until`, both included; days without a fact are left out."""
        query = (
            select(
                Fact.local_date,
                Fact.kind,
                func.count(),
                func.count(func.distinct(func.nullif(Fact.member, ""))),
                cast(func.coalesce(func.sum(Fact.value), 0), BigInteger),
            )
            .where(Fact.local_date.between(since, until))
            .group_by(Fact.local_date, Fact.kind)
            .order_by(Fact.local_date, Fact.kind)
        )
        if kinds:
            query = query.where(Fact.kind.in_(kinds))
        with self._database.read() as session:
            return [DayCount(*row) for row in session.execute(query)]

    def rate(self, name: str, since: date, until: date, members: int) -> RateValue:
        """A rate of `definitions.RATES` from `since` to `until`, both included.

        `members`: how many members there are, for the rates that are shares of all of them.
        """
        rate = RATES[name]
        with self._database.read() as session:
            if rate.denominator == "members":
                return RateValue(name, _members(session, since, until, [rate.numerator]), members)
            both = _members(session, since, until, [rate.numerator, rate.denominator])
            return RateValue(name, both, _members(session, since, until, [rate.denominator]))


def _members(session: Session, since: date, until: date, kinds: Sequence[str]) -> int:
    """How many members have a fact of each of these kinds."""
    those = (
        select(Fact.member)
        .where(Fact.local_date.between(since, until), Fact.kind.in_(kinds), Fact.member != "")
        .group_by(Fact.member)
        .having(func.count(func.distinct(Fact.kind)) == len(set(kinds)))
        .subquery()
    )
    return session.scalar(select(func.count()).select_from(those)) or 0


def _value(event: MemberEvent) -> int:
    """What an event counts for: an order its amount in fen, everything else one."""
    amount = event.data.get("amount", "") if event.kind == "purchase" else ""
    return int(amount) if amount.isdecimal() and len(amount) <= 12 else 1


def _check(fact: NewFact) -> None:
    for place, text, most in (("key", fact.key, 255), ("kind", fact.kind, 32), ("member", fact.member, 24)):
        if len(text) > most or (not text and place != "member"):
            raise Invalid(
                place,
                _("must have 1 to %(most)s characters."),
                _("Give every event a key that its source will give it again."),
                most=most,
            )
