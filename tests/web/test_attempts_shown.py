"""An attempt on a push's page: what was looked up, taken back and decided afterwards, in sentences."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from tests.web.conftest import Browser, Send

from lanmu.delivery.models import Attempt, Unit
from lanmu.i18n import Filled, to_store
from lanmu.server import Server

LOST = {"wrote": True, "status": None, "fault": "The line broke.", "answer": ""}


def _page(
    admin: Browser, server: Server, send: Send, evidence: dict[str, Any], outcome: str = "unknown"
) -> tuple[str, str]:
    """The page of a push in doubt: what it says, and what lies behind the fold of the attempt."""
    push = send("a", push="running", unit="unknown", target="unknown")
    unit, now = server.delivery.units(push.id)[0], server.clock.now()
    with server.database.write() as session:
        session.execute(update(Unit).where(Unit.id > 0).values(look_at=now + timedelta(minutes=4)))
        row = session.query(Unit).one()
        assert unit.number == row.number
        session.add(
            Attempt(
                unit_id=row.id, fence=1, owner="x", call="send", request=b'{"text":"hi"}',
                request_sha256="ab" * 32, meta={}, started_at=now, finished_at=now, outcome=outcome,
                evidence={**LOST, **evidence},
            )
        )  # fmt: skip
    words, _fold, raw = admin.get(f"/pushes/{push.id}").text.partition("原始请求与应答")
    return words, raw


@pytest.mark.parametrize(
    ("lookup", "said"),
    [
        ({"found": [], "of_others": []}, "向渠道查询：没有查到。"),
        ({"found": ["m-1", "m-2"], "of_others": []}, "向渠道查询：已查到，编号 m-1、m-2。"),
        ({"found": [], "of_others": ["m-9"]}, "查到的属于其他批次：m-9"),
        ({"failed": "the list answered 500"}, "无法向渠道查询：the list answered 500"),
    ],
)
def test_a_lookup_is_told_in_a_sentence_with_its_time(
    admin: Browser, server: Server, send: Send, lookup: dict[str, Any], said: str
):
    at = (server.clock.now() + timedelta(minutes=3)).isoformat()
    words, raw = _page(admin, server, send, {"lookups": [{"looked_at": at, **lookup}]})
    assert said in words
    assert "08:03" in words
    for internal in ("looked_at", "lookups", "of_others", "wrote"):
        assert internal not in words + raw


def test_why_a_lookup_failed_is_translated_and_stands_where_it_is_checked(
    admin: Browser, server: Server, send: Send
):
    why = to_store(Filled("The channel %(channel)s made a mistake in %(call)s: %(fault)s",
                          channel="hook", call="find", fault="KeyError: 'rows'"))  # fmt: skip
    at = server.clock.now().isoformat()
    words, _raw = _page(admin, server, send, {"lookups": [{"looked_at": at, "failed": why}]})
    assert "上一次没能查询：" in words
    assert words.count("hook") >= 2
    assert "made a mistake" not in words
    assert "\x1e" not in words


def test_what_was_taken_back_is_told_with_what_became_of_it(admin: Browser, server: Server, send: Send):
    taken = {"taken_back": {"m-2": "cancelled", "m-3": "Every recipient has it."}}
    words, raw = _page(admin, server, send, {"lookups": [taken]}, "accepted")
    assert "多出的一条 m-2 已撤回。" in words
    assert "多出的一条 m-3 没能撤回：Every recipient has it." in words
    assert "taken_back" not in words + raw


def test_an_attempt_that_was_not_found_is_called_so_in_both_languages(
    admin: Browser, server: Server, send: Send
):
    words, _raw = _page(admin, server, send, {}, "not_found")
    assert "渠道查无此条" in words
    assert ">not_found<" not in words


def test_a_persons_word_is_told_with_who_and_why(admin: Browser, server: Server, send: Send):
    at = (server.clock.now() + timedelta(minutes=7)).isoformat()
    said = {"answer": "again", "by": "admin", "why": "群里没有", "at": at}
    words, raw = _page(admin, server, send, {"decided": said})
    assert "要求再发一次" in words
    assert "原因：群里没有" in words
    assert "decided" not in words + raw


def test_what_is_shown_is_called_what_was_stored_and_not_what_was_on_the_wire(
    admin: Browser, server: Server, send: Send
):
    _words, raw = _page(admin, server, send, {})
    assert "发送前存下的请求" in raw
    assert "实际发送内容" not in raw
