"""Columns to begin with: what communities usually run, and the times of a day by the community's stage."""

import re
from collections.abc import Callable
from html import unescape

import pytest
from tests.web.conftest import CHANNEL, Browser

from lanmu.audience.views import Address, CommunityDraft
from lanmu.schedule.columns import SlotDraft
from lanmu.schedule.presets import PRESETS
from lanmu.server import Server


def form_on(page: str) -> dict[str, list[str]]:
    """What the column's form would send as it stands."""
    form = re.search(r'<form method="post" class="two" id="column-form"[^>]*>.*?</form>', page, re.S)
    assert form
    body = re.sub(r"<template>.*?</template>", "", form[0], flags=re.S)
    sent: dict[str, list[str]] = {}
    for name, rest in re.findall(r'<input[^>]*?name="([^"]+)"([^>]*)>', body):
        value = re.search(r'value="([^"]*)"', rest)
        if value is None:
            value = re.search(rf'value="([^"]*)"[^>]*name="{re.escape(name)}"', body)
        if "checkbox" in rest or re.search(rf'type="checkbox" name="{re.escape(name)}"', body):
            if "checked" in rest:
                sent.setdefault(name, []).append(value[1] if value else "1")
        else:
            sent.setdefault(name, []).append(unescape(value[1]) if value else "")
    for name, text in re.findall(r'<textarea[^>]*name="([^"]+)"[^>]*>(.*?)</textarea>', body, re.S):
        sent[name] = [unescape(text).strip()]
    for name, options in re.findall(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', body, re.S):
        chosen = re.search(r'value="([^"]*)" selected', options) or re.search(r'value="([^"]*)"', options)
        sent[name] = [chosen[1] if chosen else ""]
    return sent


@pytest.mark.parametrize(
    ("code", "name", "times"),
    [
        ("news", "信息资讯推送", {"12:00"}),
        ("sharing", "社群分享", {"20:00"}),
        ("clinic", "用户会诊", {"20:00"}),
        ("activity", "活动策划", {"20:00"}),
        ("selection", "内容精选", {"20:00"}),
        ("papers", "早晚报", {"08:30", "20:30"}),
        ("know_how", "干货分享", {"15:00"}),
        ("good_find", "每日好物", {"12:30"}),
        ("picks", "精选推荐", {"15:00"}),
        ("flash_sale", "限时秒杀", {"20:00"}),
    ],
)
def test_the_common_columns_and_the_morning_and_evening_news_are_there_to_begin_with(
    admin: Browser, stocked: Server, code: str, name: str, times: set[str]
):
    assert f'href="/columns/new?preset={code}">' in admin.get("/columns").text
    sent = form_on(admin.get(f"/columns/new?preset={code}").text)
    assert sent["name"] == [name]
    told = admin.post("/columns/new", {key: value for key, value in sent.items() if key != "csrf_token"}).text
    assert f"“{name}”" in told, "saved and planned as it stands"
    made = stocked.schedule.columns.by_name(name)
    assert made is not None
    assert {slot.time for slot in made.draft.slots} == times
    assert set(made.draft.classes) == set(PRESETS[code].classes)
    assert made.draft.approval == "each"
    if code == "papers":
        assert {slot.weekdays for slot in made.draft.slots} == {"daily"}


def test_the_templates_of_a_day_follow_the_stage_and_workdays_heed_worked_weekends(
    admin: Browser, stocked: Server
):
    address = {CHANNEL: Address("三群", "admin")}
    stocked.audience.communities.create(CommunityDraft("三群", stage="mature", addresses=address))
    stocked.schedule.special_days.read_in(["2026-11-26,rest,店庆", "2026-11-28,work,店庆"], "shop.csv")
    before = admin.get("/columns").text
    assert "每天三次：早安问候 8:30、干货分享 15:00、福利推送 20:00" in before
    for code in ("daily", "mature"):
        told = admin.post(f"/columns/rhythms/{code}", {"channel": CHANNEL}).text
        assert "已建好：" in told
    places: dict[str, dict[str, set[str]]] = {}
    now = stocked.clock.now()
    for each in stocked.schedule.occurrences.between(now, now.replace(day=30)):
        if each.column != "早安":
            day, time = each.local_time.split("T")
            places.setdefault(each.community, {}).setdefault(day[-2:], set()).add(time)
    daily = {"08:30", "15:00", "20:00"}
    week = ("23", "24", "25", "26", "27", "28", "29")
    assert {day: places["一群"][day] for day in week} == dict.fromkeys(week, daily)
    workdays = ("23", "24", "25", "27", "28")
    mature = {"10:00", "15:00", "20:00"}
    found = {day: times for day, times in places["三群"].items() if day in week}
    assert found == dict.fromkeys(workdays, mature)
    names = [each.draft.name for each in stocked.schedule.columns.everything()]
    assert {"早安问候", "干货分享", "福利推送"} <= set(names)
    again = admin.post("/columns/rhythms/daily", {"channel": CHANNEL}).text
    assert "本来就有，没有改动：早安问候、干货分享、福利推送。" in again
    assert [each.draft.name for each in stocked.schedule.columns.everything()] == names
    assert "没有这个模板" in admin.post("/columns/rhythms/nightly", {"channel": CHANNEL}).text


def test_a_preset_asks_nothing_of_a_taxonomy_that_the_shop_does_not_have(stocked: Server):
    draft = PRESETS["papers"].draft("早晚报", "", CHANNEL, "Asia/Shanghai", {"engagement"})
    assert draft.classes == ("engagement",)
    assert draft.pool.kinds == ()
    assert draft.slots == (SlotDraft("daily", "08:30"), SlotDraft("daily", "20:30"))


def test_who_may_not_plan_is_offered_no_template_and_sets_none_up(
    sign_in: Callable[[str], Browser], stocked: Server
):
    auditor = sign_in("auditor")
    assert "/columns/rhythms/" not in auditor.get("/columns").text
    assert auditor.post("/columns/rhythms/daily", {"channel": CHANNEL}).status_code == 403


def test_a_new_column_begins_with_the_channel_that_most_communities_have_and_tells_its_reach(
    admin: Browser, stocked: Server
):
    for name in ("三群", "四群", "五群"):
        stocked.audience.communities.create(
            CommunityDraft(name, addresses={"wide.channel": Address(name, "admin")})
        )
    widest = stocked.schedule.widest_channel
    assert widest([CHANNEL, "wide.channel"]) == "wide.channel"
    assert widest(["no.address", CHANNEL]) == CHANNEL
    assert widest(["no.address", "none.either"]) == "no.address"
    assert widest([]) == ""
    page = admin.get("/columns/new?preset=news").text
    assert form_on(page)["channel"] == [CHANNEL]
    assert "将发给 2 个社群。 另有 3 个没有这个渠道的地址，发不到。" in page
    asked = {"channel": CHANNEL, "zone": "Asia/Shanghai", "stages": "mature"}
    told = admin.client.get("/columns/foresight", query_string=asked).text
    assert 'id="reach"' in told
    assert "hx-swap-oob" in told
    assert "一个社群也发不到。" in told
    assert "hx-swap-oob" not in page
