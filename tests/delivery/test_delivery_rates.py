"""The far end's pace: no span of time ever sees more calls than it allows, and who waits gets a turn."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanmu.delivery.door import rates
from lanmu.delivery.door.rates import Bucket, Tokens, sized
from lanmu.interfaces.channels import Abilities, Rate
from lanmu.interfaces.clock import utc

START = utc(2026, 11, 23)
MINUTE = timedelta(minutes=1)
ROBOT = Abilities(batch_max=1, limits=(Rate(20, MINUTE, "target"),))


@given(
    st.integers(1, 40),
    st.integers(1, 90),
    st.sampled_from([1.0, 0.8]),
    st.lists(st.integers(0, 20_000), max_size=300),
)
def test_no_span_of_time_sees_more_calls_than_its_share(calls, seconds, share, pauses):
    burst, step = sized(calls, seconds, share)
    bucket = Bucket("robot", "", seconds, burst, step)
    now, full_at, sent = START, 0, []
    for pause in pauses:
        now += timedelta(milliseconds=pause)
        tokens = Tokens(now, {bucket: full_at}, {})
        if tokens.free_at([bucket]) is None:
            tokens.take([bucket])
            sent.append(now)
        full_at = tokens.full_at[bucket]
    span = timedelta(seconds=seconds)
    allowed = max(1, int(calls * share))
    assert all(sum(at <= other < at + span for other in sent) <= allowed for at in sent)


def test_who_finds_the_bucket_empty_gets_a_place_at_the_end_of_the_line():
    bucket = Bucket("robot", "", 60, 1, 3_000_000)
    tokens = Tokens(START, {bucket: 0}, {})
    assert tokens.free_at([bucket]) is None
    tokens.take([bucket])
    places = [tokens.free_at([bucket]) for _each in range(3)]
    assert places == [START + timedelta(seconds=each) for each in (3, 6, 9)]


def test_however_long_the_line_one_looks_again_within_minutes():
    bucket = Bucket("robot", "", 60, 1, 3_000_000)
    tokens = Tokens(START, {bucket: 0}, {})
    tokens.take([bucket])
    assert max(tokens.free_at([bucket]) or START for _each in range(500)) == START + rates.LONGEST_WAIT


def test_a_clock_that_went_back_closes_no_far_end():
    bucket = Bucket("robot", "", 60, 2, 3_000_000)
    tomorrow = int((START + timedelta(days=1)).timestamp()) * 1_000_000
    tokens = Tokens(START, {bucket: tomorrow}, {})
    free = tokens.free_at([bucket])
    assert free is not None
    assert free <= START + timedelta(seconds=6)


def test_of_two_limits_over_the_same_time_the_tighter_counts():
    abilities = Abilities(limits=(Rate(100, MINUTE),), silent_limits=(Rate(50, MINUTE),))
    (bucket,) = rates.buckets("app", abilities, ["a", "b"])
    assert (bucket.subject, bucket.burst, bucket.step) == ("", *sized(50, 60, rates.SILENT_SHARE))


def _paced(room, until: datetime) -> list[tuple[datetime, str]]:
    """Run whenever something is due; answers when which message was written."""
    sent: list[tuple[datetime, str]] = []
    write = room.channel.transmit

    def noted(request, line):
        sent.extend((room.clock.now(), key) for key in request.targets)
        return write(request, line)

    room.channel.transmit = noted
    while room.clock.now() < until:
        room.run()
        due = room.service.next_due()
        if due is None:
            break
        room.clock.set(max(due, room.clock.now()))
    return sent


def test_a_robot_gets_no_more_in_a_minute_than_it_takes_and_all_in_the_end(make_room, database):
    room = make_room(database, abilities=ROBOT)
    for _each in range(45):
        room.send("r1", late_policy="send")
    room.send("r2")
    sent = _paced(room, START + timedelta(minutes=10))
    assert Counter(key for _at, key in sent) == {"r1": 45, "r2": 1}
    times = sorted(at for at, key in sent if key == "r1")
    assert max(sum(at <= other < at + MINUTE for other in times) for at in times) <= 20
    assert times[-1] - START < timedelta(minutes=3)
    assert next(at for at, key in sent if key == "r2") == START


def test_what_a_far_end_would_drop_in_silence_is_kept_to_four_fifths(make_room, database):
    silent = Abilities(batch_max=1, silent_limits=(Rate(30, MINUTE, "target"),))
    room = make_room(database, abilities=silent)
    for _each in range(40):
        room.send("m1", late_policy="send")
    times = sorted(at for at, _key in _paced(room, START + timedelta(minutes=10)))
    assert len(times) == 40
    assert max(sum(at <= other < at + MINUTE for other in times) for at in times) <= 24


def test_what_waits_for_the_far_end_says_so_and_costs_no_try(make_room, database):
    room = make_room(database, abilities=Abilities(batch_max=1, limits=(Rate(1, MINUTE),)))
    pushes = [room.send(f"g{number}") for number in range(2)]
    room.run()
    waiting = room.unit(pushes[1])
    assert (waiting.state, waiting.code, waiting.tries) == ("pending", "rate", 0)
    assert waiting.not_before == START + MINUTE
    assert room.attempts(pushes[1]) == []


def test_a_push_that_the_pace_spreads_over_an_hour_is_not_late(make_room, database):
    room = make_room(database, abilities=Abilities(batch_max=1, limits=(Rate(1, MINUTE),)))
    pushes = [room.send(f"g{number}", late_policy="ask") for number in range(40)]
    assert len(_paced(room, START + timedelta(hours=1))) == 40
    assert {room.unit(push).state for push in pushes} == {"accepted"}


def test_who_stood_in_line_is_late_once_the_line_has_stood_still_for_long(make_room, database):
    room = make_room(database, abilities=Abilities(batch_max=1, limits=(Rate(1, MINUTE),)))
    pushes = [room.send(f"g{number}", late_policy="ask") for number in range(2)]
    room.run()
    room.clock.advance(timedelta(minutes=17))
    room.run()
    assert [room.unit(push).code for push in pushes] == ["", "late"]


@pytest.mark.parametrize("calls", [10, 30])
def test_workers_at_once_share_one_bucket(make_room, database, calls):
    room = make_room(database, abilities=Abilities(batch_max=1, limits=(Rate(calls, MINUTE),)))
    for number in range(40):
        room.send(f"g{number}")
    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(lambda: room.dispatcher(concurrency=3).run_due()) for _hand in range(6)]:
            done.result()
    assert len(room.channel.writes) == sized(calls, 60)[0]
