"""The console in a real browser: nothing breaks the Content-Security-Policy or runs off a phone's edge."""

import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy import select, update
from tests.web.conftest import PASSWORD, Send
from werkzeug.serving import make_server

from lanmu.delivery.models import Attempt, Push, Unit, UnitTarget
from lanmu.schedule.occurrences import OccurrenceView
from lanmu.server import Server
from lanmu_personal_wechat_export.channel import PackChannel

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine: `apt install chromium`"
)
PAGES = (
    "/", "/calendar", "/materials", "/materials/new", "/review", "/columns", "/columns/new", "/pushes",
    "/today", "/communities", "/points", "/settings/limits", "/settings/plugins", "/settings/audit",
    "/settings/workdays", "/columns/new?preset=papers", "/api/docs",
)  # fmt: skip
OUT_OF_PAGE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def _sign_in(chromium: Chromium, address: str, width: int) -> tuple[Page, list[str]]:
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, locale="zh-CN", timezone_id="Asia/Shanghai"
    )
    page = context.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    page.goto(f"{address}/login")
    page.fill("#f-username", "admin")
    page.fill("#f-password", PASSWORD)
    page.click(".door-go")
    page.wait_for_url(f"{address}/")
    return page, told


@pytest.mark.parametrize("width", [1440, 375])
def test_no_page_breaks_the_policy_or_runs_off_the_edge(
    chromium: Chromium, address: str, stocked: Server, width: int
):
    page, told = _sign_in(chromium, address, width)
    column = stocked.schedule.columns.everything()[0]
    material = stocked.library.search.find().items[0]
    community = stocked.audience.communities.find()[0]
    details = (
        f"/columns/{column.id}", f"/columns/{column.id}/edit", f"/materials/{material.id}",
        f"/materials/{material.id}/edit", f"/communities/{community.id}",
    )  # fmt: skip
    for path in (*PAGES, *details):
        page.goto(address + path)
        assert not page.evaluate(OUT_OF_PAGE), path
        assert told == [], path
    page.context.close()


def test_a_search_follows_the_typing_and_a_question_stands_before_an_act(
    chromium: Chromium, address: str, stocked: Server
):
    page, told = _sign_in(chromium, address, 1440)
    page.goto(f"{address}/materials")
    assert page.locator("#results tbody tr").count() == 3
    page.fill(".filters input[type=search]", "素材1")
    expect(page.locator("#results tbody tr")).to_have_count(1)
    column = stocked.schedule.columns.everything()[0]
    page.goto(f"{address}/columns/{column.id}")
    page.locator("form[data-ask] button", has_text="跳过").first.click()
    page.click("[data-ask-no]")
    states = {each.state for each in _coming(stocked)}
    assert states == {"planned"}
    page.locator("form[data-ask] button", has_text="跳过").first.click()
    page.click("[data-ask-yes]")
    page.wait_for_selector(".flash-success")
    assert sum(each.state == "skipped" for each in _coming(stocked)) == 1
    assert told == []
    page.context.close()


def test_the_editor_warns_of_quiet_hours_and_crowded_days_while_a_time_is_typed(
    chromium: Chromium, address: str, stocked: Server
):
    stocked.limits.change("community.day", 1, True, None, "admin")
    page, told = _sign_in(chromium, address, 375)
    page.goto(f"{address}/columns/new")
    page.fill("#f-name", "晚间")
    page.fill("input[name=slot-0-time]", "22:30")
    page.locator("input[name=slot-0-time]").blur()
    warned = page.locator("#foresight")
    expect(warned).to_contain_text("22:30 在免打扰时段（22:00–08:00）内：到点先不发，08:00 再发。")
    expect(warned).to_contain_text("“一群”排了 2 条，每天上限 1 条。另有 1 个社群也超限。")
    expect(warned).to_contain_text("晚间（1 条）")
    assert not page.evaluate(OUT_OF_PAGE)
    page.fill("input[name=slot-0-time]", "20:30")
    page.locator("input[name=slot-0-time]").blur()
    expect(warned).not_to_contain_text("免打扰")
    reach = page.locator("#reach")
    expect(reach).to_have_text("将发给 2 个社群。")
    page.locator("input[name=stages][value=mature]").check(force=True)
    expect(reach).to_have_text("一个社群也发不到。")
    expect(reach).to_have_count(1)
    assert told == []
    page.context.close()


@pytest.mark.parametrize("width", [1440, 375])
def test_the_bar_of_a_push_moves_without_loading_the_page_again_and_rests_at_the_end(
    chromium: Chromium, address: str, server: Server, send: Send, width: int
):
    page, told = _sign_in(chromium, address, width)
    push = send("一群", "二群", push="running", unit="calling")
    page.clock.install()
    page.goto(f"{address}/pushes/{push.id}")
    page.evaluate("window.sameDocument = true")
    assert page.locator("#flow-1").get_attribute("width") == "0.0%"
    page.locator("#push-units details summary").first.click()
    with server.database.write() as session:
        session.execute(update(UnitTarget).where(UnitTarget.push_id == push.row).values(state="delivered"))
        session.execute(update(Unit).where(Unit.push_id == push.row).values(state="delivered"))
        session.execute(update(Push).where(Push.id == push.row).values(state="finished"))
    page.clock.run_for(2100)
    expect(page.locator("#flow-1")).to_have_attribute("width", "100.0%")
    expect(page.locator("#push-poll")).not_to_have_attribute("hx-get", re.compile(".*"))
    expect(page.locator("#push-acts form")).to_have_count(0)
    assert page.evaluate("window.sameDocument") is True
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(20_000)
    assert asked == [], "it asks for nothing once all is over"
    assert not page.evaluate(OUT_OF_PAGE)
    assert told == []
    page.context.close()


def test_a_doubt_is_sent_again_on_a_phone_after_its_warning(
    chromium: Chromium, address: str, server: Server, send: Send
):
    page, told = _sign_in(chromium, address, 375)
    push = send("一群", push="running", unit="unknown", target="unknown")
    page.goto(f"{address}/")
    page.locator(f"a[href='/pushes/{push.id}#decide']").first.click()
    assert not page.evaluate(OUT_OF_PAGE)
    page.locator("a[href$='/units/1/again']").click()
    assert not page.evaluate(OUT_OF_PAGE)
    page.fill("#f-why", "群里没有这条")
    page.check("input[name=twice]")
    page.locator("form .btn-danger").click()
    page.wait_for_selector(".flash-success")
    assert server.delivery.units(push.id)[0].state == "pending"
    assert told == []
    page.context.close()


@pytest.mark.parametrize("width", [1440, 375])
def test_what_is_in_doubt_is_looked_at_again_without_running_off_the_edge(
    chromium: Chromium,
    address: str,
    server: Server,
    send: Send,
    monkeypatch: pytest.MonkeyPatch,
    width: int,
):
    monkeypatch.setattr(
        PackChannel, "abilities", replace(PackChannel.abilities, idempotency=None, batch_max=1)
    )
    push = send("一个名字很长很长很长很长的群", "二群", push="running", unit="unknown", target="unknown")
    lookup = {"looked_at": server.clock.now().isoformat(), "failed": "https://far.example/" + "list/" * 20}
    with server.database.write() as session:
        for unit in session.scalars(select(Unit).where(Unit.push_id == push.row)):
            attempt = Attempt(
                unit_id=unit.id, fence=1, owner="x", call="send", request=b"{}", request_sha256="ab" * 32,
                meta={}, started_at=server.clock.now(), evidence={"wrote": True, "lookups": [lookup]},
            )  # fmt: skip
            session.add(attempt)
    page, told = _sign_in(chromium, address, width)
    for language, label in (("en", "Look again"), ("zh-CN", "再查一次")):
        page.goto(f"{address}/pushes/{push.id}?lang={language}")
        expect(page.locator("form[action$='/units/1/look-again']")).to_have_text(label)
        assert not page.evaluate(OUT_OF_PAGE), language
    page.locator("form[action$='/units/1/look-again'] button").click()
    expect(page.locator("#push-decide")).to_contain_text("正在核实")
    assert not page.evaluate(OUT_OF_PAGE)
    assert [bool(unit.look_at) for unit in server.delivery.units(push.id)] == [True, False]
    assert told == []
    page.context.close()


def _coming(server: Server) -> list[OccurrenceView]:
    now = server.clock.now()
    return list(server.schedule.occurrences.between(now, now + timedelta(days=14)))
