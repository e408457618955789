"""The page of the API speaks the reader's language, whatever the OpenAPI document says in English."""

from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from flask import Flask
from tests.web.conftest import Browser

from lanmu.server import Server
from lanmu.web.api import document
from lanmu.web.pages.apidocs import rooms_of


def _texts(part: Any, name: str = "") -> Iterator[str]:
    """Every text that a person reads: names of rooms, summaries and details."""
    if isinstance(part, dict):
        for key, value in part.items():
            yield from _texts(value, "title" if key == "name" and "anchor" in part else key)
    elif isinstance(part, list):
        for each in part:
            yield from _texts(each)
    elif name in ("title", "summary", "detail") and part:
        yield part


def test_every_text_of_the_document_has_its_chinese(app: Flask, server: Server):
    texts = set(_texts(rooms_of(document(app), "")))
    assert {"Materials", "List and search materials", "Words to find.", "It worked"} <= texts
    assert [text for text in sorted(texts) if server.catalog.gettext("zh-CN", text) == text] == []


@pytest.mark.parametrize(
    ("language", "shown", "absent"),
    [
        ("zh-CN", "查询、搜索素材", "List and search materials"),
        ("en", "List and search materials", "查询、搜索素材"),
    ],
)
def test_the_page_of_the_api_is_in_the_readers_language(
    admin: Browser, app: Flask, server: Server, language: str, shown: str, absent: str
):
    admin.client.set_cookie("lanmu_lang", language)
    page = unescape(admin.get("/api/docs").text)
    assert shown in page
    assert absent not in page
    for text in _texts(rooms_of(document(app), "")):
        assert server.catalog.gettext(language, text) in page


def test_the_page_of_the_api_names_the_scopes_of_a_route(admin: Browser):
    assert '<span class="tag mono">content:read · content:write' in admin.get("/api/docs").text
