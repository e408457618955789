"""One community's part of a plan: its places in time order, filled by the class that is owed most."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter

from lanmu.schedule.mix import MixBudget, class_order
from lanmu.schedule.problem import ColumnRules, CommunityState, FixedPick, Opening
from lanmu.schedule.shelves import NOTHING, Library, Shelf, Uses

WEEK_DAYS = 7
WEEK = WEEK_DAYS * 24 * 60
CAPPED = -2
_BITS = 16  # a class's count in a packed window: far more than a week can hold
Ranked = tuple[tuple[int, float], ...]
Desk = tuple[list[Shelf | None], tuple[int, ...], dict[int, Ranked], int]
"""What a column's places are filled from: a shelf for each class, the classes, their orders, the cooldown."""


class Mix:
    """A budget with the classes that a plan knows, and the order of classes for every state of a window.

    A window's counts are packed into one number. Few states occur, so each order is worked out once.
    """

    def __init__(self, budget: MixBudget) -> None:
        self.budget = budget
        self.codes = budget.codes
        self.parts = budget.parts
        self.total = budget.total
        self.unit = [1 << (_BITS * index) for index in range(len(budget.codes))]
        self.index = {code: index for index, code in enumerate(budget.codes)}
        self.open = tuple(index for index, part in enumerate(budget.parts) if part)
        self._orders: dict[tuple[int, ...], dict[int, Ranked]] = {}

    def allowed(self, column: ColumnRules) -> tuple[int, ...]:
        """The classes a column may take, by index."""
        if not column.classes:
            return self.open
        return tuple(self.index[code] for code in column.classes)

    def orders(self, allowed: tuple[int, ...]) -> dict[int, Ranked]:
        """What `rank` has found so far for these classes, by packed window."""
        return self._orders.setdefault(allowed, {})

    def rank(self, state: int, allowed: tuple[int, ...]) -> Ranked:
        """The allowed classes in the order to try, each with its shortfall in slots."""
        counts = [state >> (_BITS * index) & ((1 << _BITS) - 1) for index in range(len(self.codes))]
        after = sum(counts) + 1
        order = class_order(self.parts, counts, allowed)
        ranked = tuple((index, self.parts[index] * after / self.total - counts[index]) for index in order)
        self._orders[allowed][state] = ranked
        return ranked


def minute_of(local: datetime) -> int:
    """Minutes of wall time, so that a week is always 7 × 1,440 of them."""
    return local.toordinal() * 1440 + local.hour * 60 + local.minute


def wanted_more(places: Sequence[Opening | FixedPick], state: CommunityState) -> dict[int, int]:
    """How many places later that day are of a higher priority, for each open place of a day over its cap.

    Empty where the cap binds no day, or no two columns differ in priority: then the earlier place goes first.
    """
    cap = state.daily_cap
    if cap is None or len({place.column.priority for place in places if isinstance(place, Opening)}) < 2:
        return {}
    a_day: dict[int, list[int]] = {}
    for index, place in enumerate(places):
        a_day.setdefault(place.local.toordinal(), []).append(index)
    had = [local.toordinal() for local, _code in state.recent]
    found: dict[int, int] = {}
    for day, indices in a_day.items():
        if len(indices) + had.count(day) <= cap:
            continue
        ranks = [
            (index, place.column.priority) for index in indices if isinstance(place := places[index], Opening)
        ]
        for number, (index, rank) in enumerate(ranks):
            found[index] = sum(other > rank for _index, other in ranks[number + 1 :])
    return found


class Lane:
    """A community's places, open and fixed, in time order, with what fills each.

    Parallel lists: `openings[i]` is None at a fixed place; `classes[i]` and `chosen[i]` are indices, NOTHING
    where the place is empty, and `chosen[i]` is CAPPED where the day was full. `past` are the classes of
    the week before, with their minutes; `before` the materials used before the horizon, with their days and
    the cooldowns that count from them.
    """

    def __init__(
        self,
        state: CommunityState,
        mix: Mix,
        openings: Sequence[Opening],
        fixed: Sequence[FixedPick],
        library: Library,
        foreign: dict[object, int],
        turn: int,
    ) -> None:
        self.state = state
        self.mix = mix
        self.library = library
        self.turn = turn
        self._number = library.number
        self._foreign = foreign
        self.places: list[Opening | FixedPick] = sorted(openings, key=attrgetter("local", "column.id"))
        if fixed:
            self._put_in(fixed)
        self.before = [
            (self.index_of(key), day.toordinal(), (state.free_from.get(key, day) - day).days)
            for key, day in state.last_used.items()
        ]
        self._ahead = [
            (self.index_of(pick.material_id), (pick.local.toordinal(), pick.cooldown_days))
            for pick in fixed
            if pick.material_id is not None
        ]
        self.past: list[tuple[int, int]] = []
        if state.recent and self.places:
            begin = minute_of(self.places[0].local)
            spans = ((minute_of(local), mix.index[code]) for local, code in state.recent)
            self.past = sorted(span for span in spans if begin - WEEK < span[0])
        self._wanted_more = wanted_more(self.places, state)
        self._clear()

    def _clear(self) -> None:
        """Forget what was filled; the past and the fixed places stay."""
        self.openings: list[Opening | None] = []
        self.kept: list[FixedPick] = []
        self.days: list[int] = []
        self.minutes: list[int] = []
        self.classes: list[int] = []
        self.chosen: list[int] = []
        self.ranks: list[Ranked] = []
        self.befores: list[int | None] = []
        self.settled = not self._ahead
        self.uses = Uses()
        for index, day, cooldown in self.before:
            self.uses.use(index, day, cooldown)
        for index, use in self._ahead:
            self.uses.coming.setdefault(index, []).append(use)

    def index_of(self, key: object) -> int:
        """The material's number; one that is no longer in the library gets a number of its own."""
        index = self._number.get(key)  # type: ignore[call-overload]
        if index is None:
            index = self._foreign.setdefault(key, len(self._number) + len(self._foreign))
        return int(index)

    def _put_in(self, fixed: Sequence[FixedPick]) -> None:
        """Fixed places take the place of their openings; those without one are added."""
        taken = {(pick.column_id, pick.local) for pick in fixed}
        free = [place for place in self.places if (place.column.id, place.local) not in taken]  # type: ignore[union-attr]
        rows = [(place.local, str(place.column.id), place) for place in free]  # type: ignore[union-attr]
        rows += [(pick.local, str(pick.column_id), pick) for pick in fixed]
        self.places = [row[2] for row in sorted(rows, key=lambda row: row[:2])]

    def fill(self, script: Sequence[int] | None = None) -> bool:
        """Fill every open place in time order, the class with the largest claim first.

        Of a day with more places than its cap, one is held back while those that go before it may yet want
        what the cap leaves; at the day's end it gets what they could not use.

        A `script` sets each place's class instead (NOTHING: leave it empty), and the answer is False, with
        the lane half filled, where a class has no material to offer at its place.
        """
        self._clear()
        mix, uses, state = self.mix, self.uses, self.state
        unit = mix.unit
        window = 0
        minutes, classes, chosen, days = self.minutes, self.classes, self.chosen, self.days
        past, gone = self.past, 0
        for _minute, code in past:
            window += unit[code]
        cap = state.daily_cap
        a_day = self._fixed_a_day() if cap is not None else {}
        wanted_more = self._wanted_more if script is None else {}
        held: list[int] = []
        desks: dict[int, Desk] = {}
        shelves: dict[tuple[object, int], Shelf] = {}
        last, free_from = uses.last, uses.free
        head = 0
        for place in self.places:
            local = place.local
            day = local.toordinal()
            minute = day * 1440 + local.hour * 60 + local.minute
            edge = minute - WEEK
            if held and days[-1] != day:
                window += self._let_in(held, days[-1], a_day, desks)
                held = []
            while gone < len(past) and past[gone][0] <= edge:
                window -= unit[past[gone][1]]
                gone += 1
            while head < len(minutes) and minutes[head] <= edge:
                if classes[head] >= 0:
                    window -= unit[classes[head]]
                head += 1
            days.append(day)
            minutes.append(minute)
            if isinstance(place, FixedPick):
                self._keep(place, day)
                if classes[-1] >= 0:
                    window += unit[classes[-1]]
                continue
            self.openings.append(place)
            column = place.column
            desk = desks.get(id(column))
            if desk is None:
                allowed = mix.allowed(column)
                row: list[Shelf | None] = [None] * len(unit)
                for index in allowed:
                    shelf = shelves.get((column.pool, index))
                    if shelf is None:
                        shelf = Shelf(self.library, column.pool, mix.codes[index], uses, self.turn)
                        shelves[column.pool, index] = shelf
                    row[index] = shelf
                desk = desks[id(column)] = (row, allowed, mix.orders(allowed), column.cooldown_days)
            row, allowed, orders, cooldown = desk
            ranked = orders.get(window) or mix.rank(window, allowed)
            self.ranks.append(ranked)
            if cap is not None and a_day.get(day, 0) >= cap:
                if script is None:
                    self._leave(CAPPED)
                    continue
                if script[len(classes)] >= 0:
                    return False
            if wanted_more and self._goes_behind(place, held, a_day.get(day, 0)):
                held.append(len(classes))
                self._leave(CAPPED)
                continue
            if script is not None:
                code = script[len(classes)]
                if code < 0:
                    self._leave(NOTHING)
                    continue
                found = row[code].take(place, day, cooldown)  # type: ignore[union-attr]
                if found < 0:
                    return False
            else:
                for code, _shortfall in ranked:
                    found = row[code].take(place, day, cooldown)  # type: ignore[union-attr]
                    if found >= 0:
                        break
                else:
                    self._leave(NOTHING)
                    continue
                if code != ranked[0][0]:
                    self.settled = False
            classes.append(code)
            chosen.append(found)
            self.befores.append(last.get(found))
            last[found] = day
            free_from[found] = day + cooldown
            window += unit[code]
            if cap is not None:
                a_day[day] = a_day.get(day, 0) + 1
        if held:
            self._let_in(held, days[-1], a_day, desks)
        return True

    def _goes_behind(self, place: Opening, held: Sequence[int], filled: int) -> bool:
        """Whether what the day's cap leaves may all be wanted by places that go before this one."""
        more = self._wanted_more.get(len(self.classes))
        if more is None:
            return False
        rank = place.column.priority
        more += sum(rank <= each.column.priority for each in map(self.openings.__getitem__, held) if each)
        return filled + more >= (self.state.daily_cap or 0)

    def _let_in(self, held: Sequence[int], day: int, a_day: dict[int, int], desks: Mapping[int, Desk]) -> int:
        """Fill what was held back on a day as far as its cap allows; answers what that adds to the window."""
        more = 0
        last = self.uses.last
        places = [(index, place) for index in held if (place := self.openings[index]) is not None]
        for index, place in sorted(places, key=lambda each: (-each[1].column.priority, each[0])):
            if a_day.get(day, 0) >= (self.state.daily_cap or 0):
                break
            row, _allowed, _orders, cooldown = desks[id(place.column)]
            self.chosen[index] = NOTHING
            for code, _shortfall in self.ranks[index]:
                found = row[code].take(place, day, cooldown)  # type: ignore[union-attr]
                if found >= 0:
                    self.classes[index], self.chosen[index] = code, found
                    self.befores[index] = last.get(found)
                    self.uses.use(found, day, cooldown)
                    a_day[day] = a_day.get(day, 0) + 1
                    more += self.mix.unit[code]
                    break
        return more

    def _leave(self, mark: int) -> None:
        self.classes.append(NOTHING)
        self.chosen.append(mark)
        self.befores.append(None)
        self.settled = False

    def is_full(self, day: int) -> bool:
        """True where the day has as many places filled as the community's cap allows."""
        cap = self.state.daily_cap
        if cap is None:
            return False
        filled = sum(then == day and number >= 0 for then, number in zip(self.days, self.chosen, strict=True))
        return filled + sum(local.toordinal() == day for local, _code in self.state.recent) >= cap

    def _fixed_a_day(self) -> dict[int, int]:
        a_day: dict[int, int] = {}
        for place in self.places:
            if isinstance(place, FixedPick) and place.material_id is not None:
                day = place.local.toordinal()
                a_day[day] = a_day.get(day, 0) + 1
        for local, _code in self.state.recent:
            a_day[local.toordinal()] = a_day.get(local.toordinal(), 0) + 1
        return a_day

    def _keep(self, pick: FixedPick, day: int) -> None:
        self.kept.append(pick)
        self.openings.append(None)
        self.ranks.append(())
        self.befores.append(None)
        self.classes.append(self.mix.index[pick.content_class] if pick.content_class else NOTHING)
        if pick.material_id is None:
            self.chosen.append(NOTHING)
            return
        index = self.index_of(pick.material_id)
        self.chosen.append(index)
        self.uses.use(index, day, pick.cooldown_days)
