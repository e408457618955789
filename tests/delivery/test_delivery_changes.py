"""Changing a planned push: another time or text voids its approval; who was missed gets a new push."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from lanmu.delivery.changes import Change
from lanmu.delivery.models import Push, Unit
from lanmu.interfaces.channels import Abilities
from lanmu.interfaces.errors import Conflict, Denied, Invalid
from lanmu.library.models import Review, Revision
from lanmu.testing.fakes import Does


@pytest.fixture
def one_each(make_room, database):
    return make_room(database, abilities=Abilities(batch_max=1))


def _later(room, hours=2):
    return room.clock.now() + timedelta(hours=hours)


def test_another_time_voids_the_approval_until_somebody_else_gives_it_anew(one_each):
    room = one_each
    due = _later(room)
    push = room.send("a", "b", due_at=due)
    edited = room.service.changes.edit(push.id, Change(seen=1, due_at=due + timedelta(hours=1)), "li")
    assert (edited.state, edited.binding, edited.approved_by, edited.approved_at) == (
        "in_review",
        2,
        "",
        None,
    )
    room.clock.advance(timedelta(hours=3, minutes=1))
    assert room.run() == 0, "nothing goes out that nobody approved"
    with pytest.raises(Conflict, match="its time has passed"):
        room.service.changes.approve(push.id, "wang", 2)
    again = room.service.changes.edit(push.id, Change(seen=2, due_at=_later(room)), "li")
    with pytest.raises(Denied, match="li made this change"):
        room.service.changes.approve(push.id, "li", again.binding)
    assert room.service.changes.approve(push.id, "wang", again.binding).state == "scheduled"
    assert room.run() == 0, "not before its new time"
    room.clock.advance(timedelta(hours=2))
    room.run()
    assert room.channel.sends() == {"a": 1, "b": 1}
    assert room.push(push).approved_by == "wang"


def test_the_deadline_moves_along_with_the_time(one_each):
    room = one_each
    due = _later(room)
    push = room.send("a", due_at=due, deadline_at=due + timedelta(minutes=30))
    edited = room.service.changes.edit(push.id, Change(seen=1, due_at=due + timedelta(hours=5)), "li")
    assert edited.deadline_at - edited.due_at == timedelta(minutes=30)


def test_an_approval_is_for_what_was_seen(one_each):
    room = one_each
    push = room.send("a", due_at=_later(room))
    room.service.changes.edit(push.id, Change(seen=1, due_at=_later(room, 3)), "li")
    room.service.changes.edit(push.id, Change(seen=2, due_at=_later(room, 4)), "li")
    with pytest.raises(Conflict, match="changed since you looked"):
        room.service.changes.approve(push.id, "wang", 2)
    with pytest.raises(Conflict, match="changed since you looked"):
        room.service.changes.edit(push.id, Change(seen=2, due_at=_later(room, 5)), "chen")
    assert room.push(push).state == "in_review"


def test_nothing_is_changed_once_something_is_out_or_on_its_way(one_each):
    room = one_each
    push = room.send("a", "b")
    room.dispatcher(concurrency=1).run_due(iter([False, True, True]).__next__)
    with pytest.raises(Conflict, match="some of it is out"):
        room.service.changes.edit(push.id, Change(seen=1, due_at=_later(room)), "li")
    other = room.send("c", due_at=_later(room))
    with room.database.write() as session:
        session.execute(update(Unit).where(Unit.push_id == other.row).values(state="leased"))
    with pytest.raises(Conflict):
        room.service.changes.edit(other.id, Change(seen=1, due_at=_later(room, 3)), "li")
    assert room.push(other).state == "scheduled"


def test_what_is_held_because_it_is_late_can_be_given_another_time(one_each):
    room = one_each
    push = room.send("a", late_policy="ask")
    room.clock.advance(timedelta(minutes=20))
    room.run()
    assert room.push(push).state == "held"
    edited = room.service.changes.edit(push.id, Change(seen=1, due_at=_later(room)), "li")
    assert (edited.state, edited.held_reason) == ("in_review", "")
    assert room.states(push) == ["pending"]


def test_another_text_is_an_approved_version_of_the_same_material(one_each):
    room = one_each
    push = room.send("a", due_at=_later(room))
    with room.database.write() as session:
        first = session.get_one(Revision, room.snapshot.revision_key)
        kept = {name: getattr(first, name) for name in ("material_id", "author", "fields", "created_at")}
        second = Revision(**kept, number=2, title="Anew", body="Sleep tight.", content_hash="hash-2")
        session.add(second)
        session.flush()
        chosen = second.id
    with pytest.raises(Conflict, match="has not been approved"):
        room.service.changes.edit(push.id, Change(seen=1, revision=chosen), "li")
    with room.database.write() as session:
        decided = {"approved": True, "compliance": True, "relevance": True, "appeal": True}
        session.add(
            Review(
                material_id=room.snapshot.key,
                revision_id=chosen,
                reviewer="wang",
                decided_at=room.clock.now(),
                **decided,
            )
        )
    edited = room.service.changes.edit(push.id, Change(seen=1, revision=chosen), "li")
    assert (edited.title, edited.revision_id, edited.state) == ("Anew", chosen, "in_review")


def test_a_change_must_change_something_to_come(one_each):
    room = one_each
    due = _later(room)
    push = room.send("a", due_at=due)
    with pytest.raises(Invalid, match="neither time nor text"):
        room.service.changes.edit(push.id, Change(seen=1, due_at=due), "li")
    with pytest.raises(Invalid, match="has passed already"):
        room.service.changes.edit(push.id, Change(seen=1, due_at=room.clock.now()), "li")


def test_a_clone_is_a_draft_for_those_who_were_not_reached_alone(one_each):
    room = one_each
    room.channel.script(Does.ACCEPT, Does.REFUSE, Does.CUT_AFTER)
    push = room.send("a", "b", "c", "d")
    room.dispatcher(concurrency=3).run_due(iter([False, True, True]).__next__)
    assert room.states(push) == ["accepted", "failed", "unknown", "pending"]
    made = room.service.changes.clone(push.id, "li")
    assert (made.state, made.approved_by, made.cloned_from) == ("draft", "", push.id)
    assert set(room.target_states(made)) == {"b"}, "d may still get it, c may have got it"
    assert room.service.changes.clone(push.id, "li").id == made.id, "asked twice, made once"
    room.service.changes.submit(made.id, "li")
    with pytest.raises(Denied):
        room.service.changes.approve(made.id, "li", 1)
    room.service.changes.approve(made.id, "wang", 1)
    room.clock.advance(timedelta(minutes=31))
    room.channel.script(Does.ACCEPT)
    room.run()
    assert room.channel.sends()["b"] == 1


def test_a_clone_of_a_push_that_reached_all_is_refused(one_each):
    room = one_each
    push = room.send("a")
    room.run()
    with pytest.raises(Conflict, match="nobody whom it failed to reach"):
        room.service.changes.clone(push.id, "li")


def test_what_was_sent_back_is_a_draft_and_sends_nothing(one_each):
    room = one_each
    push = room.send("a", due_at=_later(room))
    room.service.changes.edit(push.id, Change(seen=1, due_at=_later(room, 1)), "li")
    assert room.service.changes.send_back(push.id, 2).state == "draft"
    room.clock.advance(timedelta(hours=2))
    assert room.run() == 0
    stopped = room.service.cancel(push.id)
    assert (stopped.stopped, stopped.out) == (1, 0)


def test_resuming_what_is_late_can_be_made_to_ask(one_each):
    room = one_each
    push = room.send("a", "b", late_policy="ask")
    room.clock.advance(timedelta(minutes=20))
    room.run()
    assert room.service.get(push.id).late_by(room.clock.now()) == timedelta(minutes=20)
    with pytest.raises(Conflict, match="passed by more than it may"):
        room.service.resume(push.id, although_late=False)
    room.service.resume(push.id, although_late=True)
    room.run()
    assert room.channel.sends() == {"a": 1, "b": 1}


def test_what_a_person_must_decide_is_listed_with_its_reason(one_each):
    room = one_each
    late = room.send("a", late_policy="ask")
    room.clock.advance(timedelta(minutes=20))
    room.run()
    doubt = room.send("b")
    room.channel.script(Does.CUT_AFTER)
    room.run()
    review = room.send("c", due_at=_later(room))
    with room.database.write() as session:
        session.execute(update(Unit).where(Unit.push_id == doubt.row).values(look_at=None))
        session.execute(update(Push).where(Push.id == review.row).values(state="in_review"))
    found = {each.push: each for each in room.service.decisions(10)}
    assert {push: each.kind for push, each in found.items()} == {
        late.id: "late", doubt.id: "doubt", review.id: "review",
    }  # fmt: skip
    assert "Its time has passed" in found[late.id].reason
    assert [each.recipients for each in found.values()] == [1, 1, 1]


def test_a_doubt_that_the_far_end_is_asked_about_waits_for_nobody(one_each):
    room = one_each
    push = room.send("a")
    room.channel.script(Does.CUT_AFTER)
    room.run()
    with room.database.write() as session:
        session.execute(update(Unit).where(Unit.push_id == push.row).values(look_at=_later(room)))
    assert room.service.decisions(10) == []
    assert room.service.undecided() == 0
    assert room.service.get(push.id).progress.doubts == 0
