"""The planner: rules never broken, a reason for every place, and how near it comes to the best plan."""

# ruff: noqa: DTZ001 - wall times have no zone of their own

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanmu.schedule.mix import DEFAULT_BUDGET, MixBudget
from lanmu.schedule.planner import plan
from lanmu.schedule.problem import (
    Candidate,
    ColumnRules,
    CommunityState,
    EmptyReason,
    FixedPick,
    Opening,
    PlanRequest,
    Pool,
)

CLASSES = ("engagement", "conversion", "brand")
START = datetime(2026, 3, 2)
ANY = ColumnRules(1, cooldown_days=30)


def opening(column, day, hour=20, community=1):
    local = START + timedelta(days=day, hours=hour)
    return Opening(column, community, (local - timedelta(hours=8)).replace(tzinfo=UTC), local)


def three_a_day(days, column=ANY, community=1):
    return [opening(column, day, hour, community) for day in range(days) for hour in (9, 15, 20)]


def shelf(**counts):
    return [
        Candidate(f"{code}-{number}", code, tags=frozenset({"t"}))
        for code, count in counts.items()
        for number in range(count)
    ]


ROOMY = shelf(engagement=60, conversion=40, brand=30)


def reasons(request):
    return [
        (empty.reason, empty.matched, empty.of_class, empty.approved, empty.valid)
        for empty in plan(request).empty
    ]


# What a plan must keep, checked without the planner's own code.


def broken_rules(request, result):
    states = {state.id: state for state in request.communities}
    uses: dict[tuple[object, object], list[tuple[int, int, bool]]] = {}
    found = []
    for pick in result.picks:
        rules, material = pick.opening.column, pick.material
        since, until = material.valid_from, material.valid_until
        if since is not None and pick.opening.instant < since:
            found.append("too early")
        if until is not None and pick.opening.instant >= until:
            found.append("too late")
        if not material.approved:
            found.append("unapproved")
        if not rules.pool.takes(material):
            found.append("pool")
        if material.content_class != pick.content_class:
            found.append("class")
        if rules.classes and pick.content_class not in rules.classes:
            found.append("class not allowed")
        key = (pick.opening.community_id, material.id)
        uses.setdefault(key, []).append((pick.opening.local.toordinal(), rules.cooldown_days, True))
    for pick in request.fixed:
        if pick.material_id is not None:
            key = (pick.community_id, pick.material_id)
            uses.setdefault(key, []).append((pick.local.toordinal(), pick.cooldown_days, False))
    for state in states.values():
        for material_id, day in state.last_used.items():
            uses.setdefault((state.id, material_id), []).append((day.toordinal(), 0, False))
    for days in uses.values():
        for i, (a, cooldown_a, ours_a) in enumerate(days):
            for b, cooldown_b, ours_b in days[i + 1 :]:
                # Two fixed uses may be as near as a person wants them.
                if (ours_a or ours_b) and abs(a - b) < max(cooldown_a, cooldown_b):
                    found.append("cooldown")
    picked_days = Counter((pick.opening.community_id, pick.opening.local.date()) for pick in result.picks)
    a_day = Counter(picked_days)
    a_day.update((p.community_id, p.local.date()) for p in request.fixed if p.material_id is not None)
    for (community_id, day), count in picked_days.items():
        cap = states[community_id].daily_cap if community_id in states else None
        if cap is not None and count and a_day[community_id, day] > cap:
            found.append("daily cap")
    return found


def week_cost(request, result, budget=DEFAULT_BUDGET):
    """Sum over all rolling weeks of the distance from the shares, for one community."""
    past = list(request.communities[0].recent) if request.communities else []
    had = past + [(pick.opening.local, pick.content_class) for pick in result.picks]
    had += [(pick.local, pick.content_class) for pick in request.fixed if pick.content_class]
    return sum(
        distance(budget, [c for at, c in had if end - timedelta(7) < at <= end])
        for end in week_ends([o.local for o in request.openings])
    )


def week_ends(places):
    """Every place ends a week, and so does the time a week after it, where that lies past the last place."""
    return [*places, *(at + timedelta(7) for at in places if at + timedelta(7) > max(places))]


def distance(budget, classes):
    return sum(abs(classes.count(code) - budget.share(code) * len(classes)) for code in budget.codes)


@st.composite
def requests(draw):
    """Small and mostly tight: few materials, short horizons, odd columns, a past and fixed places."""
    tags = ("a", "b", "c")
    moment = st.none() | st.integers(-2, 14).map(lambda d: (START + timedelta(days=d)).replace(tzinfo=UTC))
    materials = [
        Candidate(
            number,
            draw(st.sampled_from(CLASSES)),
            kind=draw(st.sampled_from(("k", "l"))),
            tags=frozenset(draw(st.sets(st.sampled_from(tags), max_size=2))),
            valid_from=draw(moment),
            valid_until=draw(moment),
            weight=draw(st.sampled_from((1.0, 1.0, 2.0))),
            approved=draw(st.integers(0, 9)) > 0,
        )
        for number in range(draw(st.integers(0, 14)))
    ]
    columns = [
        ColumnRules(
            number,
            tuple(sorted(draw(st.sets(st.sampled_from(CLASSES), max_size=2)))),
            Pool(
                tags=frozenset(draw(st.sets(st.sampled_from(tags), max_size=2))),
                kinds=frozenset(draw(st.sets(st.just("k")))),
                every_tag=draw(st.booleans()),
            ),
            draw(st.integers(0, 9)),
            draw(st.sampled_from((0, 0, 10, -10))),
        )
        for number in range(draw(st.integers(1, 3)))
    ]
    days = draw(st.integers(1, 12))
    openings = [
        opening(column, day, 8 + int(column.id), community)
        for community in range(draw(st.integers(1, 2)))
        for day in range(days)
        for column in columns
    ]
    fixed = [
        FixedPick(
            o.column.id,
            o.community_id,
            o.local,
            material,
            draw(st.sampled_from(CLASSES)) if material is not None else "",
            draw(st.integers(0, 5)),
        )
        for o in draw(
            st.lists(st.sampled_from(openings), max_size=4, unique_by=lambda o: (o.community_id, o.local))
        )
        for material in [draw(st.none() | st.integers(0, 16))]
    ]
    state = CommunityState(
        0,
        draw(st.sampled_from((DEFAULT_BUDGET, MixBudget.of({"engagement": 0.9, "brand": 0.1})))),
        {
            draw(st.integers(0, 16)): date(2026, 2, draw(st.integers(20, 28)))
            for _ in range(draw(st.integers(0, 4)))
        },
        [
            (START - timedelta(days=d, hours=3), draw(st.sampled_from(CLASSES)))
            for d in range(draw(st.integers(0, 8)))
        ],
        draw(st.none() | st.integers(0, 3)),
    )
    return PlanRequest(openings, materials, [state], fixed, draw(st.integers(0, 3)))


@settings(max_examples=120, deadline=None)
@given(requests())
def test_no_plan_breaks_a_rule_and_every_opening_is_answered_once(request):
    result = plan(request)
    assert broken_rules(request, result) == []
    answered = Counter((p.opening.column.id, p.opening.community_id, p.opening.local) for p in result.picks)
    answered.update((e.opening.column.id, e.opening.community_id, e.opening.local) for e in result.empty)
    answered.update((f.column_id, f.community_id, f.local) for f in result.kept)
    assert set(answered.values()) <= {1}
    assert set(answered) == {(o.column.id, o.community_id, o.local) for o in request.openings}
    assert sorted(result.kept, key=repr) == sorted(request.fixed, key=repr)


@settings(max_examples=60, deadline=None)
@given(requests())
def test_a_place_is_left_empty_only_where_its_reason_is_true(request):
    result = plan(request)
    uses: dict[tuple[object, object], list[tuple[int, int]]] = {}
    for pick in result.picks:
        uses.setdefault((pick.opening.community_id, pick.material.id), []).append(
            (pick.opening.local.toordinal(), pick.opening.column.cooldown_days)
        )
    for fixed in request.fixed:
        uses.setdefault((fixed.community_id, fixed.material_id), []).append(
            (fixed.local.toordinal(), fixed.cooldown_days)
        )
    for state in request.communities:
        for key, day in state.last_used.items():
            uses.setdefault((state.id, key), []).append((day.toordinal(), 0))
    states = {state.id: state for state in request.communities}
    for empty in result.empty:
        at, rules = empty.opening, empty.opening.column
        budget = states[at.community_id].budget if at.community_id in states else DEFAULT_BUDGET
        classes = rules.classes or budget.codes
        matched = [m for m in request.materials if rules.pool.takes(m)]
        of_class = [m for m in matched if m.content_class in classes]
        approved = [m for m in of_class if m.approved]
        valid = [
            m
            for m in approved
            if (m.valid_from is None or m.valid_from <= at.instant)
            and (m.valid_until is None or at.instant < m.valid_until)
        ]

        def free(material, behind_only, at=at):
            day = at.local.toordinal()
            return all(
                abs(day - then) >= max(its, at.column.cooldown_days) or (behind_only and then > day)
                for then, its in uses.get((at.community_id, material.id), ())
            )

        if empty.reason is EmptyReason.DAILY_CAP:
            day = at.local.date()
            filled = [
                p
                for p in result.picks
                if p.opening.community_id == at.community_id and p.opening.local.date() == day
            ]
            filled_by_hand = [
                f
                for f in request.fixed
                if f.community_id == at.community_id and f.local.date() == day and f.material_id is not None
            ]
            assert len(filled) + len(filled_by_hand) >= states[at.community_id].daily_cap
            continue
        assert not any(free(m, behind_only=False) for m in valid)
        expected = (
            EmptyReason.NO_MATERIAL
            if not matched
            else EmptyReason.CLASS
            if not of_class
            else EmptyReason.UNAPPROVED
            if not approved
            else EmptyReason.VALIDITY
            if not valid
            else EmptyReason.NEEDED_LATER
            if any(free(m, behind_only=True) for m in valid)
            else EmptyReason.COOLDOWN
        )
        assert empty.reason is expected


def rank(place):
    return -place.column.priority, place.local, place.column.id


@settings(max_examples=200, deadline=None)
@given(requests())
def test_no_place_stays_empty_for_the_cap_while_one_behind_it_in_line_is_filled(request):
    result = plan(request)
    for empty in result.empty:
        at = empty.opening
        if empty.reason is EmptyReason.DAILY_CAP:
            filled = [
                pick.opening
                for pick in result.picks
                if (pick.opening.community_id, pick.opening.local.date())
                == (at.community_id, at.local.date())
            ]
            assert [each for each in filled if rank(each) > rank(at)] == []


@settings(max_examples=40, deadline=None)
@given(requests(), st.randoms(use_true_random=False))
def test_the_same_request_in_any_order_gives_the_same_plan(request, shuffle):
    first = plan(request)
    assert plan(request) == first
    openings, materials = list(request.openings), list(request.materials)
    shuffle.shuffle(openings)
    shuffle.shuffle(materials)
    again = plan(replace(request, openings=openings, materials=materials))
    assert sorted(again.picks, key=repr) == sorted(first.picks, key=repr)


@settings(max_examples=40, deadline=None)
@given(requests())
def test_planning_again_over_a_fixed_plan_changes_nothing(request):
    first = plan(request)
    kept = [
        FixedPick(
            pick.opening.column.id,
            pick.opening.community_id,
            pick.opening.local,
            pick.material.id,
            pick.content_class,
            pick.opening.column.cooldown_days,
        )
        for pick in first.picks
    ]
    second = plan(replace(request, fixed=[*request.fixed, *kept]))
    assert second.picks == []
    assert {(e.opening.column.id, e.opening.community_id, e.opening.local) for e in second.empty} == {
        (e.opening.column.id, e.opening.community_id, e.opening.local) for e in first.empty
    }


@settings(max_examples=40, deadline=None)
@given(requests())
def test_the_repair_pass_never_makes_a_plan_worse(request):
    request = replace(
        request,
        openings=[o for o in request.openings if o.community_id == 0],
        fixed=[f for f in request.fixed if f.community_id == 0],
    )
    budget = request.communities[0].budget.with_classes(CLASSES)
    greedy, mended = plan(request, mend=False), plan(request)
    assert len(mended.picks) >= len(greedy.picks)
    if len(mended.picks) == len(greedy.picks):
        assert week_cost(request, mended, budget) <= week_cost(request, greedy, budget) + 1e-9


def best_by_trying_all(request):
    """The most places filled, and among such plans the least week cost; one pool, one cooldown."""
    best = (-1, 0.0)
    cooldown = request.openings[0].column.cooldown_days
    stock = Counter(m.content_class for m in request.materials)
    places = [o.local for o in request.openings]
    days, ends = [at.toordinal() for at in places], week_ends(places)
    for classes in product((*CLASSES, ""), repeat=len(days)):
        # Materials of a class are alike: no stretch of cooldown days may need more than there are.
        if any(
            sum(c == code and start <= d < start + cooldown for c, d in zip(classes, days, strict=True))
            > stock[code]
            for code in CLASSES
            for start in set(days)
        ):
            continue
        filled = sum(map(bool, classes))
        if filled < best[0]:
            continue
        had = list(zip(places, classes, strict=True))
        cost = sum(
            distance(DEFAULT_BUDGET, [c for at, c in had if c and end - timedelta(7) < at <= end])
            for end in ends
        )
        if filled > best[0] or cost < best[1]:
            best = (filled, cost)
    return best


def test_small_tight_plans_come_near_the_best_of_all_plans():
    draw = random.Random(20260302)
    ours, best = 0.0, 0.0
    for _case in range(12):
        column = ColumnRules(1, cooldown_days=draw.randint(2, 5))
        materials = shelf(**{code: draw.randint(0, 2) for code in CLASSES}) or shelf(brand=1)
        request = PlanRequest([opening(column, day) for day in range(7)], materials)
        filled, cost = best_by_trying_all(request)
        result = plan(request)
        assert len(result.picks) == filled
        ours, best = ours + week_cost(request, result), best + cost
    assert best <= ours + 1e-9
    assert ours <= 1.05 * best


# A roomy library.


def test_a_roomy_library_fills_every_slot_and_every_rolling_week_is_within_rounding():
    request = PlanRequest(three_a_day(30), ROOMY)
    result = plan(request)
    assert not result.empty
    classes = [pick.content_class for pick in sorted(result.picks, key=lambda pick: pick.opening.local)]
    weeks = [Counter(classes[first : first + 21]) for first in range(len(classes) - 20)]
    assert all(week == {"engagement": 11, "conversion": 6, "brand": 4} for week in weeks)
    for n in range(1, 22):
        for code, share in zip(CLASSES, (0.5, 0.3, 0.2), strict=True):
            assert abs(classes[:n].count(code) - share * n) < 1


def test_a_pick_says_why():
    request = PlanRequest([opening(ANY, 0), opening(ANY, 1)], shelf(engagement=3), [CommunityState(1)])
    first, second = plan(request).picks
    assert first.why.as_doc() == {
        "shortfall": 0.5,
        "passed_over": [],
        "last_used": None,
        "pool_size": 3,
        "weight": 1.0,
        "repaired": False,
        "mix": "engagement:5 conversion:3 brand:2",
    }
    assert second.why.passed_over == ("conversion", "brand")


def test_new_materials_go_first_then_those_used_longest_ago():
    column = ColumnRules(1, cooldown_days=3)
    state = CommunityState(
        1, last_used={"brand-0": date(2026, 2, 1), "brand-1": date(2026, 1, 1), "brand-2": date(2026, 2, 25)}
    )
    request = PlanRequest([opening(column, day) for day in range(5)], shelf(brand=4), [state])
    order = [(pick.material.id, pick.why.last_used) for pick in plan(request).picks]
    assert order == [
        ("brand-3", None),
        ("brand-1", date(2026, 1, 1)),
        ("brand-0", date(2026, 2, 1)),
        ("brand-2", date(2026, 2, 25)),
        ("brand-3", date(2026, 3, 2)),
    ]


def test_a_heavier_material_goes_before_a_lighter_one():
    materials = [Candidate(number, "brand", weight=float(number % 3)) for number in range(9)]
    request = PlanRequest([opening(ANY, day) for day in range(9)], materials)
    assert [pick.material.weight for pick in plan(request).picks] == [2.0] * 3 + [1.0] * 3 + [0.0] * 3


def test_communities_with_one_pool_do_not_all_get_the_same_material():
    request = PlanRequest([opening(ANY, 0, community=number) for number in range(20)], ROOMY)
    assert len({pick.material.id for pick in plan(request).picks}) > 5


def test_another_seed_draws_otherwise():
    request = PlanRequest(three_a_day(5), ROOMY)
    drawn = {tuple(pick.material.id for pick in plan(replace(request, seed=seed)).picks) for seed in range(3)}
    assert len(drawn) == 3


def test_a_material_comes_back_on_the_same_weekday_after_seven_days():
    column = ColumnRules(1, cooldown_days=7)
    request = PlanRequest([opening(column, day, hour=20 if day else 21) for day in range(8)], shelf(brand=1))
    assert [pick.opening.local.day for pick in plan(request).picks] == [2, 9]


def test_the_cooldown_holds_across_columns_and_the_longer_one_counts():
    long, short = ColumnRules(1, cooldown_days=10), ColumnRules(2, cooldown_days=1)
    request = PlanRequest([opening(long, 0), opening(short, 9), opening(short, 10)], shelf(brand=1))
    assert [pick.opening.local.day for pick in plan(request).picks] == [2, 12]


def test_the_past_week_counts_in_the_mix():
    recent = [(START - timedelta(days=day, hours=4), "engagement") for day in range(5)]
    request = PlanRequest([opening(ANY, 0)], ROOMY, [CommunityState(1, recent=recent)])
    assert plan(request).picks[0].content_class == "conversion"
    older = [(at - timedelta(days=14), code) for at, code in recent]
    request = PlanRequest([opening(ANY, 0)], ROOMY, [CommunityState(1, recent=older)])
    assert plan(request).picks[0].content_class == "engagement"


def test_a_community_has_its_own_budget():
    budget = MixBudget.of({"product": 60, "values": 40})
    request = PlanRequest(
        [opening(ANY, day) for day in range(5)], shelf(product=5, values=5), [CommunityState(1, budget)]
    )
    assert Counter(pick.content_class for pick in plan(request).picks) == {"product": 3, "values": 2}


def test_a_budget_of_one_class_is_planned_in_a_tight_library_too():
    column = ColumnRules(1, cooldown_days=3)
    state = CommunityState(1, MixBudget.of({"brand": 1}))
    request = PlanRequest([opening(column, day) for day in range(9)], shelf(brand=2), [state])
    assert len(plan(request).picks) == 6


def test_a_fixed_place_counts_for_the_mix_and_for_the_cooldown_on_both_sides():
    column = ColumnRules(1, cooldown_days=3)
    fixed = FixedPick(1, 1, opening(column, 3).local, "brand-0", "brand", 3)
    request = PlanRequest([opening(column, day) for day in range(7)], shelf(brand=1), fixed=[fixed])
    result = plan(request)
    assert result.kept == [fixed]
    assert [pick.opening.local.day for pick in result.picks] == [2, 8]


def test_a_place_taken_out_by_hand_stays_out():
    fixed = FixedPick(1, 1, opening(ANY, 1).local, None, "")
    result = plan(PlanRequest([opening(ANY, day) for day in range(3)], ROOMY, fixed=[fixed]))
    assert [pick.opening.local.day for pick in result.picks] == [2, 4]
    assert result.kept == [fixed]


def test_a_fixed_material_that_left_the_library_still_counts():
    fixed = FixedPick(9, 1, START, "gone", "engagement")
    result = plan(PlanRequest([opening(ANY, 0)], ROOMY, fixed=[fixed]))
    assert result.picks[0].content_class == "conversion"


def test_the_daily_cap_leaves_the_later_places_of_a_day_empty():
    request = PlanRequest(three_a_day(2), ROOMY, [CommunityState(1, daily_cap=2)])
    result = plan(request)
    assert [(empty.opening.local.hour, empty.reason) for empty in result.empty] == [
        (20, EmptyReason.DAILY_CAP)
    ] * 2


def test_a_column_of_higher_priority_has_the_places_that_the_cap_leaves_though_it_comes_later():
    early, late = ColumnRules(1, priority=0), ColumnRules(2, priority=10)
    openings = [opening(early, day, hour) for day in range(2) for hour in (8, 9)]
    openings += [opening(late, day, 20) for day in range(2)]
    result = plan(PlanRequest(openings, ROOMY, [CommunityState(1, daily_cap=2)]))
    assert sorted((p.opening.local.day, p.opening.local.hour) for p in result.picks) == [
        (2, 8),
        (2, 20),
        (3, 8),
        (3, 20),
    ]
    assert {(e.opening.local.hour, e.reason) for e in result.empty} == {(9, EmptyReason.DAILY_CAP)}


def test_a_place_that_the_first_in_line_cannot_use_goes_to_the_next():
    first, last = ColumnRules(1, pool=Pool(frozenset({"nothing"})), priority=10), ColumnRules(2)
    openings = [opening(last, 0, 8), opening(last, 0, 9), opening(first, 0, 20)]
    result = plan(PlanRequest(openings, ROOMY, [CommunityState(1, daily_cap=2)]))
    assert [pick.opening.local.hour for pick in result.picks] == [8, 9]
    assert [empty.reason for empty in result.empty] == [EmptyReason.NO_MATERIAL]


# Empty pools name the filter that emptied them.


@pytest.mark.parametrize(
    ("materials", "column", "told"),
    [
        ([], ANY, (EmptyReason.NO_MATERIAL, 0, 0, 0, 0)),
        (
            shelf(brand=2),
            ColumnRules(1, pool=Pool(tags=frozenset({"other"}))),
            (EmptyReason.NO_MATERIAL, 0, 0, 0, 0),
        ),
        (shelf(brand=2), ColumnRules(1, ("conversion",)), (EmptyReason.CLASS, 2, 0, 0, 0)),
        ([Candidate(1, "brand", approved=False)], ANY, (EmptyReason.UNAPPROVED, 1, 1, 0, 0)),
        (
            [Candidate(1, "brand", valid_until=datetime(2026, 3, 2, 12, tzinfo=UTC))],
            ANY,
            (EmptyReason.VALIDITY, 1, 1, 1, 0),
        ),
    ],
)
def test_an_empty_pool_names_the_filter(materials, column, told):
    assert reasons(PlanRequest([opening(column, 0)], materials)) == [told]


def test_a_pool_that_rests_is_told_from_one_that_is_empty():
    request = PlanRequest([opening(ANY, 0), opening(ANY, 1)], shelf(brand=1))
    assert reasons(request) == [(EmptyReason.COOLDOWN, 1, 1, 1, 1)]


def test_a_material_kept_for_a_fixed_place_ahead_is_told_so():
    fixed = FixedPick(9, 1, START + timedelta(days=3), "brand-0", "brand")
    request = PlanRequest([opening(ANY, 0)], shelf(brand=1), fixed=[fixed])
    assert reasons(request) == [(EmptyReason.NEEDED_LATER, 1, 1, 1, 1)]


def test_a_column_that_takes_one_class_is_not_starved_by_one_that_takes_all():
    picky = ColumnRules(2, ("engagement",), cooldown_days=30)
    openings = [opening(ANY, 0, 9), opening(picky, 0, 15)]
    request = PlanRequest(openings, shelf(engagement=1, brand=1))
    assert [empty.opening for empty in plan(request, mend=False).empty] == [openings[1]]
    mended = plan(request)
    assert [(pick.content_class, pick.why.repaired) for pick in mended.picks] == [
        ("brand", True),
        ("engagement", True),
    ]


def test_pairs_of_uses_in_a_tight_library_keep_their_distance():
    column = ColumnRules(1, cooldown_days=14)
    request = PlanRequest(three_a_day(30, column), shelf(engagement=17, conversion=7, brand=5))
    result = plan(request)
    days: dict[object, list[int]] = {}
    for pick in sorted(result.picks, key=lambda pick: pick.opening.local):
        days.setdefault(pick.material.id, []).append(pick.opening.local.toordinal())
    assert all(b - a >= 14 for uses in days.values() for a, b in pairwise(uses))
    assert week_cost(request, result) < 0.95 * week_cost(request, plan(request, mend=False))
