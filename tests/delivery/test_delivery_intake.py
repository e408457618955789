"""How a request becomes a push: once for its firing, nobody twice, split as the channel wants it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from lanmu.delivery.intake import Recipient, approval_hash, audience_hash, split
from lanmu.delivery.models import Push, UnitTarget
from lanmu.interfaces.channels import Abilities
from lanmu.interfaces.errors import Invalid


def test_one_firing_makes_one_push_however_many_ask(room):
    request = room.request("g1", "g2", source_key="column:7:2026-11-23T08:00")
    with ThreadPoolExecutor(8) as clients:
        views = list(clients.map(lambda _client: room.service.send(request), range(8)))
    assert len({view.id for view in views}) == 1
    room.run()
    assert room.channel.sends() == {"g1": 1, "g2": 1}
    with room.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Push)) == 1


def test_a_request_in_a_transaction_that_fails_leaves_nothing(room):
    def ask_and_fail():
        with room.database.write() as session:
            room.service.request(session, room.request("g1"))
            raise RuntimeError("the caller's own step failed")

    with pytest.raises(RuntimeError):
        ask_and_fail()
    assert room.run() == 0


def test_a_recipient_named_twice_is_one_target(room):
    twice = [Recipient("g1", "Group"), Recipient("g1", "Group again"), Recipient("g2", "Other")]
    push = room.send(recipients=twice)
    room.run()
    assert room.channel.sends() == {"g1": 1, "g2": 1}
    assert room.push(push).planned == 2
    assert room.total_is_planned(push)


def test_the_constraint_and_not_code_stops_a_second_message_to_a_recipient(room):
    push = room.send("g1")
    unit = room.unit(push)
    with pytest.raises(IntegrityError), room.database.write() as session:
        session.execute(
            insert(UnitTarget),
            [{"push_id": push.row, "unit_id": unit.id, "account": "", "recipient_key": "g1"}],
        )


def test_nobody_to_send_to_is_an_error_that_names_the_field(room):
    with pytest.raises(Invalid, match="recipients: there is nobody"):
        room.send(recipients=[])


def test_a_push_whose_channel_does_not_run_is_kept_and_seen(room):
    del room.channels[room.channel.name]
    push = room.send("g1")
    assert push.state == "held"
    room.channels[room.channel.name] = room.channel
    room.service.resume(push.id)
    room.run()
    assert room.states(push) == ["accepted"]


def test_units_are_split_by_sender_and_batch():
    recipients = [Recipient(f"c{number}", "", sender=f"s{number % 2}") for number in range(7)]
    groups = split(recipients, Abilities(batch_max=2, by_sender=True), personal=False)
    assert [[each.key for each in group] for group in groups] == [
        ["c0", "c2"],
        ["c4", "c6"],
        ["c1", "c3"],
        ["c5"],
    ]


def test_a_channel_that_does_not_care_for_senders_gets_full_batches():
    recipients = [Recipient(f"c{number}", "", sender=f"s{number}") for number in range(5)]
    assert [len(group) for group in split(recipients, Abilities(batch_max=3), personal=False)] == [3, 2]


def test_a_personal_text_makes_a_unit_for_each_recipient(room):
    plain = room.send("g1", "g2", "g3")
    personal = room.send("g1", "g2", "g3", body="Hello {{community.name}}")
    assert len(room.states(plain)) == 1
    assert len(room.states(personal)) == 3


recipients = st.lists(
    st.builds(Recipient, key=st.sampled_from("abcdefgh"), name=st.just(""), sender=st.sampled_from("xy")),
    min_size=1,
)


@given(recipients, st.integers(1, 4), st.booleans(), st.booleans())
def test_a_split_loses_nobody_and_doubles_nobody(given_recipients, batch, by_sender, personal):
    groups = split(given_recipients, Abilities(batch_max=batch, by_sender=by_sender), personal)
    keys = [each.key for group in groups for each in group]
    assert sorted(keys) == sorted({each.key for each in given_recipients})
    assert all(1 <= len(group) <= (1 if personal else batch) for group in groups)
    if by_sender:
        assert all(len({each.sender for each in group}) == 1 for group in groups)


@given(recipients, st.randoms())
def test_the_audience_hash_does_not_depend_on_order(given_recipients, random):
    shuffled = given_recipients.copy()
    random.shuffle(shuffled)
    assert audience_hash(shuffled) == audience_hash(given_recipients)


def test_every_part_of_an_approval_binds(clock):
    now = clock.now()
    approved = approval_hash("content", "audience", "wecom.group", now, {"a": "1"})
    assert approved == approval_hash("content", "audience", "wecom.group", now, {"a": "1"})
    others = [
        approval_hash("other", "audience", "wecom.group", now, {"a": "1"}),
        approval_hash("content", "other", "wecom.group", now, {"a": "1"}),
        approval_hash("content", "audience", "wecom.robot", now, {"a": "1"}),
        approval_hash("content", "audience", "wecom.group", now + timedelta(minutes=1), {"a": "1"}),
        approval_hash("content", "audience", "wecom.group", now, {"a": "2"}),
    ]
    assert approved not in others
