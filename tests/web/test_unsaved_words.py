"""What was typed outlasts a login that ran out, a page that grew old and a file that was refused."""

import html
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from tests.web.conftest import Browser
from tests.web.test_console_pages import MATERIAL

from lanmu.server import Server
from lanmu.testing.clock import FakeClock

HOST = "http://localhost"


def test_who_is_logged_out_in_the_middle_of_a_form_comes_back_to_it(admin: Browser, clock: FakeClock):
    admin.get("/materials/new")
    clock.advance(timedelta(hours=9))
    answer = admin.client.post(
        "/materials/new",
        data={"csrf_token": admin.token, **MATERIAL},
        headers={"Accept": "text/html", "Referer": f"{HOST}/materials/new"},
    )
    assert answer.location == "/login?next=/materials/new"
    assert "登录已过期，刚才的操作没有保存。" in admin.client.get(answer.location).text


@pytest.mark.parametrize(
    ("sent_to", "stood_on", "back"),
    [
        ("/materials/mat_1/submit", "/materials/mat_1?revision=2", "/materials/mat_1?revision%3D2"),
        ("/materials/mat_1/decision", "/materials/mat_1/decision", "/materials/mat_1"),
        ("/calendar/plan", "/calendar?week=2026-W49", "/calendar?week%3D2026-W49"),
        ("/pushes/psh_1/pause", "//evil.example/pushes", None),
        ("/calendar/plan", "/", None),
    ],
)
def test_the_way_back_is_the_page_that_a_form_stood_on(
    app: Flask, sent_to: str, stood_on: str, back: str | None
):
    headers = {"Accept": "text/html", "Referer": HOST + stood_on}
    answer = app.test_client().post(sent_to, headers=headers)
    assert answer.location == ("/login" if back is None else f"/login?next={back}")


def test_a_part_of_a_page_leads_back_to_its_page(app: Flask):
    headers = {"HX-Request": "true", "Referer": f"{HOST}/pushes/psh_1"}
    answer = app.test_client().get("/pushes/psh_1/live", headers=headers)
    assert answer.headers["HX-Redirect"] == "/login?next=/pushes/psh_1"


def test_a_page_opened_before_the_last_login_says_so_and_leads_back(admin: Browser, server: Server):
    answer = admin.client.post(
        "/materials/new",
        data={"csrf_token": "another session's", **MATERIAL},
        headers={"Accept": "text/html", "Referer": f"{HOST}/materials/new"},
    )
    assert answer.status_code == 403
    assert "<h1>页面已过期</h1>" in answer.text
    assert "没有权限" not in answer.text
    assert 'class="btn btn-primary" href="/materials/new"' in answer.text
    assert server.library.materials.count() == 0


def test_an_upload_that_is_too_large_leads_back_to_its_form(admin: Browser, app: Flask):
    app.config["MAX_CONTENT_LENGTH"] = 200
    answer = admin.client.post(
        "/materials/new",
        data={"csrf_token": admin.token, **MATERIAL},
        headers={"Accept": "text/html", "Referer": f"{HOST}/materials/new"},
    )
    assert (answer.status_code, 'href="/materials/new"' in answer.text) == (413, True)


def test_an_address_that_only_takes_forms_leads_to_the_page_above_it(admin: Browser):
    answer = admin.get("/materials/mat_1/decision")
    assert (answer.status_code, 'href="/materials/mat_1"' in answer.text) == (405, True)


@pytest.mark.parametrize("path", ["/materials/mat_0", "/columns/nope", "/pushes/nope", "/communities/nope"])
def test_what_is_not_there_is_told_without_the_code_s_own_words(admin: Browser, path: str):
    told = re.search(r'<p class="prewrap">(.*?)</p>', admin.get(path).text, re.DOTALL)
    assert told is not None
    assert not re.match(r"[A-Za-z]+:", told[1])


def test_a_form_says_whose_words_it_keeps_and_whether_it_was_answered(sign_in: Callable[[str], Browser]):
    writer = sign_in("writer")
    fresh = writer.get("/materials/new").text
    back = writer.post("/materials/new", {**MATERIAL, "title": ""}).text
    assert 'data-keep="writer"' in fresh
    assert "data-answered" not in fresh
    assert 'data-keep="writer" data-answered' in back


def test_logging_out_of_a_session_that_has_ended_is_no_loss(admin: Browser, clock: FakeClock):
    admin.get("/calendar")
    clock.advance(timedelta(hours=9))
    answer = admin.post("/logout")
    assert answer.request.path == "/login"
    assert "没有保存" not in answer.text


@pytest.mark.parametrize(("asked", "led_to"), [("/review?tag=早安", "/review"), ("/", "/"), ("//evil/", "/")])
def test_a_first_password_leads_on_to_the_page_that_was_asked_for(
    server: Server, app: Flask, asked: str, led_to: str
):
    server.staff.create("mei", "梅", "once only word", ["editor"], one_time=True)
    browser = Browser(app.test_client())
    first = browser.client.post(
        "/login", data={"username": "mei", "password": "once only word", "next": asked}
    )
    page = browser.client.get(first.location, follow_redirects=True)
    assert page.request.path == "/password"
    form = re.search(r'action="(/password[^"]*)"', page.text)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert form is not None
    assert token is not None
    words = {
        "old_password": "once only word",
        "new_password": "梅的密码真的很长很长很长很长",
        "again": "梅的密码真的很长很长很长很长",
    }
    done = browser.client.post(
        html.unescape(form[1]), data={**words, "csrf_token": token[1]}, follow_redirects=True
    )
    assert done.request.path == led_to
