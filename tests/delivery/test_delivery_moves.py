"""Every move of a unit: what the far end does, and what the database says of it afterwards."""

import threading
from datetime import timedelta

import pytest

from lanmu.interfaces.channels import Abilities, Outcome, Ref, Verdict
from lanmu.testing.clock import FakeClock
from lanmu.testing.fakes import Does

ONE_EACH = Abilities(batch_max=1)


def test_a_push_that_is_due_goes_out_once_and_is_finished(room):
    push = room.send("g1", "g2")
    assert room.run() == 1
    assert room.channel.sends() == {"g1": 1, "g2": 1}
    assert room.states(push) == ["accepted"]
    assert room.target_states(push) == {"g1": "accepted", "g2": "accepted"}
    assert room.push(push).state == "finished"
    assert room.unit(push).ref == "ref-1"
    assert room.run() == 0


@pytest.mark.parametrize(
    ("does", "state", "target", "push_state"),
    [
        (Does.ACCEPT, "accepted", "accepted", "finished"),
        (Does.HAND_OVER, "handed_over", "handed_over", "finished"),
        (Does.REFUSE, "failed", "failed", "finished_with_issues"),
        (Does.REFUSE_CONTENT, "held", "planned", "held"),
        (Does.REFUSE_ACCOUNT, "held", "planned", "held"),
        (Does.LATER, "retry_wait", "planned", "running"),
        (Does.CUT_BEFORE, "unknown", "unknown", "running"),
        (Does.CUT_AFTER, "unknown", "unknown", "running"),
        (Does.GARBAGE, "unknown", "unknown", "running"),
        (Does.RAISE, "unknown", "unknown", "running"),
        (Does.NOT_WRITTEN, "retry_wait", "planned", "running"),
        (Does.UNREACHABLE, "retry_wait", "planned", "running"),
        (Does.BAD_CONFIG, "held", "planned", "held"),
    ],
)
def test_each_answer_moves_unit_target_and_push(room, does, state, target, push_state):
    push = room.send("g1")
    room.channel.script(does)
    assert room.run() == 1
    assert room.states(push) == [state]
    assert room.target_states(push) == {"g1": target}
    assert room.push(push).state == push_state
    assert room.total_is_planned(push)
    assert room.run() == 0, "what is not due any more is left alone"
    told = [receipt.state for receipt in room.receipts]
    assert told == ([] if state == "retry_wait" else [state])


def test_nothing_goes_out_before_its_time(room):
    push = room.send("g1", due_at=room.clock.now() + timedelta(hours=1))
    room.clock.advance(timedelta(hours=1) - timedelta(microseconds=1))
    assert room.run() == 0
    assert room.service.next_due() == room.clock.now() + timedelta(microseconds=1)
    room.clock.advance(timedelta(microseconds=1))
    assert room.run() == 1
    assert room.states(push) == ["accepted"]


def test_the_exact_bytes_are_stored_before_they_are_written(room):
    seen = []
    push = room.send("g1")

    def look(request):
        (attempt,) = room.attempts(push)
        seen.append((attempt.request == request.body, attempt.outcome, room.states(push)))

    room.channel.before_write = look
    room.run()
    assert seen == [(True, "", ["calling"])]
    (attempt,) = room.attempts(push)
    assert attempt.outcome == "accepted"
    assert attempt.evidence["status"] == 200


def test_waits_between_tries_grow_and_after_the_last_a_person_decides(room):
    room.channel.otherwise = Does.UNREACHABLE
    push = room.send("g1", late_policy="send")
    waits = []
    while room.run():
        waits.append(room.unit(push).not_before - room.clock.now())
        room.clock.set(max(room.clock.now(), room.unit(push).not_before))
    assert [wait.total_seconds() for wait in waits[:-1]] == [5, 30, 120, 600]
    assert room.states(push) == ["held"]
    assert room.channel.writes == []


def test_a_channel_that_asks_for_patience_gets_it(room):
    push = room.send("g1")
    room.channel.script(Does.LATER)
    room.run()
    assert room.unit(push).not_before == room.clock.now() + timedelta(minutes=1)
    room.clock.advance(timedelta(minutes=1))
    room.run()
    assert room.states(push) == ["accepted"]


def test_a_token_that_ran_out_is_retried_at_once_but_not_for_ever(room):
    push = room.send("g1")
    room.channel.script(Does.STALE)
    assert room.run() == 2
    assert room.states(push) == ["accepted"]
    room.channel.script(*[Does.STALE] * 3)
    push = room.send("g2")
    assert room.run() == 2
    assert room.states(push) == ["held"]
    assert room.unit(push).code == "config"
    assert room.push(push).state == "held"


def test_refused_content_stops_the_push_before_all_its_units_fail(make_room, database):
    room = make_room(database, abilities=ONE_EACH, otherwise=Does.REFUSE_CONTENT)
    push = room.send(*[f"g{number}" for number in range(20)])
    room.dispatcher(concurrency=4).run_due()
    assert room.states(push).count("pending") == 16
    assert room.push(push).held_reason == "content refused"
    room.channel.otherwise = Does.ACCEPT
    room.service.resume(push.id)
    room.run()
    assert room.channel.sends() == {f"g{number}": 1 for number in range(20)}
    assert room.push(push).state == "finished"


def test_a_channel_that_accepts_without_the_reference_it_promised_is_not_believed(make_room, database):
    room = make_room(database, abilities=Abilities(lookup=True))
    room.channel.classify = lambda seen: Verdict(Outcome.ACCEPTED)
    push = room.send("g1")
    room.run()
    assert room.states(push) == ["unknown"]


def test_recipients_refused_one_by_one_are_told_apart(room):
    room.channel.classify = lambda seen: Verdict(
        Outcome.ACCEPTED, ref=Ref("r", {"task": "7"}), failed={"g2": "left the group"}
    )
    push = room.send("g1", "g2")
    room.run()
    assert room.target_states(push) == {"g1": "accepted", "g2": "undelivered"}
    assert room.unit(push).ref_detail == {"task": "7"}
    assert room.total_is_planned(push)


def test_a_worker_that_slept_between_intent_and_write_writes_nothing(room):
    push = room.send("g1")
    connect = room.channel.connect

    def and_sleep(request):
        line = connect(request)
        boottime = room.clock.boottime
        readings = iter([boottime()])
        room.clock.boottime = lambda: next(readings, boottime() + 6)  # 6 s pass after the first look
        return line

    room.channel.connect = and_sleep
    dispatcher = room.dispatcher()
    dispatcher._lining_up._clock = dispatcher._writing._clock = FakeClock()
    stops = iter([False, True])
    dispatcher.run_due(lambda: next(stops))
    assert room.channel.writes == []
    assert room.states(push) == ["retry_wait"]
    (attempt,) = room.attempts(push)
    assert attempt.evidence["wrote"] is False


def test_every_line_is_closed_whatever_happens(room):
    room.send("g1")
    room.channel.script(Does.RAISE)
    room.run()
    assert [line.closed for line in room.channel.lines] == [True]


def test_a_mistake_of_the_channel_before_the_intent_holds_the_unit_and_the_others_go(make_room, database):
    room = make_room(database, abilities=ONE_EACH)
    compose = room.channel.compose

    def faulty(message, targets):
        if targets[0].key == "g1":
            raise KeyError("chat id")
        return compose(message, targets)

    room.channel.compose = faulty
    push = room.send("g1", "g2")
    room.run()
    assert room.states(push) == ["held", "accepted"]
    assert room.attempts(push)[0].unit_id == room.unit(push, 2).id


def test_a_text_beyond_the_channels_limits_holds_the_push_and_says_the_numbers(room):
    room.channel.abilities = Abilities(text_bytes=5)
    push = room.send("g1")
    room.run()
    assert room.push(push).held_reason == "The text has 11 bytes; 5 are allowed. Shorten the text."


def test_units_in_a_batch_may_fare_differently(make_room, database):
    room = make_room(database, abilities=ONE_EACH)
    room.channel.script(Does.ACCEPT, Does.REFUSE, Does.LATER, Does.CUT_AFTER, Does.HAND_OVER)
    push = room.send("a", "b", "c", "d", "e")
    room.run()
    assert room.states(push) == ["accepted", "failed", "retry_wait", "unknown", "handed_over"]
    assert room.total_is_planned(push)


def test_a_slow_far_end_is_spoken_to_by_many_hands(make_room, database):
    room = make_room(database, abilities=ONE_EACH)
    together = threading.Barrier(8, timeout=20)
    room.channel.before_write = lambda request: together.wait()
    push = room.send(*[f"g{number}" for number in range(8)])
    room.dispatcher(concurrency=8).run_due()
    assert room.states(push) == ["accepted"] * 8
