"""Slots on the calendar: weekdays, workdays, recurrence rules and the days on which clocks change."""

# ruff: noqa: DTZ001 - wall times have no zone of their own

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanmu.interfaces.clock import utc
from lanmu.interfaces.errors import Invalid
from lanmu.schedule.calendar import (
    EVERY_DAY,
    HolidayTable,
    RuleSlot,
    Weekday,
    WeeklySlot,
    is_over,
    moments,
    moments_of,
    parse_days,
    parse_time,
    resolve,
    slot_from,
)

SHANGHAI = "Asia/Shanghai"


def walls(slot, since, until, workdays=None):
    return [moment.wall.strftime("%m-%d %H:%M") for moment in moments(slot, since, until, workdays)]


def test_monday_in_a_slot_is_monday_on_the_calendar():
    slot = slot_from(zone=SHANGHAI, weekdays="mon", at="08:30")
    found = moments(slot, utc(2026, 3, 1), utc(2026, 3, 31))
    assert [moment.wall.strftime("%A") for moment in found] == ["Monday"] * 5
    assert found[0].instant == utc(2026, 3, 2, 0, 30)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon,wed", {Weekday.MONDAY, Weekday.WEDNESDAY}),
        (" Sun , sat ", {Weekday.SATURDAY, Weekday.SUNDAY}),
        ("daily", set(EVERY_DAY)),
    ],
)
def test_days_are_named(text, days):
    assert parse_days(text) == (frozenset(days), "any")


@pytest.mark.parametrize("text", ["", "1", "1-5", "monday", "mon;tue", "daily,mon"])
def test_days_by_number_are_refused_because_programs_count_them_differently(text):
    with pytest.raises(Invalid) as told:
        parse_days(text, "columns[2].weekdays")
    assert told.value.place == "columns[2].weekdays"
    assert "mon,tue" in told.value.way_out


@pytest.mark.parametrize("text", ["", "8", "24:00", "20:60", "8:5", "-1:00", "2０:00", "20:00:00", "noon"])
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(Invalid) as told:
        parse_time(text)
    assert told.value.place == "time"


def test_a_zone_that_is_none_is_refused_with_its_place():
    with pytest.raises(Invalid) as told:
        slot_from(zone="Asia/Peking", weekdays="daily", at="8:00", place="columns[1].slots[0]")
    assert told.value.place == "columns[1].slots[0].zone"
    assert "Asia/Peking" in str(told.value)


def test_the_horizon_is_half_open():
    slot = slot_from(zone=SHANGHAI, weekdays="daily", at="20:00")
    assert walls(slot, utc(2026, 3, 1, 12), utc(2026, 3, 2, 12)) == ["03-01 20:00"]


def test_workdays_follow_the_holiday_table():
    table = HolidayTable(
        rest=frozenset({date(2026, 10, 1), date(2026, 10, 2)}), work=frozenset({date(2026, 10, 10)})
    )
    slot = slot_from(zone=SHANGHAI, weekdays="workday", at="10:00")
    since, until = utc(2026, 9, 30), utc(2026, 10, 12)
    days = [text[:5] for text in walls(slot, since, until, table)]
    assert days == ["09-30", "10-05", "10-06", "10-07", "10-08", "10-09", "10-10"]
    rest = slot_from(zone=SHANGHAI, weekdays="restday", at="10:00")
    days = [text[:5] for text in walls(rest, since, until, table)]
    assert days == ["10-01", "10-02", "10-03", "10-04", "10-11"]


def test_without_a_table_workdays_are_monday_to_friday():
    slot = slot_from(zone=SHANGHAI, weekdays="workday", at="10:00")
    assert len(moments(slot, utc(2026, 3, 1), utc(2026, 3, 8))) == 5


def test_a_day_cannot_be_both_rest_and_work():
    with pytest.raises(Invalid, match="2026-10-01"):
        HolidayTable(frozenset({date(2026, 10, 1)}), frozenset({date(2026, 10, 1)}))


def test_a_time_in_the_lost_hour_is_moved_forward_by_the_gap():
    moment = resolve(datetime(2026, 3, 29, 2, 30), "Europe/Berlin")
    assert moment.instant == utc(2026, 3, 29, 1, 30)
    assert (moment.local, moment.shifted) == (datetime(2026, 3, 29, 3, 30), timedelta(hours=1))


def test_a_gap_of_half_an_hour_moves_by_half_an_hour():
    moment = resolve(datetime(2026, 10, 4, 2, 10), "Australia/Lord_Howe")
    assert moment.local == datetime(2026, 10, 4, 2, 40)


def test_a_time_that_comes_twice_fires_once_and_first():
    slot = slot_from(zone="Europe/Berlin", weekdays="daily", at="02:30")
    found = moments(slot, utc(2026, 10, 25), utc(2026, 10, 26))
    assert [(moment.instant, moment.fold, moment.ambiguous) for moment in found] == [
        (utc(2026, 10, 25, 0, 30), 0, True)
    ]


def test_a_daily_slot_keeps_its_wall_time_when_a_day_has_23_hours():
    slot = slot_from(zone="Europe/London", weekdays="daily", at="09:00")
    found = moments(slot, utc(2026, 3, 28), utc(2026, 3, 31))
    assert {moment.local.hour for moment in found} == {9}
    assert found[1].instant - found[0].instant == timedelta(hours=23)


def test_a_time_moved_past_midnight_is_found_from_either_side():
    # In Beirut midnight itself is left out when summer time begins.
    slot = WeeklySlot(time(0, 0), "Asia/Beirut", frozenset({Weekday.SUNDAY}))
    found = moments(slot, utc(2026, 3, 28, 22), utc(2026, 3, 28, 23))
    assert [moment.local for moment in found] == [datetime(2026, 3, 29, 1, 0)]


@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai"]),
)
def test_every_wall_time_means_one_instant_whose_wall_time_is_its_local(wall, zone):
    moment = resolve(wall, zone)
    assert moment.instant.tzinfo is UTC
    assert moment.instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0) == moment.local
    assert timedelta(0) <= moment.shifted <= timedelta(hours=1)


def test_adjoining_horizons_neither_lose_nor_repeat_a_moment():
    slots = [
        slot_from(zone="Europe/Berlin", weekdays="daily", at="02:30"),
        slot_from(zone="Europe/Berlin", rrule="FREQ=DAILY;BYHOUR=2,3", start=datetime(2026, 1, 1, 2, 30)),
    ]
    since, until = utc(2026, 3, 27), utc(2026, 4, 1)
    for slot in slots:
        pieces = [since + timedelta(hours=7 * step) for step in range(18)] + [until]
        apart = [m for a, b in pairwise(pieces) for m in moments(slot, a, b)]
        assert apart == moments(slot, since, until)
        assert len({moment.instant for moment in apart}) == len(apart)


def test_slots_of_a_column_that_meet_fire_once():
    slots = [slot_from(zone=SHANGHAI, weekdays=days, at="20:00") for days in ("daily", "fri")]
    assert len(moments_of(slots, utc(2026, 3, 2), utc(2026, 3, 9))) == 7


@pytest.mark.parametrize(
    ("rule", "start", "days"),
    [
        ("FREQ=MONTHLY;BYMONTHDAY=31", "2026-01-01", "01-31 02-28 03-31 04-30 05-31 06-30"),
        ("FREQ=MONTHLY;BYMONTHDAY=30", "2026-01-31", "02-28 03-30 04-30 05-30 06-30"),
        ("FREQ=MONTHLY", "2026-01-31", "01-31 02-28 03-31 04-30 05-31 06-30"),
        ("FREQ=MONTHLY;BYMONTHDAY=15,30,31", "2026-02-01", "02-15 02-28 03-15 03-30 03-31 04-15 04-30"),
        ("FREQ=MONTHLY;INTERVAL=2;COUNT=3", "2025-12-31", "02-28 04-30"),
        ("FREQ=MONTHLY;BYMONTHDAY=31;UNTIL=20260430", "2026-01-01", "01-31 02-28 03-31 04-30"),
        ("FREQ=YEARLY;BYMONTH=2,4;BYMONTHDAY=30", "2026-01-01", "02-28 04-30"),
        ("FREQ=YEARLY", "2024-02-29", "02-28"),
    ],
)
def test_a_day_that_a_month_does_not_have_is_its_last(rule, start, days):
    slot = slot_from(zone=SHANGHAI, rrule=rule, start=datetime.fromisoformat(f"{start}T09:00"))
    until = utc(2026, 4, 30, 4) if "15,30,31" in rule else utc(2026, 7, 1)
    assert [text[:5] for text in walls(slot, utc(2026, 1, 1), until)] == days.split()


def test_a_rule_by_late_days_ends_where_it_says():
    start = datetime(2026, 1, 31, 9)
    ended = slot_from(zone=SHANGHAI, rrule="FREQ=MONTHLY;COUNT=2", start=start)
    assert (is_over(ended, utc(2026, 2, 27)), is_over(ended, utc(2026, 2, 28, 2))) == (False, True)


def test_the_last_day_of_a_month_can_be_asked_for():
    last = slot_from(zone=SHANGHAI, rrule="FREQ=MONTHLY;BYMONTHDAY=-1", start=datetime(2026, 1, 1, 9))
    assert [text[:5] for text in walls(last, utc(2026, 1, 1), utc(2026, 4, 1))] == ["01-31", "02-28", "03-31"]


def test_a_rule_takes_its_start_from_the_text_and_its_time_from_the_slot():
    slot = slot_from(zone=SHANGHAI, rrule="DTSTART:20260305T080000\nRRULE:FREQ=WEEKLY;INTERVAL=2", at="20:00")
    assert walls(slot, utc(2026, 3, 1), utc(2026, 4, 3)) == ["03-05 20:00", "03-19 20:00", "04-02 20:00"]


@pytest.mark.parametrize(
    ("until", "days"),
    [("20260302", 3), ("20260302T115959Z", 2), ("20260302T120000Z", 3), ("20260302T195900", 2)],
)
def test_the_end_of_a_rule_may_be_a_day_or_an_instant(until, days):
    slot = slot_from(zone=SHANGHAI, rrule=f"FREQ=DAILY;UNTIL={until}", start=datetime(2026, 2, 28, 20))
    assert len(moments(slot, utc(2026, 2, 1), utc(2026, 4, 1))) == days


def test_single_days_can_be_left_out_of_a_rule():
    slot = RuleSlot("FREQ=DAILY;COUNT=3", datetime(2026, 3, 1, 20), SHANGHAI, frozenset({date(2026, 3, 2)}))
    assert walls(slot, utc(2026, 3, 1), utc(2026, 4, 1)) == ["03-01 20:00", "03-03 20:00"]


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ("hello", "HELLO"),
        ("FREQ=HOURLY", "HOURLY"),
        ("BYDAY=MO", "FREQ"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL"),
        ("FREQ=DAILY;COUNT=-1", "COUNT"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20260101", "UNTIL"),
        ("FREQ=DAILY;UNTIL=soon", "SOON"),
        ("FREQ=DAILY;BYHOUR=25", "25"),
        ("FREQ=DAILY;BYSECOND=1", "BYSECOND"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "never"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY"),
        ("FREQ=MONTHLY;BYDAY=6MO", "6MO"),
        ("FREQ=WEEKLY;BYDAY=1MO", "1MO"),
        ("FREQ=WEEKLY;BYDAY=MO;BYSETPOS=3", "BYSETPOS"),
        ("FREQ=WEEKLY;BYDAY=MO;BYDAY=TU", "BYDAY"),
        ("FREQ=WEEKLY;FOO=1", "FOO"),
        ("DTSTART;TZID=Europe/Berlin:20260101T000000\nRRULE:FREQ=DAILY", "TZID"),
        ("FREQ=DAILY\nFREQ=DAILY", "FREQ=DAILY"),
    ],
)
def test_a_faulty_rule_is_told_with_its_place_and_its_fault(rule, word):
    with pytest.raises(Invalid) as told:
        slot_from(zone=SHANGHAI, rrule=rule, start=datetime(2026, 1, 1), place="slots[0]")
    assert told.value.place.startswith("slots[0].rrule")
    assert word in str(told.value)
    assert told.value.way_out


def test_a_rule_and_weekdays_together_are_refused():
    with pytest.raises(Invalid, match="both given"):
        slot_from(zone=SHANGHAI, rrule="FREQ=DAILY", weekdays="mon", start=datetime(2026, 1, 1))


def test_a_rule_without_a_beginning_is_refused():
    with pytest.raises(Invalid, match="DTSTART"):
        slot_from(zone=SHANGHAI, rrule="FREQ=DAILY")


def test_a_horizon_without_a_zone_is_refused():
    slot = slot_from(zone=SHANGHAI, weekdays="daily", at="20:00")
    with pytest.raises(Invalid, match="no zone"):
        moments(slot, datetime(2026, 1, 1), utc(2026, 1, 2))
