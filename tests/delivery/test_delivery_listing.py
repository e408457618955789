"""Pushes in lists: every one in one group, counted as it is filtered, on both databases."""

from datetime import timedelta

import pytest

from lanmu.delivery.listing import Group
from lanmu.delivery.service import PushFilter
from lanmu.interfaces.channels import Abilities, Sending
from lanmu.testing.fakes import Does


@pytest.fixture
def room(make_room, database):
    return make_room(database, abilities=Abilities(sending=Sending.CONFIRM, acceptance="async"))


def test_every_push_is_in_one_group_and_the_counts_agree_with_the_lists(room):
    room.channel.script(Does.CUT_BEFORE, Does.ACCEPT)
    in_doubt, with_employees = room.send("a"), room.send("b", "c")
    room.run()
    ahead = room.send("d", due_at=room.clock.now() + timedelta(hours=1))
    stopped = room.send("e", due_at=room.clock.now() + timedelta(hours=1))
    room.service.cancel(stopped.id)
    groups = {
        Group.DECIDE: in_doubt,
        Group.AWAITED: with_employees,
        Group.AHEAD: ahead,
        Group.DONE: stopped,
    }
    assert room.service.groups() == {group: int(group in groups) for group in Group}
    for group in Group:
        listed = [push.id for push in room.service.pushes(PushFilter(group=group))]
        assert listed == ([groups[group].id] if group in groups else []), group
    assert room.service.undecided() == 1
    due = room.clock.now()
    assert room.service.awaited(due - timedelta(minutes=1), due + timedelta(minutes=1)) == 2
    assert room.service.awaited(due + timedelta(minutes=1), due + timedelta(hours=2)) == 0


def test_the_progress_of_many_pushes_is_that_of_each(room):
    pushes = [room.send("a"), room.send("b", "c")]
    room.run()
    counted = room.service.progress_of([push.id for push in pushes] + ["psh_nobody"])
    assert counted == {push.id: room.service.get(push.id).progress for push in pushes}
    assert [counted[push.id].awaited for push in pushes] == [1, 2]
    assert room.service.progress_of([]) == {}


def test_a_push_lists_its_recipients_in_their_order(room):
    push = room.send(*"abcde")
    room.run()
    lines = room.service.recipients(push.id)
    assert [line.key for line in lines] == list("abcde")
    assert {line.standing.state for line in lines} == {"accepted"}
