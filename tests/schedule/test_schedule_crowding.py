"""Days with more planned than a limit lets through are told when they are planned, with who competes."""

from dataclasses import replace
from datetime import date, timedelta

from sqlalchemy import insert, select
from tests.shop import CHANNEL, Shop, daily

from lanmu.audience.models import Member
from lanmu.audience.views import MemberDraft
from lanmu.delivery.door.limit_models import SendLimit
from lanmu.delivery.door.send_limits import SendLimits
from lanmu.delivery.intake import PushRequest, Recipient, text_hash
from lanmu.delivery.service import PushFilter
from lanmu.schedule.crowd import Crowd

TODAY = date(2026, 11, 23)


def limited(shop: Shop, **most: int) -> None:
    limits = SendLimits(shop.database, shop.clock, "Asia/Shanghai")
    limits.seed()
    for code, number in most.items():
        limits.change(code.replace("_", "."), number, True, None, "li")


def crowded(shop: Shop) -> list[Crowd]:
    return shop.schedule.crowded(TODAY, 14)


def test_a_day_with_more_than_a_community_may_have_names_the_figures_and_who_competes(shop: Shop):
    shop.stock(20)
    shop.community("一群")
    shop.community("二群", daily_cap=1)
    shop.column("早间", *daily("08:30", "12:00"), cooldown_days=1)
    shop.column("晚间", *daily("20:00"), cooldown_days=1, priority="first")
    limited(shop, community_day=2)
    shop.schedule.plan_ahead()
    found = crowded(shop)
    # The plan begins at 08:00 today, so today has all three as well.
    assert [(each.planned, each.most, each.empty, each.held) for each in found] == [(3, 2, 3, 0)] * 14
    assert [each.day.day for each in found][:3] == [23, 24, 25]
    assert {(each.scope, each.name, each.subjects) for each in found} == {("community", "一群", 2)}
    assert [(rival.title, rival.wanted) for rival in found[0].rivals] == [("晚间", 1), ("早间", 2)]
    left_empty = [each for each in shop.all(state="empty") if each.local_time.startswith("2026-11-24")]
    assert len(left_empty) == found[1].empty


def test_what_a_person_has_put_above_the_cap_is_told_as_held(small_shop: Shop):
    small_shop.stock(20)
    small_shop.community("一群")
    small_shop.column("全天", *daily("09:00", "12:00", "20:00"), cooldown_days=1)
    limited(small_shop)
    small_shop.schedule.plan_ahead()
    assert crowded(small_shop) == []
    limited(small_shop, community_day=1)
    assert {(each.planned, each.most, each.empty, each.held) for each in crowded(small_shop)} == {
        (3, 1, 2, 0)
    }, "what the planner has filled it empties again"
    seen = {each.id: each.revision_id for each in small_shop.all() if each.revision_id}
    small_shop.schedule.occurrences.approve(seen, "li")
    assert {(each.planned, each.most, each.empty, each.held) for each in crowded(small_shop)} == {
        (3, 1, 0, 2)
    }


def test_a_form_foresees_what_saving_it_does_also_where_the_limit_is_newer_than_the_plan(small_shop: Shop):
    small_shop.stock(20)
    small_shop.community("一群")
    small_shop.column("早间", *daily("08:30", "12:00"), cooldown_days=1)
    column = small_shop.column("晚间", *daily("20:00"), cooldown_days=1)
    limited(small_shop)
    small_shop.schedule.plan_ahead()
    limited(small_shop, community_day=1)
    draft = replace(column.draft, slots=tuple(daily("20:00", "21:00")))
    foreseen = small_shop.schedule.foreseen(draft, column.id)
    saved = small_shop.schedule.columns.edit(column.id, draft, column.lock)
    small_shop.schedule.plan_ahead([column.id])
    assert {(each.planned, each.most, each.empty, each.held) for each in foreseen} == {(4, 1, 3, 0)}
    assert small_shop.schedule.foreseen(saved.draft, column.id) == foreseen
    assert small_shop.schedule.foreseen(saved.draft, column.id) == crowded_by(small_shop, "晚间")
    full = [each for each in small_shop.all(state="empty") if each.local_time.startswith("2026-11-24")]
    assert len(full) == foreseen[1].empty


def crowded_by(shop: Shop, column: str) -> list[Crowd]:
    """The crowded days of the calendar, the rivals of the column marked as its form marks them."""
    return [
        replace(
            each,
            rivals=[
                replace(rival, column="", is_draft=True) if rival.title == column else rival
                for rival in each.rivals
            ],
        )
        for each in crowded(shop)
    ]


def test_what_has_gone_out_today_counts_with_what_is_to_come(small_shop: Shop):
    small_shop.stock(20)
    small_shop.community("一群")
    small_shop.column("全天", *daily("09:00", "12:00", "20:00"), cooldown_days=1)
    limited(small_shop, community_day=3)
    small_shop.schedule.plan_ahead()
    first = small_shop.all()[0]
    small_shop.to(first.due_at)
    small_shop.schedule.hand_over()
    assert crowded(small_shop) == []
    small_shop.clock.set(first.due_at)
    small_shop.dispatch()
    assert [each.progress.targets for each in small_shop.delivery.pushes(PushFilter())] == [{"accepted": 1}]
    assert crowded(small_shop) == []
    limited(small_shop, community_day=2)
    today = crowded(small_shop)[0]
    assert (today.day, today.planned, today.most, today.sent) == (TODAY, 3, 2, 1)
    assert (today.empty, today.held) == (1, 0)
    limited(small_shop, community_day=0)
    assert crowded(small_shop)[0].empty == 2, "what is out already is not left out"
    limited(small_shop, community_day=2)
    today = crowded(small_shop)[0]
    assert sum(rival.wanted for rival in today.rivals) + today.sent == today.planned


def test_a_platforms_limit_for_a_group_is_foreseen_like_our_own(small_shop: Shop):
    small_shop.stock(20)
    small_shop.community("一群")
    small_shop.column("全天", *daily("09:00", "20:00"), cooldown_days=1)
    limited(small_shop)
    with small_shop.database.write() as session:
        session.execute(
            insert(SendLimit).values(
                code="fake.day",
                channel=CHANNEL,
                scope="recipient",
                period="day",
                zone="Asia/Shanghai",
                most=1,
            )
        )
    small_shop.schedule.plan_ahead()
    found = crowded(small_shop)
    assert {(each.scope, each.channel, each.name, each.held) for each in found} == {
        ("recipient", CHANNEL, "一群", 1)
    }


def test_a_column_that_is_being_written_says_which_days_it_would_crowd_before_it_is_saved(small_shop: Shop):
    small_shop.stock(20)
    small_shop.community("一群")
    kept = small_shop.column("早间", *daily("08:30", "12:00"), cooldown_days=1)
    limited(small_shop, community_day=2)
    small_shop.schedule.plan_ahead()
    draft = replace(kept.draft, name="晚间", slots=tuple(daily("20:00")), priority="first")
    crowd = small_shop.schedule.foreseen(draft)[1]
    assert (crowd.planned, crowd.most, crowd.empty, crowd.held) == (3, 2, 1, 0)
    assert [(rival.title, rival.wanted) for rival in crowd.rivals] == [("晚间", 1), ("早间", 2)]
    # Its own places are counted as they would be, not beside what it has now.
    assert small_shop.schedule.foreseen(kept.draft, kept.id) == []
    assert small_shop.schedule.foreseen(replace(kept.draft, active=False), kept.id) == []
    assert small_shop.all(column="晚间") == []


def test_a_member_who_would_be_written_to_more_often_than_a_day_allows_is_foreseen(small_shop: Shop):
    small_shop.stock(20)
    small_shop.audience.members.create(MemberDraft("小林"))
    with small_shop.database.read() as session:
        member = session.scalar(select(Member.id))
    limited(small_shop, member_day=1)
    for number in range(3):
        request = PushRequest(
            source_key=f"flow:{number}",
            title=f"提醒 {number}",
            channel=CHANNEL,
            revision_id=None,
            material_id=None,
            content_hash=text_hash("早安"),
            body="早安",
            due_at=small_shop.clock.now() + timedelta(days=1, hours=number),
            zone="Asia/Shanghai",
            recipients=[Recipient("m1", "小林", member_id=member)],
            approved_by="admin",
            approved_at=small_shop.clock.now(),
            created_by="flow",
        )
        with small_shop.database.write() as session:
            small_shop.delivery.request(session, request)
    small_shop.delivery.expand()
    (crowd,) = crowded(small_shop)
    assert (crowd.day, crowd.scope, crowd.subjects) == (date(2026, 11, 24), "member", 1)
    assert (crowd.planned, crowd.most, crowd.held) == (3, 1, 2)
    assert [rival.title for rival in crowd.rivals] == ["提醒 0", "提醒 1", "提醒 2"]
