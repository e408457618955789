"""Fills the openings of a horizon: the class owed most, then a fresh material; then a repair pass."""

from collections.abc import Collection, Iterator
from datetime import date
from zlib import crc32

from lanmu.schedule.lane import CAPPED, Lane, Mix
from lanmu.schedule.mix import MixBudget
from lanmu.schedule.problem import (
    CommunityState,
    EmptyPool,
    EmptyReason,
    FixedPick,
    Key,
    Opening,
    Pick,
    Plan,
    PlanRequest,
    Why,
)
from lanmu.schedule.repair import repair
from lanmu.schedule.shelves import Library
from lanmu.schedule.timeline import Timeline, put_leftovers


def plan(request: PlanRequest, *, mend: bool = True) -> Plan:
    """The whole plan for a request, the communities one after the other.

    Within a community, places are filled in the order of their local time. `mend=False` leaves out the repair
    pass, to compare.
    """
    whole = Plan([], [], [])
    for _community_id, part in plan_each(request, mend=mend):
        whole.picks.extend(part.picks)
        whole.empty.extend(part.empty)
        whole.kept.extend(part.kept)
    return whole


def plan_each(request: PlanRequest, *, mend: bool = True) -> Iterator[tuple[Key, Plan]]:
    """Each community's plan, as soon as it is made, so that it can be written before the next is begun.

    Communities do not affect one another; nor is a plan kept here, so memory does not grow with their number.
    """
    library = Library(request.materials, request.seed)
    openings: dict[Key, list[Opening]] = {}
    for opening in request.openings:
        rows = openings.get(opening.community_id)
        if rows is None:
            rows = openings[opening.community_id] = []
        rows.append(opening)
    fixed: dict[Key, list[FixedPick]] = {}
    for pick in request.fixed:
        fixed.setdefault(pick.community_id, []).append(pick)
    states = {state.id: state for state in request.communities}
    extra = _classes_named(request)
    mixes: dict[MixBudget, Mix] = {}
    foreign: dict[object, int] = {}
    for community_id in dict.fromkeys([*openings, *fixed]):
        set_places = fixed.get(community_id, [])
        taken = {(pick.column_id, pick.local) for pick in set_places}
        if all((each.column.id, each.local) in taken for each in openings.get(community_id, ())):
            yield community_id, Plan([], [], set_places)
            continue
        state = states.get(community_id) or CommunityState(community_id)
        mix = mixes.get(state.budget)
        if mix is None:
            mix = mixes[state.budget] = Mix(state.budget.with_classes(extra))
        turn = crc32(f"{request.seed}/{community_id}".encode())
        lane = Lane(state, mix, openings[community_id], set_places, library, foreign, turn)
        lane.fill()
        changed: set[int] = set()
        if mend and not lane.settled:
            changed = repair(lane) | put_leftovers(lane)
        yield community_id, _write_down(lane, changed)


def _classes_named(request: PlanRequest) -> list[str]:
    """Classes that columns, the past or fixed places name beyond the budget's own, which have no share."""
    named = {
        code
        for column in {id(o.column): o.column for o in request.openings}.values()
        for code in column.classes
    }
    named.update(pick.content_class for pick in request.fixed if pick.content_class)
    for state in request.communities:
        named.update(code for _local, code in state.recent)
    return sorted(named)


def _write_down(lane: Lane, changed: Collection[int]) -> Plan:
    answer = Plan([], [], lane.kept)
    items, codes = lane.library.items, lane.mix.codes
    add = answer.picks.append
    timeline: Timeline | None = None
    sizes: dict[tuple[int, int], int] = {}
    budget = lane.state.budget.text
    for place, (opening, code, number, ranked, before) in enumerate(
        zip(lane.openings, lane.classes, lane.chosen, lane.ranks, lane.befores, strict=True)
    ):
        if opening is None:
            continue
        if number < 0:
            timeline = timeline or Timeline(lane)
            answer.empty.append(_explain(lane, timeline, place, opening))
            continue
        shortfall = ranked[0][1]
        passed: tuple[str, ...] = ()
        if ranked[0][0] != code:
            tried = [index for index, _short in ranked]
            shortfall = ranked[tried.index(code)][1]
            if place not in changed:
                passed = tuple(codes[index] for index in tried[: tried.index(code)])
        item = items[number]
        size = sizes.get((id(opening.column), code))
        if size is None:
            size = lane.library.size(opening.column.pool, codes[code])
            sizes[id(opening.column), code] = size
        why = Why(
            shortfall,
            passed,
            None if before is None else date.fromordinal(before),
            size,
            item.weight,
            place in changed,
            budget,
        )
        add(Pick(opening, item, codes[code], why))
    return answer


def _explain(lane: Lane, timeline: Timeline, place: int, opening: Opening) -> EmptyPool:
    """Apply the filters one after the other and name the first that leaves nothing."""
    if lane.chosen[place] == CAPPED:
        return EmptyPool(opening, EmptyReason.DAILY_CAP)
    column = opening.column
    codes = {lane.mix.codes[index] for index in lane.mix.allowed(column)}
    matched = lane.library.matched(column.pool)
    of_class = [item for item in matched if item.content_class in codes]
    approved = [item for item in of_class if item.approved]
    number = lane.library.number
    valid = sum(lane.library.valid(number[item.id], opening.instant) for item in approved)
    counts = (len(matched), len(of_class), len(approved), valid)
    reasons = (EmptyReason.NO_MATERIAL, EmptyReason.CLASS, EmptyReason.UNAPPROVED, EmptyReason.VALIDITY)
    for count, reason in zip(counts, reasons, strict=True):
        if not count:
            return EmptyPool(opening, reason, *counts)
    if lane.is_full(lane.days[place]) and timeline.free_on_both_sides(place) is not None:
        return EmptyPool(
            opening, EmptyReason.DAILY_CAP
        )  # freed by the repair, when others had filled the day
    later = timeline.free_behind(place)
    return EmptyPool(opening, EmptyReason.NEEDED_LATER if later else EmptyReason.COOLDOWN, *counts)
