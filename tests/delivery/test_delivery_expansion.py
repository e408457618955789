"""A large push becomes units and targets portion by portion: all of them once, and nothing sent before."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select, update

from lanmu.delivery import crash_points, expansion, intake
from lanmu.delivery.changes import Change
from lanmu.delivery.expansion import Expansion
from lanmu.delivery.intake import Recipient
from lanmu.delivery.models import Portion, Push, Unit, UnitTarget
from lanmu.delivery.verify import verify
from lanmu.interfaces.channels import Abilities
from lanmu.interfaces.errors import Conflict

KEYS = [f"g{number:02d}" for number in range(20)]


class Killed(BaseException):
    pass


@pytest.fixture
def room(make_room, database, monkeypatch):
    """Pushes of more than three are large here; a portion is four recipients in two units."""
    monkeypatch.setattr(expansion, "AT_ONCE", 3)
    monkeypatch.setattr(expansion, "PORTION", 6)
    monkeypatch.setattr(expansion, "TOGETHER", 1)
    return make_room(database, abilities=Abilities(batch_max=2))


def asked(room, *keys, **changes):
    """The push as its request leaves it, in the transaction of whoever asked."""
    with room.database.write() as session:
        row, _new = room.service.request(session, room.request(*(keys or KEYS), **changes))
        public_id = session.get_one(Push, row).public_id
    return room.service.get(public_id)


def portions(room, push):
    with room.database.read() as session:
        return session.scalar(select(func.count()).where(Portion.push_id == push.row))


def some(room, count):
    """So many portions, and no more."""
    left = iter(range(count))
    return Expansion(room.database, room.clock).run(stopping=lambda: next(left, None) is None)


def is_sound(room):
    return [check.first_wrong for check in verify(room.database) if not check.ok] == []


def test_a_large_push_is_stored_first_and_then_expanded(room):
    push = asked(room)
    assert (push.state, push.progress.planned, push.progress.preparing) == ("expanding", 20, 20)
    assert push.progress.targets == {"planned": 20}
    assert portions(room, push) == 5
    assert is_sound(room)
    assert room.service.expand() == 5
    ready = room.service.get(push.id)
    assert (ready.state, ready.progress.planned, ready.progress.preparing) == ("scheduled", 20, 0)
    assert portions(room, push) == 0
    room.run()
    assert room.channel.sends() == dict.fromkeys(KEYS, 1)
    assert room.push(push).state == "finished"
    assert is_sound(room)


def test_who_asks_for_a_large_push_alone_gets_it_expanded(room):
    push = room.send(*KEYS)
    assert (push.state, push.progress.units) == ("scheduled", {"pending": 10})


def test_a_small_push_is_ready_in_the_transaction_that_takes_it_in(room):
    assert asked(room, "g1", "g2", "g3").state == "scheduled"


def test_others_write_while_a_large_list_is_packed(room, monkeypatch):
    packed = intake.pack

    def beside(*given):
        with room.database.write() as session:
            session.execute(update(Push).values(priority=0))
        return packed(*given)

    monkeypatch.setattr(intake, "pack", beside)
    assert room.send(*KEYS).progress.planned == 20


def test_units_are_those_of_a_push_that_is_expanded_at_once(room, monkeypatch):
    recipients = [Recipient(key, f"Group {key}", zone="Asia/Tokyo" if key < "g07" else "") for key in KEYS]

    def rows(push):
        with room.database.read() as session:
            found = session.execute(
                select(Unit.number, Unit.zone, Unit.not_before, UnitTarget.recipient_key, UnitTarget.name)
                .join(UnitTarget, UnitTarget.unit_id == Unit.id)
                .where(Unit.push_id == push.row)
                .order_by(UnitTarget.id)
            )
            return [tuple(row) for row in found]

    in_portions = rows(room.send(recipients=recipients))
    monkeypatch.setattr(expansion, "AT_ONCE", 100)
    assert rows(room.send(recipients=recipients)) == in_portions


def test_nothing_is_sent_before_all_is_expanded(room):
    push = asked(room)
    for done in range(5):
        assert room.run() == 0
        assert room.service.get(push.id).progress.preparing == 20 - done * 4
        some(room, 1)
    assert room.run() == 10


@pytest.mark.parametrize("point", ["during_intake", "during_expansion"])
@pytest.mark.parametrize(
    ("together", "transaction", "stay"), [(1, 1, 5), (1, 3, 3), (1, 5, 1), (32, 2, 4), (32, 3, 2)]
)
def test_whoever_dies_in_a_portion_leaves_the_rest_to_the_next(
    room, monkeypatch, point, together, transaction, stay
):
    """Of five: first one, then two together and the last two, where so many may be made together."""
    monkeypatch.setattr(expansion, "TOGETHER", together)
    push = asked(room)
    to_go = transaction

    def die(name):
        nonlocal to_go
        to_go -= name == point
        if not to_go:
            raise Killed

    monkeypatch.setattr(crash_points, "reach", die)
    with pytest.raises(Killed):
        room.service.expand()
    monkeypatch.undo()
    assert portions(room, push) == stay
    assert is_sound(room)
    room.service.expand()
    room.run()
    assert room.channel.sends() == dict.fromkeys(KEYS, 1)
    assert is_sound(room)


_EXPAND = """
import sys, lanmu.every_model
from lanmu.clock import SystemClock
from lanmu.delivery import expansion
from lanmu.storage import Database
expansion.TOGETHER = 1
expansion.Expansion(Database(sys.argv[1]), SystemClock()).run()
"""


@pytest.mark.parametrize("point", ["during_intake:3", "during_expansion:3"])
def test_a_process_killed_in_a_portion_loses_and_doubles_nobody(room, point):
    push = asked(room)
    url = room.database.url.render_as_string(hide_password=False)
    environ = {**os.environ, "LANMU_CRASH_POINTS": "1", "LANMU_CRASH_AT": point}
    died = subprocess.run([sys.executable, "-c", _EXPAND, url], env=environ, check=False)
    assert died.returncode == -signal.SIGKILL
    assert portions(room, push) == 3
    assert room.run() == 0
    subprocess.run([sys.executable, "-c", _EXPAND, url], check=True)
    room.run()
    assert room.channel.sends() == dict.fromkeys(KEYS, 1)
    assert is_sound(room)


def test_two_who_expand_at_once_make_each_unit_once(room):
    pushes = [asked(room, *(f"{name}{key}" for key in KEYS)) for name in "abc"]
    with ThreadPoolExecutor(3) as lanes:
        done = sum(lanes.map(lambda _lane: room.service.expand(), range(3)))
    assert done == 15
    assert [room.push(push).state for push in pushes] == ["scheduled"] * 3
    assert all(room.states(push) == ["pending"] * 10 for push in pushes)
    assert is_sound(room)


def test_the_push_that_is_due_first_is_expanded_first(room):
    later = asked(room, due_at=room.clock.now() + timedelta(hours=2))
    sooner = asked(room, *(f"s{key}" for key in KEYS), due_at=room.clock.now() + timedelta(hours=1))
    some(room, 5)
    assert (portions(room, sooner), portions(room, later)) == (0, 5)


@pytest.mark.parametrize("done", [0, 3])
def test_a_cancel_stops_what_is_not_expanded_yet_too(room, done):
    push = asked(room)
    some(room, done)
    stopped = room.service.cancel(push.id)
    assert (stopped.stopped, stopped.out, stopped.unclear) == (20, 0, 0)
    cancelled = room.service.get(push.id)
    assert (cancelled.state, cancelled.progress.preparing) == ("cancelled", 0)
    assert is_sound(room)
    room.service.expand()
    assert room.states(push) == ["cancelled"] * 10
    assert room.target_states(push) == dict.fromkeys(KEYS, "cancelled")
    assert room.push(push).state == "cancelled"
    assert room.run() == 0
    assert is_sound(room)


def test_a_paused_push_is_expanded_and_stays_paused(room):
    push = asked(room)
    some(room, 2)
    room.service.pause(push.id)
    room.service.expand()
    assert (room.push(push).state, room.run()) == ("paused", 0)
    room.service.resume(push.id)
    room.run()
    assert room.channel.sends() == dict.fromkeys(KEYS, 1)


def test_a_push_resumed_before_it_is_expanded_is_expanded_first(room):
    push = asked(room)
    some(room, 2)
    room.service.pause(push.id)
    room.service.resume(push.id)
    assert (room.push(push).state, room.run()) == ("expanding", 0)
    room.service.expand()
    assert room.run() == 10


def test_a_push_whose_channel_does_not_run_is_expanded_and_stays_held(room):
    del room.channels[room.channel.name]
    push = asked(room)
    room.service.expand()
    assert room.push(push).state == "held"
    room.channels[room.channel.name] = room.channel
    room.service.resume(push.id)
    room.run()
    assert room.channel.sends() == dict.fromkeys(KEYS, 1)


def test_a_push_is_neither_changed_nor_copied_while_its_list_is_prepared(room):
    push = asked(room)
    some(room, 2)
    later = Change(push.binding, due_at=room.clock.now() + timedelta(hours=1))
    with pytest.raises(Conflict, match="still being prepared"):
        room.service.changes.edit(push.id, later, "wang")
    room.service.cancel(push.id)
    with pytest.raises(Conflict, match="still being prepared"):
        room.service.changes.clone(push.id, "wang")
    room.service.expand()
    copy = room.service.changes.clone(push.id, "wang")
    assert (copy.state, copy.progress.planned) == ("draft", 20)


def test_a_large_copy_that_is_approved_goes_out_once_it_is_expanded(room):
    push = asked(room)
    room.service.cancel(push.id)
    room.service.expand()
    copy = room.service.changes.clone(push.id, "wang")
    room.service.changes.submit(copy.id, "wang")
    assert room.service.changes.approve(copy.id, "li", copy.binding).state == "expanding"
    room.service.expand()
    room.clock.advance(timedelta(minutes=31))
    room.run()
    assert room.channel.sends() == dict.fromkeys(KEYS, 1)


def test_verify_tells_of_a_push_that_may_be_sent_before_it_is_expanded(room):
    push = asked(room)
    with room.database.write() as session:
        session.execute(update(Push).where(Push.id == push.row).values(state="scheduled"))
    wrong = next(check.first_wrong for check in verify(room.database) if not check.ok)
    assert "20 of its recipients were not prepared" in str(wrong)


def test_verify_tells_of_a_portion_that_is_lost(room):
    push = asked(room)
    with room.database.write() as session:
        session.execute(delete(Portion).where(Portion.push_id == push.row, Portion.number == 2))
    wrong = next(check.first_wrong for check in verify(room.database) if not check.ok)
    assert "20 recipients were planned, 16 are there" in str(wrong)


def test_recipients_of_many_senders_in_one_unit_are_as_they_were_approved(room):
    room.send(recipients=[Recipient("g1", "", "li"), Recipient("g2", "", "wang")])
    room.run()
    assert room.channel.sends() == {"g1": 1, "g2": 1}
    assert is_sound(room)
