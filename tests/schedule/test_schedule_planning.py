"""Laying out the coming days: once, never over what a person or delivery did, and in few statements."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from tests.shop import CHANNEL, Shop, daily, seen

from lanmu.delivery.door.send_limits import SendLimits
from lanmu.interfaces.errors import Conflict
from lanmu.schedule.columns import PoolDraft, SlotDraft, Targets
from lanmu.schedule.occurrences import OccurrenceView
from lanmu.schedule.planner import plan_each
from lanmu.schedule.storing import Store

PLAN_EACH = "lanmu.schedule.planning.plan_each"


def kept(shop: Shop) -> list[OccurrenceView]:
    return shop.all()


def test_a_plan_is_stored_and_planning_again_changes_nothing(shop: Shop):
    shop.stock(6)
    shop.community("一群")
    shop.community("二群")
    shop.column("晚间", *daily("20:00"), cooldown_days=5, approval="each")
    report = shop.schedule.plan_ahead()
    assert (report.planned, report.empty, report.kept, report.changed, report.removed) == (28, 0, 0, 28, 0)
    before = kept(shop)
    assert len(before) == 28
    first = before[0]
    assert first.state == "planned"
    assert first.needs_approval
    assert not first.pinned
    assert first.material
    assert (first.local_time, first.zone) == ("2026-11-23T20:00", "Asia/Shanghai")
    assert first.due_at == datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    assert first.why["pool_size"] == 6
    again = shop.schedule.plan_ahead()
    assert (again.planned, again.changed, again.removed) == (28, 0, 0)
    assert kept(shop) == before


def test_as_days_go_by_only_the_new_days_are_added(small_shop: Shop):
    """An operator who has read the calendar finds it again tomorrow."""
    small_shop.stock(8)
    small_shop.community("一群")
    small_shop.column("每天三次", *daily("08:30", "15:00", "20:00"), cooldown_days=5)
    small_shop.schedule.plan_ahead()
    before = {each.local_time: each.material for each in kept(small_shop)}
    for _day in range(3):
        for _hand_over in range(3):
            small_shop.to(small_shop.all(state="planned")[0].due_at)
            assert small_shop.schedule.hand_over() == 1
        small_shop.clock.advance(timedelta(hours=3))
        small_shop.schedule.plan_ahead()
    after = {each.local_time: each.material for each in kept(small_shop)}
    moved = sum(after[local] != material for local, material in before.items())
    assert moved <= 6, f"{moved} of {len(before)} places changed"
    assert len(after) == len(before) + 9


@pytest.mark.parametrize("touch", ["approve", "skip", "use", "hand over"])
def test_what_a_person_or_delivery_did_is_never_touched(shop: Shop, touch: str):
    shop.stock(5)
    shop.community("一群")
    column = shop.column("晚间", *daily("20:00"), cooldown_days=4, approval="each")
    shop.schedule.plan_ahead()
    first = kept(shop)[0]
    other = shop.material("brand")
    _touch(shop, first.id, touch, other.id)
    before = shop.schedule.occurrences.get(first.id)
    # Everything the planner could use is gone, then the slot, then the column.
    for row in shop.library.materials.candidates():
        shop.library.reviews.retire(row.id, "换季")
    shop.schedule.plan_ahead()
    assert shop.schedule.occurrences.get(first.id) == before
    draft = replace(column.draft, slots=(SlotDraft("daily", "09:00"),))
    column = shop.schedule.columns.edit(column.id, draft, column.lock)
    shop.schedule.plan_ahead()
    shop.schedule.columns.edit(column.id, replace(draft, active=False), column.lock)
    shop.schedule.plan_ahead()
    assert kept(shop) == [before]


@pytest.mark.parametrize("touch", ["approve", "skip", "use", "hand over"])
@pytest.mark.parametrize("meanwhile", ["changed", "removed"])
def test_a_person_may_act_between_reading_and_storing(shop: Shop, touch: str, meanwhile: str, monkeypatch):
    shop.stock(3)
    shop.community("一群")
    column = shop.column("晚间", *daily("20:00"), approval="each")
    shop.schedule.plan_ahead()
    first = kept(shop)[0]
    other = shop.material("brand")
    if meanwhile == "removed":
        draft = replace(column.draft, slots=(SlotDraft("daily", "09:00"),))
        shop.schedule.columns.edit(column.id, draft, column.lock)
    else:
        for row in shop.library.materials.candidates():
            shop.library.materials.set_weight(row.id, 100 if row.id == first.material_id else 900)
    touched: list[OccurrenceView] = []

    read = Store._existing

    def read_and_wait(store: Store, communities: Iterable[Any]):
        found = read(store, communities)
        if not touched:
            _touch(shop, first.id, touch, other.id)
            touched.append(shop.schedule.occurrences.get(first.id))
        return found

    monkeypatch.setattr(Store, "_existing", read_and_wait)
    shop.schedule.plan_ahead()
    assert [shop.schedule.occurrences.get(first.id)] == touched


def _touch(shop: Shop, occurrence: str, touch: str, other: str) -> None:
    occurrences = shop.schedule.occurrences
    if touch == "skip":
        occurrences.skip(occurrence)
    elif touch == "use":
        occurrences.use(occurrence, other)
    else:
        assert occurrences.approve(seen(occurrences.get(occurrence)), "wang") == 1
    if touch == "hand over":
        shop.to(occurrences.get(occurrence).due_at)
        assert shop.schedule.hand_over() == 1


def test_a_deleted_slot_takes_out_only_what_nobody_touched(shop: Shop):
    shop.stock(5)
    shop.community("一群")
    column = shop.column("两次", *daily("09:00", "20:00"))
    shop.schedule.plan_ahead()
    mornings = [each for each in kept(shop) if each.local_time.endswith("09:00")]
    shop.schedule.occurrences.approve(seen(mornings[3]), "wang")
    shop.schedule.occurrences.skip(mornings[5].id)
    draft = replace(column.draft, slots=(SlotDraft("daily", "20:00"),))
    shop.schedule.columns.edit(column.id, draft, column.lock)
    assert shop.schedule.plan_ahead().removed == 12
    left = [each for each in kept(shop) if each.local_time.endswith("09:00")]
    assert [each.id for each in left] == [mornings[3].id, mornings[5].id]
    assert shop.schedule.plan_ahead().changed == 0


def test_a_column_or_community_that_is_switched_off_stops_and_comes_back(shop: Shop):
    shop.stock(5)
    one, two = shop.community("一群"), shop.community("二群", tags=("母婴",))
    column = shop.column("晚间", *daily("20:00"))
    shop.column("早上", *daily("08:30"), targets=Targets(tags=("母婴",)))
    shop.schedule.plan_ahead()
    before = Counter((each.column, each.community) for each in kept(shop))
    assert before == {("晚间", "一群"): 14, ("晚间", "二群"): 14, ("早上", "二群"): 14}
    shop.audience.communities.edit(two.id, active=False)
    assert shop.schedule.plan_ahead().removed == 28
    assert {each.community for each in kept(shop)} == {"一群"}
    off = shop.schedule.columns.edit(column.id, replace(column.draft, active=False), column.lock)
    shop.schedule.plan_ahead()
    assert kept(shop) == []
    shop.audience.communities.edit(two.id, active=True)
    shop.audience.communities.edit(one.id, addresses={})
    shop.schedule.columns.edit(column.id, column.draft, off.lock)
    shop.schedule.plan_ahead()
    assert Counter((each.column, each.community) for each in kept(shop)) == {
        ("晚间", "二群"): 14,
        ("早上", "二群"): 14,
    }


def test_an_empty_pool_is_stored_with_its_reason_and_shown_and_filled_once_there_is_material(shop: Shop):
    shop.community("一群")
    shop.column("晚间", *daily("20:00"), classes=("brand",), pool=PoolDraft(tags=("日记",)))
    shop.material("engagement", tags=("日记",))
    report = shop.schedule.plan_ahead()
    assert (report.planned, report.empty) == (0, 14)
    assert {each.state for each in kept(shop)} == {"empty"}
    assert kept(shop)[0].why == {
        "empty": "class_not_allowed",
        "matched": 1,
        "of_class": 0,
        "approved": 0,
        "valid": 0,
    }
    assert next(need.count for need in shop.reports.needs() if need.kind == "empty") == 7
    assert shop.schedule.plan_ahead().changed == 0
    shop.material("brand", tags=("日记",))
    report = shop.schedule.plan_ahead()
    assert (report.planned, report.empty, report.changed) == (14, 0, 14)
    assert {each.state for each in kept(shop)} == {"planned"}
    assert all("empty" not in each.why for each in kept(shop))


def test_each_community_has_its_own_budget_and_the_past_counts_in_it(small_shop: Shop):
    small_shop.stock(16)
    small_shop.community("一群")
    small_shop.community("二群", mix={"engagement": 20, "conversion": 20, "brand": 60})
    small_shop.column("每天两次", *daily("09:00", "20:00"))
    small_shop.schedule.plan_ahead()

    def shares(community: str, first: str) -> Counter[str]:
        last = (date.fromisoformat(first) + timedelta(days=5)).isoformat()
        days = [each for each in kept(small_shop) if first <= each.local_time < last]
        return Counter(each.content_class for each in days if each.community == community)

    assert shares("一群", "2026-11-23") == {"engagement": 5, "conversion": 3, "brand": 2}
    assert shares("二群", "2026-11-23") == {"engagement": 2, "conversion": 2, "brand": 6}
    # Two days go out by hand as conversion only: the week makes up for it.
    gifts = [small_shop.material("conversion") for _ in range(4)]
    own = [each for each in kept(small_shop) if each.community == "一群"][:4]
    for each, gift in zip(own, gifts, strict=True):
        small_shop.schedule.occurrences.use(each.id, gift.id)
        small_shop.to(each.due_at)
        small_shop.schedule.hand_over()
    small_shop.clock.advance(timedelta(hours=1))
    small_shop.schedule.plan_ahead()
    week = [each for each in kept(small_shop) if each.community == "一群"][4:14]
    assert Counter(each.content_class for each in week)["conversion"] <= 1


def test_no_material_comes_back_within_the_cooldown_of_the_column_that_sent_it(small_shop: Shop):
    """What one column has sent rests for every column, as long as the one that sent it asks for."""
    small_shop.stock(7)
    small_shop.community("一群")
    slow = small_shop.column("慢栏", SlotDraft("mon", "08:30"), cooldown_days=10)
    small_shop.schedule.plan_ahead()
    sent = kept(small_shop)[0]
    small_shop.to(sent.due_at)
    assert small_shop.schedule.hand_over() == 1
    small_shop.clock.advance(timedelta(minutes=10))
    small_shop.schedule.columns.edit(slow.id, replace(slow.draft, active=False), slow.lock)
    small_shop.column("快栏", *daily("09:00", "15:00", "20:00"), cooldown_days=2)
    small_shop.schedule.plan_ahead()
    again = [each.local_time for each in kept(small_shop) if each.material == sent.material][1:]
    assert again
    assert min(again) >= "2026-12-03"
    by_material: dict[str, list[date]] = {}
    for each in kept(small_shop)[1:]:
        by_material.setdefault(each.material, []).append(date.fromisoformat(each.local_time[:10]))
    gaps = [(later - earlier).days for days in by_material.values() for earlier, later in pairwise(days)]
    assert min(gaps) >= 2


def test_a_change_of_the_clocks_keeps_the_wall_time(small_shop: Shop):
    """New York leaves summer time on 2027-11-07."""
    small_shop.clock.set(datetime(2027, 11, 5, 0, 0, tzinfo=UTC))
    small_shop.stock(2)
    small_shop.community("一群")
    small_shop.column("早上", *daily("08:30"), zone="America/New_York")
    small_shop.schedule.plan_ahead()
    assert [(each.local_time, each.due_at.strftime("%H:%M")) for each in kept(small_shop)[:3]] == [
        ("2027-11-05T08:30", "12:30"),
        ("2027-11-06T08:30", "12:30"),
        ("2027-11-07T08:30", "13:30"),
    ]


def test_the_hour_left_out_is_moved_forward_and_the_hour_that_comes_twice_fires_once(small_shop: Shop):
    small_shop.clock.set(datetime(2027, 3, 27, 0, 0, tzinfo=UTC))
    small_shop.stock(3)
    small_shop.community("一群")
    small_shop.column("凌晨", *daily("02:30"), zone="Europe/Berlin")
    small_shop.schedule.plan_ahead()
    around = {each.local_time: each.due_at.isoformat() for each in kept(small_shop)[:3]}
    assert around == {
        "2027-03-27T02:30": "2027-03-27T01:30:00+00:00",
        "2027-03-28T03:30": "2027-03-28T01:30:00+00:00",
        "2027-03-29T02:30": "2027-03-29T00:30:00+00:00",
    }
    assert small_shop.schedule.plan_ahead().changed == 0
    small_shop.clock.set(datetime(2027, 10, 30, 12, 0, tzinfo=UTC))
    small_shop.schedule.plan_ahead()
    twice = [each.due_at.isoformat() for each in kept(small_shop) if each.local_time == "2027-10-31T02:30"]
    assert twice == ["2027-10-31T00:30:00+00:00"]


def test_a_column_that_moves_to_another_zone_moves_its_occurrences(shop: Shop):
    """The same wall time in another zone is another instant; what has fired at it does not fire again."""
    shop.stock(3)
    shop.community("一群")
    column = shop.column("晚间", *daily("20:00"), zone="Asia/Shanghai")
    shop.schedule.plan_ahead()
    shop.to(kept(shop)[0].due_at)
    assert shop.schedule.hand_over() == 1
    shop.clock.advance(timedelta(hours=1))
    shop.schedule.columns.edit(column.id, replace(column.draft, zone="Europe/London"), column.lock)
    shop.schedule.plan_ahead()
    first, second, *_rest = kept(shop)
    assert (first.state, first.zone) == ("handed_over", "Asia/Shanghai")
    assert (second.local_time, second.zone) == ("2026-11-24T20:00", "Europe/London")
    assert second.due_at == datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
    assert shop.schedule.plan_ahead().changed == 0


def test_seconds_of_a_rule_do_not_make_two_places_of_one(small_shop: Shop):
    small_shop.stock(2)
    small_shop.community("一群")
    small_shop.column(
        "秒", SlotDraft(rrule="DTSTART:20261124T200030\nRRULE:FREQ=DAILY;COUNT=1"), approval="each"
    )
    small_shop.schedule.plan_ahead()
    only = kept(small_shop)
    assert [each.local_time for each in only] == ["2026-11-24T20:00"]
    small_shop.schedule.occurrences.approve(seen(only[0]), "wang")
    report = small_shop.schedule.plan_ahead()
    assert (report.planned, report.kept, report.changed) == (0, 1, 0)


def test_retired_material_is_replaced_and_an_approved_text_goes_into_the_plan(shop: Shop):
    shop.community("一群")
    shop.column("晚间", *daily("20:00"))
    first = shop.material()
    shop.schedule.plan_ahead()
    assert {each.material_id for each in kept(shop)} == {first.id}
    shop.rewrite(first.id, "改好的正文，还没审。", approve=False)
    assert shop.schedule.plan_ahead().changed == 0
    draft = shop.library.materials.get(first.id)
    shop.library.reviews.submit(first.id)
    shop.library.reviews.approve(first.id, draft.revision, "wang")
    assert shop.schedule.plan_ahead().changed == 14
    second = shop.material()
    shop.library.reviews.retire(first.id, "过季")
    assert shop.schedule.plan_ahead().changed == 14
    assert {each.material_id for each in kept(shop)} == {second.id}


def test_material_is_planned_only_inside_its_validity(small_shop: Shop):
    small_shop.community("一群")
    small_shop.column("晚间", *daily("20:00"))
    begin, end = datetime(2026, 11, 26, tzinfo=UTC), datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
    small_shop.material(valid_from=begin, valid_until=end)
    small_shop.schedule.plan_ahead()
    assert [each.local_time[:10] for each in small_shop.all(state="planned")] == [
        "2026-11-26",
        "2026-11-27",
        "2026-11-28",
        "2026-11-29",
    ]
    assert {each.why["empty"] for each in small_shop.all(state="empty")} == {"outside_validity"}


def test_two_who_plan_at_once_store_one_plan(shop: Shop, monkeypatch):
    shop.stock(4)
    shop.community("一群")
    shop.column("晚间", *daily("20:00"))

    def slow_plan(*args: Any, **named: Any):
        monkeypatch.setattr(PLAN_EACH, plan_each)
        assert shop.scheduling().plan_ahead().changed == 14
        return plan_each(*args, **named)

    monkeypatch.setattr(PLAN_EACH, slow_plan)
    report = shop.schedule.plan_ahead()
    assert (report.planned, report.changed, report.removed) == (14, 0, 0)
    assert shop.states() == {"planned": 14}


def test_a_thousand_communities_for_two_weeks_take_a_bounded_number_of_statements(shop: Shop):
    shop.stock(10)
    shop.communities(1000)
    shop.column("晚间", *daily("20:00"), cooldown_days=7)
    with shop.counting() as statements:
        report = shop.schedule.plan_ahead()
    assert (report.planned, report.changed) == (14_000, 14_000)
    assert len(statements) < 90, Counter(text.split()[0] for text in statements)
    with shop.counting() as statements:
        again = shop.schedule.plan_ahead()
    assert again.changed == 0
    assert len(statements) < 90
    for row in shop.library.materials.candidates()[::3]:
        shop.library.reviews.retire(row.id, "换季")
    with shop.counting() as statements:
        changed = shop.schedule.plan_ahead().changed
    assert changed > 3000
    assert len(statements) < 90


def test_a_person_cannot_use_what_is_not_approved(small_shop: Shop):
    small_shop.community("一群", channel=CHANNEL)
    small_shop.stock(1)
    small_shop.column()
    small_shop.schedule.plan_ahead()
    draft = small_shop.library.materials.create(small_shop.content(), "li")
    with pytest.raises(Conflict):
        small_shop.schedule.occurrences.use(kept(small_shop)[0].id, draft.id)


def test_the_houses_daily_limit_is_minded_when_planning_and_a_communitys_own_before_it(small_shop: Shop):
    small_shop.stock(20)
    small_shop.community("一群")
    small_shop.community("二群", daily_cap=2)
    small_shop.column("每天三次", *daily("08:30", "15:00", "20:00"), cooldown_days=1)
    limits = SendLimits(small_shop.database, small_shop.clock, "Asia/Shanghai")
    limits.seed()
    limits.change("community.day", 1, True, None, "li")
    small_shop.schedule.plan_ahead()
    of_a_day = Counter((each.community, each.local_time[:10]) for each in small_shop.all() if each.material)
    assert {community: most for (community, _day), most in of_a_day.items()} == {"一群": 1, "二群": 2}
    reasons = {each.why["empty"] for each in small_shop.all() if not each.material}
    assert reasons == {"daily_cap"}
