"""Betters a filled lane: changes and exchanges the classes of places until rolling weeks fit their shares."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate
from operator import add

from lanmu.schedule.lane import CAPPED, WEEK, Lane
from lanmu.schedule.shelves import NOTHING

REPLAYS = 120
"""How often one community's lane may be filled anew; a bound on time, far above what most need."""

PASSES = 6
GIVERS = 40
"""How many places near an empty one are asked to take another class."""


def repair(lane: Lane) -> set[int]:
    """Better the lane in place and answer which places now have another class than the greedy pass gave.

    No fewer places are filled after than before, though others may be. Every change is tried by filling
    the lane anew with the changed classes, so that cooldown, validity and caps are kept by the code that
    keeps them anyway; what does not fit is dropped.
    """
    work = _Work(lane)
    greedy = list(work.script)
    if not lane.fill(greedy):
        # Asking a shelf in vain, as the greedy pass does, can change the order in which it hands out those
        # with a validity or a fixed use ahead: then the same classes cannot be had again; the plan stands.
        lane.fill()
        return set()
    for _pass in range(PASSES):
        filled = work.fill_empty()
        # Filling has a budget of its own, so that hopeless places do not use up that of the mix.
        work.left, spared = work.mix_left, work.left
        bettered = work.change_one() + work.exchange_two()
        work.left, work.mix_left = spared, work.left
        if not filled and not bettered:
            break
    work.left += REPLAYS // 4
    work.fill_empty()
    if not lane.fill(work.script):
        lane.fill()
        return set()
    for place in work.capped:
        lane.chosen[place] = CAPPED
    return {place for place, code in enumerate(work.script) if code >= 0 and code != greedy[place]}


class _Work:
    """The classes as they stand and what each rolling week has of them.

    A week is the seven days up to a place, and those up to a week after one, so that a place at the end of
    the horizon is seen as often as one in its middle: else a material put off to the end would seem to cost
    less. A week's cost is the sum over the classes of the distance from their share of what the week holds,
    times the budget's total to make it a whole number.
    """

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.left = self.mix_left = REPLAYS
        self.script = list(lane.classes)
        self.days = lane.days  # a filling that fails leaves the lane itself with half of them
        self.capped = [place for place, number in enumerate(lane.chosen) if number == CAPPED]
        shut = set(self.capped)
        self.allowed: list[tuple[int, ...]] = [
            lane.mix.allowed(opening.column) if opening is not None and place not in shut else ()
            for place, opening in enumerate(lane.openings)
        ]
        full = {lane.days[place] for place in self.capped}
        # A day that had more places than its cap keeps the ones it filled: else its reason would be untrue.
        self.movable = [bool(self.allowed[place]) and day not in full for place, day in enumerate(lane.days)]
        self.parts, self.total = lane.mix.parts, lane.mix.total
        minutes = lane.minutes
        ends = minutes + [minute + WEEK for minute in minutes if minute + WEEK > minutes[-1]]
        # Weeks self.begin[p] .. self.end[p] - 1 hold place p.
        self.begin = [bisect_left(ends, minute) for minute in minutes]
        self.end = [bisect_left(ends, minute + WEEK) for minute in minutes]
        self.near = [bisect_left(minutes, minute + 2 * WEEK) for minute in minutes]
        # far[code][week]: how far the class lies above its share of the week, times the budget's total.
        self.far = [[0] * len(ends) for _part in self.parts]
        for minute, code in lane.past:
            self._count(0, bisect_left(ends, minute + WEEK), NOTHING, code)
        for place, code in enumerate(self.script):
            self._count(self.begin[place], self.end[place], NOTHING, code)
        for pool in {o.column.pool for o in lane.openings if o is not None}:
            for name in lane.mix.codes:
                lane.library.members(pool, name)  # merged once here, not in every filling
        self.room = _Room.of(lane)
        self.alike = self.room is not None and len(set(self.allowed) - {()}) < 2
        self.reach = max((o.column.cooldown_days for o in lane.openings if o is not None), default=0)
        self._gains: dict[tuple[int, int], list[int]] = {}

    def gain(self, old: int, new: int) -> list[int]:
        """Running sums of what each week's cost would change by, were one `old` a `new` in it."""
        sums = self._gains.get((old, new))
        if sums is None:
            changes = [0] * len(self.far[0])
            for far, step in zip(self.far, self._steps(old, new), strict=True):
                if step:
                    changes = list(map(add, changes, [abs(now + step) - abs(now) for now in far]))
            sums = self._gains[old, new] = [0, *accumulate(changes)]
        return sums

    def _steps(self, old: int, new: int) -> list[int]:
        """What each class's `far` changes by in a week where one `old` becomes a `new`."""
        more = (new >= 0) - (old >= 0)
        return [
            self.total * ((code == new) - (code == old)) - part * more for code, part in enumerate(self.parts)
        ]

    def _count(self, begin: int, end: int, old: int, new: int) -> None:
        for far, step in zip(self.far, self._steps(old, new), strict=True):
            if step:
                for week in range(begin, end):
                    far[week] += step

    def fill_empty(self) -> int:
        """Give a material to places that have none; where needed, another place changes class to free one."""
        done = 0
        for place, code in enumerate(self.script):
            if code >= 0 or not self.allowed[place]:
                continue
            begin, end = self.begin[place], self.end[place]
            ways = sorted(
                (self.gain(NOTHING, new)[end] - self.gain(NOTHING, new)[begin], new)
                for new in self.allowed[place]
            )
            done += any(self.attempt([(place, new)]) for _cost, new in ways) or any(
                self.attempt([(place, new), (giver, other)])
                for _cost, new in ways
                for giver, other in self._givers(place, new)
            )
        return done

    def _givers(self, place: int, code: int) -> Iterator[tuple[int, int]]:
        """Places near by that hold the class and could take another.

        Where all places may take the same, greedy has used up whatever could be freed. A place so far off
        that no cooldown reaches from it to here frees nothing either.
        """
        if self.alike:
            return
        days, reach = self.days, self.reach
        near = range(bisect_right(days, days[place] - reach), bisect_left(days, days[place] + reach))
        for giver in sorted(near, key=lambda other: abs(other - place))[:GIVERS]:
            if self.script[giver] == code and code in self.allowed[giver]:
                for other in self.allowed[giver]:
                    if other != code:
                        yield giver, other

    def change_one(self) -> int:
        """Change a place's class where that alone betters the weeks that hold it."""
        done = 0
        for place, end in enumerate(self.end):
            for new in self.allowed[place]:
                old = self.script[place]
                if old < 0 or new == old:
                    continue
                sums = self.gain(old, new)
                if sums[end] < sums[self.begin[place]]:
                    done += self.attempt([(place, new)])
        return done

    def exchange_two(self) -> int:
        """Exchange the classes of two places, or move a material to a place that stands empty."""
        done = 0
        script, begin, end = self.script, self.begin, self.end
        for p in range(len(script)):
            for q in range(p + 1, self.near[p]):
                a, b = script[p], script[q]
                if a == b or not self._may(p, b) or not self._may(q, a):
                    continue
                # Weeks that hold both do not change: those that hold p alone end at `middle`, those that hold
                # q alone begin at `later`.
                gains = self._gains
                first = gains.get((a, b)) or self.gain(a, b)
                second = gains.get((b, a)) or self.gain(b, a)
                middle, later = min(begin[q], end[p]), max(begin[q], end[p])
                if first[middle] - first[begin[p]] + second[end[q]] - second[later] < 0:
                    done += self.attempt([(p, b), (q, a)])
        return done

    def _may(self, place: int, code: int) -> bool:
        return code in self.allowed[place] if code >= 0 else self.movable[place]

    def attempt(self, changes: list[tuple[int, int]]) -> bool:
        """Make the changes if the lane can be filled so."""
        if self.left <= 0 or (self.room is not None and not self.room.takes(self.script, changes)):
            return False
        old = [(place, self.script[place]) for place, _code in changes]
        for place, code in changes:
            self.script[place] = code
        if self.room is None or not self.room.exact:
            self.left -= 1
            if not self.lane.fill(self.script):
                for place, code in old:
                    self.script[place] = code
                return False
        for (place, was), (_place, now) in zip(old, changes, strict=True):
            self._count(self.begin[place], self.end[place], was, now)
            if self.room is not None:
                self.room.move(place, was, now)
        self._gains.clear()
        return True


class _Room:
    """How often each class is used in any stretch of cooldown days, where all places share one pool.

    A quick look that spares most of the fillings that would fail. Where nothing but the cooldown counts
    (`exact`), it spares all: materials of a class are then alike, and handing out the one that was used
    longest ago works out whenever no stretch of days needs more than there are.
    """

    def __init__(self, lane: Lane, members: list[list[int]], cooldown: int) -> None:
        self.sizes, self.cooldown = [len(row) for row in members], cooldown
        timed = lane.library.timed
        self.exact = (
            lane.state.daily_cap is None
            and not any(number in timed for row in members for number in row)
            and all(its <= cooldown for _number, _day, its in lane.before)
        )
        self.first = lane.days[0] - cooldown
        self.days = [day - self.first for day in lane.days]
        # uses[code][s]: how often the class is used on the days s .. s + cooldown - 1.
        self.uses = [[0] * (self.days[-1] + 1) for _row in members]
        for place, code in enumerate(lane.classes):
            self._count(self.days[place], code, 1)
        before = {number: day for number, day, _cooldown in lane.before}
        for code, row in enumerate(members):
            for number in row if before else ():
                if number in before:
                    self._count(before[number] - self.first, code, 1)

    @classmethod
    def of(cls, lane: Lane) -> "_Room | None":
        """None where columns differ in pool or cooldown, or fixed places draw from elsewhere."""
        columns = {id(o.column): o.column for o in lane.openings if o is not None}
        rules = {(column.pool, column.cooldown_days) for column in columns.values()}
        if len(rules) != 1 or lane.kept:
            return None
        pool, cooldown = next(iter(rules))
        if not cooldown:
            return None
        return cls(lane, [lane.library.members(pool, code) for code in lane.mix.codes], cooldown)

    def move(self, place: int, old: int, new: int) -> None:
        """Count a place's use of another class."""
        self._count(self.days[place], old, -1)
        self._count(self.days[place], new, 1)

    def _count(self, day: int, code: int, step: int) -> None:
        if code >= 0:
            row = self.uses[code]
            for start in range(max(0, day - self.cooldown + 1), min(day + 1, len(row))):
                row[start] += step

    def takes(self, script: list[int], changes: list[tuple[int, int]]) -> bool:
        """False where a stretch of days would need more materials of a class than there are."""
        for place, code in changes:
            if code < 0:
                continue
            day = self.days[place]
            low, high = max(0, day - self.cooldown + 1), day + 1
            for other, _new in changes:
                if other != place and script[other] == code:
                    there = self.days[other]
                    if there >= day:
                        high = min(high, max(low, there - self.cooldown + 1))
                    else:
                        low = min(high, max(low, there + 1))
            if low < high and max(self.uses[code][low:high]) >= self.sizes[code]:
                return False
        return True
