"""A week or month whose limit will not last is told while the plan can still be changed, to its end."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import insert, select
from tests.shop import CHANNEL, Shop, daily

from lanmu.audience.models import Community, Member
from lanmu.audience.views import MemberDraft
from lanmu.delivery.door.limit_models import LimitUse, SendLimit
from lanmu.delivery.door.send_limits import SendLimits
from lanmu.delivery.intake import PushRequest, Recipient, text_hash
from lanmu.schedule.columns import SlotDraft
from lanmu.schedule.crowd import Crowd, Rival

TODAY = date(2026, 11, 23)
WEEK = date(2026, 11, 23), date(2026, 11, 29)
NOVEMBER = date(2026, 11, 1), date(2026, 11, 30)
DECEMBER = date(2026, 12, 1), date(2026, 12, 31)


def limit(shop: Shop, period: str, most: int | None, scope: str = "recipient", channel: str = CHANNEL) -> int:
    """A limit as an operator's installation may have it; answers its row."""
    SendLimits(shop.database, shop.clock, "Asia/Shanghai").seed()
    with shop.database.write() as session:
        row = SendLimit(
            code=f"{channel or scope}.{period}",
            channel=channel,
            scope=scope,
            period=period,
            zone="Asia/Shanghai",
            most=most,
        )
        session.add(row)
        session.flush()
        return row.id


def used(shop: Shop, of: int, subject: str, starts_on: date, number: int) -> None:
    with shop.database.write() as session:
        session.execute(
            insert(LimitUse).values(limit_id=of, subject=subject, starts_on=starts_on, used=number)
        )


def told(found: list[Crowd]) -> list[tuple[tuple[date, date | None], int, int, int]]:
    return [((each.day, each.last), each.planned, each.most, each.held) for each in found]


def periods(shop: Shop, since: date = TODAY, days: int = 7) -> list[Crowd]:
    return [each for each in shop.schedule.crowded(since, days) if each.period != "day"]


def test_a_month_whose_quota_the_plan_will_pass_is_told_with_its_day_and_who_competes(shop: Shop):
    shop.stock(20)
    shop.community("一群")
    shop.community("二群")
    shop.column("早间", *daily("09:00", "12:00"), cooldown_days=1)
    shop.column("晚间", *daily("20:00"), cooldown_days=1, priority="first")
    of = limit(shop, "month", None)
    shop.schedule.plan_ahead()
    assert periods(shop) == [], "eight days with three each: 24 of 30"
    used(shop, of, "key-一群", NOVEMBER[0], 10)
    (crowd,) = periods(shop)
    assert told([crowd]) == [(NOVEMBER, 34, 30, 4)]
    assert (crowd.scope, crowd.channel, crowd.name, crowd.subjects) == ("recipient", CHANNEL, "一群", 1)
    assert (crowd.period, crowd.sent, crowd.empty) == ("month", 10, 0)
    assert crowd.full_on == date(2026, 11, 29), "10 are out, 18 go until the 28th, two on the 29th"
    assert [(rival.title, rival.wanted) for rival in crowd.rivals] == [("晚间", 8), ("早间", 16)]


def test_what_the_columns_will_put_on_the_calendar_after_the_days_planned_counts_to_the_months_end(
    small_shop: Shop,
):
    small_shop.stock(20)
    small_shop.community("一群")
    small_shop.column("早间", *daily("09:00", "12:00"), cooldown_days=1)
    limit(small_shop, "month", None)
    small_shop.schedule.plan_ahead()
    (crowd,) = periods(small_shop, date(2026, 11, 30))
    assert told([crowd]) == [(DECEMBER, 62, 31, 31)], (
        "of which 12 are planned, the rest follows from the slots"
    )
    assert crowd.full_on == date(2026, 12, 16)
    assert crowd.rivals == [Rival(crowd.rivals[0].column, "早间", 62, 0)]
    assert periods(small_shop) == [], "November has room"


def test_what_the_daily_cap_keeps_off_the_calendar_uses_up_no_quota(small_shop: Shop):
    small_shop.stock(20)
    small_shop.community("一群")
    small_shop.column("全天", *daily("09:00", "12:00", "20:00"), cooldown_days=1)
    limit(small_shop, "month", None)
    SendLimits(small_shop.database, small_shop.clock, "Asia/Shanghai").change(
        "community.day", 1, True, None, "li"
    )
    small_shop.schedule.plan_ahead()
    assert periods(small_shop) == []
    assert periods(small_shop, date(2026, 12, 1)) == [], "one a day, and as many as the month has days"
    draft = replace(small_shop.column("晚间", active=False).draft, active=True, slots=tuple(daily("21:00")))
    assert [each for each in small_shop.schedule.foreseen(draft) if each.period != "day"] == []


def test_a_week_is_foreseen_by_its_own_calendar_from_monday(small_shop: Shop):
    small_shop.stock(20)
    small_shop.community("一群")
    small_shop.column("早间", *daily("09:00", "12:00"), cooldown_days=1)
    limit(small_shop, "week", 7, "community", "")
    small_shop.schedule.plan_ahead()
    found = periods(small_shop, TODAY, 14)
    assert told(found) == [
        (WEEK, 14, 7, 7),
        ((date(2026, 11, 30), date(2026, 12, 6)), 14, 7, 7),
    ]
    assert [each.full_on for each in found] == [date(2026, 11, 26), date(2026, 12, 3)]
    assert {(each.scope, each.channel, each.period) for each in found} == {("community", "", "week")}


def test_a_column_that_is_being_written_says_which_months_quota_it_would_use_up(shop: Shop):
    shop.stock(20)
    shop.community("一群")
    kept = shop.column("早间", *daily("09:00"), cooldown_days=1)
    limit(shop, "month", None)
    shop.schedule.plan_ahead()
    assert shop.schedule.foreseen(kept.draft, kept.id) == []
    draft = replace(kept.draft, name="晚间", slots=tuple(daily("20:00")), priority="first")
    (crowd,) = shop.schedule.foreseen(draft)
    assert told([crowd]) == [(DECEMBER, 62, 31, 31)]
    assert [(each.title, each.wanted, each.is_draft) for each in crowd.rivals] == [
        ("晚间", 31, True),
        ("早间", 31, False),
    ]
    saved = shop.schedule.columns.create(draft)
    shop.schedule.plan_ahead()
    assert told(periods(shop, date(2026, 12, 1))) == told([crowd]), "saving comes to what was foreseen"
    again = shop.schedule.foreseen(saved.draft, saved.id)
    assert told(again) == told([crowd]), "its own places are not counted twice"
    fewer = replace(saved.draft, slots=(SlotDraft("sun", "20:00"),))
    assert told(shop.schedule.foreseen(fewer, saved.id)) == [(DECEMBER, 35, 31, 4)]
    assert shop.schedule.foreseen(replace(saved.draft, active=False), saved.id) == []


def test_pushes_that_wait_use_up_a_quota_too_and_one_past_its_deadline_does_not(shop: Shop):
    shop.stock(20)
    view = shop.community("一群")
    with shop.database.read() as session:
        community = session.scalar(select(Community.id).where(Community.public_id == view.id))
    limit(shop, "week", 2)
    for day in range(3):
        push(shop, day, Recipient("key-一群", "一群", community_id=community))
    shop.delivery.expand()
    (crowd,) = periods(shop)
    assert told([crowd]) == [(WEEK, 3, 2, 1)]
    assert [rival.title for rival in crowd.rivals] == ["提醒 0", "提醒 1", "提醒 2"]
    assert crowd.full_on == date(2026, 11, 26)
    shop.clock.set(datetime(2026, 11, 25, tzinfo=UTC))
    assert periods(shop) == []


def push(shop: Shop, number: int, recipient: Recipient) -> None:
    request = PushRequest(
        source_key=f"flow:{number}",
        title=f"提醒 {number}",
        channel=CHANNEL,
        revision_id=None,
        material_id=None,
        content_hash=text_hash("早安"),
        body="早安",
        due_at=shop.clock.now() + timedelta(days=1 + number),
        zone="Asia/Shanghai",
        recipients=[recipient],
        approved_by="admin",
        approved_at=shop.clock.now(),
        created_by="flow",
    )
    with shop.database.write() as session:
        shop.delivery.request(session, request)


def test_people_whom_pushes_write_to_more_often_than_a_quota_allows_are_counted_with_what_they_had(
    shop: Shop,
):
    shop.audience.members.create(MemberDraft("小林"))
    with shop.database.read() as session:
        member = session.scalar(select(Member.id))
    monthly = limit(shop, "month", 4)
    weekly = limit(shop, "week", 2, "member", "")
    for number in range(3):
        push(shop, number, Recipient("m1", "小林", member_id=member))
    shop.delivery.expand()
    (crowd,) = periods(shop)
    assert told([crowd]) == [(WEEK, 3, 2, 1)]
    assert (crowd.scope, crowd.subjects, crowd.name) == ("member", 1, "")
    used(shop, monthly, "m1", NOVEMBER[0], 2)
    used(shop, weekly, str(member), WEEK[0], 1)
    assert told(periods(shop)) == [(NOVEMBER, 5, 4, 1), (WEEK, 4, 2, 2)]
    assert [rival.title for rival in crowd.rivals] == ["提醒 0", "提醒 1", "提醒 2"]
