"""The clock's watch: jumps are seen at once, small steps never add up, and only evidence restores trust."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery.conftest import Room
from tests.interleaving import between_the_steps_of

from lanmu.delivery.installation.clock_watch import AGREES, BEHIND, OFF, ClockWatch, Pairing, fault_of, trust
from lanmu.delivery.installation.instance_models import ClockRecord
from lanmu.interfaces.channels import Line, Request
from lanmu.interfaces.clock import FarTime, utc
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock

SECOND = timedelta(seconds=1)


class Watched:
    """A watch on a database, ticking every five seconds."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.database, self.clock = database, clock
        self.heard: list[FarTime] = []
        self.watch = self.another()

    def another(self, boot_id: str = "this boot") -> ClockWatch:
        return ClockWatch(self.clock, lambda: self.heard, boot_id)

    def tick(self, times: int = 1, watch: ClockWatch | None = None) -> None:
        for _time in range(times):
            self.clock.advance(5 * SECOND)
            with self.database.write() as session:
                (watch or self.watch).tick(session)

    def row(self) -> ClockRecord:
        with self.database.read() as session:
            return session.get_one(ClockRecord, 1)

    def far_says(self, at: datetime) -> None:
        self.heard = [FarTime(at, self.clock.boottime())]


@pytest.fixture
def watched(database: Database, clock: FakeClock) -> Watched:
    made = Watched(database, clock)
    made.tick(2)
    return made


def test_a_clock_that_goes_on_is_trusted(watched: Watched):
    watched.tick(5)
    assert watched.watch.sane()
    assert watched.row().suspect_since is None
    assert watched.row().max_wall_seen == watched.clock.now()


@pytest.mark.parametrize("step", [ClockWatch.tick, Pairing.follow])
def test_it_is_trusted_by_other_threads_while_it_is_looked_at_after_a_long_silence(
    watched: Watched, step: Callable[..., object]
):
    """A database that hung keeps the tick waiting; a batch that is asked about then must not be put off."""
    trusted: list[bool] = []
    watched.clock.advance(OFF + 60 * SECOND)
    with between_the_steps_of(step, lambda: trusted.append(watched.watch.sane())):
        watched.tick()
    assert trusted
    assert all(trusted)


def test_a_jump_ahead_is_seen_before_the_next_tick(watched: Watched):
    watched.clock.jump(OFF + 1 * SECOND)
    assert not watched.watch.sane()


def test_a_jump_ahead_stands_in_the_database_and_does_not_move_the_latest_time(watched: Watched):
    before = watched.row().max_wall_seen
    watched.clock.jump(timedelta(hours=1))
    watched.tick(10)
    row = watched.row()
    assert row.suspect_since == before
    assert row.max_wall_seen == before
    assert "ahead by 3600 s" in row.suspect_reason


def test_a_step_back_is_seen_before_the_next_tick(watched: Watched):
    watched.clock.jump(-(BEHIND + 1 * SECOND))
    assert not watched.watch.sane()
    watched.tick()
    assert watched.row().suspect_since is None  # five seconds have passed, so it is only one behind again
    watched.clock.jump(timedelta(minutes=-10))
    watched.tick()
    assert "behind" in watched.row().suspect_reason


def test_a_restart_after_a_long_stop_is_no_jump(watched: Watched):
    watched.clock.advance(timedelta(days=30))
    fresh = watched.another()
    watched.tick(watch=fresh)
    assert fresh.sane()
    assert watched.row().suspect_since is None


def test_a_restart_with_a_clock_that_went_back_is_suspected(watched: Watched):
    watched.clock.jump(timedelta(hours=-2))
    fresh = watched.another()
    watched.tick(watch=fresh)
    assert watched.row().suspect_since is not None
    assert not fresh.sane()


def test_a_clock_set_back_while_nobody_looked_is_seen_though_it_shows_a_later_time_than_ever(
    watched: Watched,
):
    watched.clock.advance(timedelta(hours=8))
    watched.clock.jump(timedelta(hours=-1))
    assert not watched.watch.sane()
    watched.tick()
    assert "set back by 3600 s" in watched.row().suspect_reason


@pytest.mark.parametrize("hours", [1, -1])
def test_a_process_that_starts_after_the_clock_was_set_knows_of_it(watched: Watched, hours: int):
    watched.clock.advance(timedelta(hours=8))
    watched.clock.jump(timedelta(hours=hours))
    fresh = watched.another()
    assert not fresh.sane()
    watched.tick(watch=fresh)
    assert watched.row().suspect_since is not None
    assert not fresh.sane()
    watched.clock.jump(timedelta(hours=-hours))
    watched.tick(4, watch=fresh)
    assert watched.row().suspect_since is None
    assert fresh.sane()


def test_after_a_reboot_boot_time_says_nothing_about_the_one_before(watched: Watched):
    watched.clock.jump(timedelta(hours=1))
    fresh = watched.another("the next boot")
    watched.tick(watch=fresh)
    assert watched.row().suspect_since is None
    assert fresh.sane()


def test_what_a_person_trusts_is_trusted_by_a_process_that_starts_afterwards(watched: Watched):
    watched.clock.jump(timedelta(hours=1))
    watched.tick()
    with watched.database.write() as session:
        trust(session, session.get_one(ClockRecord, 1), watched.clock.now())
    fresh = watched.another()
    watched.tick(watch=fresh)
    assert fresh.sane()
    watched.tick()
    assert watched.watch.sane()
    assert watched.row().suspect_since is None


def test_a_process_that_never_heard_of_a_doubt_takes_the_others_word_that_it_is_over(watched: Watched):
    other = watched.another()
    watched.tick(watch=other)
    watched.clock.jump(timedelta(hours=1))
    watched.tick()
    watched.far_says(watched.clock.now())
    watched.tick(3)
    assert watched.watch.sane()
    watched.tick(watch=other)
    assert watched.row().suspect_since is None
    assert other.sane()


def test_a_suspended_machine_is_no_jump(watched: Watched):
    watched.clock.advance(timedelta(hours=8))  # boot time counts the sleep
    assert watched.watch.sane()


def test_the_far_end_bears_a_moved_clock_out_after_three_ticks(watched: Watched):
    watched.clock.jump(timedelta(hours=1))
    watched.tick()
    watched.far_says(watched.clock.now() + AGREES)
    watched.tick(2)
    assert watched.row().suspect_since is not None
    watched.tick(1)
    assert watched.row().suspect_since is None
    assert watched.watch.sane()
    watched.tick(3)
    assert watched.row().suspect_since is None


def test_a_far_end_that_disagrees_keeps_the_doubt(watched: Watched):
    watched.clock.jump(timedelta(hours=1))
    watched.tick()
    watched.far_says(watched.clock.now() - AGREES - 1 * SECOND)
    watched.tick(20)
    assert watched.row().suspect_since is not None
    assert not watched.watch.sane()


def test_what_was_heard_before_the_jump_still_counts_by_boot_time(watched: Watched):
    watched.far_says(watched.clock.now())
    watched.clock.jump(timedelta(hours=1))
    watched.tick(10)
    assert watched.row().suspect_since is not None
    watched.clock.jump(timedelta(hours=-1))
    watched.tick(5)
    assert watched.row().suspect_since is None


def test_what_was_heard_long_ago_does_not_count(watched: Watched):
    watched.far_says(watched.clock.now())
    watched.clock.advance(timedelta(hours=2))
    watched.clock.jump(timedelta(minutes=10))
    watched.tick(10)
    assert watched.row().suspect_since is not None


def test_without_a_far_end_a_moved_clock_waits_for_a_person(watched: Watched):
    watched.clock.jump(timedelta(hours=1))
    watched.tick(100)
    assert watched.row().suspect_since is not None


def test_a_jump_that_is_taken_back_is_forgiven_after_three_ticks(watched: Watched):
    watched.clock.jump(timedelta(hours=1))
    watched.tick(2)
    watched.clock.jump(timedelta(hours=-1))
    watched.tick(1)  # not steady: the clock has just been set
    assert watched.row().suspect_since is not None
    watched.tick(3)
    assert watched.row().suspect_since is None


def test_one_process_suspects_for_all_and_all_trust_again(watched: Watched):
    other = watched.another()
    watched.tick(watch=other)
    watched.clock.jump(timedelta(hours=1))
    watched.tick()
    watched.tick(watch=other)
    assert not other.sane()
    watched.far_says(watched.clock.now())
    watched.tick(5)
    watched.tick(2, watch=other)
    assert watched.row().suspect_since is None
    assert other.sane()
    assert watched.watch.sane()


def test_a_suspicion_outlives_a_restart(watched: Watched):
    watched.clock.jump(timedelta(hours=1))
    watched.tick()
    fresh = watched.another()
    watched.tick(20, watch=fresh)
    assert watched.row().suspect_since is not None
    assert not fresh.sane()


def test_a_suspicion_that_could_not_be_written_is_raised_again(watched: Watched):
    watched.clock.jump(timedelta(hours=1))

    watched.clock.advance(5 * SECOND)
    with watched.database.write() as session:
        watched.watch.tick(session)
        session.flush()
        session.rollback()
    assert not watched.watch.sane()
    watched.tick()
    assert watched.row().suspect_since is not None
    assert not watched.watch.sane()


steps = st.timedeltas(min_value=timedelta(seconds=-4), max_value=timedelta(seconds=110))


@given(st.lists(st.tuples(st.integers(0, 600), steps), max_size=40))
def test_small_steps_ahead_never_add_up_to_a_jump_that_is_not_seen(moves: list[tuple[int, timedelta]]):
    clock = FakeClock()
    pairing = Pairing(clock.now(), clock.boottime())
    moved, passed = timedelta(0), timedelta(0)
    for seconds, step in moves:
        clock.advance(seconds * SECOND)
        clock.jump(step)
        moved, passed = moved + step, passed + seconds * SECOND
        gap = pairing.gap(clock.now(), clock.boottime())
        if fault_of(gap, timedelta(0)):
            return
        assert moved <= OFF + passed * 0.002
        pairing = pairing.follow(clock.now(), clock.boottime())


@given(st.lists(st.integers(1, 3600), max_size=60), st.floats(-0.0005, 0.0005))
def test_drift_as_a_time_server_corrects_it_is_never_a_jump(pauses: list[int], drift: float):
    wall, boot = utc(2026, 11, 23), 1000.0
    pairing = Pairing(wall, boot)
    for pause in pauses:
        boot += pause
        wall += timedelta(seconds=pause * (1 + drift))
        assert abs(pairing.gap(wall, boot)) < 5 * SECOND
        assert not fault_of(pairing.gap(wall, boot), timedelta(0))
        pairing = pairing.follow(wall, boot)


@given(st.timedeltas(min_value=timedelta(days=-400), max_value=timedelta(days=400)))
def test_the_two_limits_are_exact(span: timedelta):
    assert bool(fault_of(span, timedelta(0))) == (abs(span) > OFF)
    assert bool(fault_of(timedelta(0), span)) == (span > BEHIND)


def test_a_jump_while_a_message_is_made_ready_holds_it_back(room: Room):
    push = room.send("g1")
    watch = ClockWatch(room.clock)
    with room.database.write() as session:
        watch.tick(session)
    connect = room.channel.connect

    def jumping(request: Request) -> Line | None:
        room.clock.jump(timedelta(hours=1))
        return connect(request)

    room.channel.connect = jumping  # type: ignore[method-assign]
    assert room.dispatcher(clock_is_sane=watch.sane).run_due() == 1
    assert room.channel.effects == []
    assert room.states(push) == ["pending"]
    assert room.dispatcher(clock_is_sane=watch.sane).run_due() == 0
