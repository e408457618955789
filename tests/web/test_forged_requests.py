"""Requests that a page of ours did not send, and the headers that keep pages to themselves."""

import re
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask
from tests.web.conftest import PASSWORD, Browser

from lanmu import config
from lanmu.server import Server
from lanmu.testing.clock import FakeClock
from lanmu.web.app import create_app

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; "
    "frame-src 'self'; frame-ancestors 'none'"
)
FORM = {"locale": "en"}
OFFER = {"title": "满 99 减 10", "cost": "100"}


@pytest.fixture
def https(sqlite_template: Path, tmp_path: Path, clock: FakeClock) -> Iterator[Flask]:
    """The console of a shop that people reach as https://shop.example."""
    data = tmp_path / "https"
    data.mkdir()
    shutil.copy(sqlite_template, data / "lanmu.db")
    raw = {"server": {"data_dir": str(data), "host": "0.0.0.0", "base_url": "https://shop.example"}}
    made = Server(config.parse(raw, None, {}), clock)
    made.staff.create("admin", "Admin", PASSWORD, ["admin"])
    yield create_app(made)
    made.close()


def test_a_form_without_the_sessions_token_is_refused(admin: Browser, server: Server):
    for form in (OFFER, {**OFFER, "csrf_token": ""}, {**OFFER, "csrf_token": "é" * 10}):
        assert admin.client.post("/points/offers", data=form).status_code == 403
    assert server.ledger.shelf.all() == []


def test_the_token_of_another_session_is_refused(sign_in: Callable[[str], Browser], server: Server):
    one, other = sign_in("admin"), sign_in("admin")
    one.get("/materials")
    assert other.client.post("/points/offers", data={**OFFER, "csrf_token": one.token}).status_code == 403
    assert server.ledger.shelf.all() == []


def test_the_token_may_come_in_a_header(admin: Browser, server: Server):
    admin.get("/materials")
    answer = admin.client.post("/points/offers", data=OFFER, headers={"X-CSRF-Token": admin.token})
    assert answer.status_code in (302, 303)
    assert len(server.ledger.shelf.all()) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Referer": "https://evil.example/localhost/"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    ],
    ids=str,
)
def test_what_another_site_sends_is_refused_even_with_the_token(admin: Browser, headers: dict[str, str]):
    admin.get("/materials")
    answer = admin.client.post("/points/offers", data={**OFFER, "csrf_token": admin.token}, headers=headers)
    assert answer.status_code == 403
    assert admin.client.post("/login", data={"username": "a"}, headers=headers).status_code == 403
    assert admin.client.post("/language", data=FORM, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://localhost"}],
    ids=str,
)
def test_what_our_own_pages_send_is_carried_out(admin: Browser, headers: dict[str, str]):
    admin.get("/materials")
    answer = admin.client.post("/points/offers", data={**OFFER, "csrf_token": admin.token}, headers=headers)
    assert answer.status_code in (302, 303)


def test_nothing_changes_by_a_get_or_a_method_in_disguise(admin: Browser, app: Flask, server: Server):
    opened = {rule.rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    posted = {rule.rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())}
    changing = posted - opened
    assert len(changing) > 20
    for rule in changing:
        path = re.sub(r"<[^>]+>", "x", re.sub(r"<int:\w+>", "1", rule))
        for method in ("GET", "HEAD", "TRACE"):
            assert admin.client.open(path, method=method).status_code in (403, 404, 405), (method, path)
        headers = {"X-HTTP-Method-Override": "POST"}
        assert admin.client.get(path + "?_method=POST", headers=headers).status_code in (403, 404, 405), path


def test_over_https_the_cookie_is_bound_to_this_host_alone(https: Flask):
    client = https.test_client()
    answer = client.post(
        "/login", base_url="https://shop.example", data={"username": "admin", "password": PASSWORD}
    )
    (cookie,) = (each for each in answer.headers.getlist("Set-Cookie") if each.startswith("__Host-lanmu="))
    parts = {part.strip() for part in cookie.split(";")[1:]}
    assert parts == {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"}
    page = client.get("/materials", base_url="https://shop.example")
    assert page.status_code == 200
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


def test_on_plain_loopback_the_cookie_works_and_is_still_strict(app: Flask):
    answer = app.test_client().post("/login", data={"username": "admin", "password": PASSWORD})
    (cookie,) = (each for each in answer.headers.getlist("Set-Cookie") if each.startswith("lanmu_session="))
    parts = {part.strip() for part in cookie.split(";")[1:]}
    assert parts == {"HttpOnly", "Path=/", "SameSite=Strict"}
    assert "Strict-Transport-Security" not in answer.headers


@pytest.mark.parametrize(
    "host", ["evil.example", "shop.example.evil.example", "[::1", "127.0.0.1", "x" * 300]
)
def test_a_host_that_is_not_ours_is_refused(https: Flask, host: str):
    answer = https.test_client().get("/login", headers={"Host": host})
    assert 400 <= answer.status_code < 500
    assert "<form" not in answer.text


def test_the_hosts_of_the_config_and_loopback_are_ours(app: Flask, https: Flask):
    assert https.test_client().get("/login", headers={"Host": "shop.example"}).status_code == 200
    for host in ("localhost:8640", "127.0.0.1:1", "[::1]:8640"):
        assert app.test_client().get("/login", headers={"Host": host}).status_code == 200
    assert app.test_client().get("/login", headers={"Host": "rebound.example"}).status_code == 422


class _Inline(HTMLParser):
    """Collects what the policy would refuse: inline scripts and styles, handlers, and addresses elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "style" or (tag == "script" and "src" not in given and "json" not in given.get("type", "")):
            self.found.append(self.get_starttag_text() or tag)
        for name, value in given.items():
            elsewhere = name in ("src", "action", "formaction") and re.match(r"(https?:)?//", value)
            if (
                name == "style"
                or name.startswith("on")
                or value.lower().startswith("javascript:")
                or elsewhere
            ):
                self.found.append(f"{tag} {name}={value}")


def test_every_page_keeps_to_the_policy(admin: Browser, app: Flask, stocked: Server):
    material = stocked.library.search.find().items[0].id
    column = stocked.schedule.columns.everything()[0].id
    community = stocked.audience.communities.find()[0].id
    ids = {"material": material, "column": column, "community": community}
    opened = 0
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.endpoint.endswith("static"):
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: ids.get(found[1], "x"), rule.rule)
        for headers in ({"Accept": "text/html"}, {"Accept": "text/html", "HX-Request": "true"}):
            answer = admin.client.get(path, headers=headers)
            policy = answer.headers["Content-Security-Policy"]
            assert policy == CSP or (path.startswith("/files/") and "sandbox" in policy), path
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] in ("same-origin", "no-referrer")
            assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert "camera=()" in answer.headers["Permissions-Policy"]
            caching = answer.headers["Cache-Control"]
            assert caching == "no-store" or (
                caching.startswith("private") and answer.mimetype != "text/html"
            ), path
            if answer.mimetype == "text/html":
                parser = _Inline()
                parser.feed(answer.text)
                assert parser.found == [], path
                opened += 1
            answer.close()
    assert opened > 60


def test_no_template_of_core_or_plugins_writes_a_script_or_style_inline():
    root = Path(__file__).parents[2]
    templates = [
        *root.glob("core/lanmu/web/templates/**/*.html"),
        *root.glob("plugins/*/lanmu_*/**/templates/**/*.html"),
    ]
    assert len(templates) > 30
    for path in templates:
        if path.name == "leaflet.html":  # lies in a zip file and is opened from a disk, where no policy is
            continue
        parser = _Inline()
        parser.feed(
            re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        )
        assert parser.found == [], path
        assert "|safe" not in path.read_text(encoding="utf-8").replace(" ", ""), path
