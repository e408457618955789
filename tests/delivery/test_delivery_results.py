"""What became of each recipient: asked for ever less often, and summed up for the unit."""

from datetime import timedelta

import pytest

from lanmu.interfaces.channels import Abilities, NotConnected, TargetState

ASYNC = Abilities(batch_max=10, acceptance="async")
DELIVERED, UNDELIVERED, SKIPPED = TargetState.DELIVERED, TargetState.UNDELIVERED, TargetState.SKIPPED


@pytest.fixture
def sent(make_room, database):
    room = make_room(database, abilities=ASYNC)
    push = room.send("g1", "g2")
    room.run()
    return room, push


def asks(room):
    """Counts how often the far end is asked."""
    asked = []
    results = room.channel.results

    def ask(ref):
        asked.append(ref.id)
        return results(ref)

    room.channel.results = ask
    return asked


@pytest.mark.parametrize(
    ("said", "unit", "push_state"),
    [
        ((DELIVERED, DELIVERED), "delivered", "finished"),
        ((DELIVERED, UNDELIVERED), "partial", "finished_with_issues"),
        ((DELIVERED, SKIPPED), "partial", "finished_with_issues"),
        ((UNDELIVERED, UNDELIVERED), "undelivered", "finished_with_issues"),
        ((DELIVERED, TargetState.WAITING), "accepted", "finished"),
        ((DELIVERED, TargetState.POSTPONED), "accepted", "finished"),
    ],
)
def test_the_units_end_follows_from_its_recipients(sent, said, unit, push_state):
    room, push = sent
    for key, state in zip(("g1", "g2"), said, strict=True):
        room.channel.set_result("ref-1", key, state)
    room.clock.advance(timedelta(seconds=2))
    assert room.results.poll() == 1
    assert room.states(push) == [unit]
    assert room.push(push).state == push_state
    assert room.total_is_planned(push)


def test_the_far_end_is_asked_ever_less_often_and_at_last_no_more(sent):
    room, push = sent
    asked = asks(room)
    begun = room.clock.now()
    pauses = []
    while (next_look := room.unit(push).results_at) is not None:
        pauses.append((next_look - room.clock.now()).total_seconds())
        room.clock.set(next_look)
        room.results.poll()
    assert pauses == sorted(pauses)
    assert set(pauses) == {2, 5, 60, 600, 7200}
    assert timedelta(days=30) <= room.clock.now() - begun < timedelta(days=31)
    assert len(asked) == len(pauses)
    assert room.states(push) == ["accepted"]


def test_a_final_answer_is_never_asked_for(room):
    push = room.send("g1")
    room.run()
    assert room.unit(push).results_at is None
    asked = asks(room)
    room.clock.advance(timedelta(days=1))
    assert room.results.poll() == 0
    assert asked == []


def test_news_from_the_channel_is_fetched_at_once(sent):
    room, push = sent
    room.channel.set_result("ref-1", "g1", DELIVERED)
    room.channel.set_result("ref-1", "g2", DELIVERED)
    room.results.ask_soon(room.channel.name, "ref-1")
    assert room.results.poll() == 1
    assert room.states(push) == ["delivered"]


def test_a_far_end_that_is_down_is_asked_again_later(sent):
    room, push = sent
    room.channel.results_fail = True
    room.clock.advance(timedelta(seconds=2))
    assert room.results.poll() == 1
    assert room.states(push) == ["accepted"]
    assert room.unit(push).results_at == room.clock.now() + timedelta(seconds=5)


def test_a_far_end_that_does_not_answer_is_not_asked_for_a_whole_batch_and_told_of_once(
    make_room, database, caplog
):
    room = make_room(database, abilities=Abilities(batch_max=1, acceptance="async"))
    push = room.send(*(f"g{number}" for number in range(8)))
    room.run()
    asked = []

    def silent(ref):
        asked.append(ref.id)
        raise NotConnected("The far end cannot be reached.")

    results, room.channel.results = room.channel.results, silent
    room.clock.advance(timedelta(seconds=2))
    room.results.poll()
    first = len(asked)
    room.results.poll()
    assert first == 3
    assert len(set(asked)) == 6, "the next poll asks for others"
    assert caplog.text.count("no results") == 1
    room.channel.results = results
    for number in range(8):
        room.channel.set_result(f"ref-{number + 1}", f"g{number}", DELIVERED)
    room.clock.advance(timedelta(minutes=2))
    room.results.poll()
    assert set(room.states(push)) == {"delivered"}
