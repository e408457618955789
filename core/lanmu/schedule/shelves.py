"""Finds the next material of a pool for a community: new ones first, then those used longest ago."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from heapq import heapify, heappop, heappush, heapreplace, merge
from itertools import pairwise
from zlib import crc32

from lanmu.schedule.problem import Candidate, Key, Opening, Pool

NOTHING = -1
MANY_LEVELS = 64
Span = tuple[datetime | None, datetime | None]


class Library:
    """The materials numbered in the order in which they are drawn: by weight, then by the seed's lot.

    So a sorted list of numbers is a pool in its order of drawing, and pools are cheap to merge.
    """

    def __init__(self, materials: Iterable[Candidate], seed: int) -> None:
        salt = crc32(str(seed).encode())
        everything = sorted(
            materials, key=lambda item: (-item.weight, crc32(str(item.id).encode(), salt), str(item.id))
        )
        self.items: Sequence[Candidate] = everything
        self.number: dict[Key, int] = {item.id: index for index, item in enumerate(everything)}
        self.timed: dict[int, Span] = {}
        self._by_class: dict[str, list[int]] = {}
        self._by_tag: dict[tuple[str, str], list[int]] = {}
        self._members: dict[tuple[Pool, str], list[int]] = {}
        self._matched: dict[Pool, list[Candidate]] = {}
        self._sizes: dict[tuple[Pool, str], int] = {}
        self._levels = _levels([item.weight for item in everything])
        by_class, by_tag, timed = self._by_class, self._by_tag, self.timed
        for index, item in enumerate(everything):
            if not item.approved:
                continue
            code = item.content_class
            by_class.setdefault(code, []).append(index)
            for tag in item.tags:
                by_tag.setdefault((code, tag), []).append(index)
            if item.valid_from is not None or item.valid_until is not None:
                timed[index] = (item.valid_from, item.valid_until)

    def members(self, pool: Pool, code: str) -> list[int]:
        """The approved materials of one class in a pool, in order of drawing."""
        found = self._members.get((pool, code))
        if found is None:
            found = self._members[pool, code] = self._find(pool, code)
        return found

    def _find(self, pool: Pool, code: str) -> list[int]:
        if pool.tags and not pool.every_tag:
            rows = [self._by_tag.get((code, tag), []) for tag in pool.tags]
            found = rows[0] if len(rows) == 1 else sorted(set().union(*rows))
        elif pool.tags:
            rows = sorted((self._by_tag.get((code, tag), []) for tag in pool.tags), key=len)
            found = sorted(set(rows[0]).intersection(*rows[1:]))
        else:
            found = self._by_class.get(code, [])
        if pool.kinds or pool.zones or pool.materials is not None:
            items = self.items
            found = [index for index in found if pool.takes(items[index])]
        return found

    def matched(self, pool: Pool) -> list[Candidate]:
        """Every material a pool takes, approved or not. Slow; asked only about pools that gave nothing."""
        found = self._matched.get(pool)
        if found is None:
            found = self._matched[pool] = [item for item in self.items if pool.takes(item)]
        return found

    def size(self, pool: Pool, code: str) -> int:
        """How many approved materials of one class a pool has."""
        found = self._sizes.get((pool, code))
        if found is None:
            rows = self._rows(pool, code)
            found = self._sizes[pool, code] = len(rows[0]) if len(rows) == 1 else len(set().union(*rows))
        return found

    def drawn(self, pool: Pool, code: str, turn: int) -> Iterator[int]:
        """The members of a pool in the order in which a community draws them.

        Communities with one pool begin at other places by their `turn`, so that they do not all get one
        material; the turn stays among materials of equal weight. The members come one by one: of a large
        pool a month needs only the first few.
        """
        rows = self._rows(pool, code)
        for begin, end, span in self._levels:
            start = begin + turn % span
            for low, high in ((start, end), (begin, start)):
                if len(rows) == 1:
                    yield from rows[0][bisect_left(rows[0], low) : bisect_left(rows[0], high)]
                    continue
                before = NOTHING
                for index in merge(*(row[bisect_left(row, low) : bisect_left(row, high)] for row in rows)):
                    if index != before:  # one with two of the pool's tags
                        before = index
                        yield index

    def _rows(self, pool: Pool, code: str) -> list[list[int]]:
        """Sorted lists which together are the pool's members of a class; a member may stand in several."""
        known = self._members.get((pool, code))
        if known is not None:
            return [known]
        plain = not (pool.every_tag or pool.kinds or pool.zones or pool.materials is not None)
        if plain and len(pool.tags) > 1:
            return [self._by_tag.get((code, tag), []) for tag in pool.tags]
        return [self.members(pool, code)]

    def valid(self, index: int, instant: datetime) -> bool:
        """True where the material may go out at this instant."""
        span = self.timed.get(index)
        return span is None or (
            (span[0] is None or span[0] <= instant) and (span[1] is None or instant < span[1])
        )


def _levels(weights: Sequence[float]) -> list[tuple[int, int, int]]:
    """Stretches of equal weight (begin, end) and how far each may be turned.

    Where there are many, hardly any two materials weigh the same, and nothing is turned.
    """
    bounds = [index for index in range(1, len(weights)) if weights[index] != weights[index - 1]]
    if len(bounds) >= MANY_LEVELS:
        return [(0, len(weights), 1)]
    return [(begin, end, end - begin) for begin, end in pairwise([0, *bounds, len(weights)]) if begin < end]


class Uses:
    """When a community had which material: what has been, and what is fixed to come.

    Days are ordinals. `last` and `free` hold the day of the last use and the first day on which the column
    that used it allows another; `coming` holds fixed uses that lie ahead, as (day, cooldown).
    """

    __slots__ = ("coming", "free", "last")

    def __init__(self) -> None:
        self.last: dict[int, int] = {}
        self.free: dict[int, int] = {}
        self.coming: dict[int, list[tuple[int, int]]] = {}

    def use(self, index: int, day: int, cooldown: int) -> None:
        """Record a use; uses are told in the order of days."""
        self.last[index] = day
        self.free[index] = day + cooldown

    def too_near_ahead(self, index: int, day: int, cooldown: int) -> bool:
        """True where a fixed use ahead is nearer than the longer of the two cooldowns."""
        return any(
            ahead >= day and ahead - day < max(cooldown, its_cooldown)
            for ahead, its_cooldown in self.coming.get(index, ())
        )


class Shelf:
    """One class of one pool, for one community; hands out materials in turn.

    Every material is looked at once while it is new; after that it waits in a heap by the day of its last
    use. A use by another shelf of the community is noticed when the material comes up again.
    """

    __slots__ = ("_blocked", "_fresh", "_library", "_used", "_uses", "_waiting")

    def __init__(self, library: Library, pool: Pool, code: str, uses: Uses, turn: int) -> None:
        self._library = library
        self._uses = uses
        self._fresh: Iterator[int] = library.drawn(pool, code, turn)
        self._used: list[tuple[int, int]] = []
        self._waiting: list[tuple[datetime, int]] = []
        self._blocked: list[int] = []

    def take(self, opening: Opening, day: int, cooldown: int) -> int:
        """The number of a material that may go out now, or NOTHING; the caller records the use."""
        uses = self._uses
        last = uses.last
        timed = self._library.timed
        while self._waiting and self._waiting[0][0] <= opening.instant:
            index = heappop(self._waiting)[1]
            if self._ready(index, opening, day, cooldown):
                heappush(self._used, (day, index))
                return index
        for index in self._fresh:
            special = index in last or index in timed or index in uses.coming
            if special and not self._ready(index, opening, day, cooldown):
                continue
            heappush(self._used, (day, index))
            return index
        found = self._again(opening, day, cooldown) if self._used else NOTHING
        if found < 0 and self._blocked:
            # A fixed use lies ahead of these; a column with a shorter cooldown may still take one.
            blocked, self._blocked = self._blocked, []
            for index in blocked:
                if found < 0 and self._ready(index, opening, day, cooldown):
                    heappush(self._used, (day, index))
                    found = index
                elif found >= 0:
                    self._blocked.append(index)
        return found

    def _ready(self, index: int, opening: Opening, day: int, cooldown: int) -> bool:
        """Whether a new material may go out; if not, it is put where it comes up again."""
        since, until = self._library.timed.get(index, (None, None))
        if until is not None and until <= opening.instant:
            return False
        if index in self._uses.last:
            heappush(self._used, (self._uses.last[index], index))
            return False
        if since is not None and opening.instant < since:
            heappush(self._waiting, (since, index))
            return False
        if self._uses.too_near_ahead(index, day, cooldown):
            self._blocked.append(index)
            return False
        return True

    def _again(self, opening: Opening, day: int, cooldown: int) -> int:
        used, last, free = self._used, self._uses.last, self._uses.free
        aside: list[tuple[int, int]] = []
        found = NOTHING
        while used:
            then, index = used[0]
            current = last.get(index, then)
            if current > then:
                heapreplace(used, (current, index))
                continue
            if day - then < cooldown:
                break  # the rest was used later still
            if (
                free[index] <= day
                and self._library.valid(index, opening.instant)
                and not self._uses.too_near_ahead(index, day, cooldown)
            ):
                heapreplace(used, (day, index))
                found = index
                break
            aside.append(heappop(used))
        if aside:
            used.extend(aside)
            heapify(used)
        return found
