"""What people do on the calendar: look, approve, skip, restore, and choose other material."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import update
from tests.shop import CHANNEL, Shop, daily, seen

from lanmu.delivery.models import Push
from lanmu.interfaces.errors import Conflict, NotFound
from lanmu.schedule.columns import Targets
from lanmu.schedule.models import Occurrence
from lanmu.schedule.occurrences import OccurrenceFilter


@pytest.fixture
def planned(shop: Shop) -> Shop:
    return prepared(shop)


@pytest.fixture
def small(small_shop: Shop) -> Shop:
    return prepared(small_shop)


def prepared(shop: Shop) -> Shop:
    shop.stock(2)
    shop.community("一群", tags=("母婴",))
    shop.community("二群")
    shop.column("逐条", *daily("20:00"), approval="each")
    shop.column("自动", *daily("08:30"), targets=Targets(tags=("母婴",)))
    shop.schedule.plan_ahead()
    return shop


def test_the_calendar_is_half_open_and_filtered(small: Shop):
    first = small.all()[0]
    look = small.schedule.occurrences.between
    communities = {each.name: each.id for each in small.audience.communities.find()}
    until = first.due_at + timedelta(days=7)
    assert len(look(first.due_at, until)) == 21
    assert look(first.due_at, first.due_at) == []
    assert [each.due_at for each in look(first.due_at, until)] == sorted(
        each.due_at for each in look(first.due_at, until)
    )
    assert len(look(first.due_at, until, OccurrenceFilter(community=communities["二群"]))) == 7
    column = small.schedule.columns.by_name("自动")
    assert column is not None
    assert {each.column for each in look(first.due_at, until, OccurrenceFilter(column=column.id))} == {"自动"}
    assert look(first.due_at, until, OccurrenceFilter(states=("approved",))) == []
    assert len(look(first.due_at, until, OccurrenceFilter(channel=CHANNEL))) == 21
    assert look(first.due_at, until, OccurrenceFilter(channel="other")) == []
    assert len(look(first.due_at, until, limit=3)) == 3


def test_approving_counts_only_what_still_waited(planned: Shop):
    now = planned.clock.now()
    assert planned.schedule.occurrences.waiting(now + timedelta(days=1)) == 2
    wanted = [each for each in planned.all() if each.needs_approval][:2]
    ids = [each.id for each in wanted]
    assert planned.schedule.occurrences.approve(seen(*wanted) | {"occ_nothing": 1}, "wang") == 2
    assert planned.schedule.occurrences.approve(seen(*wanted), "zhao") == 0
    approved = planned.schedule.occurrences.get(ids[0])
    assert (approved.state, approved.approved_by, approved.needs_approval) == ("approved", "wang", False)
    assert planned.schedule.occurrences.waiting(now + timedelta(days=1)) == 0


def test_what_is_skipped_falls_out_and_comes_back_unapproved(small: Shop):
    first = next(each for each in small.all() if each.needs_approval)
    small.schedule.occurrences.approve(seen(first), "wang")
    small.schedule.occurrences.skip(first.id)
    assert small.schedule.occurrences.get(first.id).state == "skipped"
    with pytest.raises(Conflict):
        small.schedule.occurrences.skip(first.id)
    assert small.schedule.occurrences.approve(seen(first), "wang") == 0
    small.to(first.due_at)
    small.schedule.hand_over()
    assert first.id not in [each.id for each in small.all(state="handed_over")]
    small.schedule.occurrences.restore(first.id)
    restored = small.schedule.occurrences.get(first.id)
    assert (restored.state, restored.pinned, restored.approved_by) == ("planned", False, "")
    assert small.schedule.hand_over() == 0


def test_only_a_skip_that_is_still_to_come_is_restored(small: Shop):
    first = small.all()[0]
    with pytest.raises(Conflict):
        small.schedule.occurrences.restore(first.id)
    small.schedule.occurrences.skip(first.id)
    small.clock.set(first.due_at)
    with pytest.raises(Conflict):
        small.schedule.occurrences.restore(first.id)
    with pytest.raises(NotFound):
        small.schedule.occurrences.restore("occ_nothing")
    with pytest.raises(NotFound):
        small.schedule.occurrences.skip("occ_nothing")
    with pytest.raises(NotFound):
        small.schedule.occurrences.get("occ_nothing")


def test_other_material_stays_and_needs_a_new_approval(planned: Shop):
    first = next(each for each in planned.all() if each.needs_approval)
    planned.schedule.occurrences.approve(seen(first), "wang")
    other = planned.material("brand")
    planned.schedule.occurrences.use(first.id, other.id)
    used = planned.schedule.occurrences.get(first.id)
    assert (used.state, used.pinned, used.content_class, used.material_id) == (
        "planned",
        True,
        "brand",
        other.id,
    )
    assert (used.approved_by, used.needs_approval, used.why) == ("", True, {"chosen": True})
    planned.schedule.plan_ahead()
    assert planned.schedule.occurrences.get(first.id) == used


@pytest.mark.parametrize("material", ["a draft", "retired", "unknown"])
def test_only_approved_material_is_chosen(small: Shop, material: str):
    first = small.all()[0]
    chosen = {"unknown": "mat_nothing"}.get(material, "")
    if material == "a draft":
        chosen = small.library.materials.create(small.content(), "li").id
    if material == "retired":
        chosen = small.material().id
        small.library.reviews.retire(chosen, "换季")
    with pytest.raises(Conflict) as caught:
        small.schedule.occurrences.use(first.id, chosen)
    assert caught.value.place == "material"
    assert small.schedule.occurrences.get(first.id) == first


def test_what_was_given_up_before_its_time_can_be_mended(small: Shop):
    """Its material was retired within the lead: a person restores it and gives it another one."""
    first = next(each for each in small.all() if each.column == "自动")
    second = next(each for each in small.all() if each.column == "逐条")
    small.schedule.occurrences.approve(seen(second), "wang")
    for each in (first, second):
        small.library.reviews.retire(each.material_id, "换季")
        small.to(each.due_at)
        small.schedule.hand_over()
        assert small.schedule.occurrences.get(each.id).state == "missed"
        small.schedule.occurrences.skip(each.id)
        small.schedule.occurrences.restore(each.id)
        assert small.schedule.occurrences.get(each.id).why == {}
        other = small.material()
        small.schedule.occurrences.use(each.id, other.id)
        small.schedule.occurrences.approve(seen(small.schedule.occurrences.get(each.id)), "wang")
        assert small.schedule.hand_over() >= 1
        assert small.schedule.occurrences.get(each.id).material_id == other.id


@pytest.mark.parametrize("act", ["skip", "use", "restore"])
def test_nobody_undoes_what_delivery_takes_over_at_that_moment(planned: Shop, act: str):
    """Without a lock, PostgreSQL would let the person read the old state and overwrite the new one."""
    first = next(each for each in planned.all() if each.column == "自动")
    if act == "restore":
        planned.schedule.occurrences.skip(first.id)
    outcome: list[str] = []

    def person() -> None:
        do = {
            "skip": lambda: planned.schedule.occurrences.skip(first.id),
            "use": lambda: planned.schedule.occurrences.use(first.id, first.material_id),
            "restore": lambda: planned.schedule.occurrences.restore(first.id),
        }[act]
        try:
            do()
            outcome.append("done")
        except Conflict:
            outcome.append("refused")

    thread = threading.Thread(target=person)
    with planned.database.write() as session:
        session.execute(
            update(Occurrence).where(Occurrence.public_id == first.id).values(state="handed_over")
        )
        thread.start()
        thread.join(timeout=0.3)  # long enough to read, and then to wait for us
        assert outcome == []
    thread.join()
    assert outcome == ["refused"]
    assert planned.schedule.occurrences.get(first.id).state == "handed_over"


def test_what_a_person_has_given_another_time_is_found_by_that_time(planned: Shop):
    first = next(each for each in planned.all() if each.column == "自动")
    planned.to(first.due_at)
    planned.schedule.hand_over()
    moved = first.due_at + timedelta(days=10)
    with planned.database.write() as session:
        session.execute(update(Push).values(due_at=moved))
    look = planned.schedule.occurrences
    there = look.moved_into(moved, moved + timedelta(minutes=1))
    assert [(each.id, each.goes_out_at) for each in there] == [(first.id, moved)]
    assert look.moved_into(first.due_at, first.due_at + timedelta(days=1)) == []
    assert look.get(first.id).due_at == first.due_at
