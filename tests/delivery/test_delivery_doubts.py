"""What becomes of units of which nobody knows whether they went out: each case of reconciling."""

from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import update

from lanmu.delivery.door.questions import Gatekeeper
from lanmu.delivery.followup.doubts import Doubts
from lanmu.delivery.installation.owner import Owner, this_process
from lanmu.delivery.models import Attempt, Unit, WorkerRecord
from lanmu.delivery.sending.outcomes import Next
from lanmu.delivery.sending.preflight import Preflight
from lanmu.delivery.sending.queue import claim, intend
from lanmu.delivery.sending.recorded import Recorded
from lanmu.delivery.sending.recording import record
from lanmu.delivery.states import UnitState
from lanmu.i18n import Filled
from lanmu.interfaces.channels import Abilities, Message, NotConnected, Observation, Ref, Request
from lanmu.interfaces.errors import Conflict
from lanmu.testing.fakes import Does

HERE = this_process()
DEAD = Owner(HERE.host, 2**22 + 1, "1-dead")
ELSEWHERE = Owner("another-host", 1, "1-x")
LEASE = timedelta(seconds=60)
SETTLE = timedelta(minutes=10)
SURELY = SETTLE + timedelta(minutes=4)
"""Nothing found before that does not count: our clock may have been set meanwhile."""
ASKED = Abilities(batch_max=1, lookup=True, settle=SETTLE, cancel=True)
SAME = Abilities(batch_max=1, idempotency=timedelta(hours=4))
MINUTES = timedelta(minutes=1)


def doubts(room, here=HERE, **more):
    preflight = Preflight(room.database, room.clock, room.read_snapshot, room.objections, "Little Star")
    gatekeeper = Gatekeeper(room.channels, "Asia/Shanghai", None)
    return Doubts(
        room.database,
        room.clock,
        room.channels,
        preflight,
        gatekeeper,
        here,
        tell=room.receipts.append,
        pause=lambda seconds: room.clock.advance(timedelta(seconds=seconds)),
        **more,
    )


@pytest.fixture
def asked(make_room, database):
    return make_room(database, abilities=ASKED)


@pytest.fixture
def same(make_room, database):
    return make_room(database, abilities=SAME)


def look_for(room, span, step=MINUTES, here=HERE):
    """Let time pass with a look each minute, and what is due then sent."""
    looker = doubts(room, here)
    for _each in range(int(span / step)):
        room.clock.advance(step)
        looker.look()
        room.run()


def died(room, owner=DEAD, effect=True):
    """A worker that stored its intent, wrote (or not), and was never heard of again."""
    with room.database.write() as session:
        (unit,) = claim(session, room.clock.now(), str(owner), LEASE, 10)
    request = room.channel.compose(_message(room, unit), unit.targets)
    with room.database.write() as session:
        intend(session, room.clock.now(), str(owner), LEASE, [(unit, request)])
    if effect:
        room.channel.transmit(request, None)
    room.clock.advance(LEASE + timedelta(seconds=1))
    room.service.reap(HERE)
    return unit


def _message(room, unit):
    return Message("psh", unit.token, "t", room.snapshot.body, sender=unit.sender)


# --- channels that can be asked ---


def test_a_lost_answer_is_found_and_adopted_after_the_settle_time(asked):
    asked.channel.script(Does.CUT_AFTER)
    push = asked.send("a")
    asked.run()
    assert asked.states(push) == ["unknown"]
    asked.clock.advance(SETTLE - timedelta(seconds=1))
    assert doubts(asked).look() == 0, "the listing may still miss it"
    asked.clock.advance(timedelta(seconds=1))
    assert doubts(asked).look() == 1
    unit = asked.unit(push)
    assert (unit.state, unit.ref, unit.code) == ("accepted", "ref-1", "found")
    assert unit.reason == "It was looked up at the channel and found."
    assert asked.push(push).state == "finished"
    assert asked.channel.sends() == {"a": 1}
    (attempt,) = asked.attempts(push)
    assert attempt.outcome == "accepted"
    assert attempt.evidence["lookups"][0]["found"] == ["ref-1"]
    assert attempt.evidence["fault"], "what was seen at the time stays"
    assert [receipt.state for receipt in asked.receipts] == ["unknown", "accepted"]


def test_what_is_absent_twice_is_sent_again_once(asked):
    asked.channel.script(Does.CUT_BEFORE)
    push = asked.send("a", late_policy="send")
    asked.run()
    asked.clock.advance(SURELY)
    doubts(asked).look()
    assert asked.states(push) == ["unknown"], "once is not enough"
    asked.clock.advance(timedelta(minutes=5) - timedelta(seconds=1))
    assert doubts(asked).look() == 0
    asked.clock.advance(timedelta(seconds=1))
    doubts(asked).look()
    assert asked.states(push) == ["retry_wait"]
    asked.run()
    assert asked.states(push) == ["accepted"]
    assert asked.channel.sends() == {"a": 1}


def test_what_was_not_found_while_the_clock_may_have_been_set_does_not_count(asked):
    asked.channel.script(Does.CUT_BEFORE)
    push = asked.send("a")
    asked.run()
    asked.clock.advance(SETTLE)
    assert doubts(asked).look() == 1
    assert asked.unit(push).looks == 0
    assert asked.unit(push).look_at == asked.clock.now() + SURELY - SETTLE


def test_what_was_written_long_after_its_intent_is_found_though_the_clock_was_set_back_meanwhile(asked):
    transmit = asked.channel.transmit

    def after_a_sleep(request, line):
        asked.clock.advance(timedelta(minutes=70))
        return transmit(request, line)

    asked.channel.transmit = after_a_sleep
    asked.channel.script(Does.CUT_AFTER)
    push = asked.send("a")
    intent_at = asked.clock.now()
    asked.run()
    with asked.database.write() as session:
        session.execute(update(Attempt).values(finished_at=intent_at - timedelta(minutes=30)))
    look_for(asked, timedelta(hours=1))
    assert asked.unit(push).code == "found"
    assert asked.channel.sends() == {"a": 1}


def test_an_end_before_the_beginning_says_nothing_of_when_the_far_end_has_settled(asked):
    asked.channel.script(Does.CUT_BEFORE)
    push = asked.send("a", late_policy="send")
    asked.run()
    with asked.database.write() as session:
        session.execute(update(Attempt).values(finished_at=asked.clock.now() - timedelta(hours=1)))
    asked.clock.advance(SETTLE)
    doubts(asked).look()
    assert asked.unit(push).look_at == asked.clock.now() + SURELY, "the second look is surely after it"


def test_a_worker_that_died_after_its_write_costs_nobody_a_second_message(asked):
    push = asked.send("a", late_policy="send")
    died(asked)
    look_for(asked, timedelta(minutes=30))
    assert asked.states(push) == ["accepted"]
    assert asked.channel.sends() == {"a": 1}


def test_a_worker_that_died_before_its_write_loses_nothing(asked):
    push = asked.send("a", late_policy="send")
    died(asked, effect=False)
    look_for(asked, timedelta(minutes=30))
    assert asked.states(push) == ["accepted"]
    assert asked.channel.sends() == {"a": 1}


def test_what_is_absent_is_not_sent_again_while_its_worker_may_live(asked):
    """Frozen between its intent and the write, it would write once more when it wakes."""
    push = asked.send("a", late_policy="send")
    died(asked, owner=HERE, effect=False)
    look_for(asked, timedelta(hours=1))
    assert asked.states(push) == ["unknown"]
    assert asked.channel.writes == []


def test_a_worker_on_another_host_is_dead_when_silent_for_a_lease_and_the_settle_time(asked):
    push = asked.send("a", late_policy="send")
    asked.service.beat(ELSEWHERE)
    died(asked, owner=ELSEWHERE, effect=False)
    with asked.database.write() as session:
        session.execute(update(WorkerRecord).values(heartbeat_at=asked.clock.now() + timedelta(minutes=30)))
    look_for(asked, timedelta(minutes=40))
    assert asked.states(push) == ["unknown"], "it has been heard of"
    look_for(asked, timedelta(minutes=30))
    assert asked.states(push) == ["accepted"]


def test_a_worker_of_which_there_is_no_record_is_not_taken_for_dead(asked):
    push = asked.send("a", late_policy="send")
    died(asked, owner=ELSEWHERE, effect=False)
    look_for(asked, timedelta(hours=2))
    assert asked.states(push) == ["unknown"]


def test_what_is_absent_after_the_deadline_is_skipped(asked):
    asked.channel.script(Does.CUT_BEFORE)
    push = asked.send("a", deadline_at=asked.clock.now() + timedelta(minutes=12))
    asked.run()
    look_for(asked, timedelta(minutes=20))
    assert asked.unit(push).code == "expired"
    assert asked.states(push) == ["skipped"]
    assert asked.channel.effects == []


def test_of_several_the_first_is_adopted_and_the_others_are_cancelled(asked, caplog):
    asked.channel.script(Does.CUT_AFTER)
    push = asked.send("a")
    asked.run()
    asked.channel.transmit(asked.channel.writes[0], None)  # somebody else wrote the very same
    asked.clock.advance(SETTLE)
    doubts(asked).look()
    assert asked.unit(push).ref == "ref-1"
    assert asked.channel.cancelled == ["ref-2"]
    assert "more than once" in asked.unit(push).reason
    assert "found more than once" in caplog.text
    assert asked.attempts(push)[0].evidence["lookups"][-1] == {"taken_back": {"ref-2": "cancelled"}}


def test_a_message_that_another_unit_owns_is_not_adopted(asked):
    mine = asked.send("a", late_policy="send")
    asked.channel.script(Does.CUT_BEFORE)
    asked.run()
    other = asked.send("b")
    asked.run()
    found = asked.unit(other).ref
    asked.channel.find = lambda request, window: [Ref(found)]
    look_for(asked, timedelta(minutes=20))
    assert asked.unit(mine).ref != found
    assert asked.channel.sends() == {"a": 1, "b": 1}
    assert asked.channel.cancelled == []


def test_two_doubts_about_the_same_bytes_share_what_is_found_and_cancel_nothing(asked):
    asked.channel.script(Does.CUT_AFTER, Does.CUT_AFTER)
    pushes = [asked.send("a"), asked.send("a")]
    with asked.database.write() as session:  # as texts without a link are: nothing tells them apart
        for unit in claim(session, asked.clock.now(), str(HERE), LEASE, 10):
            request = Request("send", b'{"token": "x", "text": "y"}', ("a",))
            intend(session, asked.clock.now(), str(HERE), LEASE, [(unit, request)])
            seen = asked.channel.transmit(request, None)
            lost = Next(UnitState.UNKNOWN, "lost", "ambiguous", look_after=SETTLE)
            record(session, asked.clock.now(), [Recorded(unit, lost, seen)])
    asked.clock.advance(SETTLE)
    doubts(asked).look()
    assert sorted(asked.unit(push).ref for push in pushes) == ["ref-1", "ref-2"]
    assert asked.channel.cancelled == []


def test_a_lookup_that_fails_says_nothing_and_is_tried_ever_less_often_for_a_day(asked):
    asked.channel.script(Does.CUT_AFTER)
    asked.channel.find_fails = True
    push = asked.send("a")
    asked.run()
    begun, asks = asked.clock.now(), []
    find = asked.channel.find

    def note(request, window):
        asks.append(asked.clock.now() - begun)
        return find(request, window)

    asked.channel.find = note
    look_for(asked, timedelta(hours=25), timedelta(minutes=1))
    gaps = [later - before for before, later in pairwise(asks)]
    assert gaps == sorted(gaps), "ever less often"
    assert len(asks) < 40
    assert asks[-1] >= timedelta(hours=22)
    unit = asked.unit(push)
    assert (unit.state, unit.look_at) == ("unknown", None), "now a person is asked"
    assert asked.channel.sends() == {"a": 1}


HASTY = Abilities(batch_max=1, lookup=True, settle=timedelta(seconds=1))
"""Declares a settle time that is far too short, as one may who never saw the far end under load."""


@pytest.mark.parametrize("settle", [timedelta(0), timedelta(seconds=1), timedelta(minutes=1)])
@pytest.mark.parametrize("death", [False, True])
def test_a_far_end_that_lists_later_than_its_channel_says_costs_nobody_a_second_message(
    make_room, database, settle, death
):
    room = make_room(database, abilities=Abilities(batch_max=1, lookup=True, settle=settle))
    push = room.send("a", late_policy="send")
    if death:
        died(room)
    else:
        room.channel.script(Does.CUT_AFTER)
        room.run()
    find, listed_at = room.channel.find, room.clock.now() + timedelta(minutes=4)
    room.channel.find = lambda *asked: find(*asked) if room.clock.now() >= listed_at else ()
    look_for(room, timedelta(minutes=30), timedelta(seconds=10))
    assert room.unit(push).code == "found"
    assert room.channel.sends() == {"a": 1}


def test_nothing_found_counts_five_minutes_after_the_write_and_five_apart_whatever_a_channel_declares(
    make_room, database
):
    room = make_room(database, abilities=HASTY)
    room.channel.script(Does.CUT_BEFORE)
    push = room.send("a", late_policy="send")
    room.run()
    look_for(room, timedelta(minutes=5) - timedelta(seconds=1), timedelta(seconds=1))
    assert room.unit(push).looks == 0
    look_for(room, timedelta(seconds=1), timedelta(seconds=1))
    assert room.unit(push).looks == 1
    look_for(room, timedelta(minutes=5) - timedelta(seconds=1), timedelta(seconds=1))
    assert (room.unit(push).looks, len(room.channel.writes)) == (1, 1)
    look_for(room, timedelta(seconds=2), timedelta(seconds=1))
    assert room.states(push) == ["accepted"]
    assert room.channel.sends() == {"a": 1}


def test_what_is_listed_soon_is_found_soon_and_not_only_when_nothing_would_count(make_room, database):
    room = make_room(database, abilities=HASTY)
    room.channel.script(Does.CUT_AFTER)
    push = room.send("a")
    room.run()
    find, listed_at = room.channel.find, room.clock.now() + timedelta(seconds=20)
    room.channel.find = lambda *asked: find(*asked) if room.clock.now() >= listed_at else ()
    look_for(room, timedelta(seconds=65), timedelta(seconds=1))
    assert room.unit(push).code == "found"


def test_an_operator_may_have_nothing_found_count_later_or_sooner(make_room, database):
    room = make_room(database, abilities=HASTY)
    room.channel.script(Does.CUT_BEFORE)
    push = room.send("a", late_policy="send")
    room.run()
    looker = doubts(room, absent_after=timedelta(minutes=20))
    for _minute in range(19):
        room.clock.advance(MINUTES)
        looker.look()
    assert (room.states(push), room.unit(push).looks) == (["unknown"], 0)
    room.clock.advance(MINUTES)
    looker.look()
    assert room.unit(push).looks == 1
    assert room.unit(push).look_at == room.clock.now() + timedelta(minutes=20)


def test_a_failed_lookup_leaves_a_trace_with_its_reason(asked, caplog):
    asked.channel.script(Does.CUT_AFTER)
    asked.channel.find_fails = True
    push = asked.send("a")
    asked.run()
    asked.clock.advance(SETTLE)
    doubts(asked).look()
    (lookup,) = asked.attempts(push)[0].evidence["lookups"]
    assert lookup["failed"] == "the listing cannot be reached"
    assert lookup["looked_at"] == asked.clock.now().isoformat()
    (warning,) = [each for each in caplog.records if each.getMessage() == "a doubt could not be looked into"]
    assert (warning.why, warning.unit) == ("the listing cannot be reached", asked.unit(push).id)
    assert asked.unit(push).look_at > asked.clock.now(), "and it is tried again"


def test_a_channel_that_raises_in_its_lookup_leaves_the_doubt_and_its_mistake_behind(asked):
    asked.channel.script(Does.CUT_AFTER)
    push = asked.send("a")
    asked.run()
    asked.channel.find = lambda request, window: 1 / 0
    asked.clock.advance(SETTLE)
    doubts(asked).look()
    (found,) = asked.service.units(push.id)[0].attempts
    assert "ZeroDivisionError" in found.evidence["lookups"][0]["failed"]
    assert asked.states(push) == ["unknown"]
    assert asked.unit(push).look_at > asked.clock.now()


@pytest.mark.parametrize("abilities", [ASKED, SAME])
def test_where_waiting_does_not_help_a_person_is_asked_at_once(make_room, database, abilities):
    room = make_room(database, abilities=abilities)
    room.channel.script(Does.CUT_AFTER)
    push = room.send("a")
    room.run()

    def barred(*_asked):
        raise NotConnected("the key was revoked", config=True)

    room.channel.find = room.channel.connect = barred
    room.clock.advance(SETTLE)
    doubts(room).look()
    unit = room.unit(push)
    assert (unit.state, unit.look_at) == ("unknown", None)
    assert "the key was revoked" in unit.reason
    assert room.attempts(push)[0].evidence["lookups"][0]["failed"] == "the key was revoked"


def test_after_a_day_without_an_answer_the_person_is_told_why(asked):
    asked.channel.script(Does.CUT_AFTER)
    asked.channel.find_fails = True
    push = asked.send("a")
    asked.run()
    look_for(asked, timedelta(hours=26), 10 * MINUTES)
    unit = asked.unit(push)
    assert unit.look_at is None
    assert "whole day. Last: the listing cannot be reached" in unit.reason


def test_a_resend_that_cannot_connect_leaves_a_trace(same):
    same.channel.script(Does.CUT_AFTER, Does.UNREACHABLE)
    push = same.send("a")
    same.run()
    doubts(same).look()
    assert same.attempts(push)[0].evidence["lookups"][0]["failed"] == "connection refused"


def test_a_far_end_that_wants_to_be_asked_later_is(asked):
    asked.channel.script(Does.CUT_AFTER)
    push = asked.send("a")
    asked.run()

    def dispatching(request, window):
        raise NotConnected("being dispatched", retry_after=timedelta(minutes=25))

    find, asked.channel.find = asked.channel.find, dispatching
    asked.clock.advance(SETTLE)
    doubts(asked).look()
    assert asked.unit(push).look_at == asked.clock.now() + timedelta(minutes=25)
    asked.channel.find = find
    look_for(asked, timedelta(minutes=26))
    assert asked.states(push) == ["accepted"]


def test_late_evidence_of_the_same_attempt_wins_while_it_is_looked_up(asked):
    push = asked.send("a", late_policy="send")
    unit = died(asked)
    asked.clock.advance(SETTLE)

    def find(request, window):
        with asked.database.write() as session:
            late = Recorded(unit, Next(UnitState.ACCEPTED, ref=Ref("late")), Observation(True, 200, b"ok"))
            record(session, asked.clock.now(), [late])
        return []

    asked.channel.find = find
    doubts(asked).look()
    assert asked.unit(push).ref == "late"
    look_for(asked, timedelta(minutes=10))
    assert asked.unit(push).ref == "late"
    assert asked.channel.sends() == {"a": 1}


def test_two_workers_that_look_at_once_do_not_count_twice(asked):
    asked.channel.script(Does.CUT_BEFORE)
    push = asked.send("a")
    asked.run()
    asked.clock.advance(SURELY)
    second, find = doubts(asked), asked.channel.find

    def meanwhile(request, window):
        asked.channel.find = find
        assert second.look() == 0, "it is taken"
        return []

    asked.channel.find = meanwhile
    doubts(asked).look()
    assert asked.unit(push).looks == 1


def test_a_lookup_that_took_longer_than_its_lease_does_not_count(asked):
    asked.channel.script(Does.CUT_BEFORE)
    push = asked.send("a")
    asked.run()
    asked.clock.advance(SURELY)
    second, find = doubts(asked), asked.channel.find

    def slow(request, window):
        asked.channel.find = find
        asked.clock.advance(LEASE)
        assert second.look() == 1, "somebody else takes it up"
        return []

    asked.channel.find = slow
    doubts(asked).look()
    assert asked.unit(push).looks == 1, "two lookups that are not five minutes apart are one"


def test_a_cancelled_push_does_not_send_what_turns_out_not_to_be_out(asked):
    asked.channel.script(Does.CUT_BEFORE)
    push = asked.send("a")
    asked.run()
    asked.service.cancel(push.id)
    look_for(asked, timedelta(minutes=20))
    assert asked.states(push) == ["cancelled"]
    assert asked.push(push).state == "cancelled"
    assert asked.channel.effects == []


# --- channels that take the same bytes once ---


def test_the_same_bytes_are_sent_again_and_have_one_effect(same):
    same.channel.script(Does.CUT_AFTER)
    push = same.send("a")
    same.run()
    assert doubts(same).look() == 1
    assert same.states(push) == ["accepted"]
    assert same.channel.sends() == {"a": 1}
    first, second = same.attempts(push)
    assert first.request == second.request
    assert second.fence == first.fence + 1
    assert [attempt.outcome for attempt in (first, second)] == ["unknown", "accepted"]


def test_the_same_bytes_are_sent_again_after_a_death(same):
    push = same.send("a", late_policy="send")
    died(same)
    assert same.states(push) == ["unknown"]
    doubts(same).look()
    assert same.states(push) == ["accepted"]
    assert same.channel.sends() == {"a": 1}


def test_a_resend_stays_ten_minutes_away_from_the_end_of_its_window(same):
    same.channel.script(Does.CUT_AFTER)
    push = same.send("a", late_policy="send", deadline_at=same.clock.now() + timedelta(days=2))
    same.run()
    same.clock.advance(timedelta(hours=4) - timedelta(minutes=10))
    doubts(same).look()
    assert len(same.channel.writes) == 1
    unit = same.unit(push)
    assert (unit.state, unit.look_at) == ("unknown", None)
    same.clock.advance(timedelta(hours=1))
    same.run()
    assert same.channel.sends() == {"a": 1}


def test_the_bytes_are_the_stored_ones_whatever_would_be_composed_now(same):
    same.channel.script(Does.CUT_AFTER)
    push = same.send("a")
    same.run()
    same.change_material(body="Other words.")
    doubts(same).look()
    assert same.states(push) == ["accepted"]
    assert same.channel.writes[1].body == same.channel.writes[0].body


def test_a_resend_passes_the_last_door_too(same):
    same.channel.script(Does.CUT_AFTER)
    push = same.send("a")
    same.run()
    same.change_material(body="Other words.", content_hash="hash-2")
    doubts(same).look()
    unit = same.unit(push)
    assert (unit.state, unit.code, unit.look_at) == ("unknown", "not_approved", None)
    assert len(same.channel.writes) == 1


def test_a_no_to_the_second_is_no_proof_against_the_first(same):
    same.channel.script(Does.CUT_AFTER, Does.REFUSE)
    push = same.send("a")
    same.run()
    doubts(same).look()
    unit = same.unit(push)
    assert (unit.state, unit.look_at) == ("unknown", None)


def test_an_ambiguous_resend_is_repeated_three_times_at_most(same):
    same.channel.otherwise = Does.CUT_AFTER
    push = same.send("a", late_policy="send", deadline_at=same.clock.now() + timedelta(days=2))
    same.run()
    look_for(same, timedelta(hours=4))
    assert len(same.channel.writes) == 4
    assert same.channel.sends() == {"a": 1}
    assert same.unit(push).look_at is None


def test_a_resend_that_cannot_connect_waits_and_makes_no_attempt(same):
    same.channel.script(Does.CUT_AFTER, Does.UNREACHABLE)
    push = same.send("a")
    same.run()
    doubts(same).look()
    assert same.states(push) == ["unknown"]
    assert len(same.attempts(push)) == 1
    look_for(same, timedelta(minutes=3))
    assert same.states(push) == ["accepted"]


def test_a_paused_push_is_not_sent_again_until_it_goes_on(same):
    same.channel.script(Does.CUT_AFTER)
    push = same.send("a", "b", late_policy="send")
    stops = iter([False, True, True])
    same.dispatcher(concurrency=1).run_due(lambda: next(stops))
    same.service.pause(push.id)
    look_for(same, timedelta(minutes=5))
    assert len(same.channel.writes) == 1
    same.service.resume(push.id)
    look_for(same, timedelta(minutes=5))
    assert same.channel.sends() == {"a": 1, "b": 1}


def test_a_worker_that_slept_before_its_resend_writes_nothing(same):
    same.channel.script(Does.CUT_AFTER)
    push = same.send("a")
    same.run()
    looker = doubts(same)
    keeper = looker._gatekeeper.ask

    def slow(*arguments):
        same.clock.advance(timedelta(seconds=6))
        return keeper(*arguments)

    looker._gatekeeper.ask = slow
    looker.look()
    assert len(same.channel.writes) == 1
    assert same.states(push) == ["unknown"]


def asleep_while_connecting(room, monkeypatch, *, hours, jump=0):
    """The next connect takes so many hours, in which the wall clock may be set back."""
    connect = room.channel.connect

    def slow(request):
        room.clock.advance(timedelta(hours=hours))
        room.clock.jump(timedelta(hours=jump))
        return connect(request)

    monkeypatch.setattr(room.channel, "connect", slow)


@pytest.mark.parametrize("jump", [0, -4])
def test_a_worker_that_slept_while_it_connected_does_not_resend_after_the_window(same, monkeypatch, jump):
    same.channel.script(Does.CUT_AFTER)
    push = same.send("a", late_policy="send", deadline_at=same.clock.now() + timedelta(days=2))
    same.run()
    same.clock.advance(timedelta(hours=1))
    asleep_while_connecting(same, monkeypatch, hours=3, jump=jump)
    doubts(same).look()
    assert len(same.channel.writes) == 1, "the far end has forgotten the first by now"
    assert len(same.attempts(push)) == 1, "nor is it written down as if"
    unit = same.unit(push)
    assert (unit.state, unit.look_at) == ("unknown", None)
    assert all(line.closed for line in same.channel.lines)


def test_a_worker_that_slept_while_it_connected_resends_within_the_window(same, monkeypatch):
    same.channel.script(Does.CUT_AFTER)
    push = same.send("a", late_policy="send", deadline_at=same.clock.now() + timedelta(days=2))
    same.run()
    asleep_while_connecting(same, monkeypatch, hours=3)
    doubts(same).look()
    assert same.states(push) == ["accepted"]
    assert same.channel.sends() == {"a": 1}


def test_a_worker_that_may_not_send_any_more_once_it_is_connected_resends_nothing(same):
    same.channel.script(Does.CUT_AFTER)
    push = same.send("a", late_policy="send", deadline_at=same.clock.now() + timedelta(days=2))
    same.run()
    said = iter([True, False])
    doubts(same, may_send=lambda: next(said)).look()
    assert len(same.channel.writes) == 1
    assert same.unit(push).look_at == same.clock.now() + MINUTES
    doubts(same).look()
    look_for(same, 2 * MINUTES)
    assert same.states(push) == ["accepted"]


# --- where only a person can tell ---


def test_without_a_lookup_only_a_person_can_tell_and_at_once(make_room, database):
    room = make_room(database, abilities=Abilities(batch_max=1))
    room.channel.script(Does.CUT_AFTER)
    push = room.send("a")
    room.run()
    assert room.unit(push).look_at is None
    assert doubts(room).look() == 0
    assert room.states(push) == ["unknown"]


def test_without_a_lookup_a_death_goes_to_a_person_at_once(make_room, database):
    room = make_room(database, abilities=Abilities(batch_max=1))
    push = room.send("a")
    died(room)
    assert (room.unit(push).state, room.unit(push).look_at) == ("unknown", None)


def test_what_nobody_has_settled_in_three_days_counts_as_sent(make_room, database):
    room = make_room(database, abilities=Abilities(batch_max=1))
    room.channel.script(Does.CUT_BEFORE)
    push = room.send("a")
    room.run()
    room.clock.advance(timedelta(hours=72))
    doubts(room).look()
    assert room.states(push) == ["unknown"]
    room.clock.advance(timedelta(seconds=1))
    doubts(room).look()
    unit = room.unit(push)
    assert (unit.state, unit.code) == ("accepted", "counted_as_sent")
    assert unit.counted_at is not None
    assert room.push(push).state == "finished"
    assert len(room.channel.writes) == 1


# --- units that end workers ---


def test_the_third_death_before_the_write_puts_the_unit_on_hold(asked):
    push = asked.send("a", late_policy="send")
    for _death in range(3):
        with asked.database.write() as session:
            assert claim(session, asked.clock.now(), str(DEAD), LEASE, 10)
        asked.service.reap(HERE)
    unit = asked.unit(push)
    assert (unit.state, unit.code, unit.deaths) == ("held", "poison", 3)
    assert unit.reason
    asked.run()
    assert asked.channel.writes == []


@pytest.mark.parametrize("abilities", [ASKED, SAME])
def test_a_unit_that_ends_its_third_worker_in_the_write_is_never_sent_again_by_itself(
    make_room, database, abilities
):
    room = make_room(database, abilities=abilities)
    push = room.send("a", late_policy="send")
    with room.database.write() as session:
        session.execute(update(Unit).values(deaths=2))
    died(room, effect=False)
    look_for(room, timedelta(hours=1))
    unit = room.unit(push)
    assert (unit.state, unit.code, unit.look_at) == ("unknown", "poison", None)
    assert room.channel.writes == []


def test_a_person_cannot_send_again_what_is_still_being_looked_up(asked):
    asked.channel.script(Does.CUT_AFTER)
    push = asked.send("a")
    asked.run()
    with pytest.raises(Conflict, match="still being asked"):
        asked.service.decide(push.id, 1, "again")
    asked.service.decide(push.id, 1, "sent")
    assert asked.states(push) == ["accepted"]


def test_what_broke_in_a_call_can_be_told_in_any_language(room):
    """Also where the far end's own words fill its slots."""
    room.channel.transmit = lambda request, line: 1 / 0
    push = room.send("a")
    room.run()
    (attempt,) = room.service.units(push.id)[0].attempts
    fault = attempt.evidence["fault"]
    assert isinstance(fault, Filled)
    assert "ZeroDivisionError" in str(fault.params["fault"])
