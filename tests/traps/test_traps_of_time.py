"""Time as others got it wrong: lost minutes, short months, leap days, the server's zone, weekday numbers."""

import os
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from datetime import time as wall

import pytest
from tests.delivery.conftest import Room
from tests.shop import Shop, daily

from lanmu.delivery.door.quiet import QuietHours
from lanmu.interfaces.clock import utc
from lanmu.interfaces.errors import Invalid
from lanmu.schedule.calendar import moments, parse_days, slot_from
from lanmu.schedule.columns import SlotDraft

SHANGHAI = "Asia/Shanghai"


def days(rule: str, start: str, since: int, until: int, zone: str = SHANGHAI) -> list[date]:
    """The days on which a rule comes round in these years."""
    slot = slot_from(zone=zone, rrule=rule, start=datetime.fromisoformat(start))
    return [moment.wall.date() for moment in moments(slot, utc(since, 1, 1), utc(until, 1, 1))]


def test_a_push_is_not_lost_because_the_server_was_down_in_its_very_minute(small_shop: Shop) -> None:
    """Compared for an equal minute it would be gone for ever."""
    small_shop.stock(5)
    small_shop.community("一群")
    small_shop.column("晚间", *daily("20:00"))
    small_shop.schedule.plan_ahead()
    due = small_shop.all()[0].due_at
    small_shop.clock.set(due + timedelta(minutes=7, seconds=13))
    assert small_shop.schedule.hand_over() == 1
    small_shop.dispatch()
    assert small_shop.channel.sends() == {"key-一群": 1}


def test_after_a_long_downtime_what_was_missed_is_in_sight_and_asked_about_never_dropped_or_burst(
    small_shop: Shop,
) -> None:
    small_shop.stock(5)
    small_shop.community("一群")
    small_shop.column("晚间", *daily("20:00"))
    small_shop.schedule.plan_ahead()
    first = small_shop.all()[0]
    small_shop.to(first.due_at)
    small_shop.schedule.hand_over()  # the first is a push already when the power goes
    small_shop.clock.set(first.due_at + timedelta(days=2, hours=5))
    small_shop.schedule.plan_ahead()
    small_shop.schedule.hand_over()
    small_shop.dispatch()
    assert small_shop.channel.effects == []
    assert [each.state for each in small_shop.all()][:3] == ["handed_over", "missed", "missed"]
    (push,) = small_shop.pushes()
    assert (push.state, push.planned) in (("held", 1), ("expired", 1))
    assert sum(small_shop.delivery.get(push.public_id).progress.targets.values()) == 1


def test_a_push_that_became_late_is_held_for_a_person_with_its_reason(room: Room) -> None:
    push = room.send("g1")
    room.clock.advance(timedelta(hours=2))
    room.run()
    assert room.channel.effects == []
    assert (room.push(push).state, room.unit(push).code) == ("held", "late")
    room.service.resume(push.id)
    room.run()
    assert room.channel.sends() == {"g1": 1}


def test_the_reminder_of_the_31st_comes_in_every_month() -> None:
    found = days("FREQ=MONTHLY;BYMONTHDAY=31", "2027-01-01T09:00", 2027, 2028)
    assert [(day.month, day.day) for day in found] == [
        (month, last) for month, last in enumerate((31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), 1)
    ]


def test_a_birthday_on_29_february_is_kept_in_every_year() -> None:
    found = days("FREQ=YEARLY", "2024-02-29T09:00", 2024, 2029)
    assert [str(day) for day in found] == [
        "2024-02-29",
        "2025-02-28",
        "2026-02-28",
        "2027-02-28",
        "2028-02-29",
    ]


def test_the_day_before_1_march_is_that_of_its_own_year() -> None:
    found = days("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1", "1996-01-01T09:00", 2027, 2029)
    assert [day + timedelta(days=1) for day in found] == [date(2027, 3, 1), date(2028, 3, 1)]


@pytest.fixture(params=["UTC", "America/New_York", "Pacific/Kiritimati"])
def servers_zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """The zone that the machine itself is set to."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("servers_zone")
def test_an_evening_greeting_comes_at_eight_in_the_evening_whatever_zone_the_server_has(shop: Shop) -> None:
    """One wrong zone, and the blessing came at three in the night."""
    shop.stock(5)
    shop.community("一群")
    shop.column("晚间", *daily("20:00"))
    shop.schedule.plan_ahead()
    first = shop.all()[0]
    assert (first.local_time, first.due_at) == ("2026-11-23T20:00", utc(2026, 11, 23, 12))
    shop.to(first.due_at)
    shop.schedule.hand_over()
    shop.dispatch()
    assert shop.channel.effects == []
    shop.clock.set(first.due_at)
    shop.dispatch()
    assert [effect.at for effect in shop.channel.effects] == [utc(2026, 11, 23, 12)]


def test_a_blessing_that_a_wrong_zone_puts_at_three_in_the_night_is_held_by_the_last_door_until_eight(
    shop: Shop,
) -> None:
    """A tool had the wrong zone; here each community has its own, which is asked when it is sent."""
    shop.stock(5)
    shop.community("一群")
    shop.community("纽约群", zone="America/New_York")
    shop.column("祝福", *daily("14:00"), zone="America/New_York")
    shop.schedule.plan_ahead()
    first = shop.all()[0]
    assert (first.zone, first.due_at) == ("America/New_York", utc(2026, 11, 23, 19))  # 03:00 in Shanghai
    quiet = QuietHours(wall(22), wall(8))
    shop.to(first.due_at)
    shop.schedule.hand_over()
    shop.clock.set(first.due_at)
    shop.dispatch(quiet)
    assert _when(shop) == [("key-纽约群", utc(2026, 11, 23, 19))]
    shop.clock.set(utc(2026, 11, 24))  # 08:00 in Shanghai
    shop.dispatch(quiet)
    assert _when(shop)[1:] == [("key-一群", utc(2026, 11, 24))]


def _when(shop: Shop) -> list[tuple[str, datetime]]:
    """Who got something, and when."""
    return [(target, effect.at) for effect in shop.channel.effects for target in effect.request.targets]


def test_every_monday_is_monday_and_workdays_are_monday_to_friday(small_shop: Shop) -> None:
    """Schedulers count Monday as 0 or as 1; so nobody here writes a number, and 每周一 stays Monday."""
    small_shop.stock(9)
    small_shop.community("一群")
    small_shop.column("每周一", SlotDraft("mon", "09:00"))
    small_shop.column("每周一又", SlotDraft(rrule="FREQ=WEEKLY;BYDAY=MO", time="10:00"))
    small_shop.column("工作日", SlotDraft("workday", "11:00"))
    small_shop.schedule.plan_ahead()
    found: dict[str, set[int]] = {}
    for each in small_shop.all():
        found.setdefault(each.column, set()).add(datetime.fromisoformat(each.local_time).isoweekday())
    assert found == {"每周一": {1}, "每周一又": {1}, "工作日": {1, 2, 3, 4, 5}}
    for number in ("1", "0", "1-5"):
        with pytest.raises(Invalid):
            parse_days(number)


def test_the_hour_that_summer_time_leaves_out_loses_no_push_and_the_hour_that_comes_twice_sends_one() -> None:
    slot = slot_from(zone="Europe/London", weekdays="daily", at="01:30")
    spring = moments(slot, utc(2027, 3, 28), utc(2027, 3, 29))
    autumn = moments(slot, utc(2027, 10, 31), utc(2027, 11, 1))
    assert [(each.instant, each.local.hour) for each in spring] == [(utc(2027, 3, 28, 1, 30), 2)]
    assert [each.instant for each in autumn] == [utc(2027, 10, 31, 0, 30)]
