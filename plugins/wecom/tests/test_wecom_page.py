"""The page of phones: what a person sees, and what the hand that plays the employee does."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po

import lanmu_wecom
from lanmu_wecom.sandbox.demo import SEED

from .wecom_kit import Sandbox

PACKAGE = Path(lanmu_wecom.__file__).parent
CHROMIUM = Path("/usr/bin/chromium")
ADD = "add_msg_template"


@pytest.fixture
def page(sandbox: Sandbox) -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed: the page was not tried in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM))
        opened = browser.new_page(viewport={"width": 1440, "height": 940})
        faults: list[str] = []
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
        opened.goto(sandbox.url + "/")
        opened.wait_for_selector("#wecom .nav")
        yield opened
        browser.close()
    assert faults == []


def group_broadcast(sandbox: Sandbox, text: str, *chats: str) -> str:
    payload = {"chat_type": "group", "sender": "linxiao", "chat_id_list": list(chats)}
    sandbox.world.options.dispatch_seconds = 0
    return str(sandbox.x(ADD, {**payload, "text": {"content": text}})["msgid"])


@pytest.mark.browser
def test_a_person_confirms_for_some_groups_and_the_customer_sees_it(sandbox: Sandbox, page: Any) -> None:
    group_broadcast(sandbox, "晚安话题 <b>不是标签</b>", "wrDEMO0001", "wrDEMO0002")
    page.wait_for_selector("#tasks .task .main")
    page.uncheck("#tasks .to li:nth-child(2) input")
    page.click("#tasks .acts .main")
    page.click("#wechat .chats li:first-child button")
    page.wait_for_selector("#wechat .bubble")
    assert page.inner_text("#wechat .bubble") == "晚安话题 <b>不是标签</b>"
    assert page.inner_text("#tasks .pill") == "已发部分"
    places = [row["place"] for row in sandbox.world.store.all("select place from bubble")]
    assert places == ["chat:wrDEMO0001"]


@pytest.mark.browser
def test_on_a_narrow_phone_nothing_runs_over_the_edge(sandbox: Sandbox, page: Any) -> None:
    group_broadcast(sandbox, "https://s.example.test/" + "a" * 300, *(chat.chat_id for chat in SEED.groups))
    page.set_viewport_size({"width": 375, "height": 720})
    for phone in ("wechat", "tasks", "wecom"):
        page.click(f"[data-phone={phone}]")
        page.wait_for_selector(f"#{phone} .nav", state="visible")
        assert page.evaluate("document.documentElement.scrollWidth") == 375


def test_the_page_has_no_inline_script_or_style(sandbox: Sandbox) -> None:
    for path in ("/", "/?lang=en"):
        answer = sandbox.running.app.test_client().get(path)
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        html = answer.get_data(as_text=True)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", html)


def test_the_view_says_when_nothing_has_changed(sandbox: Sandbox) -> None:
    view = sandbox.call("/sandbox/api/view?customer=wmDEMO0001&employee=linxiao")
    same = f"/sandbox/api/view?customer=wmDEMO0001&employee=linxiao&after={view['revision']}"
    assert sandbox.call(same)["same"]
    group_broadcast(sandbox, "新的", "wrDEMO0001")
    assert "same" not in sandbox.call(same)


def test_a_robots_key_never_reaches_the_page(sandbox: Sandbox) -> None:
    key = SEED.robots[0].key
    sandbox.call(f"/cgi-bin/webhook/send?key={key}", {"msgtype": "text", "text": {"content": "在"}})
    answer = sandbox.running.app.test_client().get("/sandbox/api/view")
    assert key not in answer.get_data(as_text=True)


def marked() -> set[str]:
    """Every text that the plugin marks for translation, in code and templates."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                found.add(ast.literal_eval(node.args[0]))
    for path in PACKAGE.rglob("*.html"):
        found |= {text for _, text in re.findall(r"\b_\((['\"])(.+?)\1\)", path.read_text())}
    return found


def test_every_text_is_translated_with_the_same_slots() -> None:
    with (PACKAGE / "translations" / "zh_CN" / "messages.po").open("rb") as file:
        catalog = {str(row.id): str(row.string) for row in read_po(file, locale="zh_CN") if row.id}
    assert set(catalog) == marked()
    slots = re.compile(r"%\(\w+\)[ds]")
    for text, chinese in catalog.items():
        assert chinese, text
        assert sorted(slots.findall(text)) == sorted(slots.findall(chinese)), text


def test_the_page_speaks_both_languages(sandbox: Sandbox) -> None:
    client = sandbox.running.app.test_client()
    assert "企业微信沙箱" in client.get("/").get_data(as_text=True)
    assert "WeCom sandbox" in client.get("/?lang=en").get_data(as_text=True)
    assert client.get("/sandbox/texts.json").get_json()["all"] == "全部发送"
    assert client.get("/sandbox/texts.json?lang=en").get_json()["all"] == "Send to all"
