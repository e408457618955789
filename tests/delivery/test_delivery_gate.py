"""The last door and pre-flight: what keeps a message in the house, and what a person can do about it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.delivery.limited import member

from lanmu.audience.models import Community
from lanmu.delivery.door import gate
from lanmu.delivery.door.limit_models import GateCount
from lanmu.delivery.intake import Recipient
from lanmu.delivery.models import Push
from lanmu.interfaces.channels import Abilities, Outcome, Verdict
from lanmu.interfaces.clock import utc

NOON = utc(2026, 11, 23, 12)
FINE = gate.Question(
    now=NOON,
    due_at=NOON,
    deadline_at=NOON + timedelta(hours=6),
    late_after=timedelta(minutes=15),
    late_policy="ask",
    push_state="running",
    cancel_requested=False,
    approved_hash="h",
    rendered_hash="h",
    content_changed=False,
    content_fault="",
    late_decided=False,
)
LATER = NOON + timedelta(hours=1)
PAST = NOON + timedelta(hours=6)
FREE = gate.Whom("free")
OUT = gate.Whom("out", opted_out=True)
OFF = gate.Whom("off", switched_off=True)
FULL = gate.Whom("full", full=gate.Full(LATER, "no room"))
NEVER = gate.Whom("never", full=gate.Full(PAST, "no room"))
BEHIND = gate.Whom("behind", ahead=gate.Ahead("Sale", LATER))


@pytest.mark.parametrize(
    ("changes", "door", "code"),
    [
        ({}, "send", ""),
        ({"cancel_requested": True}, "drop", "cancelled"),
        ({"push_state": "paused"}, "back", "paused"),
        ({"push_state": "held"}, "back", "paused"),
        ({"now": NOON - timedelta(microseconds=1)}, "back", "early"),
        ({"content_changed": True}, "back", "changed"),
        ({"rendered_hash": "other"}, "hold", "not_approved"),
        ({"approved_hash": "", "rendered_hash": ""}, "hold", "not_approved"),
        ({"content_fault": "retired"}, "hold", "content_out"),
        ({"now": NOON + timedelta(minutes=15)}, "send", ""),
        ({"now": NOON + timedelta(minutes=16)}, "hold", "late"),
        ({"now": NOON + timedelta(minutes=16), "late_policy": "skip"}, "drop", "late"),
        ({"now": NOON + timedelta(minutes=16), "late_policy": "send"}, "send", ""),
        ({"now": NOON + timedelta(minutes=16), "late_decided": True}, "send", ""),
        ({"now": NOON + timedelta(hours=6), "late_policy": "send"}, "drop", "expired"),
        ({"now": NOON + timedelta(hours=6), "late_decided": True}, "drop", "expired"),
        ({"now": LATER, "late_from": LATER}, "send", ""),
        ({"now": LATER + timedelta(minutes=16), "late_from": LATER}, "hold", "late"),
        ({"stopped": True}, "back", "stopped"),
        ({"whom": [FREE]}, "send", ""),
        ({"whom": [OUT]}, "drop", "opted_out"),
        ({"whom": [OFF]}, "drop", "switched_off"),
        ({"whom": [OUT, FREE]}, "part", "parted"),
        ({"whom": [OUT, OFF]}, "part", "parted"),
        ({"whom": [FULL]}, "wait", "cap"),
        ({"whom": [NEVER]}, "drop", "cap"),
        ({"whom": [BEHIND]}, "yield", "yield"),
        ({"whom": [FULL, FREE]}, "part", "parted"),
        ({"quiet_until": LATER}, "wait", "quiet"),
        ({"quiet_until": PAST - timedelta(microseconds=1)}, "wait", "quiet"),
        ({"quiet_until": PAST}, "drop", "quiet"),
        ({"quiet_until": LATER, "is_test": True}, "send", ""),
        ({"rate_until": LATER}, "wait", "rate"),
    ],
)
def test_the_gate_decides(changes, door, code):
    answer = gate.ask(replace(FINE, **changes))
    assert (answer.door, answer.code) == (door, code)
    assert (answer.until is not None) == (door in ("wait", "yield"))


def test_the_gate_looks_in_the_order_in_which_a_person_would_want_to_know():
    """Every fault at once: the first is told, and with each one mended the next."""
    faults: list[tuple[str, dict[str, Any]]] = [
        ("cancelled", {"cancel_requested": True}),
        ("paused", {"push_state": "paused"}),
        ("changed", {"content_changed": True}),
        ("not_approved", {"rendered_hash": "other"}),
        ("opted_out", {"whom": [replace(FULL, opted_out=True)]}),
        ("content_out", {"content_fault": "retired"}),
        ("late", {"late_from": NOON - timedelta(hours=1)}),
        ("quiet", {"quiet_until": LATER}),
        ("cap", {"whom": [FULL]}),
        ("rate", {"rate_until": LATER}),
    ]
    told = []
    for first in range(len(faults)):
        changes: dict[str, Any] = {}
        for _code, change in reversed(faults[first:]):
            changes |= change
        told.append(gate.ask(replace(FINE, **changes)).code)
    assert told == [code for code, _change in faults]


def test_of_recipients_who_fare_otherwise_each_is_told_apart_and_the_rest_is_asked_about_anew():
    answer = gate.ask(replace(FINE, whom=[FREE, FULL, BEHIND, NEVER]))
    assert {key: (each.door, each.code) for key, each in answer.parted.items()} == {
        "full": ("wait", "cap"),
        "behind": ("yield", "yield"),
        "never": ("drop", "cap"),
    }
    assert "Sale" in answer.parted["behind"].reason


def test_what_changed_after_the_approval_does_not_go_out(room):
    push = room.send("g1")
    room.change_material(content_hash="hash-2", body="Buy now.")
    room.run()
    assert room.channel.writes == []
    assert room.states(push) == ["held"]
    assert room.push(push).state == "held"
    assert "not what was approved" in room.push(push).held_reason


def test_moving_the_time_of_an_approved_push_voids_its_approval(room):
    push = room.send("g1", due_at=room.clock.now() + timedelta(hours=1))
    with room.database.write() as session:
        session.execute(update(Push).where(Push.id == push.row).values(due_at=room.clock.now()))
    room.clock.advance(timedelta(hours=1))
    room.run()
    assert room.channel.writes == []
    assert room.unit(push).code == "not_approved"


def test_a_material_retired_between_pre_flight_and_intent_is_looked_at_again_and_held(room):
    push = room.send("g1")
    connect = room.channel.connect

    def and_retire(request):
        if not room.snapshot.retired:
            room.change_material(retired=True)
        return connect(request)

    room.channel.connect = and_retire
    room.run()
    assert room.channel.writes == []
    assert room.unit(push).code == "content_out"


def test_the_library_is_asked_once_for_many_batches_and_again_after_a_change(make_room, database):
    room = make_room(database, abilities=Abilities(batch_max=1))
    dispatcher = room.dispatcher(concurrency=2)
    room.send(*[f"g{number}" for number in range(10)])
    dispatcher.run_due()
    assert room.snapshots_read == 1
    room.change_material(usable_until=room.clock.now())
    push = room.send("g1")
    dispatcher.run_due()
    assert room.snapshots_read == 2
    assert room.unit(push).code == "content_out"


def test_a_material_that_is_gone_or_not_approved_holds_the_push_with_the_librarys_words(room):
    push = room.send("g1")
    room.change_material(revision_key=-1)
    room.run()
    assert room.states(push) == ["held"]
    assert room.push(push).held_reason == "revision: there is no such revision."


def test_an_objection_holds_the_unit_with_its_reason(room):
    room.objects.append("mentions a price that is not in the catalogue")
    push = room.send("g1")
    room.run()
    assert room.channel.writes == []
    assert (room.unit(push).state, room.unit(push).code) == ("held", "objection")
    assert "price" in room.unit(push).reason
    room.objects.clear()
    room.send("g2")
    room.run()
    assert room.channel.sends() == {"g2": 1}


def test_an_exit_that_came_true_since_planning_ends_the_message_when_it_is_to_be_sent(room):
    """The reminder is planned, then the order comes: nobody is reminded, and nobody is asked."""
    push = room.send("g1", due_at=room.clock.now() + timedelta(hours=1))
    room.objects.append("mentions a price")
    room.exits.append("ordered already")
    room.clock.advance(timedelta(hours=1))
    room.run()
    assert room.channel.writes == []
    assert (room.unit(push).state, room.unit(push).code) == ("skipped", "exit")
    assert room.unit(push).reason == "ordered already"
    assert room.push(push).state == "finished"
    assert [(each.door, each.code) for each in room.service.gate_answers(push.id)] == [("drop", "exit")]


def test_a_channel_that_is_gone_holds_the_push(room):
    push = room.send("g1")
    del room.channels[room.channel.name]
    room.run()
    assert room.unit(push).code == "channel_missing"
    assert room.push(push).state == "held"


def test_a_missing_value_holds_only_the_unit_that_lacks_it(room):
    room.change_material(body="Hello {{community.name}} of {{shop.name}}, {{community.size}} of you")
    with room.database.write() as session:
        known = Community(
            public_id=Community.fresh_id(), name="Night owls", size=12, created_at=room.clock.now()
        )
        session.add(known)
        session.flush()
        recipients = [Recipient("g1", "Night owls", community_id=known.id), Recipient("g2", "No row")]
    push = room.send(recipients=recipients, body=room.snapshot.body)
    room.run()
    assert room.states(push) == ["accepted", "held"]
    assert room.channel.effects[0].text == "Hello Night owls of Little Star, 12 of you"
    assert "community.name" in room.unit(push, 2).reason
    assert room.push(push).state == "running"


@pytest.mark.parametrize(
    ("policy", "sent", "state"), [("ask", 0, "held"), ("skip", 0, "expired"), ("send", 1, "finished")]
)
def test_what_is_late_follows_its_policy(room, policy, sent, state):
    push = room.send("g1", late_policy=policy)
    room.clock.advance(timedelta(minutes=16))
    room.run()
    assert len(room.channel.writes) == sent
    assert room.push(push).state == state


def test_a_person_may_send_what_is_late_but_nothing_crosses_the_deadline(room):
    push = room.send("g1")
    other = room.send("g2")
    room.clock.advance(timedelta(minutes=16))
    room.run()
    room.service.resume(push.id)
    room.run()
    assert room.channel.sends() == {"g1": 1}
    room.clock.advance(timedelta(hours=6))
    room.service.resume(other.id)
    room.run()
    assert room.channel.sends() == {"g1": 1}
    assert room.target_states(other) == {"g2": "skipped"}
    assert room.push(other).state == "expired"


def test_a_file_is_uploaded_once_and_again_before_its_name_dies(make_room, database, picture):
    room = make_room(database, abilities=Abilities(batch_max=1, asset_ttl=timedelta(days=3)))
    room.change_material(assets=(picture,))
    room.send("g1", "g2", "g3")
    room.run()
    room.send("g4")
    room.run()
    assert len(room.channel.uploads) == 1
    assert b"media-1" in room.channel.writes[-1].body
    room.clock.advance(timedelta(days=3) - timedelta(hours=1))
    room.send("g5")
    room.run()
    assert len(room.channel.uploads) == 2
    assert b"media-2" in room.channel.writes[-1].body


def test_a_name_that_the_far_end_does_not_know_any_more_is_forgotten_by_every_process(
    make_room, database, picture
):
    room = make_room(database, abilities=Abilities(batch_max=1, asset_ttl=timedelta(days=3)))
    room.change_material(assets=(picture,))
    one, other = room.dispatcher(), room.dispatcher()
    for each in (one, other):
        room.send("g1")
        each.run_due()
    assert len(room.channel.uploads) == 1
    gone = Verdict(Outcome.REFUSED, reason="gone", code="40007", scope="content", stale_files=True)
    said: list[Verdict] = []
    classify = room.channel.classify
    room.channel.classify = lambda seen: said.pop() if said else classify(seen)
    for refused, tries_again in ((one, other), (other, one)):
        said.append(gone)
        push = room.send("g2")
        refused.run_due()
        room.clock.advance(timedelta(minutes=1))
        tries_again.run_due()
        assert room.states(push) == ["accepted"]
        assert f"media-{len(room.channel.uploads)}".encode() in room.channel.writes[-1].body
    assert len(room.channel.uploads) == 3


def test_many_hands_that_want_a_file_at_once_upload_it_once(make_room, database, picture):
    room = make_room(database, abilities=Abilities(batch_max=1, asset_ttl=timedelta(days=3)))
    room.change_material(assets=(picture,))
    dispatcher = room.dispatcher(concurrency=16)
    dispatcher._lining_up._slow = True
    room.send(*[f"g{number}" for number in range(16)])
    dispatcher.run_due()
    assert len(room.channel.uploads) == 1
    assert len(room.channel.effects) == 16


def test_files_travel_inside_the_request_where_the_channel_wants_no_upload(room, picture):
    room.change_material(assets=(picture,))
    room.send("g1")
    room.run()
    assert room.channel.uploads == []
    assert picture.sha256.encode() in room.channel.writes[0].body


def test_how_often_the_last_door_said_what_is_kept_for_each_push_with_its_latest_words(make_room, database):
    room = make_room(database, abilities=Abilities(batch_max=1))
    push = room.send("g1", "g2", late_policy="skip")
    room.objects.append("mentions a price")
    room.run()
    room.objects.clear()
    room.service.resume(push.id)
    room.clock.advance(timedelta(hours=7))
    room.run()
    with room.database.read() as session:
        counted = session.scalars(select(GateCount).where(GateCount.push_id == push.row)).all()
    told = {(each.door, each.code): (each.answers, each.reason) for each in counted}
    assert told == {
        ("hold", "objection"): (2, "mentions a price"),
        ("drop", "expired"): (2, "Its deadline has passed."),
    }


def test_a_push_that_nobody_wants_has_finished_and_not_expired(make_room, database):
    room = make_room(database, abilities=Abilities(batch_max=1))
    ids = [member(room, name, opted_out=True) for name in "ab"]
    push = room.send(recipients=[Recipient(str(each), "", member_id=each) for each in ids])
    room.run()
    assert room.states(push) == ["skipped", "skipped"]
    assert room.push(push).state == "finished"
