"""Signing in: sessions end by the clock, guessing is slowed in uniform words, and no way leads elsewhere."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from tests.web.conftest import PASSWORD, Browser

from lanmu.server import Server
from lanmu.staff.models import Staff
from lanmu.testing.clock import FakeClock


def _login(client: FlaskClient, username: str = "admin", password: str = PASSWORD, **form: str):
    return client.post("/login", data={"username": username, "password": password, **form})


def _is_in(client: FlaskClient) -> bool:
    return client.get("/materials").status_code == 200


def test_a_session_ends_when_it_lies_idle(app: Flask, clock: FakeClock):
    client = app.test_client()
    _login(client)
    for _step in range(3):
        clock.advance(timedelta(minutes=29))
        assert _is_in(client)
    clock.advance(timedelta(minutes=31))
    assert not _is_in(client)


def test_a_session_ends_after_eight_hours_however_busy_it_is(app: Flask, clock: FakeClock):
    client = app.test_client()
    _login(client)
    for _step in range(19):
        clock.advance(timedelta(minutes=25))
        assert _is_in(client)
    clock.advance(timedelta(minutes=6))
    assert not _is_in(client)


def test_the_sixth_session_ends_the_one_that_lay_longest(app: Flask, clock: FakeClock):
    clients = [app.test_client() for _index in range(6)]
    for client in clients:
        _login(client)
        clock.advance(timedelta(minutes=2))
    assert [_is_in(client) for client in clients] == [False, True, True, True, True, True]


def test_logging_out_ends_the_session_and_not_the_others(sign_in: Callable[[str], Browser], app: Flask):
    one, other = sign_in("admin"), sign_in("admin")
    kept = one.client.get_cookie("lanmu_session")
    assert kept is not None
    one.post("/logout", follow=False)
    thief = app.test_client()
    thief.set_cookie("lanmu_session", kept.value)
    assert not _is_in(thief)
    assert _is_in(other.client)


def test_each_login_gets_a_cookie_of_its_own(app: Flask):
    client = app.test_client()
    seen = set()
    for _time in range(3):
        _login(client)
        cookie = client.get_cookie("lanmu_session")
        assert cookie is not None
        seen.add(cookie.value)
    assert len(seen) == 3


@pytest.mark.parametrize("change", [{"roles": ["points"]}, {"active": False}], ids=["cut", "closed"])
def test_a_right_that_is_cut_is_gone_with_the_next_request(
    admin: Browser, server: Server, change: dict[str, Any]
):
    assert admin.get("/settings/audit").status_code == 200
    with server.database.write() as session:
        session.execute(update(Staff).where(Staff.username == "admin").values(**change))
    assert admin.get("/settings/audit").status_code in (302, 403)


def test_a_new_password_ends_all_sessions(sign_in: Callable[[str], Browser], server: Server):
    one = sign_in("writer")
    server.staff.reset_password("writer")
    assert not _is_in(one.client)


def test_who_changes_the_password_stays_in_with_a_fresh_session_and_every_other_one_ends(
    sign_in: Callable[[str], Browser],
):
    here, elsewhere = sign_in("writer"), sign_in("writer")
    before = here.client.get_cookie("lanmu_session")
    assert before is not None
    here.get("/password")
    form = {"old_password": PASSWORD, "new_password": "a much better one", "again": "a much better one"}
    page = here.post("/password", form)
    assert "密码已修改，您在其他设备上的登录已退出。" in page.text
    after = here.client.get_cookie("lanmu_session")
    assert after is not None
    assert after.value != before.value
    assert _is_in(here.client)
    assert not _is_in(elsewhere.client)
    elsewhere.client.set_cookie("lanmu_session", before.value)
    assert not _is_in(elsewhere.client)


def test_guessing_is_slowed_and_told_alike_whoever_is_guessed_at(app: Flask, clock: FakeClock):
    client = app.test_client()
    told = {}
    for name in ("admin", "nobody-of-that-name"):
        answers = [_login(client, name, "wrong") for _time in range(7)]
        assert [answer.status_code for answer in answers] == [403] * 5 + [429] * 2
        told[name] = [answer.text.replace(name, "NAME") for answer in answers]
    assert told["admin"] == told["nobody-of-that-name"]
    assert _login(client).status_code == 429  # the right one has to wait as well
    clock.advance(timedelta(seconds=61))
    assert _login(client).status_code == 302


def test_nobody_far_away_can_keep_somebody_out(app: Flask):
    far, home = app.test_client(), app.test_client()
    for number in range(6):
        far.post(
            "/login",
            data={"username": "admin", "password": "wrong"},
            environ_base={"REMOTE_ADDR": f"203.0.113.{number}"},
        )
    answer = far.post(
        "/login",
        data={"username": "admin", "password": PASSWORD},
        environ_base={"REMOTE_ADDR": "203.0.113.99"},
    )
    assert answer.status_code == 429  # the same network, whatever its last number
    assert _login(home).status_code == 302


def test_one_network_may_not_try_many_names(app: Flask):
    client = app.test_client()
    statuses = [_login(client, f"name{number}", "wrong").status_code for number in range(32)]
    assert statuses == [403] * 30 + [429] * 2


def test_failures_stand_in_the_audit_log_without_the_password(app: Flask, server: Server):
    _login(app.test_client(), "admin", "hunter2-hunter2")
    line = server.audit.latest()[0]
    assert (line.actor, line.action, line.allowed) == ("admin", "login", False)
    assert "hunter2" not in repr(line)


@pytest.mark.parametrize("name", ["x" * 5000, "名字", "a b", "", "'; DROP TABLE staff; --"])
def test_any_name_is_refused_in_the_same_way(app: Flask, name: str):
    assert _login(app.test_client(), name, "wrong").status_code == 403


def test_a_nul_in_a_form_is_refused_and_no_crash(app: Flask):
    assert _login(app.test_client(), "ad\0min", "wrong").status_code == 422


ELSEWHERE = (
    "//evil.example", "/\\evil.example", "https:evil.example", "https://evil.example", "\\\\evil.example",
    "/\t/evil.example", "/\n\\evil.example", "/\r\n/evil.example", "javascript:alert(1)", "evil.example",
    " /x", "/materials\r\nSet-Cookie: a=b",
)  # fmt: skip


@pytest.mark.parametrize("target", ELSEWHERE)
def test_the_way_on_never_leads_to_another_site(app: Flask, sign_in: Callable[[str], Browser], target: str):
    assert _login(app.test_client(), next=target).location == "/"
    signed = sign_in("admin").client
    assert signed.get("/login", query_string={"next": target}).location == "/"
    assert signed.post("/language", data={"locale": "en", "next": target}).location == "/"


def test_the_way_on_leads_back_to_where_one_was(app: Flask):
    client = app.test_client()
    assert _login(client, next="/materials?q=早安&state=draft").location.startswith("/materials?q=")


def test_the_language_is_chosen_once_and_kept(app: Flask, server: Server):
    client = app.test_client()
    assert '<html lang="zh-CN"' in client.get("/login").text
    answer = client.post("/language", data={"locale": "en", "next": "/login"})
    assert answer.location == "/login"
    assert '<html lang="en"' in client.get("/login").text
    _login(client)
    client.post("/language", data={"locale": "en"})
    fresh = app.test_client()
    _login(fresh)
    assert '<html lang="en"' in fresh.get("/materials").text  # it is the person's, not the browser's alone
    assert client.post("/language", data={"locale": "tlh"}).status_code == 422


def test_a_language_in_the_address_wins_and_nonsense_there_changes_nothing(app: Flask):
    client = app.test_client()
    assert '<html lang="en"' in client.get("/login?lang=en").text
    assert '<html lang="en"' in client.get("/login?lang=../../etc").text
