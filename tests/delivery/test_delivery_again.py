"""What a person has sent again: its first attempt may be out, whatever becomes of the second."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text

from lanmu.audience.models import Member
from lanmu.delivery.changes import Change
from lanmu.delivery.door.limit_models import LimitUse, SendLimit
from lanmu.delivery.intake import Recipient
from lanmu.delivery.models import Unit
from lanmu.delivery.sending.outcomes import Next
from lanmu.delivery.sending.queue import as_claimed, claim, intend, reap
from lanmu.delivery.sending.recorded import Recorded
from lanmu.delivery.sending.recording import record
from lanmu.delivery.states import UnitState
from lanmu.delivery.stopping import Stopped
from lanmu.delivery.verify import verify
from lanmu.interfaces.channels import Abilities, Observation, Ref, Request
from lanmu.interfaces.errors import Conflict
from lanmu.testing.fakes import Does


@pytest.fixture
def doubted(make_room, database):
    """One message that may be out, and counts; nobody can be asked."""
    room = make_room(database, abilities=Abilities(batch_max=1))
    with database.write() as session:
        values = {"scope": "recipient", "period": "day", "zone": "Asia/Shanghai", "most": 5}
        session.add(SendLimit(code="ours.recipient.day", **values))
    room.channel.script(Does.CUT_AFTER)
    room.doubt = room.send("a")
    room.run()
    assert room.states(room.doubt) == ["unknown"]
    return room


def _used(room):
    with room.database.read() as session:
        return sum(use.used for use in session.query(LimitUse))


def _wrong(room):
    return [check.first_wrong for check in verify(room.database, room.clock.now()) if not check.ok]


def _held_in_doubt(room):
    """Still in doubt, for a person, counted, and sound."""
    assert room.states(room.doubt) == ["unknown"]
    assert room.unit(room.doubt).look_at is None
    assert room.target_states(room.doubt) == {"a": "unknown"}
    assert _used(room) == 1
    assert _wrong(room) == []


def test_while_it_waits_to_go_out_again_it_counts_and_is_sound(doubted):
    doubted.service.decide(doubted.doubt.id, 1, "again", "li", "they got nothing")
    assert doubted.states(doubted.doubt) == ["pending"]
    assert _used(doubted) == 1
    assert _wrong(doubted) == []


def test_a_cancel_before_it_goes_out_again_could_not_tell(doubted):
    room = doubted
    room.service.decide(room.doubt.id, 1, "again")
    assert room.service.cancel(room.doubt.id) == Stopped(stopped=0, out=0, unclear=1)
    _held_in_doubt(room)
    assert room.run() == 0
    with pytest.raises(Conflict, match="was cancelled"):
        room.service.decide(room.doubt.id, 1, "again")
    room.service.decide(room.doubt.id, 1, "sent")
    assert (room.states(room.doubt), _wrong(room)) == (["accepted"], [])


def test_a_no_to_the_second_attempt_is_no_proof_against_the_first(doubted):
    room = doubted
    room.service.decide(room.doubt.id, 1, "again")
    room.channel.script(Does.REFUSE)
    room.run()
    _held_in_doubt(room)
    assert "earlier attempt" in room.unit(room.doubt).reason


def test_where_the_push_is_held_what_is_to_go_out_again_waits_with_it(doubted):
    room = doubted
    room.service.decide(room.doubt.id, 1, "again")
    room.channel.script(Does.REFUSE_CONTENT)
    room.run()
    assert (room.push(room.doubt).state, room.states(room.doubt)) == ("held", ["retry_wait"])
    assert (_used(room), _wrong(room)) == (1, [])
    assert room.service.cancel(room.doubt.id) == Stopped(stopped=0, out=0, unclear=1)
    _held_in_doubt(room)


def test_a_second_attempt_that_has_to_wait_keeps_what_the_first_counts(doubted):
    room = doubted
    room.service.decide(room.doubt.id, 1, "again")
    room.channel.script(Does.LATER)
    room.run()
    assert (room.states(room.doubt), _used(room), _wrong(room)) == (["retry_wait"], 1, [])
    room.clock.advance(timedelta(minutes=10))
    room.run()
    assert (room.states(room.doubt), _used(room), _wrong(room)) == (["accepted"], 1, [])


def test_a_deadline_that_passes_before_it_goes_out_again_leaves_it_in_doubt(doubted):
    room = doubted
    room.service.decide(room.doubt.id, 1, "again")
    room.clock.advance(timedelta(hours=7))
    room.run()
    _held_in_doubt(room)


def test_what_is_to_go_out_again_can_be_changed_no_more(doubted):
    doubted.service.decide(doubted.doubt.id, 1, "again")
    later = doubted.clock.now() + timedelta(hours=1)
    with pytest.raises(Conflict, match="some of it is out"):
        doubted.service.changes.edit(doubted.doubt.id, Change(seen=1, due_at=later), "li")


def test_what_was_given_up_in_doubt_gets_no_clone(doubted):
    doubted.service.decide(doubted.doubt.id, 1, "give_up")
    with pytest.raises(Conflict, match="nobody whom it failed to reach"):
        doubted.service.changes.clone(doubted.doubt.id, "li")


def test_two_attempts_that_went_out_by_a_persons_word_are_sound(doubted):
    room = doubted
    before = room.unit(room.doubt)
    room.service.decide(room.doubt.id, 1, "again", "li", "they got nothing")
    room.run()
    assert room.states(room.doubt) == ["accepted"]
    _learn_that_it_is_out(room, before)
    first, second = room.attempts(room.doubt)
    assert (first.outcome, second.outcome) == ("accepted", "accepted")
    assert first.evidence["decided"]["by"] == "li", "what is learnt late lies beside who decided"
    assert _wrong(room) == []


def test_late_evidence_that_the_first_is_out_spares_the_second(doubted):
    room = doubted
    before = room.unit(room.doubt)
    room.service.decide(room.doubt.id, 1, "again")
    _learn_that_it_is_out(room, before)
    assert room.states(room.doubt) == ["accepted"]
    assert room.unit(room.doubt).ref == "late-1"
    room.run()
    assert room.channel.sends() == {"a": 1}
    assert (room.target_states(room.doubt), _used(room), _wrong(room)) == ({"a": "accepted"}, 1, [])


def test_late_evidence_settles_what_was_given_up(doubted):
    room = doubted
    before = room.unit(room.doubt)
    room.service.decide(room.doubt.id, 1, "give_up")
    _learn_that_it_is_out(room, before)
    assert (room.states(room.doubt), room.push(room.doubt).state) == (["accepted"], "finished")
    assert _wrong(room) == []


def test_an_attempt_that_nobody_asked_for_beside_one_that_is_out_is_named(doubted):
    room = doubted
    before = room.unit(room.doubt)
    room.service.decide(room.doubt.id, 1, "again")
    room.run()
    _learn_that_it_is_out(room, before)
    with room.database.write() as session:
        session.execute(text("UPDATE attempt SET again = ''"))
    assert any("2 attempts say that it went out" in each for each in _wrong(room))


def test_what_is_learnt_of_the_first_while_the_second_is_written_down_spares_the_third(
    make_room, postgres_database
):
    """Two workers: one writes down what its attempt came to while the other learns that the first is out."""
    room = make_room(postgres_database, abilities=Abilities(batch_max=1))
    room.channel.script(Does.CUT_AFTER)
    room.doubt = room.send("a")
    room.run()
    before, now = room.unit(room.doubt), room.clock.now()
    room.service.decide(room.doubt.id, 1, "again")
    with room.database.write() as session:
        (second,) = claim(session, now, "second", timedelta(minutes=1), 1)
    with room.database.write() as session:
        intend(session, now, "second", timedelta(minutes=1), [(second, Request("send", b"", ("a",)))])

    def write_down():
        later = Next(UnitState.RETRY_WAIT, "busy", wait=timedelta(0))
        with room.database.write() as session:
            record(session, now, [Recorded(second, later, Observation(wrote=True))])

    with ThreadPoolExecutor(1) as other:
        with room.database.write() as session:
            _record_the_first(room, session, before)
            writing = other.submit(write_down)
            assert _waits_for_a_lock(room.database)
        writing.result(timeout=10)
    assert room.states(room.doubt) == ["accepted"]
    room.run()
    assert room.channel.sends() == {"a": 1}


def _waits_for_a_lock(database):
    pause = threading.Event()
    for _try in range(500):
        with database.glance() as connection:
            if connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar():
                return True
        pause.wait(0.01)
    return False


def _learn_that_it_is_out(room, unit):
    """The worker of the first attempt was slow, and says now what it saw."""
    with room.database.write() as session:
        _record_the_first(room, session, unit)


def _record_the_first(room, session, unit):
    session.execute(text("UPDATE attempt SET finished_at = NULL WHERE fence = 1"))
    found = Next(UnitState.ACCEPTED, ref=Ref("late-1"))
    seen = Observation(wrote=True, status=200, body=b"{}")
    mine = as_claimed(session.merge(unit, load=False), [])
    session.expunge_all()
    record(session, room.clock.now(), [Recorded(mine, found, seen)])


def test_three_deaths_over_a_resend_leave_it_in_doubt(doubted):
    room = doubted
    room.service.decide(room.doubt.id, 1, "again")
    with room.database.write() as session:
        unit = session.get_one(Unit, room.unit(room.doubt).id)
        unit.state, unit.deaths, unit.lease_until = "leased", 2, room.clock.now() - timedelta(seconds=1)
    with room.database.write() as session:
        reap(session, room.clock.now(), [])
    _held_in_doubt(room)


def test_who_opted_out_before_it_goes_out_again_stays_in_doubt_alone(make_room, database):
    room = make_room(database, abilities=Abilities(batch_max=10))
    with database.write() as session:
        limit = {"scope": "member", "period": "day", "zone": "Asia/Shanghai", "most": 5}
        session.add(SendLimit(code="member.day", **limit))
        ids = [Member(public_id=Member.fresh_id(), name=name, created_at=room.clock.now()) for name in "ab"]
        session.add_all(ids)
        session.flush()
        members = [member.id for member in ids]
    room.channel.script(Does.CUT_AFTER)
    whom = [Recipient(key, key, member_id=member) for key, member in zip("ab", members, strict=True)]
    room.doubt = room.send(recipients=whom)
    room.run()
    room.service.decide(room.doubt.id, 1, "again")
    with database.write() as session:
        session.get_one(Member, members[0]).opted_out = True
    room.run()
    assert room.states(room.doubt) == ["accepted", "unknown"]
    assert room.target_states(room.doubt) == {"a": "unknown", "b": "accepted"}
    assert (_used(room), _wrong(room)) == (2, [])
    room.service.decide(room.doubt.id, 2, "sent")
    assert (room.target_states(room.doubt)["a"], _wrong(room)) == ("accepted", [])
