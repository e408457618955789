"""Which material a community has on which day, to see what could still go out at a place."""

from lanmu.schedule.lane import CAPPED, Lane
from lanmu.schedule.problem import FixedPick, Opening


class Timeline:
    """Every use of every material in a filled lane, with the cooldown that each asks for."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.uses: dict[int, list[tuple[int, int]]] = {}
        for number, day, cooldown in lane.before:
            self.uses.setdefault(number, []).append((day, cooldown))
        for place, number, day in zip(lane.places, lane.chosen, lane.days, strict=True):
            if number >= 0:
                self.add(number, day, _cooldown(place))

    def add(self, number: int, day: int, cooldown: int) -> None:
        """Note a use."""
        self.uses.setdefault(number, []).append((day, cooldown))

    def free_behind(self, place: int) -> bool:
        """True where some material's earlier uses would let it go out at this place."""
        day = self.lane.days[place]
        return any(
            all(day < then or self._apart(place, day, then, its) for then, its in self.uses.get(number, ()))
            for _code, number in self._valid(place)
        )

    def free_on_both_sides(self, place: int) -> tuple[int, int] | None:
        """The class and number of a material that no use before or after keeps from this place."""
        day = self.lane.days[place]
        for code, number in self._valid(place):
            if all(self._apart(place, day, then, its) for then, its in self.uses.get(number, ())):
                return code, number
        return None

    def _apart(self, place: int, day: int, then: int, its_cooldown: int) -> bool:
        return abs(day - then) >= max(its_cooldown, _cooldown(self.lane.places[place]))

    def _valid(self, place: int) -> list[tuple[int, int]]:
        opening = self.lane.openings[place]
        if opening is None:
            return []
        library, codes = self.lane.library, self.lane.mix.codes
        ranked = [code for code, _shortfall in self.lane.ranks[place]]
        return [
            (code, number)
            for code in ranked
            for number in library.members(opening.column.pool, codes[code])
            if library.valid(number, opening.instant)
        ]


def _cooldown(place: Opening | FixedPick) -> int:
    return place.cooldown_days if isinstance(place, FixedPick) else place.column.cooldown_days


def put_leftovers(lane: Lane) -> set[int]:
    """Fill empty places with materials that would else lie idle, and answer which.

    Filling a lane in order hands out materials by their last use alone, and so can leave one free that only
    a place between two fixed uses could take.
    """
    empty = [place for place, number in enumerate(lane.chosen) if number < 0 and number != CAPPED]
    empty = [place for place in empty if lane.openings[place] is not None]
    if not empty:
        return set()
    timeline = Timeline(lane)
    put: set[int] = set()
    for place in empty:
        if lane.is_full(lane.days[place]):
            continue
        found = timeline.free_on_both_sides(place)
        if found is None:
            continue
        code, number = found
        day = lane.days[place]
        earlier = [then for then, _its in timeline.uses.get(number, ()) if then <= day]
        lane.classes[place], lane.chosen[place] = code, number
        lane.befores[place] = max(earlier, default=None)
        for later in range(place + 1, len(lane.chosen)):
            if lane.chosen[later] == number:
                lane.befores[later] = day
                break
        timeline.add(number, day, _cooldown(lane.places[place]))
        put.add(place)
    return put
