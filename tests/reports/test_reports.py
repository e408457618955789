"""The board's figures: each one counted from rows that a test has made."""

from datetime import timedelta

import pytest
from tests.shop import CHANNEL, Shop, daily

from lanmu.delivery.intake import PushRequest, Recipient
from lanmu.testing.fakes import Does

DAY = timedelta(days=1)


@pytest.fixture
def planned(shop: Shop) -> Shop:
    """Three communities, one push a day each, for two weeks."""
    shop.stock(4)
    for name in ("一群", "二群", "三群"):
        shop.community(name)
    shop.column("晚间", *daily("20:00"))
    shop.schedule.plan_ahead()
    return shop


def go_out(shop: Shop, *does: Does) -> None:
    """Hand over and send what is due next."""
    due = shop.all(state="planned")[0].due_at
    shop.to(due)
    shop.schedule.hand_over()
    shop.clock.set(due)
    shop.channel.script(*does)
    shop.dispatch()


def figures(shop: Shop) -> tuple[int, int]:
    today = shop.clock.now().replace(hour=0, minute=0) - timedelta(hours=8)
    if shop.clock.now() - today >= DAY:
        today += DAY
    day = shop.reports.day(today, today + DAY)
    return day.to_go, day.gone


def test_a_day_counts_recipients_before_and_after(planned: Shop):
    assert figures(planned) == (3, 0)
    due = planned.all()[0].due_at
    planned.to(due)
    planned.schedule.hand_over()
    assert figures(planned) == (3, 0)
    planned.clock.set(due)
    planned.dispatch()
    assert figures(planned) == (0, 3)


def test_what_was_skipped_failed_or_only_tested_is_not_gone(planned: Shop):
    first = planned.all()[0]
    planned.schedule.occurrences.skip(first.id)
    assert figures(planned) == (2, 0)
    planned.delivery.test(CHANNEL, "somebody", "", "试一下", "li")
    planned.dispatch()
    assert figures(planned) == (2, 0)
    pushes = len({each.material for each in planned.all(local_time=first.local_time, state="planned")})
    go_out(planned, *[Does.REFUSE] * pushes)
    assert figures(planned) == (0, 0)


def test_the_mix_tells_plan_from_what_went_out(planned: Shop):
    mix = planned.reports.mix(sent=False)
    assert mix.count == 21
    assert {gauge.code: gauge.share for gauge in mix.gauges} == {
        "engagement": 0.5,
        "conversion": 0.3,
        "brand": 0.2,
    }
    counts = {gauge.code: gauge.count for gauge in mix.gauges}
    classes = [each.content_class for each in planned.all() if each.due_at < planned.clock.now() + 7 * DAY]
    assert counts == {code: classes.count(code) for code in counts}
    assert planned.reports.mix(sent=True).count == 0
    go_out(planned)
    planned.clock.advance(timedelta(minutes=1))
    sent = planned.reports.mix(sent=True)
    assert sent.count == 3
    gone = [each.content_class for each in planned.all(state="handed_over")]
    assert {gauge.code: gauge.count for gauge in sent.gauges} == {
        code: gone.count(code) for code in ("engagement", "conversion", "brand")
    }
    go_out(planned, *[Does.REFUSE] * 3)
    planned.clock.advance(timedelta(minutes=1))
    assert planned.reports.mix(sent=True).count == 3, "what was refused did not go out"


def test_a_community_has_its_own_mix(planned: Shop):
    one = planned.audience.communities.find()[0]
    planned.audience.communities.set_mix(one.id, {"engagement": 0, "conversion": 0, "brand": 100})
    planned.schedule.plan_ahead()
    own = planned.reports.mix(sent=False, community=one.row)
    assert own.count == 7
    brand = next(gauge for gauge in own.gauges if gauge.code == "brand")
    assert (brand.count, brand.target, brand.deviation) == (7, 7.0, 0.0)


def test_usage_counts_what_was_planned_or_handed_over(planned: Shop):
    first = planned.all()[0]
    material = planned.library.materials.get(first.material_id)
    planned_times = len(planned.all(material_id=first.material_id))
    assert material.used == planned_times > 1
    planned.schedule.occurrences.skip(first.id)
    assert planned.reports.usage([material.key]) == {material.key: planned_times - 1}
    assert planned.reports.usage([]) == {}


def test_what_needs_a_person_is_listed_the_most_pressing_first(shop: Shop):
    assert shop.reports.needs() == []
    shop.community("一群")
    shop.community("二群")
    draft = shop.library.materials.create(shop.content(title="等人审"), "li")
    shop.library.reviews.submit(draft.id)
    shop.column("空栏", *daily("21:00"), classes=("brand",))
    shop.material()
    shop.column("逐条", *daily("09:00", "20:00"), approval="each")
    shop.column("自动", *daily("12:00"))
    shop.schedule.plan_ahead()
    listed = {need.kind: need for need in shop.reports.needs()}
    assert list(listed) == ["empty", "to_approve", "to_review"]
    assert (listed["empty"].count, listed["empty"].title) == (14, "空栏")
    assert (listed["to_approve"].count, listed["to_approve"].title) == (8, "逐条")
    waiting = next(each for each in shop.all() if each.needs_approval)
    assert listed["to_approve"].id in {each.id for each in shop.all(local_time=waiting.local_time)}
    assert (listed["to_review"].count, listed["to_review"].title, listed["to_review"].id) == (
        1,
        "等人审",
        draft.id,
    )
    # One goes out and nobody knows whether; one is held; one missed its time.
    shop.clock.set(waiting.due_at + timedelta(hours=1))
    shop.schedule.hand_over()
    unclear = send(shop, "unclear")
    shop.channel.script(Does.CUT_AFTER)
    shop.dispatch()
    held = send(shop, "held")
    shop.channel.script(Does.REFUSE_CONTENT)
    shop.dispatch()
    shop.schedule.plan_ahead()
    listed = {need.kind: need for need in shop.reports.needs()}
    assert list(listed) == ["unknown", "held", "missed", "empty", "to_approve", "to_review"]
    assert (listed["unknown"].count, listed["unknown"].id) == (1, unclear)
    assert (listed["held"].count, listed["held"].id) == (1, held)
    assert (listed["missed"].count, listed["missed"].title) == (2, "逐条")


def send(shop: Shop, name: str) -> str:
    now = shop.clock.now()
    material = next(iter(shop.library.materials.candidates()))
    snapshot = shop.library.materials.snapshot(material.revision_key)
    return shop.delivery.send(
        PushRequest(
            source_key=name,
            title=name,
            channel=CHANNEL,
            revision_id=snapshot.revision_key,
            material_id=snapshot.key,
            content_hash=snapshot.content_hash,
            body=snapshot.body,
            due_at=now,
            zone="Asia/Shanghai",
            recipients=[Recipient(name, name)],
            approved_by="wang",
            approved_at=now,
            created_by="li",
        )
    ).id


def test_the_list_of_needs_takes_few_statements_whatever_it_counts(shop: Shop):
    shop.communities(300)
    shop.column("空栏", *daily("21:00"))
    shop.schedule.plan_ahead()
    with shop.counting() as statements:
        needs = shop.reports.needs()
    assert [(need.kind, need.count) for need in needs] == [("empty", 2100)]
    assert len(statements) < 12
