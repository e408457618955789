"""What people do with a push: stop it, halt it, let it go on, and decide what nobody can know."""

from contextlib import suppress
from datetime import timedelta

import pytest

from lanmu.delivery.service import PushFilter
from lanmu.delivery.stopping import Stopped
from lanmu.interfaces.channels import Abilities
from lanmu.interfaces.errors import Conflict, Invalid, NotFound
from lanmu.testing.fakes import Does


@pytest.fixture
def one_each(make_room, database):
    return make_room(database, abilities=Abilities(batch_max=1))


def test_a_cancel_tells_how_many_it_stopped_and_what_is_already_out(one_each):
    room = one_each
    room.channel.script(Does.ACCEPT, Does.CUT_AFTER, Does.UNREACHABLE)
    push = room.send("a", "b", "c", "d", "e")
    stops = iter([False, True])
    room.dispatcher(concurrency=3).run_due(lambda: next(stops))
    assert room.service.cancel(push.id) == Stopped(stopped=3, out=1, unclear=1)
    assert room.states(push) == ["accepted", "unknown", "cancelled", "cancelled", "cancelled"]
    assert room.total_is_planned(push)
    room.run()
    assert room.channel.sends() == {"a": 1, "b": 1}
    assert room.push(push).state == "running", "the unknown one is still to be decided"
    with pytest.raises(Conflict):
        room.service.decide(push.id, 2, "again")
    room.service.decide(push.id, 2, "sent")
    assert room.push(push).state == "cancelled"


def test_a_cancel_stops_held_units_too(one_each):
    room = one_each
    room.objects.append("no")
    push = room.send("a", "b")
    room.run()
    assert room.service.cancel(push.id) == Stopped(stopped=2, out=0, unclear=0)
    assert room.push(push).state == "cancelled"
    with pytest.raises(Conflict):
        room.service.cancel(push.id)


def test_a_cancel_reaches_a_unit_between_claim_and_intent(one_each):
    room = one_each
    push = room.send("a")
    room.channel.connect = lambda request: room.service.cancel(push.id) and None
    room.run()
    assert room.channel.writes == []
    assert room.states(push) == ["cancelled"]


def test_what_comes_back_unsent_after_a_cancel_is_cancelled_too(one_each):
    room = one_each
    push = room.send("a", "b")
    room.channel.script(Does.LATER, Does.NOT_WRITTEN)
    room.channel.before_write = lambda request: _quietly(room.service.cancel, push.id)
    room.run()
    assert room.states(push) == ["cancelled", "cancelled"]
    assert room.push(push).state == "cancelled"
    assert room.target_states(push) == {"a": "cancelled", "b": "cancelled"}


def _quietly(call, *arguments):
    with suppress(Conflict):
        call(*arguments)


def test_a_cancelled_push_cannot_be_resumed_while_something_is_still_open(one_each):
    room = one_each
    room.channel.script(Does.CUT_BEFORE)
    push = room.send("a")
    room.run()
    room.service.cancel(push.id)
    with pytest.raises(Conflict):
        room.service.pause(push.id)


def test_a_paused_push_sends_nothing_and_goes_on_where_it_stopped(one_each):
    room = one_each
    push = room.send("a", "b", "c", "d")
    stops = iter([False, True])
    room.dispatcher(concurrency=2).run_due(lambda: next(stops))
    room.service.pause(push.id)
    assert room.run() == 0
    assert room.service.next_due() is None
    assert len(room.channel.effects) == 2
    room.service.resume(push.id)
    room.run()
    assert room.channel.sends() == dict.fromkeys("abcd", 1)
    assert room.push(push).state == "finished"


def test_a_pause_between_claim_and_intent_is_heeded(one_each):
    room = one_each
    push = room.send("a")
    connect, room.channel.connect = room.channel.connect, lambda request: room.service.pause(push.id)
    room.run()
    assert room.channel.writes == []
    assert room.states(push) == ["pending"]
    room.channel.connect = connect
    room.service.resume(push.id)
    room.run()
    assert room.channel.sends() == {"a": 1}


def test_a_push_paused_and_resumed_before_its_time_still_asks_when_late(one_each):
    room = one_each
    push = room.send("a", due_at=room.clock.now() + timedelta(hours=1))
    room.service.pause(push.id)
    room.service.resume(push.id)
    assert room.push(push).state == "scheduled"
    room.clock.advance(timedelta(hours=2))
    room.run()
    assert room.push(push).state == "held"


def test_pause_and_resume_refuse_where_they_make_no_sense(one_each):
    room = one_each
    push = room.send("a")
    with pytest.raises(Conflict, match="its state does not allow this"):
        room.service.resume(push.id)
    room.run()
    with pytest.raises(Conflict, match="its state does not allow this"):
        room.service.pause(push.id)
    with pytest.raises(NotFound):
        room.service.pause("psh_nobody")


@pytest.mark.parametrize(
    ("answer", "state", "push_state", "sends"),
    [("sent", "accepted", "finished", 0), ("give_up", "failed", "finished_with_issues", 0)],
)
def test_a_person_decides_what_nobody_knows(one_each, answer, state, push_state, sends):
    room = one_each
    room.channel.script(Does.CUT_BEFORE)
    push = room.send("a")
    room.run()
    room.service.decide(push.id, 1, answer)
    room.run()
    assert room.states(push) == [state]
    assert room.push(push).state == push_state
    assert room.channel.sends()["a"] == sends
    with pytest.raises(Conflict, match="not in doubt"):
        room.service.decide(push.id, 1, answer)


def test_sending_an_unknown_unit_again_is_a_persons_word_and_makes_a_second_attempt(one_each):
    room = one_each
    room.channel.script(Does.CUT_AFTER)
    push = room.send("a")
    room.run()
    room.service.decide(push.id, 1, "again")
    assert room.target_states(push) == {"a": "planned"}
    room.run()
    assert room.channel.sends() == {"a": 2}
    (view,) = room.service.units(push.id)
    assert [attempt.number for attempt in view.attempts] == [1, 2]
    assert [attempt.outcome for attempt in view.attempts] == ["unknown", "accepted"]


def test_an_answer_that_does_not_exist_names_those_that_do(one_each):
    with pytest.raises(Invalid, match="sent, again or give_up"):
        one_each.service.decide("psh_x", 1, "maybe")


def test_lists_are_filtered_and_paged_by_due_time(one_each):
    room = one_each
    pushes = [room.send("a") for _each in range(3)]
    room.run()
    waiting = room.send("b")
    assert [view.id for view in room.service.pushes(PushFilter(states=["scheduled"]))] == [waiting.id]
    first = room.service.pushes(PushFilter(), limit=2)
    rest = room.service.pushes(PushFilter(), limit=5, before=(first[-1].due_at, first[-1].row))
    assert [view.id for view in first + rest] == [view.id for view in reversed([*pushes, waiting])]
