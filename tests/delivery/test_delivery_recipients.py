"""Each recipient of a push is told by the true word, with its reason, whom it waits for, and until when."""

from datetime import time, timedelta

import pytest

from lanmu.delivery import expansion, recipients
from lanmu.delivery.door.quiet import QuietHours
from lanmu.delivery.expansion import Expansion, still_packed
from lanmu.delivery.recipients import Waits
from lanmu.delivery.service import PushFilter
from lanmu.interfaces.channels import Abilities
from lanmu.testing.fakes import Does

ASKED = Abilities(batch_max=1, lookup=True, settle=timedelta(minutes=10))


@pytest.fixture
def single(make_room, database):
    return make_room(database, abilities=Abilities(batch_max=1))


def standings(room, push):
    """How it stands with each recipient; the list, the units and the counts must say the same."""
    lines = room.service.recipients(push.id)
    shown = [target for unit in room.service.units(push.id) for target in unit.targets]
    told = {line.key: line.standing for line in lines}
    assert {each.key: (each.state, each.reason, each.waits_for, each.until) for each in shown} == {
        key: (each.state, each.reason, each.waits_for, each.until) for key, each in told.items()
    }
    counted = room.service.get(push.id).progress
    assert counted.recipients == {
        word: sum(each.state == word for each in told.values()) for word in {e.state for e in told.values()}
    }
    assert sum(counted.recipients.values()) == counted.planned
    return told


def test_a_recipient_whose_batch_is_on_hold_is_not_told_to_be_on_its_way(single):
    single.channel.script(Does.ACCEPT, Does.BAD_CONFIG)
    push = single.send("a", "b")
    single.dispatcher(concurrency=1).run_due()
    assert single.target_states(push)["b"] == "planned", "nothing became of it yet"
    told = standings(single, push)
    assert told["a"].state == "accepted"
    assert (told["b"].state, told["b"].waits_for) == ("held", Waits.PERSON)
    assert told["b"].reason == single.unit(push, 2).reason != ""
    assert told["b"].until == single.push(push).deadline_at, "after that it cannot go out any more"


def test_a_recipient_of_a_paused_push_waits_for_a_person(single):
    push = single.send("a")
    single.service.pause(push.id)
    (told,) = standings(single, push).values()
    assert (told.state, told.reason, told.waits_for) == ("paused", "The push is paused.", Waits.PERSON)
    assert told.until == single.push(push).deadline_at
    single.service.resume(push.id)
    (told,) = standings(single, push).values()
    assert (told.state, told.reason, told.waits_for, told.until) == ("planned", "", Waits.NOBODY, None)


def test_a_recipient_of_a_push_that_is_late_waits_for_a_persons_word_on_it(single):
    push = single.send("a")
    single.clock.advance(timedelta(hours=3))
    single.run()
    (told,) = standings(single, push).values()
    assert (told.state, told.waits_for) == ("held", Waits.PERSON)
    assert told.reason


def test_a_recipient_that_a_rule_keeps_back_is_told_the_rule_and_until_when(single):
    single.quiet = QuietHours(time(22), time(10))  # it is 8 in Shanghai
    push = single.send("a", late_policy="send")
    single.run()
    (told,) = standings(single, push).values()
    assert (told.state, told.waits_for) == ("planned", Waits.TIME)
    assert told.until == single.clock.now() + timedelta(hours=2)
    assert told.reason == "These are quiet hours where the recipients are."


def test_a_recipient_that_is_tried_again_is_told_when_and_why(single):
    single.channel.script(Does.UNREACHABLE)
    push = single.send("a")
    single.run()
    (told,) = standings(single, push).values()
    assert (told.state, told.waits_for) == ("retry_wait", Waits.TIME)
    assert told.until == single.unit(push).not_before > single.clock.now()
    assert told.reason


def test_a_recipient_in_doubt_waits_for_a_person_until_it_counts_as_sent(single):
    single.channel.script(Does.CUT_AFTER)
    push = single.send("a")
    begun = single.clock.now()
    single.run()
    (told,) = standings(single, push).values()
    assert (told.state, told.waits_for) == ("unknown", Waits.PERSON)
    assert told.until == begun + timedelta(hours=72)


def test_a_recipient_in_doubt_that_the_channel_can_tell_of_waits_for_the_channel(make_room, database):
    room = make_room(database, abilities=ASKED)
    room.channel.script(Does.CUT_AFTER)
    push = room.send("a")
    room.run()
    (told,) = standings(room, push).values()
    assert (told.state, told.waits_for) == ("checking", Waits.CHANNEL)
    assert told.until == room.unit(push).look_at


def test_what_became_of_a_recipient_is_told_with_its_reason(single):
    single.channel.script(Does.REFUSE)
    push, stopped = single.send("a"), single.send("b", due_at=single.clock.now() + timedelta(hours=1))
    single.run()
    single.service.cancel(stopped.id)
    (told,) = standings(single, stopped).values()
    assert (told.state, told.reason, told.waits_for) == ("cancelled", "The push was cancelled.", Waits.NOBODY)
    (told,) = standings(single, push).values()
    assert told.state in ("failed", "undelivered", "held")
    assert told.reason


# --- while a large push is put into units ---

KEYS = [f"g{number:02d}" for number in range(12)]


@pytest.fixture
def large(make_room, database, monkeypatch):
    """A push of more than three is large here; a portion is four recipients in two units."""
    monkeypatch.setattr(expansion, "AT_ONCE", 3)
    monkeypatch.setattr(expansion, "PORTION", 6)
    monkeypatch.setattr(expansion, "TOGETHER", 1)
    room = make_room(database, abilities=Abilities(batch_max=2))
    with database.write() as session:
        row, _new = room.service.request(session, room.request(*KEYS))
    (push,) = [each for each in room.service.pushes(PushFilter()) if each.row == row]
    return room, push


def some(room, count):
    left = iter(range(count))
    Expansion(room.database, room.clock).run(stopping=lambda: next(left, None) is None)


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_the_list_is_whole_while_a_large_push_is_put_into_batches(large, done):
    room, push = large
    some(room, done)
    lines = room.service.recipients(push.id)
    assert [line.key for line in lines] == KEYS
    assert [line.unit for line in lines] == [number // 2 + 1 for number in range(12)]
    words = [line.standing.state for line in lines]
    assert words == ["planned"] * 4 * done + ["expanding"] * (12 - 4 * done)
    assert all(line.standing.reason for line in lines[4 * done :])
    counted = room.service.get(push.id).progress
    assert counted.preparing == words.count("expanding") == counted.recipients.get("expanding", 0)


def test_a_portion_that_is_made_while_the_list_is_read_is_neither_missed_nor_met_twice(large, monkeypatch):
    room, push = large

    def looked(session, push_id):
        some(room, 1)
        found = still_packed(session, push_id)
        some(room, 1)
        return found

    monkeypatch.setattr(recipients, "still_packed", looked)
    assert sorted(line.key for line in room.service.recipients(push.id)) == KEYS


def test_recipients_of_a_large_push_that_was_cancelled_are_told_so_at_once(large):
    room, push = large
    some(room, 1)
    room.service.cancel(push.id)
    told = [line.standing for line in room.service.recipients(push.id)]
    assert [(each.state, each.reason) for each in told] == [("cancelled", "The push was cancelled.")] * 12


def test_recipients_of_a_large_push_that_is_paused_wait_for_a_person(large):
    room, push = large
    some(room, 1)
    room.service.pause(push.id)
    told = {(line.standing.state, line.standing.waits_for) for line in room.service.recipients(push.id)}
    assert told == {("paused", Waits.PERSON)}
