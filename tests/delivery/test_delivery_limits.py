"""Limits: never more than allowed, whoever sends at once, and given back only when proven not sent."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update
from tests.delivery.limited import community, is_as_recounted, limit, member, used

from lanmu.audience.models import Member
from lanmu.delivery.door.limit_models import GateCount, LimitUse
from lanmu.delivery.door.limits import release
from lanmu.delivery.intake import Recipient
from lanmu.delivery.models import Unit
from lanmu.interfaces.channels import Abilities
from lanmu.interfaces.clock import utc
from lanmu.testing.fakes import Does

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = timedelta(days=1)


def test_a_full_day_holds_the_message_until_the_next_one(room):
    limit(room, "one", "community", 1)
    key = community(room)
    first = room.send(recipients=[Recipient("g1", "", community_id=key)])
    room.run()
    second = room.send(
        recipients=[Recipient("g1", "", community_id=key)], deadline_at=room.clock.now() + 2 * DAY
    )
    room.run()
    assert room.states(first) == ["accepted"]
    waiting = room.unit(second)
    assert (waiting.state, waiting.code) == ("pending", "cap")
    assert waiting.not_before == utc(2026, 11, 23, 16)
    assert "all 1 messages it may get today" in waiting.reason
    room.clock.set(waiting.not_before)
    room.run()
    assert room.states(second) == ["accepted"]
    assert is_as_recounted(room)


def test_a_full_day_drops_the_message_whose_deadline_comes_first(room):
    limit(room, "one", "community", 1)
    key = community(room)
    pushes = [room.send(recipients=[Recipient("g1", "", community_id=key)]) for _each in range(2)]
    room.run()
    assert [room.states(push) for push in pushes] == [["accepted"], ["skipped"]]
    assert room.unit(pushes[1]).code == "cap"
    assert room.push(pushes[1]).state == "expired"
    with room.database.read() as session:
        counted = session.scalars(select(GateCount)).one()
        assert (counted.push_id, counted.door, counted.code) == (pushes[1].row, "drop", "cap")
        assert (counted.answers, counted.last_at) == (1, room.clock.now())


@pytest.mark.parametrize(
    ("scope", "recipient"),
    [
        ("community", {"community_id": 1}),
        ("member", {"member_id": 1}),
        ("sender", {"sender": "linxiao"}),
        ("channel", {}),
        ("recipient", {}),
    ],
)
def test_a_limit_counts_messages_to_or_by_whom_its_scope_says(room, scope, recipient):
    community(room)
    member(room)
    limit(room, "two", scope, 2)
    for _each in range(3):
        room.send(recipients=[Recipient("g1", "", **recipient)])
    room.run()
    assert room.channel.sends() == {"g1": 2}
    assert list(used(room).values()) == [2]


def test_a_limit_of_one_channel_counts_no_other(room):
    limit(room, "none", "recipient", 0, channel="another")
    room.send("g1")
    room.run()
    assert room.channel.sends() == {"g1": 1}
    assert used(room) == {}


def test_a_communitys_own_cap_stands_in_place_of_the_houses(room):
    room.limits.seed()
    few, many = community(room, "few", daily_cap=1), community(room, "many", daily_cap=12)
    for number in range(10):
        room.send(recipients=[Recipient("few", "", community_id=few)])
        room.send(recipients=[Recipient("many", "", community_id=many)])
        room.send(recipients=[Recipient("some", "", community_id=community(room, f"c{number}"))])
    room.run()
    assert room.channel.sends() == {"few": 1, "many": 10, "some": 10}


def test_a_new_installation_lets_a_community_have_eight_and_a_member_two(room):
    room.limits.seed()
    group, person = community(room), member(room)
    for _each in range(12):
        room.send(recipients=[Recipient("group", "", community_id=group)])
        room.send(recipients=[Recipient("person", "", member_id=person)])
    room.run()
    assert room.channel.sends() == {"group": 8, "person": 2}
    assert is_as_recounted(room)


def test_tests_count_against_their_own_small_cap_and_nothing_else(room):
    room.limits.seed()
    limit(room, "none", "channel", 0)
    for _each in range(21):
        room.service.test(room.channel.name, "g1", "", "Hello", "li")
    room.run()
    assert room.channel.sends() == {"g1": 20}
    assert used(room) == {f"test.day {room.channel.name}": 20}


def test_who_opts_out_after_the_push_was_made_gets_nothing_and_the_others_do(make_room, database):
    room = make_room(database, abilities=Abilities(batch_max=10))
    people = [member(room, f"m{number}") for number in range(4)]
    off = community(room, active=False)
    recipients = [Recipient(f"p{number}", "", member_id=each) for number, each in enumerate(people)]
    push = room.send(recipients=[*recipients, Recipient("g1", "", community_id=off)])
    with room.database.write() as session:
        session.execute(update(Member).where(Member.id.in_(people[:2])).values(opted_out=True))
    room.run()
    assert room.channel.sends() == {"p2": 1, "p3": 1}
    assert room.target_states(push) == {
        "p0": "skipped", "p1": "skipped", "g1": "skipped", "p2": "accepted", "p3": "accepted"
    }  # fmt: skip
    assert sorted(room.states(push)) == ["accepted", "skipped", "skipped"]
    assert room.total_is_planned(push)
    assert room.push(push).state == "finished"


def test_an_opt_out_between_pre_flight_and_intent_still_counts(room):
    person = member(room)
    push = room.send(recipients=[Recipient("p", "", member_id=person)])
    connect = room.channel.connect

    def and_opt_out(request):
        with room.database.write() as session:
            session.execute(update(Member).values(opted_out=True))
        return connect(request)

    room.channel.connect = and_opt_out
    room.run()
    assert room.channel.writes == []
    assert (room.unit(push).state, room.unit(push).code) == ("skipped", "opted_out")


def test_of_many_in_one_call_only_those_over_their_cap_wait(make_room, database):
    room = make_room(database, abilities=Abilities(batch_max=10))
    limit(room, "one", "member", 1)
    people = [member(room, f"m{number}") for number in range(5)]
    recipients = [Recipient(f"p{number}", "", member_id=each) for number, each in enumerate(people)]
    room.send(recipients=recipients[:2])
    room.run()
    push = room.send(recipients=recipients, deadline_at=room.clock.now() + 2 * DAY)
    room.run()
    assert sorted(room.states(push)) == ["accepted", "pending"]
    assert room.channel.sends() == {f"p{number}": 1 for number in range(5)}
    assert room.total_is_planned(push)
    room.clock.set(utc(2026, 11, 23, 16))
    room.run()
    assert room.channel.sends() == {"p0": 2, "p1": 2, "p2": 1, "p3": 1, "p4": 1}
    assert room.push(push).state == "finished"
    assert is_as_recounted(room)


def test_a_channel_with_little_room_takes_as_many_of_a_call_as_fit(make_room, database):
    room = make_room(database, abilities=Abilities(batch_max=10))
    limit(room, "three", "channel", 3)
    push = room.send("a", "b", "c", "d", "e", deadline_at=room.clock.now() + 2 * DAY)
    room.run()
    assert room.channel.sends() == {"a": 1, "b": 1, "c": 1}
    assert sorted(room.states(push)) == ["accepted", "pending"]
    assert is_as_recounted(room)


@pytest.mark.parametrize(
    ("does", "state", "counted"),
    [
        (Does.ACCEPT, "accepted", 1),
        (Does.CUT_BEFORE, "unknown", 1),
        (Does.GARBAGE, "unknown", 1),
        (Does.HAND_OVER, "handed_over", 1),
        (Does.REFUSE, "failed", 0),
        (Does.LATER, "retry_wait", 0),
        (Does.NOT_WRITTEN, "retry_wait", 0),
        (Does.REFUSE_ACCOUNT, "held", 0),
    ],
)
def test_what_is_proven_not_sent_is_given_back_and_what_may_be_out_is_not(room, does, state, counted):
    limit(room, "five", "recipient", 5)
    room.channel.script(does)
    push = room.send("g1")
    room.run()
    assert room.states(push) == [state]
    assert sum(used(room).values()) == counted
    assert (room.unit(push).counted_at is not None) is bool(counted)
    assert is_as_recounted(room)


def test_a_unit_whose_lease_was_taken_away_counts_nothing(room):
    limit(room, "five", "recipient", 5)
    room.send("g1")
    connect = room.channel.connect

    def and_lose_it(request):
        with room.database.write() as session:
            session.execute(update(Unit).values(fence=Unit.fence + 1))
        return connect(request)

    room.channel.connect = and_lose_it
    room.dispatcher().run_due()
    assert room.channel.writes == []
    assert used(room) == {}


def test_what_was_counted_yesterday_is_given_back_to_yesterday(room):
    limit(room, "five", "recipient", 5)
    room.channel.script(Does.CUT_BEFORE)
    push = room.send("g1")
    room.run()
    room.send("g1", due_at=room.clock.now() + DAY)
    room.clock.advance(DAY)
    room.run()
    with room.database.write() as session:
        release(session, [room.unit(push).id])
    with room.database.read() as session:
        uses = {use.starts_on.day: use.used for use in session.scalars(select(LimitUse))}
    assert uses == {23: 0, 24: 1}


def test_the_last_place_is_left_to_the_push_of_higher_priority(room):
    limit(room, "one", "community", 1)
    key = community(room)
    recipients = [Recipient("g1", "", community_id=key)]
    tomorrow = room.clock.now() + 2 * DAY
    low = room.send(recipients=recipients, title="Small talk", deadline_at=tomorrow)
    at_noon = room.clock.now() + timedelta(hours=4)
    high = room.send(recipients=recipients, title="Big sale", priority=5, due_at=at_noon)
    room.run()
    waiting = room.unit(low)
    assert (waiting.state, waiting.code) == ("pending", "yield")
    assert "“Big sale”" in waiting.reason
    assert room.channel.writes == []
    room.clock.set(at_noon)
    room.run()
    assert room.states(high) == ["accepted"]
    room.clock.set(room.unit(low).not_before)
    room.run()
    assert room.unit(low).code == "cap"
    room.clock.set(utc(2026, 11, 23, 16))
    room.run()
    assert room.states(low) == ["accepted"]


def test_who_yielded_goes_out_when_the_other_is_cancelled(room):
    limit(room, "one", "community", 1)
    recipients = [Recipient("g1", "", community_id=community(room))]
    low = room.send(recipients=recipients)
    high = room.send(recipients=recipients, priority=1, due_at=room.clock.now() + timedelta(hours=1))
    room.run()
    assert room.unit(low).code == "yield"
    room.service.cancel(high.id)
    room.clock.set(room.unit(low).not_before)
    room.run()
    assert room.channel.sends() == {"g1": 1}
    assert room.states(low) == ["accepted"]


def test_two_in_one_batch_the_higher_priority_has_the_place(room):
    limit(room, "one", "member", 1)
    recipients = [Recipient("p", "", member_id=member(room))]
    low = room.send(recipients=recipients, title="low")
    high = room.send(recipients=recipients, title="high", priority=1)
    room.run()
    assert [room.states(low), room.states(high)] == [["skipped"], ["accepted"]]


def test_nobody_yields_while_there_is_room_for_all(room):
    limit(room, "two", "community", 2)
    recipients = [Recipient("g1", "", community_id=community(room))]
    low = room.send(recipients=recipients)
    room.send(recipients=recipients, priority=1, due_at=room.clock.now() + timedelta(hours=1))
    room.run()
    assert room.states(low) == ["accepted"]


@pytest.mark.parametrize("most", [1, 7, 23])
def test_many_workers_at_once_never_take_more_than_there_is(make_room, database, most):
    """Eight threads start together, each with a dispatcher of its own; every unit wants the same place."""
    room = make_room(database, abilities=Abilities(batch_max=3))
    limit(room, "most", "channel", most)
    limit(room, "each", "recipient", 1)
    pushes = [room.send(f"g{number}", f"h{number}", "same") for number in range(16)]
    together = threading.Barrier(8)

    def work():
        together.wait()
        return room.dispatcher(concurrency=4).run_due()

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work) for _hand in range(8)]:
            done.result()
    sends = room.channel.sends()
    assert sends.total() == most
    assert sends["same"] <= 1
    assert is_as_recounted(room)
    assert all(room.total_is_planned(push) for push in pushes)
