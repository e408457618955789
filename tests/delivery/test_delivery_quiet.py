"""Quiet hours hold a message until they are over where its recipients live, and never lose it unseen."""

from datetime import time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lanmu.delivery.changes import Change
from lanmu.delivery.deadlines import Deadlines
from lanmu.delivery.door.quiet import AT_ANY_HOUR, QuietHours
from lanmu.delivery.intake import Recipient
from lanmu.delivery.service import DeliveryService
from lanmu.interfaces.clock import utc

NIGHT = QuietHours(time(22), time(8))
SHANGHAI = ZoneInfo("Asia/Shanghai")
LONDON = ZoneInfo("Europe/London")
NEW_YORK = ZoneInfo("America/New_York")
ZONES = [SHANGHAI, LONDON, NEW_YORK, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Africa/Casablanca")]

minutes = st.integers(0, 1439).map(lambda minute: time(minute // 60, minute % 60))
hours = (
    st.tuples(minutes, minutes).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: QuietHours(*pair))
)
instants = st.integers(0, 63_000_000).map(lambda second: utc(2026, 1, 1) + timedelta(seconds=second))
changes = st.sampled_from(
    [utc(2026, 3, 8, 7), utc(2026, 11, 1, 6), utc(2026, 3, 29, 1), utc(2026, 10, 25, 1)]
)
near_a_change = st.builds(lambda at, off: at + timedelta(minutes=off), changes, st.integers(-240, 240))


@pytest.mark.parametrize(
    ("wall", "quiet"),
    [
        (time(21, 59, 59, 999999), False),
        (time(22), True),
        (time(23, 59), True),
        (time(0), True),
        (time(7, 59, 59, 999999), True),
        (time(8), False),
        (time(12), False),
    ],
)
def test_quiet_hours_begin_with_their_first_instant_and_end_before_their_last(wall, quiet):
    assert NIGHT.holds_at(wall) is quiet


@given(hours, instants | near_a_change, st.sampled_from(ZONES))
@example(QuietHours(time(1), time(2, 30)), utc(2026, 3, 8, 6, 30), NEW_YORK)
@example(QuietHours(time(0), time(1, 30)), utc(2026, 11, 1, 4, 30), NEW_YORK)
@example(QuietHours(time(0), time(1, 30)), utc(2026, 11, 1, 6, 15), NEW_YORK)
def test_quiet_ends_at_the_first_instant_at_which_the_wall_clock_shows_none(quiet, instant, zone):
    end = quiet.over_at(instant, zone)
    assert end >= instant
    assert end - instant < timedelta(hours=26)
    assert not quiet.holds_at(end.astimezone(zone).time())
    at = instant
    while at < end:
        assert quiet.holds_at(at.astimezone(zone).time())
        at += timedelta(minutes=7)
    if end > instant:
        assert quiet.holds_at((end - timedelta(microseconds=1)).astimezone(zone).time())


def test_an_end_that_clocks_jump_over_is_the_jump():
    quiet = QuietHours(time(22), time(2, 30))
    assert quiet.over_at(utc(2026, 3, 8, 6, 30), NEW_YORK) == utc(2026, 3, 8, 7)


def test_an_hour_that_the_clock_shows_twice_is_quiet_twice():
    quiet = QuietHours(time(22), time(1, 30))
    assert quiet.over_at(utc(2026, 11, 1, 5, 15), NEW_YORK) == utc(2026, 11, 1, 5, 30)
    assert quiet.over_at(utc(2026, 11, 1, 6, 15), NEW_YORK) == utc(2026, 11, 1, 6, 30)


def _at(room, hour, minute=0):
    """Go to this wall time in Shanghai, today or tomorrow."""
    wanted = room.clock.now().astimezone(SHANGHAI).replace(hour=hour, minute=minute)
    room.clock.set(wanted if wanted >= room.clock.now() else wanted + timedelta(days=1))


def test_what_falls_into_quiet_hours_waits_for_their_end_and_then_goes_out_without_a_question(room):
    room.quiet = NIGHT
    _at(room, 23)
    push = room.send("g1", deadline_at=room.clock.now() + timedelta(hours=12))
    room.run()
    unit = room.unit(push)
    assert (unit.state, unit.code) == ("pending", "quiet")
    assert unit.not_before.astimezone(SHANGHAI).time() == time(8)
    assert room.channel.writes == []
    room.clock.set(unit.not_before - timedelta(microseconds=1))
    assert room.run() == 0
    room.clock.set(unit.not_before)
    room.run()
    assert room.channel.sends() == {"g1": 1}
    assert room.push(push).state == "finished"


def test_what_would_be_past_its_deadline_at_the_end_of_quiet_is_skipped_and_says_so(room):
    room.quiet = NIGHT
    _at(room, 23)
    push = room.send("g1")
    room.run()
    assert (room.unit(push).state, room.unit(push).code) == ("skipped", "quiet")
    assert room.target_states(push) == {"g1": "skipped"}
    assert "quiet hours" in room.unit(push).reason


def test_what_was_due_in_quiet_hours_while_nothing_ran_is_late_only_from_their_end_on(room):
    room.quiet = NIGHT
    _at(room, 23)
    in_time = room.send("g1", deadline_at=room.clock.now() + timedelta(hours=24))
    _at(room, 8, 14)
    room.run()
    assert room.states(in_time) == ["accepted"]
    _at(room, 23)
    late = room.send("g2", deadline_at=room.clock.now() + timedelta(hours=24))
    _at(room, 8, 16)
    room.run()
    assert (room.unit(late).state, room.unit(late).code) == ("held", "late")


def test_recipients_of_another_zone_have_a_unit_and_a_night_of_their_own(room):
    room.quiet = NIGHT
    _at(room, 23)  # 15:00 in London
    recipients = [Recipient("cn", ""), Recipient("uk", "", zone="Europe/London")]
    push = room.send(recipients=recipients, deadline_at=room.clock.now() + timedelta(days=1))
    room.run()
    assert room.channel.sends() == {"uk": 1}
    assert room.target_states(push) == {"cn": "planned", "uk": "accepted"}


def test_a_zone_that_this_machine_does_not_know_counts_as_the_shops(room):
    room.quiet = NIGHT
    _at(room, 23)
    push = room.send(recipients=[Recipient("g1", "", zone="Mars/Olympus")])
    room.run()
    assert room.unit(push).code == "quiet"


def test_a_test_send_by_a_person_is_heard_at_night(room):
    room.quiet = NIGHT
    _at(room, 23)
    room.service.test(room.channel.name, "g1", "", "Hello", "li")
    room.run()
    assert room.channel.sends() == {"g1": 1}


def test_a_push_that_says_so_is_heard_at_night(room):
    room.quiet = NIGHT
    _at(room, 23)
    push = room.send("g1", options={AT_ANY_HOUR: "yes"})
    room.run()
    assert room.states(push) == ["accepted"]


def _local(instant):
    return instant.astimezone(SHANGHAI).strftime("%d %H:%M")


@pytest.mark.parametrize(
    ("due", "deadline"),
    [
        ((9, 0), "23 15:00"),
        ((16, 0), "23 22:00"),
        ((20, 0), "24 12:00"),
        ((22, 30), "24 14:00"),
        ((2, 0), "24 14:00"),
        ((8, 0), "23 14:00"),
    ],
)
def test_a_deadline_that_nobody_set_leaves_six_hours_in_which_it_may_be_heard(clock, due, deadline):
    at = clock.now().astimezone(SHANGHAI).replace(hour=due[0], minute=due[1])
    at += timedelta(days=at < clock.now())
    assert _local(Deadlines("Asia/Shanghai", NIGHT).default(at, {""}, {})) == deadline


def test_the_deadline_of_several_zones_is_that_of_the_last(clock):
    due = utc(2026, 11, 23, 15)  # 23:00 in Shanghai, 15:00 in London
    deadlines = Deadlines("Asia/Shanghai", NIGHT)
    assert deadlines.default(due, {"Europe/London"}, {}) == due + timedelta(hours=6)
    assert _local(deadlines.default(due, {"", "Europe/London"}, {})) == "24 14:00"
    assert deadlines.default(due, {"Mars/Olympus"}, {}) == deadlines.default(due, {""}, {})
    assert deadlines.default(due, {""}, {AT_ANY_HOUR: "yes"}) == due + timedelta(hours=6)


@given(hours, instants | near_a_change, st.sampled_from(ZONES))
def test_a_default_deadline_never_comes_before_quiet_is_over(quiet, instant, zone):
    assert quiet.open_for(instant, timedelta(hours=6), zone) >= quiet.over_at(instant, zone) + timedelta(
        hours=1
    )


@pytest.fixture
def night(make_room, database):
    """A shop whose nights are quiet, as the server sets it up."""
    room = make_room(database)
    room.quiet = NIGHT
    room.service = DeliveryService(
        database, room.clock, room.channels, deadlines=Deadlines("Asia/Shanghai", NIGHT)
    )
    return room


def test_what_is_due_at_night_without_a_deadline_goes_out_in_the_morning(night):
    _at(night, 22, 30)
    push = night.send("g1")
    night.run()
    assert night.states(push) == ["pending"]
    _at(night, 8)
    night.run()
    assert night.states(push) == ["accepted"]


def test_a_deadline_that_somebody_set_stays_hard(night):
    _at(night, 22, 30)
    push = night.send("g1", deadline_at=night.clock.now() + timedelta(hours=6))
    night.run()
    assert (night.unit(push).state, night.unit(push).code) == ("skipped", "quiet")


def test_a_push_that_is_moved_into_the_night_has_the_deadline_of_its_new_time(night):
    _at(night, 9)
    due = night.clock.now()
    push = night.send("g1", due_at=due + timedelta(hours=1))
    moved = night.service.changes.edit(push.id, Change(seen=1, due_at=due + timedelta(hours=14)), "li")
    assert _local(moved.deadline_at) == "24 14:00"
    back = night.service.changes.edit(push.id, Change(seen=2, due_at=due + timedelta(hours=2)), "li")
    assert _local(back.deadline_at) == "23 17:00"
