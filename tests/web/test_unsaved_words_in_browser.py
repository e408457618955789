"""In a real browser: a long form gives back what was typed after a login that ran out or a refused upload."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import FilePayload, Page, expect
from tests.web import test_console_in_browser as in_browser
from tests.web.conftest import PASSWORD

from lanmu.server import Server

pytestmark = in_browser.pytestmark
chromium = in_browser.chromium
address = in_browser.address


@pytest.fixture
def page(chromium: Chromium, address: str) -> Iterator[Page]:
    page, told = in_browser._sign_in(chromium, address, 1280)
    yield page
    assert [each for each in told if "Failed to load resource" not in each] == []


def _log_in(page: Page) -> None:
    page.fill("#f-username", "admin")
    page.fill("#f-password", PASSWORD)
    page.click(".door-go")


def test_a_material_survives_a_login_that_ran_out(page: Page, address: str, server: Server):
    page.goto(f"{address}/materials/new")
    page.fill("#f-title", "一小时写好的素材")
    page.select_option("#f-content_class", "brand")
    page.select_option("#f-kind", "persona")
    page.fill("#f-topic", "过期")
    page.fill("#f-body", "辛苦写了一小时的正文\n第二行")
    page.context.clear_cookies()
    page.click("button:has-text('保存草稿')")
    expect(page.locator("[data-kept-told]")).to_be_visible()
    _log_in(page)
    page.wait_for_url(f"{address}/materials/new")
    expect(page.locator("[data-kept-told]")).to_contain_text("已经恢复")
    assert page.input_value("#f-body") == "辛苦写了一小时的正文\n第二行"
    assert (page.input_value("#f-content_class"), page.input_value("#f-kind")) == ("brand", "persona")
    expect(page.locator("#said")).to_have_text("辛苦写了一小时的正文\n第二行")
    page.click("button:has-text('保存草稿')")
    page.wait_for_url(f"{address}/materials/mat_*")
    assert server.library.materials.count() == 1
    page.goto(f"{address}/materials/new")
    assert page.input_value("#f-title") == ""
    expect(page.locator("[data-kept-told]")).to_be_hidden()


def test_a_refused_upload_costs_no_text(page: Page, address: str, app: Flask):
    page.goto(f"{address}/materials/new")
    page.fill("#f-title", "带大图的素材")
    page.fill("#f-topic", "大图")
    page.fill("#f-body", "正文")
    app.config["MAX_CONTENT_LENGTH"] = 1000
    page.click("button:has-text('保存草稿')")
    expect(page.locator(".lone-code")).to_have_text("413")
    expect(page.locator("[data-kept-told]")).to_be_visible()
    page.click("a:has-text('回到刚才的页面')")
    page.wait_for_url(f"{address}/materials/new")
    assert page.input_value("#f-title") == "带大图的素材"
    page.click("[data-kept-told] button")
    expect(page.locator("#f-title")).to_have_value("")
    expect(page.locator("[data-kept-told]")).to_be_hidden()


def test_the_times_of_a_column_come_back_with_their_rows(page: Page, address: str, stocked: Server):
    column = stocked.schedule.columns.everything()[0]
    here = f"{address}/columns/{column.id}/edit"
    page.goto(here)
    page.click("[data-add-row]")
    page.locator("[data-row]").last.locator("input[inputmode]").fill("21:15")
    page.locator("[data-row]").last.locator("label:has-text('周三')").click()
    page.locator("[data-row]").first.locator("[data-drop-row]").click()
    page.fill("#f-goal", "改到一半的目标")
    page.click("nav.side a[href='/calendar']")
    page.wait_for_url(f"{address}/calendar")
    page.goto(here)
    expect(page.locator("[data-kept-told]")).to_be_visible()
    assert page.input_value("#f-goal") == "改到一半的目标"
    times = page.locator("[data-row] input[inputmode]").evaluate_all("all => all.map(each => each.value)")
    assert times == [*[slot.time for slot in column.draft.slots[1:]], "21:15"]
    assert page.locator("[data-row]").last.locator("input:checked").evaluate_all(
        "all => all.map(each => each.value)"
    ) == ["wed"]


def test_a_colleague_never_sees_what_another_left_unsaved(page: Page, address: str):
    page.goto(f"{address}/materials/new")
    page.fill("#f-title", "没存的草稿")
    page.click("summary.who")
    page.click("button:has-text('退出登录')")
    page.wait_for_url(f"{address}/login")
    expect(page.locator("[data-kept-told]")).to_be_hidden()
    assert page.evaluate("Object.keys(sessionStorage).length") == 0


def test_an_image_that_would_be_refused_is_told_before_anything_is_sent(page: Page, address: str):
    page.goto(f"{address}/materials/new")
    page.fill("#f-title", "大图")
    page.fill("#f-topic", "大图")
    page.fill("#f-body", "正文")
    large = b"\x89PNG" + bytes(4 * 1024 * 1024)
    pictures: list[FilePayload] = [
        {"name": f"{name}.png", "mimeType": "image/png", "buffer": large} for name in "abc"
    ]
    page.set_input_files("#f-files", pictures)
    assert "合计超过 11.0 MB" in page.locator("#f-files").evaluate("input => input.validationMessage")
    page.click("button:has-text('保存草稿')")
    assert page.url == f"{address}/materials/new"
    page.set_input_files("#f-files", pictures[:1])
    assert page.locator("#f-files").evaluate("input => input.validationMessage") == ""


def test_a_column_that_a_colleague_changed_meanwhile_opens_as_it_is_now(
    page: Page, address: str, stocked: Server
):
    column = stocked.schedule.columns.everything()[0]
    here = f"{address}/columns/{column.id}/edit"
    page.goto(here)
    stocked.schedule.columns.edit(column.id, replace(column.draft, goal="同事的目标"), column.lock)
    page.fill("#f-goal", "我的目标")
    page.click("button:has-text('保存并排期')")
    newer = page.locator("a[target=_blank]:has-text('在新标签页打开最新的内容')")
    expect(newer).to_be_visible()
    assert page.input_value("#f-goal") == "我的目标"
    with page.expect_popup() as opened:
        newer.click()
    assert opened.value.input_value("#f-goal") == "同事的目标"
    page.fill("#f-goal", "我的另一个目标")
    page.goto(here)
    assert page.input_value("#f-goal") == "同事的目标"
    expect(page.locator("[data-kept-told]")).to_be_hidden()


def test_saving_one_limit_asks_before_it_loses_what_was_typed_into_another(
    page: Page, address: str, server: Server
):
    page.goto(f"{address}/settings/limits")
    first, second = (page.locator(f"form[id='{code}']") for code in ("community.day", "member.day"))
    first.locator("[name=most]").fill("5")
    second.locator("[name=most]").fill("3")
    first.locator("button").click()
    expect(page.locator("#ask-title")).to_have_text("其他行的改动还没保存")
    page.click("[data-ask-no]")
    assert second.locator("[name=most]").input_value() == "3"
    second.locator("[name=most]").fill("2")
    first.locator("button").click()
    expect(page.locator(".flash-success")).to_be_visible()
    assert next(each.most for each in server.limits.everything() if each.code == "community.day") == 5
