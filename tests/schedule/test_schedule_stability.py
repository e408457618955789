"""A plan stays as people have seen it: who saves a column changes no other; nobody approves the unseen."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update
from tests.shop import Shop, daily, seen

from lanmu.interfaces.errors import Conflict
from lanmu.schedule.columns import PoolDraft
from lanmu.schedule.models import Occurrence
from lanmu.schedule.occurrences import OccurrenceView


def picks(shop: Shop, column: str) -> dict[tuple[str, str], str]:
    """What the column has at each of its places."""
    return {
        (each.community, each.local_time): each.material_id for each in shop.all() if each.column == column
    }


def test_saving_a_column_changes_no_pick_of_another(shop: Shop) -> None:
    shop.stock(20)
    shop.community("一群")
    shop.community("二群")
    shop.column("晚间", *daily("20:00"))
    morning = shop.column("早间", *daily("08:30"))
    shop.schedule.plan_ahead()
    before = picks(shop, "晚间")
    draft = replace(morning.draft, classes=("brand",), slots=tuple(daily("08:30", "12:00")))
    shop.schedule.columns.edit(morning.id, draft, morning.lock)
    report = shop.schedule.plan_ahead([morning.id])
    assert picks(shop, "晚间") == before
    assert (report.elsewhere, report.replaced > 0) == (0, True)
    assert shop.schedule.plan_ahead().changed == 0


def test_a_pick_of_another_column_that_breaks_a_rule_is_exchanged_and_told(shop: Shop) -> None:
    shop.stock(20)
    shop.community("一群")
    shop.column("晚间", *daily("20:00"))
    morning = shop.column("早间", *daily("08:30"))
    shop.schedule.plan_ahead()
    lost = next(each for each in shop.all() if each.column == "晚间")
    before = picks(shop, "晚间")
    shop.library.reviews.retire(lost.material_id, "过季")
    report = shop.schedule.plan_ahead([morning.id])
    after = picks(shop, "晚间")
    assert [place for place in before if before[place] != after[place]] == [("一群", lost.local_time)]
    assert report.elsewhere == 1


def test_a_column_put_first_gets_its_place_from_the_last_in_line_and_then_nothing_moves(shop: Shop) -> None:
    shop.stock(20)
    shop.community("一群", daily_cap=2)
    shop.column("早间", *daily("08:30"), cooldown_days=1)
    shop.column("午间", *daily("12:00"), cooldown_days=1, priority="last")
    evening = shop.column("晚间", *daily("20:00"), cooldown_days=1)
    shop.schedule.plan_ahead()
    before = picks(shop, "早间")
    assert {each.column for each in shop.all(state="planned")} == {"早间", "晚间"}
    draft = replace(evening.draft, priority="last")
    lowered = shop.schedule.columns.edit(evening.id, draft, evening.lock)
    assert shop.schedule.plan_ahead([evening.id]).elsewhere == 0
    assert {each.column for each in shop.all(state="planned")} == {"早间", "午间"}
    shop.schedule.columns.edit(evening.id, replace(draft, priority="first"), lowered.lock)
    shop.schedule.plan_ahead([evening.id])
    assert {each.column for each in shop.all(state="planned")} == {"早间", "晚间"}
    assert picks(shop, "早间") == before
    assert {each.why["empty"] for each in shop.all(state="empty")} == {"daily_cap"}
    assert shop.schedule.plan_ahead().changed == 0


def test_a_column_put_first_that_has_no_material_takes_no_place_from_another(small_shop: Shop) -> None:
    small_shop.stock(20)
    small_shop.community("一群", daily_cap=1)
    small_shop.column("早间", *daily("08:30"), cooldown_days=1)
    small_shop.schedule.plan_ahead()
    before = picks(small_shop, "早间")
    small_shop.column(
        "晚间", *daily("20:00"), cooldown_days=1, priority="first", pool=PoolDraft(tags=("没有",))
    )
    small_shop.schedule.plan_ahead()
    assert picks(small_shop, "早间") == before
    assert small_shop.schedule.plan_ahead().changed == 0


def test_planning_a_column_again_draws_it_anew_and_uses_what_is_new(small_shop: Shop) -> None:
    small_shop.stock(20)
    small_shop.community("一群")
    column = small_shop.column("晚间", *daily("20:00"))
    small_shop.schedule.plan_ahead()
    new = {small_shop.material().id for _number in range(60)}
    small_shop.schedule.plan_ahead()
    assert new.isdisjoint(picks(small_shop, "晚间").values())
    small_shop.schedule.plan_ahead([column.id])
    assert not new.isdisjoint(picks(small_shop, "晚间").values())


def test_another_mix_is_planned_anew(small_shop: Shop) -> None:
    small_shop.stock(20)
    community = small_shop.community("一群")
    small_shop.column("晚间", *daily("20:00"))
    small_shop.schedule.plan_ahead()
    assert {each.content_class for each in small_shop.all()} == {"engagement", "conversion", "brand"}
    small_shop.audience.communities.set_mix(community.id, {"brand": 100})
    small_shop.schedule.plan_ahead()
    assert {each.content_class for each in small_shop.all()} == {"brand"}


def test_nobody_approves_a_text_that_they_have_not_seen(shop: Shop) -> None:
    shop.community("一群")
    shop.column("晚间", *daily("20:00"), approval="each")
    first = shop.material()
    shop.schedule.plan_ahead()
    looked_at: list[OccurrenceView] = shop.all()[:2]
    shop.rewrite(first.id, "改过的正文。")
    shop.schedule.plan_ahead()
    with pytest.raises(Conflict, match="another text since you looked"):
        shop.schedule.occurrences.approve(seen(*looked_at), "wang")
    assert {each.state for each in shop.all()} == {"planned"}
    assert shop.schedule.occurrences.approve(seen(*shop.all()[:2]), "wang") == 2


def test_new_rules_of_a_time_zone_move_what_has_not_fired_and_say_so(shop: Shop) -> None:
    """What is stored was worked out by older rules: an hour off, as when a country gives up summer time."""
    shop.stock(5)
    shop.community("一群")
    shop.column("晚间", *daily("20:00"), approval="each")
    shop.schedule.plan_ahead()
    approved, waiting = shop.all()[1:3]
    shop.schedule.occurrences.approve(seen(approved), "wang")
    with shop.database.write() as session:
        session.execute(
            update(Occurrence)
            .values(due_at=approved.due_at + timedelta(hours=1))
            .where(Occurrence.public_id == approved.id)
        )
        session.execute(
            update(Occurrence)
            .values(due_at=waiting.due_at - timedelta(hours=1))
            .where(Occurrence.public_id == waiting.id)
        )
    shop.schedule.plan_ahead()
    found = [shop.schedule.occurrences.get(each.id) for each in (approved, waiting)]
    assert [each.due_at for each in found] == [approved.due_at, waiting.due_at]
    assert [each.state for each in found] == ["approved", "planned"]
    assert found[0].why["moved_from"] == (approved.due_at + timedelta(hours=1)).isoformat()
    assert shop.schedule.plan_ahead().changed == 0
