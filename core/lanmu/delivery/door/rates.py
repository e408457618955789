"""How fast a far end may be called: a bucket of tokens for each of its limits, shared by all workers.

A bucket holds a tenth of what its time allows and fills so slowly that no span of that length, wherever it
begins, ever sees more calls than allowed. Taken in the transaction of the intent, like the limits.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple, cast

from sqlalchemy import Table, Update, bindparam, select, true, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from lanmu.delivery.door.limit_models import RateUse
from lanmu.interfaces.channels import Abilities, Rate
from lanmu.storage.once import insert_into
from lanmu.storage.rows import Rows

SILENT_SHARE = 0.8
"""Of a limit beyond which messages vanish without an error: so much is used, since nothing tells of more."""

LONGEST_WAIT = timedelta(minutes=5)
"""However long the line at a bucket is, one looks again after this: the line may have become shorter."""

_USE = cast(Table, RateUse.__table__)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Bucket(NamedTuple):
    """A token bucket at one far end. `subject` is the target, "" where the limit is for the whole channel.

    It holds `burst` tokens, and one more comes every `step` microseconds.
    """

    channel: str
    subject: str
    per_seconds: int
    burst: int
    step: int


def sized(calls: int, per_seconds: int, share: float = 1.0) -> tuple[int, int]:
    """A bucket's burst and step, so that no span of `per_seconds` sees more than that share of the calls.

    A span sees at most the burst and what drips in before its end, so the two make up the budget.
    """
    budget = max(1, int(calls * share))
    burst = max(1, budget // 10)
    drips = budget - burst + 1
    return burst, -(-per_seconds * 1_000_000 // drips)


@cache
def _rates(abilities: Abilities) -> tuple[tuple[str, int, int, int], ...]:
    """(scope, per, burst, step) of each limit; of two over the same time the tighter."""
    found: dict[tuple[str, int], tuple[int, int]] = {}
    shared: list[tuple[Rate, float]] = [(rate, 1.0) for rate in abilities.limits]
    shared += [(rate, SILENT_SHARE) for rate in abilities.silent_limits]
    for rate, share in shared:
        per = max(1, int(rate.per.total_seconds()))
        size = sized(rate.calls, per, share)
        key = (rate.scope, per)
        if key not in found or size[1] > found[key][1]:
            found[key] = size
    return tuple((scope, per, *size) for (scope, per), size in found.items())


def sets_a_pace(abilities: Abilities) -> bool:
    """Whether calls take tokens at all."""
    return bool(_rates(abilities))


def buckets(channel: str, abilities: Abilities, targets: Sequence[str]) -> list[Bucket]:
    """The buckets from which one call to these targets takes a token each."""
    return [
        Bucket(channel, subject, per, burst, step)
        for scope, per, burst, step in _rates(abilities)
        for subject in (targets if scope == "target" else ("",))
    ]


class Tokens:
    """What the buckets hold while a batch is decided, one call after another."""

    def __init__(self, now: datetime, full_at: Mapping[Bucket, int], line_at: Mapping[Bucket, int]) -> None:
        self._now = _microseconds(now)
        # A clock that went back must not close a far end: no bucket takes longer to fill than from empty.
        self.full_at = {
            bucket: min(max(at, self._now), self._now + bucket.burst * bucket.step)
            for bucket, at in full_at.items()
        }
        self.line_at = dict(line_at)

    def free_at(self, wanted: Iterable[Bucket]) -> datetime | None:
        """None where each bucket has a token; else when there may be one, at the end of the line."""
        empty = [bucket for bucket in wanted if self._next(bucket) > self._now]
        if not empty:
            return None
        places = []
        for bucket in empty:
            place = max(self.line_at.get(bucket, 0) + bucket.step, self._next(bucket))
            self.line_at[bucket] = min(place, self._now + LONGEST_WAIT // _MICROSECOND)
            places.append(self.line_at[bucket])
        return _EPOCH + timedelta(microseconds=max(places))

    def take(self, wanted: Iterable[Bucket]) -> None:
        for bucket in wanted:
            self.full_at[bucket] += bucket.step

    def put_back(self, wanted: Iterable[Bucket]) -> None:
        for bucket in wanted:
            self.full_at[bucket] -= bucket.step

    def _next(self, bucket: Bucket) -> int:
        return self.full_at[bucket] - (bucket.burst - 1) * bucket.step


def _microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


_WANTED = Rows("wanted", channel=str, subject=str, per_seconds=int, full_at=int)
_LEFT = Rows("stands", channel=str, subject=str, per_seconds=int, full_at=int, line_at=int)


def look(session: Session, now: datetime, wanted: Iterable[Bucket]) -> Tokens:
    """How the buckets stand. Keeps others from them until the transaction ends."""
    by_key = {(each.channel, each.subject, each.per_seconds): each for each in wanted}
    connection = session.connection()
    dialect = connection.dialect.name
    # Sorted, so that two transactions lock the same rows in the same order.
    packed = _WANTED.pack(dialect, [(*key, _microseconds(now)) for key in sorted(by_key)])
    rows = connection.execute(_looking(dialect), packed).all()
    standing = {by_key[row.channel, row.subject, row.per_seconds]: row for row in rows}
    return Tokens(
        now,
        {bucket: row.full_at for bucket, row in standing.items()},
        {bucket: row.line_at for bucket, row in standing.items()},
    )


def store(session: Session, tokens: Tokens) -> None:
    """Write down how the buckets stand now; their rows are locked since `look`."""
    connection = session.connection()
    dialect = connection.dialect.name
    rows = [
        (bucket.channel, bucket.subject, bucket.per_seconds, at, tokens.line_at.get(bucket, 0))
        for bucket, at in tokens.full_at.items()
    ]
    connection.execute(_storing(dialect), _LEFT.pack(dialect, rows))


@cache
def _looking(dialect: str) -> ReturningInsert[Any]:
    given = _WANTED.table(dialect)
    keys = (given.c.channel, given.c.subject, given.c.per_seconds)
    # SQLite needs the WHERE to tell the conflict clause from a join's.
    source = select(*keys, given.c.full_at, bindparam("line", 0)).where(true()).order_by(*keys)
    upsert = insert_into(dialect, _USE).from_select(
        ["channel", "subject", "per_seconds", "full_at", "line_at"], source
    )
    return upsert.on_conflict_do_update(
        index_elements=["channel", "subject", "per_seconds"],
        set_={"full_at": _USE.c.full_at},  # changes nothing, but locks the row and lets it be answered
    ).returning(_USE)


@cache
def _storing(dialect: str) -> Update:
    stands = _LEFT.table(dialect)
    return (
        update(_USE)
        .where(
            _USE.c.channel == stands.c.channel,
            _USE.c.subject == stands.c.subject,
            _USE.c.per_seconds == stands.c.per_seconds,
        )
        .values(full_at=stands.c.full_at, line_at=stands.c.line_at)
    )
