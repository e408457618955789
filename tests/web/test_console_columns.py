"""A column whose times are all past says so, and the demo's columns are the same after every start."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select
from tests.web.conftest import CHANNEL, Browser

from lanmu import config, demo
from lanmu.schedule.columns import ColumnDraft, PoolDraft, SlotDraft
from lanmu.schedule.models import Occurrence
from lanmu.server import Server
from lanmu.testing.clock import FakeClock

LIBRARY = Path(__file__).parents[2] / "content_library"


@pytest.mark.parametrize(
    ("rules", "ended"),
    [
        (("DTSTART:20261123T090000 RRULE:FREQ=DAILY;COUNT=1",), True),
        (("DTSTART:20261123T090000 RRULE:FREQ=DAILY;COUNT=3",), False),
        (("DTSTART:20261101T090000 RRULE:FREQ=DAILY;UNTIL=20261122T000000Z",), True),
        (("FREQ=MONTHLY;BYMONTHDAY=1",), False),
        (("DTSTART:20261123T090000 RRULE:FREQ=DAILY;COUNT=1", ""), False),
    ],
)
def test_a_column_has_ended_when_all_of_its_slots_have(
    sign_in: Callable[[str], Browser], server: Server, clock: FakeClock, rules: tuple[str, ...], ended: bool
):
    slots = tuple(SlotDraft(rrule=rule) if rule else SlotDraft("mon", "08:00") for rule in rules)
    made = server.schedule.columns.create(ColumnDraft("早安", CHANNEL, slots))
    clock.advance(timedelta(hours=2))  # 10:00 in Shanghai
    admin = sign_in("admin")
    for path in ("/columns", f"/columns/{made.id}"):
        pills = re.findall(r'class="pill tone-\w+">(\w+)<', admin.get(path).text)
        assert ("已结束" in pills, "启用" in pills) == (ended, not ended), path


def test_a_column_that_is_switched_off_is_off_and_not_ended(admin: Browser, server: Server):
    past = SlotDraft(rrule="DTSTART:20261101T090000 RRULE:FREQ=DAILY;COUNT=1")
    server.schedule.columns.create(ColumnDraft("早安", CHANNEL, (past,), active=False))
    page = admin.get("/columns").text
    assert "停用" in page
    assert "已结束" not in page


@pytest.fixture
def restart(server: Server, clock: FakeClock) -> Iterator[Callable[[str], Server]]:
    """The same data under a new server, in another language."""
    started: list[Server] = []

    def start(locale: str) -> Server:
        raw: dict[str, Any] = {
            "server": {"data_dir": str(server.config.server.data_dir), "locale": locale},
            "demo": {"enabled": False},
            "plugins": {"personal_wechat_export": {}},
        }
        started.append(Server(config.parse(raw, None, {}), clock))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_the_demos_columns_do_not_multiply(
    server: Server, restart: Callable[[str], Server], clock: FakeClock
):
    (name,) = demo.prepare(server, LIBRARY).columns
    before = [column.id for column in server.schedule.columns.everything()]
    clock.advance(timedelta(hours=1))
    english = restart("en")
    (renamed,) = demo.prepare(english, LIBRARY).columns
    assert renamed != name
    after = english.schedule.columns.everything()
    assert sorted(column.id for column in after) == sorted(before)
    shown = english.schedule.columns.by_name(renamed)
    assert shown is not None
    assert not shown.has_ended(clock.now())


def test_a_demo_column_that_a_person_has_switched_off_stays_off(server: Server):
    (name,) = demo.prepare(server, LIBRARY).columns
    there = server.schedule.columns.by_name(name)
    assert there is not None
    off = ColumnDraft(**{**{f: getattr(there.draft, f) for f in there.draft.__slots__}, "active": False})
    server.schedule.columns.edit(there.id, off, there.lock)
    assert demo.prepare(server, LIBRARY).columns == ()
    again = server.schedule.columns.by_name(name)
    assert again is not None
    assert not again.draft.active


def test_a_slot_that_a_person_must_approve_is_told_apart_until_somebody_has(admin: Browser, stocked: Server):
    now = stocked.clock.now()
    column = stocked.schedule.columns.everything()[0]
    slots = stocked.schedule.occurrences.between(now, now + timedelta(days=1))
    places = ("/", "/calendar", f"/columns/{column.id}", f"/communities/{slots[0].community_id}")
    marks = {"/calendar": 'tone-orange" title="待审批"'}
    mark = 'pill tone-orange">待审批<'
    for path in places:
        assert marks.get(path, mark) in admin.get(path).text, path
    stocked.schedule.occurrences.approve({each.id: each.revision_id for each in slots}, "admin")
    assert mark not in admin.get("/").text


def test_nobody_approves_on_a_page_that_shows_another_text(admin: Browser, stocked: Server):
    now = stocked.clock.now()
    first = stocked.schedule.occurrences.between(now, now + timedelta(days=1))[0]
    told = admin.post(f"/occurrences/{first.id}/approve", {"seen": str(first.revision_id + 1)}).text
    assert "在您查看之后换了内容" in told
    column = first.column_id
    told = admin.post(f"/columns/{column}/approve", {"seen": f"{first.id}:{first.revision_id + 1}"}).text
    assert "在您查看之后换了内容" in told
    assert stocked.schedule.occurrences.get(first.id).state == "planned"


def test_a_column_without_a_pool_is_told_to_draw_from_the_whole_library(admin: Browser, stocked: Server):
    column = stocked.schedule.columns.everything()[0]
    draft = replace(column.draft, pool=PoolDraft())
    stocked.schedule.columns.edit(column.id, draft, column.lock)
    for path in (f"/columns/{column.id}", f"/columns/{column.id}/edit"):
        assert "会从整个素材库里抽取" in admin.get(path).text
    narrow = replace(draft, pool=PoolDraft(kinds=("user_story",)))
    stocked.schedule.columns.edit(column.id, narrow, column.lock + 1)
    assert "会从整个素材库里抽取" not in admin.get(f"/columns/{column.id}").text


def test_who_saves_a_column_is_warned_of_times_that_clocks_leave_out(admin: Browser, stocked: Server):
    column = stocked.schedule.columns.everything()[0]
    form = {
        "name": column.draft.name,
        "channel": column.draft.channel,
        "lock": str(column.lock),
        "zone": "Europe/London",
        "slot-0-time": "01:30",
        "slot-0-days": "daily",
        "slot-1-time": "09:00",
        "slot-1-rrule": "FREQ=MONTHLY;BYMONTHDAY=31",
        "approval": "each",
        "late_policy": "ask",
        "cooldown_days": "7",
        "active": "1",
    }
    told = admin.post(f"/columns/{column.id}/edit", form).text
    assert "2027-03-28 01:30 这个时间不存在，将改在 02:30 发出" in told
    assert "2027-10-31 01:30 会出现两次，只在第一次发出" in told
    assert "当月没有这一天时，改在当月最后一天" in told


def test_who_saves_a_column_sees_its_priority_and_which_times_quiet_hours_hold(
    admin: Browser, stocked: Server
):
    column = stocked.schedule.columns.everything()[0]
    form = {
        "name": column.draft.name,
        "channel": column.draft.channel,
        "lock": str(column.lock),
        "zone": "Asia/Shanghai",
        "slot-0-time": "22:30",
        "slot-0-days": "daily",
        "slot-1-time": "08:00",
        "slot-1-days": "mon",
        "approval": "each",
        "late_policy": "ask",
        "priority": "last",
        "cooldown_days": "7",
        "active": "1",
    }
    told = admin.post(f"/columns/{column.id}/edit", form).text
    warning = "22:30 在免打扰时段（22:00–08:00）内：到点先不发，08:00 再发。"
    assert told.count(warning) == 2, "told when saving, and standing with the column's times"
    assert "08:00 在免打扰时段" not in told
    assert "让路" in told
    assert stocked.schedule.columns.get(column.id).draft.priority == "last"
    assert warning in admin.get(f"/columns/{column.id}").text


def test_the_calendar_says_which_days_are_off_and_which_weekend_days_are_worked(
    admin: Browser, stocked: Server
):
    before = admin.get("/calendar").text
    assert before.count('class="week-day rest') == 2
    stocked.schedule.special_days.read_in(["2026-11-26,rest,店庆", "2026-11-28,work,店庆"], "shop.csv")
    page = admin.get("/calendar").text
    assert '<b>26</b><span class="tag">店庆</span>' in page
    assert '<b>28</b><span class="tag">班</span>' in page
    assert page.count('class="week-day rest') == 2, "Thursday and Sunday"


def test_a_slot_that_new_rules_of_its_zone_moved_says_so(admin: Browser, stocked: Server):
    now = stocked.clock.now()
    first = stocked.schedule.occurrences.between(now, now + timedelta(days=1))[0]
    with stocked.database.write() as session:
        row = session.scalars(select(Occurrence).where(Occurrence.public_id == first.id)).one()
        row.due_at += timedelta(hours=1)
    stocked.schedule.plan_ahead()
    assert stocked.schedule.occurrences.get(first.id).due_at == first.due_at
    assert "所在时区的规则变了" in admin.get(f"/columns/{first.column_id}").text


def test_saving_a_column_tells_what_changed_for_this_one_alone(admin: Browser, stocked: Server):
    other = ColumnDraft("晚安", CHANNEL, (SlotDraft("daily", "21:00"),), cooldown_days=0)
    stocked.schedule.columns.create(other)
    stocked.schedule.plan_ahead()
    column = next(each for each in stocked.schedule.columns.everything() if each.draft.name == "早安")
    own = len(stocked.schedule.occurrences.between(stocked.clock.now(), stocked.clock.now() + timedelta(30)))
    page = admin.post(f"/columns/{column.id}/plan").text
    assert f"“早安”接下来有 {own // 2} 个排期" in page
    assert "日历没有变化" in page or "新增 0 个，取消 0 个" in page


def test_a_community_that_a_column_lists_is_not_said_to_have_none(admin: Browser, stocked: Server):
    column = stocked.schedule.columns.everything()[0]
    with stocked.database.write() as session:
        session.execute(delete(Occurrence))
    community = stocked.audience.communities.find()[0]
    page = admin.get(f"/communities/{community.id}").text
    assert column.draft.name in page
    assert "没有栏目覆盖" not in page
    assert "覆盖它的栏目在接下来两周没有排期" in page


def test_a_place_on_the_calendar_takes_another_material_that_fits_and_no_other(
    admin: Browser, sign_in: Callable[[str], Browser], stocked: Server
):
    now = stocked.clock.now()
    place = stocked.schedule.occurrences.between(now, now + timedelta(days=2))[0]
    others = [each for each in stocked.library.materials.candidates() if each.id != place.material_id]
    path = f"/occurrences/{place.id}/material"
    assert path in admin.get(f"/columns/{place.column_id}").text
    page = admin.get(path).text
    assert all(each.title in page for each in others)
    assert f'value="{place.material_id}"' not in page
    assert admin.post(path, {"material": "mat_nobody"}).status_code == 422
    assert "已换成" in admin.post(path, {"material": others[0].id}).text
    after = stocked.schedule.occurrences.get(place.id)
    assert (after.material_id, after.pinned, after.needs_approval) == (others[0].id, True, True)
    log = admin.get("/settings/audit").text
    assert f"素材：{place.material} → {others[0].title}" in log
    assert sign_in("writer").get(path).status_code == 403


def test_approving_a_page_says_how_many_it_is_and_that_other_pages_are_left_alone(
    admin: Browser, stocked: Server
):
    column = stocked.schedule.columns.everything()[0]
    stocked.schedule.plan_ahead()
    few = unescape(admin.get(f"/columns/{column.id}").text)
    waiting = stocked.schedule.occurrences.waiting(stocked.clock.now() + timedelta(days=30), column.id)
    assert f"通过本页待审批的 {waiting} 条？" in few
    assert "其他页的不在内" not in few
    slots = (SlotDraft("daily", "08:30"), SlotDraft("daily", "12:30"))
    draft = replace(column.draft, slots=slots, cooldown_days=1)
    stocked.schedule.columns.edit(column.id, draft, column.lock)
    stocked.schedule.columns.create(replace(draft, name="另一个栏目"))
    stocked.schedule.plan_ahead()
    many = unescape(admin.get(f"/columns/{column.id}").text)
    waiting = stocked.schedule.occurrences.waiting(stocked.clock.now() + timedelta(days=30), column.id)
    assert waiting > 40
    assert "通过本页待审批的 40 条？" in many
    assert f"这个栏目共有 {waiting} 条待审批，其他页的不在内、保持不变。 " in many
