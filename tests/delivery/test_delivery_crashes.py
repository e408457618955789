"""What is left when a worker dies between two steps, and who may still move it."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from lanmu.delivery import crash_points
from lanmu.delivery.installation.owner import Owner, is_dead, this_process
from lanmu.delivery.sending.outcomes import Next
from lanmu.delivery.sending.queue import claim, intend
from lanmu.delivery.sending.recorded import Recorded
from lanmu.delivery.sending.recording import record
from lanmu.delivery.states import UnitState
from lanmu.interfaces.channels import Abilities, Observation, Ref, Request
from lanmu.testing.fakes import Does

HERE = this_process()
DEAD = Owner(HERE.host, 2**22 + 1, "1-dead")  # above the largest number of a process
ELSEWHERE = Owner("another-host", 1, "1-x")
LEASE = timedelta(seconds=60)
ACCEPTED = Next(UnitState.ACCEPTED, ref=Ref("late"))
SEEN = Observation(wrote=True, status=200, body=b"ok")


def claimed(room, owner=DEAD):
    with room.database.write() as session:
        return claim(session, room.clock.now(), str(owner), LEASE, 10)


def intended(room, units, owner=DEAD):
    with room.database.write() as session:
        return intend(
            session,
            room.clock.now(),
            str(owner),
            LEASE,
            [(unit, Request("send", b"{}", ("g1",))) for unit in units],
        )


def recorded(room, unit, next_, seen):
    with room.database.write() as session:
        return record(session, room.clock.now(), [Recorded(unit, next_, seen)])


def test_death_after_the_claim_sends_the_unit_back_to_wait_at_once(room):
    push = room.send("g1")
    claimed(room)
    assert room.run() == 0, "it is another's as long as its owner may live"
    assert room.service.reap(HERE) == {"leased": 1, "calling": 0}
    room.run()
    assert room.channel.sends() == {"g1": 1}
    assert room.unit(push).deaths == 1


def test_death_after_the_intent_leaves_an_unknown_that_nobody_sends_again(room):
    push = room.send("g1")
    intended(room, claimed(room))
    assert room.service.reap(HERE) == {"leased": 0, "calling": 1}
    room.run()
    assert room.channel.writes == []
    assert room.states(push) == ["unknown"]
    assert room.target_states(push) == {"g1": "unknown"}
    assert room.push(push).state == "running"
    assert room.total_is_planned(push)


def test_an_owner_elsewhere_is_waited_for_until_its_lease_is_over(room):
    push = room.send("g1")
    claimed(room, ELSEWHERE)
    assert room.service.reap(HERE) == {"leased": 0, "calling": 0}
    room.clock.advance(LEASE + timedelta(microseconds=1))
    assert room.service.reap(HERE) == {"leased": 1, "calling": 0}
    assert room.states(push) == ["pending"]


def test_a_live_owner_here_keeps_what_it_holds(room):
    room.send("g1")
    claimed(room, HERE)
    assert not is_dead(str(HERE), HERE)
    assert is_dead(str(Owner(HERE.host, os.getpid(), "1-other")), HERE), "its number was taken over"
    assert room.service.reap(HERE) == {"leased": 0, "calling": 0}


def test_a_worker_in_another_container_of_this_machine_is_not_looked_for_among_our_processes(monkeypatch):
    monkeypatch.setattr(os, "readlink", lambda _path: "pid:[7]")
    there = replace(this_process(), pid=DEAD.pid)
    assert there.host != HERE.host
    assert not is_dead(str(there), HERE), "its number means nothing here"


def test_a_slow_preflight_leaves_the_write_a_whole_lease(room):
    push = room.send("g1")
    units = claimed(room, owner=HERE)
    room.clock.advance(LEASE + timedelta(seconds=1))
    assert intended(room, units, owner=HERE)
    room.clock.advance(LEASE - timedelta(seconds=1))
    assert room.service.reap(HERE) == {"leased": 0, "calling": 0}
    assert room.states(push) == ["calling"]
    room.clock.advance(timedelta(seconds=2))
    assert room.service.reap(HERE) == {"leased": 0, "calling": 1}


def test_a_stale_fence_cannot_intend(room):
    push = room.send("g1")
    old = claimed(room)
    room.service.reap(HERE)
    new = claimed(room, HERE)
    assert new[0].fence > old[0].fence
    assert intended(room, old) == set()
    assert room.attempts(push) == []
    assert intended(room, new, HERE) == {new[0].id}


def test_a_stale_fence_cannot_record(room):
    push = room.send("g1")
    old = claimed(room)
    room.service.reap(HERE)
    claimed(room, HERE)
    assert recorded(room, old[0], Next(UnitState.HELD, "too late"), None) == []
    assert room.states(push) == ["leased"]


def test_late_evidence_of_the_same_attempt_settles_an_unknown(room):
    push = room.send("g1")
    (unit,) = claimed(room)
    intended(room, [unit])
    room.service.reap(HERE)
    assert recorded(room, unit, ACCEPTED, SEEN)
    assert room.states(push) == ["accepted"]
    assert room.unit(push).ref == "late"
    assert room.target_states(push) == {"g1": "accepted"}
    assert room.push(push).state == "finished"


def test_late_evidence_that_proves_nothing_good_leaves_the_unknown_but_is_kept(room):
    push = room.send("g1")
    (unit,) = claimed(room)
    intended(room, [unit])
    room.service.reap(HERE)
    assert recorded(room, unit, Next(UnitState.FAILED, "refused"), SEEN) == []
    assert room.states(push) == ["unknown"]
    assert room.attempts(push)[0].outcome == "failed"


def test_late_evidence_tells_more_than_a_person_who_gave_it_up(room):
    push = room.send("g1")
    (unit,) = claimed(room)
    intended(room, [unit])
    room.service.reap(HERE)
    room.service.decide(push.id, 1, "give_up")
    assert recorded(room, unit, ACCEPTED, SEEN)
    assert (room.states(push), room.target_states(push)) == (["accepted"], {"g1": "accepted"})
    assert room.push(push).state == "finished"


class Killed(BaseException):
    """A death of the process: no code may catch it, and none does between the calls of a channel."""


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ("after_claim", (1, "accepted")),
        ("before_intent", (1, "accepted")),
        ("after_intent", (0, "unknown")),
        ("during_write", (0, "unknown")),
        ("after_write", (1, "unknown")),
        ("before_record", (1, "unknown")),
    ],
)
def test_a_worker_that_dies_in_any_step_costs_nobody_a_second_message(room, monkeypatch, point, expected):
    def reach(name):
        if name == point:
            raise Killed

    push, dying = room.send("g1"), room.dispatcher(DEAD)
    with monkeypatch.context() as patched:
        patched.setattr(crash_points, "reach", reach)
        with pytest.raises(Killed):
            dying.run_due()
    room.service.reap(HERE)
    room.run()
    assert (room.channel.sends()["g1"], room.states(push)[0]) == expected


def test_two_dispatchers_in_threads_send_each_unit_once(make_room, database):
    room = make_room(database, abilities=Abilities(batch_max=1))
    keys = [f"g{number}" for number in range(120)]
    pushes = [room.send(*keys[start : start + 40]) for start in range(0, 120, 40)]
    with ThreadPoolExecutor(3) as lanes:
        moved = sum(lanes.map(lambda _lane: room.dispatcher(concurrency=7).run_due(), range(3)))
    assert moved == 120
    assert room.channel.sends() == dict.fromkeys(keys, 1)
    assert [room.push(push).state for push in pushes] == ["finished"] * 3


def test_two_lanes_that_finish_a_push_together_do_not_leave_it_open(make_room, postgres_database):
    """Each sees the other's last unit as open unless the push is locked."""
    room = make_room(postgres_database, abilities=Abilities(batch_max=1))
    for _again in range(5):
        push = room.send(*[f"g{number}" for number in range(6)])
        with ThreadPoolExecutor(3) as lanes:
            list(lanes.map(lambda _lane: room.dispatcher(concurrency=1).run_due(), range(3)))
        assert room.push(push).state == "finished"


def test_people_and_workers_that_meet_at_one_push_do_not_lock_each_other_out(make_room, database):
    room = make_room(database, abilities=Abilities(batch_max=1), otherwise=Does.LATER)
    push = room.send(*[f"g{number}" for number in range(60)], late_policy="send")

    def work(_lane):
        for _turn in range(5):
            room.dispatcher(concurrency=5).run_due()
            room.service.reap(HERE)

    with ThreadPoolExecutor(3) as lanes:
        working = lanes.map(work, range(2))
        stopped = lanes.submit(room.service.cancel, push.id).result()
        list(working)
    assert stopped.stopped + stopped.out + stopped.unclear == 60
    assert room.push(push).state == "cancelled"
    assert room.channel.effects == []
