"""Cancelling what the channel has already: taken back where nobody has confirmed it, with numbers told."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from lanmu.delivery.installation.owner import this_process
from lanmu.delivery.models import Attempt
from lanmu.delivery.sending.outcomes import Next
from lanmu.delivery.sending.queue import claim, intend
from lanmu.delivery.sending.recorded import Recorded
from lanmu.delivery.sending.recording import record
from lanmu.delivery.states import UnitState
from lanmu.delivery.stopping import Stopped
from lanmu.interfaces.channels import (
    Abilities,
    CancelResult,
    NotConnected,
    Observation,
    Ref,
    Request,
    TargetState,
)
from lanmu.interfaces.errors import Conflict
from lanmu.testing.fakes import Does

CONFIRMED = Abilities(batch_max=2, acceptance="async", cancel=True)


@pytest.fixture
def room(make_room, database):
    return make_room(database, abilities=CONFIRMED)


def test_what_nobody_has_confirmed_is_taken_back(room):
    push = room.send("a", "b", "c")
    room.run()
    assert room.push(push).state == "finished"
    assert room.service.returnable(push.id) == 3, "as the dialog says before"
    assert room.service.cancel(push.id) == Stopped(stopped=3, out=0, unclear=0)
    assert room.service.returnable(push.id) == 0
    assert room.channel.cancelled == ["ref-1", "ref-2"]
    assert room.states(push) == ["cancelled", "cancelled"]
    assert room.push(push).state == "cancelled"
    assert room.unit(push).counted_at is None, "who got nothing has not used up a place"
    assert room.total_is_planned(push)
    assert {attempt.outcome for attempt in room.attempts(push)} == {"cancelled"}, "so verify finds no fault"


def test_late_evidence_of_what_was_taken_back_since_does_not_bring_it_back(room):
    """A worker may have stood still since its write, and only now say what it saw then."""
    push = room.send("a")
    with room.database.write() as session:
        (unit,) = claim(session, room.clock.now(), "h:1:1", timedelta(minutes=1), 1)
    with room.database.write() as session:
        intend(
            session, room.clock.now(), "h:1:1", timedelta(minutes=1), [(unit, Request("send", b"{}", ("a",)))]
        )
    room.clock.advance(timedelta(minutes=2))
    room.service.reap(this_process())
    found = Next(UnitState.ACCEPTED, ref=Ref("ref-1"), results_after=timedelta(0))
    with room.database.write() as session:
        assert record(session, room.clock.now(), [Recorded(unit, found, was=UnitState.UNKNOWN)])
        session.execute(update(Attempt).values(outcome="accepted"))  # as whoever finds it notes
    assert room.service.cancel(push.id).stopped == 1
    seen = Observation(wrote=True, status=200, body=b"ok")
    with room.database.write() as session:
        assert not record(session, room.clock.now(), [Recorded(unit, found, seen)])
    assert (room.states(push), room.target_states(push)) == (["cancelled"], {"a": "cancelled"})
    (attempt,) = room.attempts(push)
    assert attempt.outcome == "cancelled"
    assert attempt.evidence["answer"] == "ok", "what was seen is kept all the same"


def test_what_was_confirmed_before_stays_out_and_is_told(room):
    push = room.send("a", "b")
    room.run()
    room.channel.set_result("ref-1", "a", TargetState.DELIVERED)
    room.clock.advance(timedelta(minutes=1))
    room.results.poll()
    assert room.service.returnable(push.id) == 1
    assert room.service.cancel(push.id) == Stopped(stopped=1, out=1, unclear=0)
    assert room.states(push) == ["partial"]
    assert room.target_states(push) == {"a": "delivered", "b": "cancelled"}
    assert room.unit(push).counted_at is not None


def test_what_the_channel_does_not_take_back_is_out_and_asked_for_no_more(room):
    push = room.send("a")
    room.run()
    asked = []

    def refuse(ref):
        asked.append(ref)
        return CancelResult(False, "too late")

    room.channel.cancel = refuse
    assert room.service.cancel(push.id) == Stopped(stopped=0, out=1, unclear=0)
    assert room.unit(push).reason == "too late"
    room.clock.advance(timedelta(minutes=10))
    room.results.poll()
    assert len(asked) == 1


def test_a_channel_that_cannot_be_asked_now_is_asked_again_and_counts_as_unclear(room):
    push = room.send("a")
    room.run()

    def gone(ref):
        raise NotConnected("nobody is there")

    cancel, room.channel.cancel = room.channel.cancel, gone
    assert room.service.cancel(push.id) == Stopped(stopped=0, out=0, unclear=1)
    room.channel.cancel = cancel
    room.clock.advance(timedelta(minutes=1))
    room.results.poll()
    assert room.states(push) == ["cancelled"]


def test_a_cancel_whose_result_is_not_known_waits_for_it(room):
    push = room.send("a")
    room.run()
    room.channel.results_fail = True
    assert room.service.cancel(push.id) == Stopped(stopped=0, out=0, unclear=1)
    room.channel.results_fail = False
    room.channel.set_result("ref-1", "a", TargetState.DELIVERED)
    room.clock.advance(timedelta(minutes=1))
    room.results.poll()
    assert room.target_states(push) == {"a": "delivered"}


def test_what_was_being_written_at_the_cancel_is_taken_back_when_it_comes_in(room):
    push = room.send("a")

    def cancel_meanwhile(_request):
        assert room.service.cancel(push.id) == Stopped(stopped=0, out=0, unclear=1)

    room.channel.before_write = cancel_meanwhile
    room.run()
    assert room.states(push) == ["accepted"]
    room.clock.advance(timedelta(seconds=2))
    room.results.poll()
    assert room.states(push) == ["cancelled"]
    assert room.push(push).state == "cancelled"


def test_a_channel_that_cannot_take_back_leaves_a_finished_push_alone(make_room, database):
    room = make_room(database, abilities=Abilities(batch_max=1, acceptance="async"))
    push = room.send("a")
    room.run()
    with pytest.raises(Conflict, match="nothing left to stop"):
        room.service.cancel(push.id)


def test_no_transaction_is_open_while_the_channel_is_asked(room):
    push = room.send("a")
    room.run()
    cancel = room.channel.cancel

    def write_meanwhile(ref):
        other = room.send("other")  # would wait for a lock for ever
        assert room.states(other) == ["pending"]
        return cancel(ref)

    room.channel.cancel = write_meanwhile
    assert room.service.cancel(push.id).stopped == 1


def test_who_decided_a_doubt_and_why_stands_with_the_attempt(room):
    room.channel.script(Does.CUT_AFTER)
    push = room.send("a")
    room.run()
    room.service.decide(push.id, 1, "sent", by="li", why="客户说收到了")
    decided = room.attempts(push)[0].evidence["decided"]
    assert (decided["answer"], decided["by"], decided["why"]) == ("sent", "li", "客户说收到了")
