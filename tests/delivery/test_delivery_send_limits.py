"""Limits as data: their periods, what people change of them, and what is told of their use."""

from collections import Counter
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery.limited import community, is_as_recounted, limit, member, used

from lanmu.delivery.door.send_limits import SendLimits
from lanmu.delivery.door.windows import allowed, window_of
from lanmu.delivery.intake import Recipient
from lanmu.interfaces.clock import utc
from lanmu.interfaces.errors import Invalid, NotFound

SHANGHAI = ZoneInfo("Asia/Shanghai")


@given(
    st.integers(0, 60_000_000),
    st.sampled_from(["day", "week", "month"]),
    st.sampled_from([SHANGHAI, ZoneInfo("America/New_York"), ZoneInfo("Europe/London")]),
)
def test_each_instant_is_in_one_period_that_begins_at_midnight_and_ends_where_the_next_begins(
    second, period, zone
):
    instant = utc(2026, 1, 1) + timedelta(seconds=second)
    window = window_of(period, instant, zone)
    assert window.starts_on <= instant.astimezone(zone).date()
    assert instant < window.ends_at
    following = window_of(period, window.ends_at, zone)
    assert following.starts_on == window.ends_at.astimezone(zone).date() > window.starts_on
    assert window_of(period, window.ends_at - timedelta(microseconds=1), zone) == window
    assert following.starts_on.weekday() == 0 if period == "week" else True
    assert following.starts_on.day == 1 if period == "month" else True


def test_a_month_without_a_number_allows_as_many_as_it_has_days():
    assert [allowed(None, date(2026, month, 1)) for month in (2, 4, 12)] == [28, 30, 31]
    assert allowed(None, date(2028, 2, 1)) == 29
    assert allowed(0, date(2026, 2, 1)) == 0


def test_a_limit_that_is_switched_on_counts_what_went_out_before(room):
    room.limits.seed()
    room.limits.change("member.day", 2, False, None, "li")
    person = member(room)
    room.send(recipients=[Recipient("p", "", member_id=person)])
    room.run()
    assert used(room) == {}
    room.limits.change("member.day", 2, True, None, "li")
    assert used(room) == {f"member.day {person}": 1}
    for _each in range(2):
        room.send(recipients=[Recipient("p", "", member_id=person)])
    room.run()
    assert room.channel.sends() == {"p": 2}
    assert is_as_recounted(room)


def test_a_change_holds_at_once_and_says_who_made_it(room):
    room.limits.seed()
    changed = room.limits.change("wecom.group.week", 5, True, date(2026, 11, 22), "li")
    assert (changed.most, changed.enabled, changed.checked_on) == (5, True, date(2026, 11, 22))
    assert (changed.changed_by, changed.changed_at) == ("li", room.clock.now())
    room.limits.seed()
    assert changed in room.limits.everything()


@pytest.mark.parametrize(
    ("code", "most", "checked_on", "error"),
    [
        ("nothing.day", 1, None, NotFound),
        ("member.day", -1, None, Invalid),
        ("member.day", 1_000_001, None, Invalid),
        ("member.day", None, None, Invalid),
        ("wecom.group.month", None, date(2026, 11, 24), Invalid),
    ],
)
def test_a_change_that_means_nothing_is_refused(room, code, most, checked_on, error):
    room.limits.seed()
    before = room.limits.everything()
    with pytest.raises(error):
        room.limits.change(code, most, True, checked_on, "li")
    assert room.limits.everything() == before


def test_a_shop_that_moves_to_another_zone_counts_by_its_new_calendar(room):
    room.limits.seed()
    person = member(room)
    room.send(recipients=[Recipient("p", "", member_id=person)])
    room.run()
    room.clock.advance(timedelta(hours=10))  # 10:00 in London, still the day that has just begun there
    SendLimits(room.database, room.clock, "Europe/London").seed()
    assert is_as_recounted(room)
    assert used(room) == {f"member.day {person}": 1}


def test_what_is_used_today_is_told_by_limit(room):
    room.limits.seed()
    limit(room, "all", "channel", 10)
    full, other = community(room, "a", daily_cap=1), community(room, "b")
    for key in (full, other, other):
        room.send(recipients=[Recipient(f"g{key}", "", community_id=key)])
    room.run()
    told = {usage.limit.code: usage for usage in room.limits.used_today(room.channel.name)}
    day = told["community.day"]
    assert (day.subjects, day.used, day.highest, day.full, day.most) == (2, 3, 2, 1, 8)
    assert day.window.ends_at == utc(2026, 11, 23, 16)
    assert (told["all"].used, told["all"].full) == (3, 0)
    assert set(told) == {"community.day", "member.day", "test.day", "all"}
    assert {usage.limit.code: usage.used for usage in room.limits.used_today("another")}["all"] == 0
    all_channels = {usage.limit.code: usage for usage in room.limits.used_today("")}
    assert (all_channels["all"].subjects, all_channels["all"].used, all_channels["all"].highest) == (1, 3, 3)


def test_the_platforms_limits_name_their_source_and_the_day_they_were_checked(room):
    room.limits.seed()
    platform = [each for each in room.limits.everything() if each.origin == "platform"]
    assert Counter(each.enabled for each in platform) == {True: 2, False: 5}
    assert all(each.source and each.checked_on == date(2026, 11, 21) for each in platform)
    assert all((each.most is None) == each.enabled for each in platform)
