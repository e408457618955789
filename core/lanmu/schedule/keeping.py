"""Keeps what an earlier plan picked where it still breaks no rule, so that nobody's plan changes unasked."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lanmu.schedule.mix import MixBudget
from lanmu.schedule.problem import Candidate, CommunityState, FixedPick, Key, Opening, PlanRequest

_WEEK = timedelta(days=7)
ByHand = tuple[datetime, str]
"""When something went out or will, by the wall clock, and its class."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A place that an earlier plan filled. `mix` is the budget it was picked under, empty where unknown."""

    column_id: Key
    community_id: Key
    local: datetime
    material_id: Key
    mix: str = ""


def keep(
    request: PlanRequest,
    drawn: Iterable[Drawn],
    by_hand: Mapping[Key, Sequence[ByHand]],
    anew: Collection[Key] = (),
) -> list[FixedPick]:
    """The drawn places that the planner shall leave alone; those of the columns `anew` are all drawn again.

    `by_hand`: what people have chosen themselves for each community, sent in the last week or still to come.

    One is given up where its slot, its column's rules, its material, the community's mix or cap, or what a
    person has set beside it no longer allow it. Of two that cannot both stay the earlier stays. Where the cap
    has no place left on a day for a column of higher priority, one of the lowest priority is given up.
    """
    openings = {(each.column.id, each.community_id, each.local): each for each in request.openings}
    materials = {each.id: each for each in request.materials}
    states = {each.id: each for each in request.communities}
    by_community: dict[Key, list[Drawn]] = defaultdict(list)
    for each in drawn:
        by_community[each.community_id].append(each)
    set_by_people: dict[Key, list[FixedPick]] = defaultdict(list)
    for pick in request.fixed:
        set_by_people[pick.community_id].append(pick)
    kept: list[FixedPick] = []
    line = _Line(request)
    for community_id, places in by_community.items():
        state = states.get(community_id)
        if state is None:
            continue
        known_mixes = ("", state.budget.text)
        lane = _Lane(state, set_by_people[community_id], places, by_hand.get(community_id, ()))
        stay: list[FixedPick] = []
        for place in sorted(places, key=lambda each: (each.local, str(each.column_id))):
            opening = openings.get((place.column_id, community_id, place.local))
            material = materials.get(place.material_id)
            if place.column_id in anew or opening is None or material is None:
                continue
            if place.mix not in known_mixes:
                continue
            if (
                _suits(material, opening, state)
                and _is_valid(material, opening.instant)
                and lane.has_room(material.id, opening)
                and not lane.is_owed_less(material.content_class, opening)
            ):
                stay.append(lane.put(place, material.content_class, opening.column.cooldown_days))
        kept += line.first(stay, lane, state)
    return kept


class _Line:
    """Who goes first where a community's cap has fewer places on a day than its columns want."""

    def __init__(self, request: PlanRequest) -> None:
        self._materials = request.materials
        columns = {id(each.column): each.column for each in request.openings}.values()
        self._ranks = {column.id: column.priority for column in columns}
        self._pools: dict[tuple[Key, MixBudget], list[Candidate]] = {}
        self._days: dict[tuple[Key, int], list[Opening]] = defaultdict(list)
        if len(set(self._ranks.values())) > 1:  # else the day's earlier place goes first
            for each in request.openings:
                self._days[each.community_id, each.local.toordinal()].append(each)

    def first(self, stay: Sequence[FixedPick], lane: "_Lane", state: CommunityState) -> list[FixedPick]:
        """Those of the picks that stay although others of their day want a place too."""
        if state.daily_cap is None or not self._days:
            return list(stay)
        days: dict[int, list[FixedPick]] = defaultdict(list)
        for pick in stay:
            days[pick.local.toordinal()].append(pick)
        gone: set[tuple[Key, datetime]] = set()
        for day, picks in days.items():
            # The last of the line at the end, where it is given up first.
            picks.sort(key=lambda pick: (-self._ranks[pick.column_id], pick.local))
            free = state.daily_cap - lane.filled(day)
            wishes = self._days[state.id, day]
            for wish in sorted(wishes, key=lambda each: (-each.column.priority, each.local)):
                if not picks or wish.column.priority <= self._ranks[picks[-1].column_id]:
                    break
                if lane.is_taken(wish) or not self._could_be_filled(wish, lane, state):
                    continue
                free -= 1
                if free < 0:
                    given_up = picks.pop()
                    lane.give_up(given_up)
                    gone.add((given_up.column_id, given_up.local))
                    free += 1
        return [pick for pick in stay if (pick.column_id, pick.local) not in gone]

    def _could_be_filled(self, wish: Opening, lane: "_Lane", state: CommunityState) -> bool:
        key = (wish.column.id, state.budget)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = [each for each in self._materials if _suits(each, wish, state)]
        return any(_is_valid(each, wish.instant) and lane.is_rested(each.id, wish) for each in pool)


def _suits(material: Candidate, opening: Opening, state: CommunityState) -> bool:
    column = opening.column
    classes = column.classes or tuple(code for code in state.budget.codes if state.budget.share(code))
    return material.approved and material.content_class in classes and column.pool.takes(material)


def _is_valid(material: Candidate, instant: datetime) -> bool:
    return (material.valid_from is None or material.valid_from <= instant) and (
        material.valid_until is None or instant < material.valid_until
    )


class _Lane:
    """What one community has and will have, as far as it stands."""

    def __init__(
        self,
        state: CommunityState,
        fixed: Sequence[FixedPick],
        drawn: Sequence[Drawn],
        by_hand: Sequence[ByHand],
    ) -> None:
        self._state = state
        self._by_hand = by_hand
        self._places = [at for at, _code in state.recent]
        self._places += [each.local for each in fixed] + [each.local for each in drawn]
        self._taken = {(pick.column_id, pick.local) for pick in fixed}
        self._uses: dict[Key, list[tuple[int, int]]] = defaultdict(list)
        self._a_day: dict[int, int] = defaultdict(int)
        for local, _code in state.recent:
            self._a_day[local.toordinal()] += 1
        for pick in fixed:
            if pick.material_id is not None:
                self._use(pick.material_id, pick.local, pick.cooldown_days)

    def has_room(self, material: Key, opening: Opening) -> bool:
        """Whether place, day and cooldowns still allow this material here."""
        cap = self._state.daily_cap
        if self.is_taken(opening) or (cap is not None and self.filled(opening.local.toordinal()) >= cap):
            return False
        return self.is_rested(material, opening)

    def filled(self, day: int) -> int:
        """How many places of a day (an ordinal) are filled."""
        return self._a_day[day]

    def is_taken(self, opening: Opening) -> bool:
        """Whether the place is set already."""
        return (opening.column.id, opening.local) in self._taken

    def is_rested(self, material: Key, opening: Opening) -> bool:
        """Whether the cooldowns allow this material here."""
        day, cooldown = opening.local.toordinal(), opening.column.cooldown_days
        return all(abs(day - then) >= max(cooldown, its) for then, its in self._uses_of(material))

    def is_owed_less(self, content_class: str, opening: Opening) -> bool:
        """Whether people have by hand given the week up to here more of the class than its whole share.

        Only that: what other columns have is the planner's own balance, and must not move this pick.
        """
        if not self._by_hand or len(opening.column.classes) == 1:
            return False
        since = opening.local - _WEEK
        by_hand = sum(since < at <= opening.local for at, code in self._by_hand if code == content_class)
        places = sum(since < at <= opening.local for at in self._places)
        return by_hand > self._state.budget.share(content_class) * places

    def put(self, place: Drawn, content_class: str, cooldown: int) -> FixedPick:
        """Let it stand."""
        self._use(place.material_id, place.local, cooldown)
        self._taken.add((place.column_id, place.local))
        return FixedPick(
            place.column_id,
            place.community_id,
            place.local,
            place.material_id,
            content_class,
            cooldown,
            by_plan=True,
        )

    def give_up(self, pick: FixedPick) -> None:
        """Let it stand no more."""
        if pick.material_id is not None:
            day = pick.local.toordinal()
            self._uses[pick.material_id].remove((day, pick.cooldown_days))
            self._a_day[day] -= 1
        self._taken.discard((pick.column_id, pick.local))

    def _use(self, material: Key, local: datetime, cooldown: int) -> None:
        self._uses[material].append((local.toordinal(), cooldown))
        self._a_day[local.toordinal()] += 1

    def _uses_of(self, material: Key) -> Iterator[tuple[int, int]]:
        yield from self._uses[material]
        last = self._state.last_used.get(material)
        if last is not None:
            free = self._state.free_from.get(material, last)
            yield last.toordinal(), (free - last).days
