"""The page of a push, its list and the API tell of each recipient what it waits for, and until when."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import update
from tests.web.conftest import Browser, Program, Send

from lanmu.delivery.models import Push, Unit
from lanmu.server import Server

WHY = "The channel's settings are wrong."


def _held(server: Server, send: Send) -> str:
    push = send("一群", push="running", unit="held")
    with server.database.write() as session:
        session.execute(update(Unit).where(Unit.push_id == push.row).values(reason=WHY, code="config"))
        last = server.clock.now() + timedelta(hours=5)
        session.execute(update(Push).where(Push.id == push.row).values(deadline_at=last))
    return push.id


def _line(browser: Browser, push: str) -> dict[str, str]:
    text = browser.get(f"/pushes/{push}/recipients.csv").data.decode("utf-8-sig")
    (line,) = csv.DictReader(io.StringIO(text, newline=""))
    return {name.partition(" (")[0]: value for name, value in line.items()}


def test_who_is_on_hold_is_on_hold_on_the_page_in_the_file_and_in_the_api(
    admin: Browser, program: Callable[..., Program], server: Server, send: Send
):
    push = _held(server, send)
    page = admin.get(f"/pushes/{push}").text
    assert "待发送" not in page.split('id="push-units"')[1].split('id="push-gate"')[0]
    assert "等人处理，最晚 今天 13:00，过时就不能再发。" in page
    line = _line(admin, push)
    assert (line["状态"], line["原因"]) == ("待处理", WHY)
    assert line["接下来"] == "等人处理，最晚 2026-11-23 13:00:00，过时就不能再发。"
    got = program("push:read")("GET", f"/pushes/{push}/units").get_json()["items"][0]["targets"][0]
    assert (got["state"], got["reason"], got["waits_for"]) == ("held", WHY, "person")
    assert got["until"] == "2026-11-23T05:00:00+00:00"
    told = program("push:read")("GET", f"/pushes/{push}").get_json()
    assert told["targets"] == {"held": 1}


def test_the_counts_on_the_page_name_what_is_on_hold(admin: Browser, server: Server, send: Send):
    push = _held(server, send)
    states = admin.get(f"/pushes/{push}").text.split('class="state-list')[1].split("</ul>")[0]
    assert "待发送" not in states


def test_who_is_in_doubt_is_told_when_that_counts_as_sent(admin: Browser, server: Server, send: Send):
    push = send("一群", push="running", unit="unknown", target="unknown")
    with server.database.write() as session:
        at = server.clock.now()
        session.execute(update(Unit).where(Unit.push_id == push.row).values(counted_at=at))
    assert "到 2026-11-26 08:00:00 还没人处理，就按已发送计" in "".join(_line(admin, push.id).values())
    assert "到 11-26 08:00 还没人处理，就按已发送计" in admin.get(f"/pushes/{push.id}").text
    assert "counts as sent from 11-26 08:00 on" in admin.get(f"/pushes/{push.id}?lang=en").text


def test_who_is_looked_up_at_the_channel_waits_for_nobody_here(
    admin: Browser, program: Callable[..., Program], server: Server, send: Send
):
    push = send("一群", push="running", unit="unknown", target="unknown")
    with server.database.write() as session:
        at = server.clock.now() + timedelta(minutes=10)
        session.execute(update(Unit).where(Unit.push_id == push.row).values(look_at=at))
    assert _line(admin, push.id)["状态"] == "正在核实"
    got = program("push:read")("GET", f"/pushes/{push.id}/units").get_json()["items"][0]["targets"][0]
    assert (got["state"], got["waits_for"], got["until"]) == (
        "checking",
        "channel",
        "2026-11-23T00:10:00+00:00",
    )
