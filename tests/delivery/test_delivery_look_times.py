"""When "not found" counts: never sooner than the floor, whatever a channel declares, nor than it declares."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanmu.delivery.followup.look_times import ABSENT_AFTER, CLOCKS_DIFFER, LookTimes, hasty, pace
from lanmu.interfaces.channels import Abilities
from lanmu.interfaces.clock import utc

SPANS = st.timedeltas(timedelta(0), timedelta(days=2))
NOW = utc(2026, 11, 23)


def times(settle: timedelta) -> LookTimes:
    return LookTimes.of(Abilities(lookup=True, settle=settle), ABSENT_AFTER)


@given(SPANS)
def test_two_looks_that_count_lie_behind_the_settle_time_and_the_floor(settle: timedelta):
    found = times(settle)
    known = found.counts_at(NOW, NOW)
    assert known - NOW >= max(settle, ABSENT_AFTER)
    assert found.apart >= ABSENT_AFTER
    unknown = found.counts_at(NOW, None)
    assert unknown - NOW >= ABSENT_AFTER
    assert found.surely >= max(settle, ABSENT_AFTER), "so far behind the first is the second, which proves it"


@given(SPANS)
def test_a_clock_that_is_set_back_or_forth_meanwhile_shortens_neither_wait_below_what_was_declared(
    settle: timedelta,
):
    found = times(settle)
    by_then = found.surely + found.apart - CLOCKS_DIFFER
    assert by_then >= min(settle, ABSENT_AFTER)
    assert by_then >= settle - CLOCKS_DIFFER + ABSENT_AFTER


@given(SPANS, SPANS)
def test_until_then_it_is_looked_for_at_most_once_a_minute_and_never_after(
    settle: timedelta, passed: timedelta
):
    found = times(settle)
    counts_at = found.counts_at(NOW, NOW)
    if NOW + passed < counts_at:
        again = found.soon(NOW + passed, counts_at)
        assert NOW + passed < again <= counts_at
        assert again == counts_at or again - (NOW + passed) >= timedelta(minutes=1)


@given(SPANS)
def test_what_fails_is_tried_ever_less_often_from_a_minute_to_two_hours(age: timedelta):
    assert timedelta(minutes=1) <= pace(age) <= timedelta(hours=2)
    assert pace(age) <= pace(age + timedelta(minutes=1))


QUICK = Abilities(lookup=True, settle=timedelta(minutes=1))
SECONDS = timedelta(seconds=3)


def test_a_lower_floor_is_hasty_where_a_channel_says_that_it_settles_sooner():
    assert hasty(QUICK, SECONDS)
    assert not hasty(QUICK, ABSENT_AFTER)


@pytest.mark.parametrize(
    "other",
    [
        {"settle": ABSENT_AFTER},
        {"lookup": False},
        {"idempotency": timedelta(hours=4)},
        {"local": True},
        {"sandbox": True},
    ],
)
def test_a_lower_floor_does_no_harm_where_it_changes_nothing_or_nobody_gets_anything(other):
    assert not hasty(replace(QUICK, **other), SECONDS)


@given(SPANS, SPANS)
def test_where_a_floor_is_not_hasty_no_wait_is_shorter_than_with_ours(settle: timedelta, floor: timedelta):
    abilities = replace(QUICK, settle=settle)
    ours, theirs = LookTimes.of(abilities, ABSENT_AFTER), LookTimes.of(abilities, floor)
    shorter = theirs.surely < ours.surely or theirs.apart < ours.apart
    assert hasty(abilities, floor) is shorter
