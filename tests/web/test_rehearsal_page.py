"""The page of rehearsals: it runs beside everything else, one at a time, and its result stays."""

import threading
from collections.abc import Callable

import pytest
from flask import Flask
from tests.web.conftest import Browser

from lanmu import plugins
from lanmu.rehearsal import running, service
from lanmu.server import Server

_FORM = {"from": "2026-11-24", "days": "2", "recipients": "4"}


def test_a_rehearsal_runs_beside_the_console_and_its_result_stays(
    stocked: Server, app: Flask, admin: Browser
) -> None:
    assert "还没有演练过" in admin.get("/rehearsal").text
    assert "正在演练" in admin.post("/rehearsal", _FORM).text
    app.extensions["lanmu-rehearsals"].wait(60)
    page = admin.get("/rehearsal?lang=en").text
    assert "Green: everything due came in time, but for 1 of 8 that have a reason" in page
    assert "Expected: 8" in page, "two days, four recipients"
    assert "A person would have had to approve 2 slots in time." in page
    assert "2026-11-25" in page
    assert "hx-get" not in page.partition('id="rehearsal"')[2].partition(">")[0], "nothing more to wait for"
    assert service.Rehearsals(stocked).last() == app.extensions["lanmu-rehearsals"].last(), "in any process"
    assert "演练栏目" in admin.get("/settings/audit?lang=zh-CN").text


def test_a_plugin_that_fails_when_asked_is_a_finding_on_the_page_and_breaks_nothing(
    stocked: Server, app: Flask, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = plugins._answers

    def fails(loaded: plugins._Loaded, hook: str, **arguments: object) -> list[object]:
        if hook == "lanmu_objections":
            raise RuntimeError(f"no price list in {loaded.name}")
        return ask(loaded, hook, **arguments)

    monkeypatch.setattr(plugins, "_answers", fails)
    admin.post("/rehearsal", _FORM)
    app.extensions["lanmu-rehearsals"].wait(60)
    page = admin.get("/rehearsal?lang=en").text
    assert "Kept back by a plugin" in page
    assert "RuntimeError: no price list in points" in page
    assert "Produced: 0" in page
    assert "被插件拦下" in admin.get("/rehearsal?lang=zh-CN").text


def test_only_one_runs_at_a_time_and_the_page_shows_how_far_it_is(
    stocked: Server, app: Flask, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, begun = threading.Event(), threading.Event()
    play = running.rehearse

    def slowly(*args: object) -> object:
        args[-1](1, 2)  # type: ignore[operator]
        begun.set()
        go_on.wait(30)
        return play(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(service, "rehearse", slowly)
    admin.post("/rehearsal", _FORM)
    assert begun.wait(30)
    live = admin.get("/rehearsal/live").text
    assert "第 1 天，共 2 天" in live
    assert "hx-get" in live
    assert "已有一次演练正在进行" in admin.post("/rehearsal", _FORM).text
    go_on.set()
    app.extensions["lanmu-rehearsals"].wait(60)
    assert app.extensions["lanmu-rehearsals"].running() is None


def test_what_cannot_be_rehearsed_is_told_on_the_page(stocked: Server, app: Flask, admin: Browser) -> None:
    page = admin.post("/rehearsal", {**_FORM, "days": "91", "recipients": "3"}).text
    assert "请填 1 到 90" in page
    assert "请填 4 到 50" in page
    admin.post("/rehearsal", {**_FORM, "columns": "col_nobody"})
    app.extensions["lanmu-rehearsals"].wait(60)
    assert "col_nobody" in admin.get("/rehearsal").text


def test_who_may_not_plan_sees_it_and_begins_none(stocked: Server, sign_in: Callable[[str], Browser]) -> None:
    reader = sign_in("reader")
    assert "开始演练" not in reader.get("/rehearsal").text
    assert reader.post("/rehearsal", _FORM).status_code == 403


def test_a_forged_request_begins_none(stocked: Server, admin: Browser) -> None:
    assert admin.post("/rehearsal", {**_FORM, "csrf_token": "forged"}).status_code == 403
