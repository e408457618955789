"""Whose language a page or an answer has: what was asked for, what the person chose, or the shop's."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from tests.web.conftest import Browser

from lanmu.server import Server

SignIn = Callable[[str], Browser]


@pytest.fixture
def english(server: Server, app: Flask) -> Flask:
    """A shop whose `[server] locale` is en."""
    server.config = replace(server.config, server=replace(server.config.server, locale="en"))
    return app


def _language(browser: Browser) -> str:
    return browser.get("/materials").text.partition('<html lang="')[2].partition('"')[0]


def test_who_has_chosen_no_language_has_the_shops(english: Flask, sign_in: SignIn):
    assert '<html lang="en"' in english.test_client().get("/login").text
    assert _language(sign_in("admin")) == "en"


def test_who_has_chosen_a_language_keeps_it_in_a_shop_of_another(english: Flask, sign_in: SignIn):
    first = sign_in("admin")
    first.post("/language", {"locale": "zh-CN"})
    assert _language(sign_in("admin")) == "zh-CN"


def _told(app: Flask, server: Server, **headers: str) -> str:
    token = server.tokens.create("admin", "erp", ["push:read"], 1)
    answer = app.test_client().get(
        "/api/v1/pushes/psh_none", headers={"Authorization": f"Bearer {token}", **headers}
    )
    assert answer.status_code == 404
    return str(answer.text)


def test_the_api_speaks_the_shops_language_to_a_token_whose_owner_chose_none(english: Flask, server: Server):
    assert _told(english, server).isascii()


def test_the_api_speaks_the_language_that_a_program_asks_for(app: Flask, server: Server):
    assert not _told(app, server).isascii()
    for asked in ("en", "en-GB,en;q=0.9,zh;q=0.5", "fr, en"):
        assert _told(app, server, **{"Accept-Language": asked}).isascii(), asked
    for asked in ("zh", "zh-CN,en;q=0.5", "fr", "", "*"):
        assert not _told(app, server, **{"Accept-Language": asked}).isascii(), asked


def test_a_browsers_own_language_does_not_turn_the_shops(app: Flask, sign_in: SignIn):
    page = sign_in("admin").get("/materials", **{"Accept-Language": "en-US,en"})
    assert '<html lang="zh-CN"' in page.text
