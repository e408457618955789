"""Who plans is warned before: of crowded days and of quiet hours, in the editor and on the calendar."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

from tests.web.conftest import CHANNEL, Browser

from lanmu.audience.views import Address, CommunityDraft
from lanmu.delivery.door.limit_models import SendLimit
from lanmu.schedule.columns import ColumnDraft, ColumnView, SlotDraft
from lanmu.schedule.occurrences import OccurrenceView
from lanmu.server import Server
from lanmu.testing.clock import FakeClock


def form_of(column: ColumnView, *times: str, **changes: str) -> dict[str, str]:
    slots = {f"slot-{number}-time": at for number, at in enumerate(times)}
    days = {f"slot-{number}-days": "daily" for number in range(len(times))}
    return {
        "name": column.draft.name,
        "channel": column.draft.channel,
        "lock": str(column.lock),
        "zone": "Asia/Shanghai",
        "approval": "each",
        "late_policy": "ask",
        "priority": "normal",
        "cooldown_days": "1",
        "active": "1",
        **slots,
        **days,
        **changes,
    }


def warnings(page: str) -> list[str]:
    found = re.findall(r'class="flash flash-warning".*?<p class="[^"]*">(.*?)</p>', page, re.S)
    return [unescape(each) for each in found]


def particulars(page: str) -> list[str]:
    """What lies folded behind a warning."""
    folded = re.findall(r'class="flash flash-warning".*?<details.*?</details>', page, re.S)
    return [unescape(line) for each in folded for line in re.findall(r"<li>(.*?)</li>", each, re.S)]


def foresight(browser: Browser, form: dict[str, str], of: str) -> str:
    return browser.client.get("/columns/foresight", query_string={**form, "of": of}).text


def occurrences(server: Server, column: str) -> list[OccurrenceView]:
    now = server.clock.now()
    found = server.schedule.occurrences.between(now, now + timedelta(days=20))
    return [each for each in found if each.column == column]


def limit(server: Server, most: int) -> None:
    server.limits.change("community.day", most, True, None, "admin")


def test_the_editor_warns_of_a_crowded_day_while_it_is_filled_in_and_when_it_is_saved(
    admin: Browser, stocked: Server
):
    stocked.schedule.columns.create(
        ColumnDraft("晚间", CHANNEL, (SlotDraft("daily", "20:00"),), cooldown_days=1, priority="first")
    )
    stocked.schedule.plan_ahead()
    limit(stocked, 2)
    column = next(each for each in stocked.schedule.columns.everything() if each.draft.name == "早安")
    form = form_of(column, "09:00", "12:00")
    shown = foresight(admin, form, of=column.id)
    (told,) = warnings(shown)
    assert told == "有 14 天排得比能发的多。会空着 28 个名额。"
    line, way = particulars(shown)
    assert "11月23日至12月6日，共 14 天：“一群”排了 3 条，每天上限 2 条。另有 1 个社群也超限。" in line
    assert "会空着 2 个名额。争名额的有（按先后）：晚间（1 条）、早安（2 条）。" in line
    assert "频次与配额" in way
    saved = warnings(admin.post(f"/columns/{column.id}/edit", form).text)
    assert [each.splitlines()[0] for each in saved] == [told], "saving comes to what was foreseen"
    assert warnings(admin.get(f"/columns/{column.id}/edit").text) == [told]
    assert warnings(admin.get("/calendar").text) == ["有 7 天排得比能发的多。会空着 14 个名额。"]
    assert warnings(foresight(admin, form_of(column, "09:00"), of=column.id)) == []
    assert warnings(foresight(admin, form_of(column, "9 o'clock"), of=column.id)) == []


def test_a_months_quota_that_will_not_last_is_told_in_the_editor_and_on_the_calendar_in_both_languages(
    admin: Browser, stocked: Server
):
    with stocked.database.write() as session:
        session.add(
            SendLimit(
                code=f"{CHANNEL}.month",
                channel=CHANNEL,
                scope="recipient",
                period="month",
                zone="Asia/Shanghai",
                most=None,
            )
        )
    column = next(each for each in stocked.schedule.columns.everything() if each.draft.name == "早安")
    assert warnings(foresight(admin, form_of(column, "12:00"), of=column.id)) == []
    form = form_of(column, "12:00", "18:00")
    shown = foresight(admin, form, of=column.id)
    assert warnings(shown) == ["有 1 项周、月配额不够用。"]
    line, way = particulars(shown)
    assert line == (
        "12月1日至31日：“一群”一共要收 62 条，“个人微信（手动发送）”每月最多放行 31 条。另有 1 个社群也超限。"
        "12月16日就会用完。有 62 条要等到1月1日才能发，等不到的（过了截止时间）就不发了。"
        "争名额的有（按先后）：早安（62 条）。"
    )
    assert "减少时段或日子" in way
    assert "频次与配额" in way
    admin.post(f"/columns/{column.id}/edit", form)
    stocked.schedule.plan_ahead()
    page = admin.get("/calendar?week=2026-W50&lang=en").text
    assert warnings(page) == ["Weeks and months with more to come than the limits let through: 1."]
    assert "1 Dec – 31 Dec: 一群 is to get 62 messages; " in particulars(page)[0]
    assert "lets 31 a month through." in particulars(page)[0]
    assert "The quota is used up on 16 Dec. 62 messages wait until 1 Jan, or fall" in particulars(page)[0]


def test_the_calendar_marks_the_days_that_have_more_than_may_go_out(admin: Browser, stocked: Server):
    assert warnings(admin.get("/calendar").text) == []
    stocked.schedule.columns.create(
        ColumnDraft("晚间", CHANNEL, (SlotDraft("wed", "20:00"),), cooldown_days=1, priority="first")
    )
    limit(stocked, 1)
    stocked.schedule.plan_ahead()
    page = admin.get("/calendar").text
    assert page.count("超 2 条") == 1, "Wednesday alone, in two communities"
    key = page.index('class="key"')
    assert page[:key].count(">名额已满<") == 1, "and not that material is wanting"
    assert page.count("is-full") == 1
    assert "is-empty" not in page
    assert '<i class="dash full"></i>名额已满' in page[key:]
    assert "16 个排期（每个社群各算一个）" in page
    assert "2 个名额已满" in page
    assert "个缺素材" not in page
    told = particulars(page)[0]
    assert told.startswith("11月25日：“一群”排了 2 条，每天上限 1 条。")
    assert "晚间（1 条）、早安（1 条）" in told
    board = admin.get("/").text
    assert "2 个排期当天名额已满" in board
    assert "个排期缺素材" not in board
    assert warnings(admin.get("/calendar?week=2026-W47").text) == [], "what is past is no plan"


def test_saving_says_that_other_columns_lost_places_to_the_cap_and_not_that_their_material_is_bad(
    admin: Browser, stocked: Server
):
    stocked.schedule.plan_ahead()
    limit(stocked, 1)
    evening = stocked.schedule.columns.create(
        ColumnDraft("晚间", CHANNEL, (SlotDraft("daily", "20:00"),), cooldown_days=1, priority="first")
    )
    page = unescape(
        admin.post(f"/columns/{evening.id}/edit", form_of(evening, "20:00", priority="first")).text
    )
    full = len([each for each in occurrences(stocked, "早安") if each.state == "empty"])
    assert f"其他栏目有 {full} 个排期空了出来，因为当天名额已满" in page
    assert "不符合规则" not in page
    own = stocked.schedule.columns.by_name("早安")
    assert own is not None
    page = unescape(admin.post(f"/columns/{own.id}/plan", {}).text)
    assert f"“早安”接下来有 {full} 个排期。当天名额已满、空着的有 {full} 个。" in page.replace("\n", "")
    page = admin.get(f"/columns/{own.id}").text
    assert page.count("名额已满") == min(full, 40), "once in each row"
    assert "缺素材" not in page


def test_saving_a_limit_says_what_becomes_of_what_is_planned(admin: Browser, stocked: Server):
    page = admin.post("/settings/limits/community.day", {"most": "3", "enabled": "on"}).text
    assert "还没审批的排期" in page
    assert "十分钟内" in page
    page = admin.post("/settings/limits/member.day", {"most": "3", "enabled": "on"}).text
    assert "到点先不发" in page


def test_days_that_are_alike_but_not_in_a_row_are_named_one_by_one(admin: Browser, stocked: Server):
    stocked.schedule.columns.create(
        ColumnDraft("晚间", CHANNEL, (SlotDraft("mon,wed,thu", "20:00"),), cooldown_days=1, priority="first")
    )
    limit(stocked, 1)
    stocked.schedule.plan_ahead()
    told = particulars(admin.get("/calendar").text)[0]
    assert told.startswith("11月23日、25日至26日，共 3 天：“一群”排了 2 条")


def test_a_slot_in_the_quiet_hours_of_those_who_get_it_is_marked_until_when_it_is_held(
    admin: Browser, stocked: Server
):
    for name, zone in (("东京群", "Asia/Tokyo"), ("伦敦群", "Europe/London")):
        address = {CHANNEL: Address(name, "admin")}
        stocked.audience.communities.create(CommunityDraft(name, zone=zone, addresses=address))
    column = stocked.schedule.columns.everything()[0]
    form = form_of(column, "21:30")
    asked = warnings(foresight(admin, form, of=column.id))
    assert len(asked) == 1
    assert "21:30 发出时" in asked[0]
    assert "22:30（1 个社群）" in asked[0]
    assert "当地时间 08:00 再发" in asked[0]
    assert "13:30" not in asked[0], "London is awake"
    admin.post(f"/columns/{column.id}/edit", form)
    # Until 08:00 in Tokyo, which is 07:00 by the shop's clock.
    assert admin.get("/calendar").text.count("拦到 07:00") == 7
    admin.post(f"/columns/{column.id}/edit", {**form, "lock": str(column.lock + 1), "slot-0-time": "20:30"})
    assert "拦到" not in admin.get("/calendar").text


def test_the_board_asks_for_next_years_days_off_from_mid_november_where_a_column_goes_by_workdays(
    admin: Browser, stocked: Server, clock: FakeClock
):
    asked = "2027 年的节假日安排还没录入"
    assert asked not in admin.get("/").text, "no column goes by workdays"
    stocked.schedule.columns.create(ColumnDraft("干货", CHANNEL, (SlotDraft("workday", "15:00"),)))
    page = admin.get("/").text
    assert asked in page
    assert "“干货”会把周一到周五都当工作日" in page
    assert 'href="/settings/workdays"' in page
    clock.set(datetime(2026, 11, 14, 12, tzinfo=UTC))
    assert asked not in admin.get("/").text
    clock.set(datetime(2026, 11, 14, 16, tzinfo=UTC))  # the 15th in Shanghai
    assert asked in admin.get("/").text
    stocked.schedule.special_days.read_in(["2027-01-01,rest,元旦"], "notice.csv")
    assert asked not in admin.get("/").text


def test_a_page_lists_this_years_and_next_years_days_off_with_their_source_and_says_how_a_year_gets_in(
    admin: Browser, stocked: Server
):
    page = admin.get("/settings/workdays").text
    assert "国办发明电〔2025〕7号" in page
    assert "10月1日 周四 – 10月7日 周三" in page
    assert "休 · 7 天" in page
    assert page.count("还没录入") > 0
    assert "lanmu holidays FILE" in page
    stocked.schedule.special_days.read_in(["2027-01-01,rest,店休"], "own.csv")
    page = admin.get("/settings/workdays").text
    assert "own.csv" in page
    assert "还没录入" not in page
