"""The mix budget: shares kept exactly, and every prefix within one slot of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanmu.interfaces.errors import Invalid
from lanmu.schedule.mix import DEFAULT_BUDGET, MixBudget, class_order, deviation, gauges, next_class


def follow(parts, slots):
    counts = [0] * len(parts)
    for n in range(1, slots + 1):
        choice = class_order(parts, counts, [i for i, part in enumerate(parts) if part])[0]
        counts[choice] += 1
        yield n, counts


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=5).filter(any),
    st.randoms(use_true_random=False),
)
def test_every_prefix_is_within_one_slot_of_every_share(parts, random):
    random.shuffle(parts)
    total = sum(parts)
    for n, counts in follow(parts, 80):
        for part, count in zip(parts, counts, strict=True):
            assert abs(count * total - part * n) < total


def test_the_bound_holds_where_the_largest_shortfall_alone_breaks_it():
    parts = [6, 27, 2, 27, 2]

    def worst(pick):
        counts, far = [0] * 5, 0.0
        for n in range(1, 65):
            counts[pick(counts, n)] += 1
            far = max(far, *(abs(c - p * n / 64) for c, p in zip(counts, parts, strict=True)))
        return far

    assert worst(lambda counts, n: max(range(5), key=lambda i: parts[i] * n - counts[i] * 64)) > 1
    assert worst(lambda counts, n: class_order(parts, counts, range(5))[0]) < 1


def test_three_columns_a_day_at_the_default_budget_give_eleven_six_and_four_a_week():
    assert dict(follow([5, 3, 2], 21))[21] == [11, 6, 4]


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.data())
def test_a_column_that_narrows_the_choice_gets_the_class_that_strays_least(parts, data):
    counts = data.draw(st.lists(st.integers(0, 20), min_size=len(parts), max_size=len(parts)))
    allowed = data.draw(st.sets(st.integers(0, len(parts) - 1), min_size=1))
    order = class_order(parts, counts, allowed)
    assert sorted(order) == sorted(allowed)
    total, after = sum(parts), sum(counts) + 1
    owed = [parts[i] * after - counts[i] * total for i in order]
    # Classes that are owed something come first, the others with the smallest excess first.
    assert [x > 0 for x in owed] == sorted((x > 0 for x in owed), reverse=True)
    over = [x for x in owed if x <= 0]
    assert over == sorted(over, reverse=True)


@pytest.mark.parametrize("shares", [{"a": 0.5, "b": 0.3, "c": 0.2}, {"a": "50", "b": 30, "c": 20.0}])
def test_shares_may_be_given_as_parts_of_one_or_per_cent(shares):
    budget = MixBudget.of(shares)
    assert [budget.share(code) for code in "abcd"] == [0.5, 0.3, 0.2, 0.0]


def test_thirds_written_as_floats_are_not_a_whole():
    with pytest.raises(Invalid) as told:
        MixBudget.of({"a": 0.333, "b": 0.333, "c": 0.333}, "community.mix")
    assert told.value.place == "community.mix"
    assert "0.999" in str(told.value)


@pytest.mark.parametrize(("share", "word"), [("half", "half"), (-0.5, "below 0"), (float("nan"), "nan")])
def test_a_share_that_is_none_is_told_by_its_class(share, word):
    with pytest.raises(Invalid) as told:
        MixBudget.of({"brand": share, "other": 0.5})
    assert told.value.place == "mix.brand"
    assert word in str(told.value)


def test_an_empty_budget_is_refused():
    with pytest.raises(Invalid):
        MixBudget.of({})


def test_the_gauge_counts_classes_outside_the_budget_too():
    found = gauges(DEFAULT_BUDGET, {"engagement": 5, "conversion": 3, "service": 2})
    assert [(g.code, g.count, g.target, g.deviation) for g in found] == [
        ("engagement", 5, 5.0, 0.0),
        ("conversion", 3, 3.0, 0.0),
        ("brand", 0, 2.0, -2.0),
        ("service", 2, 0.0, 2.0),
    ]
    assert deviation(DEFAULT_BUDGET, {"engagement": 11, "conversion": 6, "brand": 4}) == pytest.approx(1.0)


def test_the_next_class_is_the_one_owed_most_that_the_column_allows():
    counts = {"engagement": 3, "conversion": 3, "brand": 0}
    assert next_class(DEFAULT_BUDGET, counts) == "brand"
    assert next_class(DEFAULT_BUDGET, counts, ["engagement", "conversion"]) == "engagement"
    assert next_class(DEFAULT_BUDGET, counts, ["service"]) == "service"
    with pytest.raises(Invalid):
        next_class(DEFAULT_BUDGET, counts, [])
