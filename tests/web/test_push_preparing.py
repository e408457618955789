"""A large push whose recipients are still being put into batches says so where it is shown."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.web.conftest import CHANNEL, Browser, Program

from lanmu.delivery import expansion
from lanmu.delivery.intake import PushRequest, Recipient, text_hash
from lanmu.delivery.service import PushFilter
from lanmu.delivery.views import PushView
from lanmu.server import Server


@pytest.fixture
def ask(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PushView]:
    """Asks for a push that is large here, and leaves it as it then stands."""
    monkeypatch.setattr(expansion, "AT_ONCE", 2)
    now = server.clock.now()

    def asked(*names: str) -> PushView:
        with server.database.write() as session:
            server.delivery.request(
                session,
                PushRequest(
                    source_key="test:large",
                    title="周五福利",
                    channel=CHANNEL,
                    revision_id=None,
                    material_id=None,
                    content_hash=text_hash("福利"),
                    body="福利",
                    due_at=now + timedelta(hours=2),
                    zone="Asia/Shanghai",
                    recipients=[Recipient(name, name, "admin") for name in names],
                    approved_by="admin",
                    approved_at=now,
                    created_by="早安",
                ),
            )
        return server.delivery.pushes(PushFilter())[0]

    return asked


def test_a_push_that_is_being_prepared_says_so_and_how_far_it_is(
    admin: Browser, server: Server, ask: Callable[..., PushView]
):
    push = ask("一群", "二群", "三群")
    page = admin.get(f"/pushes/{push.id}").text
    assert "还有 3 个接收对象在分批准备" in page
    assert 'hx-trigger="every 2s"' in page, "it is over in seconds, and the page says so by itself"
    assert f"/pushes/{push.id}/edit" not in page
    assert f"/pushes/{push.id}/pause" in page
    assert "准备中" in admin.get("/pushes").text
    server.delivery.expand()
    ready = admin.get(f"/pushes/{push.id}").text
    assert "在分批准备" not in ready
    assert "准备中" not in admin.get("/pushes").text


def _lines(browser: Browser, push: PushView) -> list[dict[str, str]]:
    text = browser.get(f"/pushes/{push.id}/recipients.csv").data.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_list_of_a_push_that_is_being_prepared_is_whole_and_says_who_is_in_no_batch_yet(
    admin: Browser, server: Server, ask: Callable[..., PushView]
):
    push = ask("一群", "二群", "三群")
    lines = _lines(admin, push)
    assert [line["接收对象"] for line in lines] == ["一群", "二群", "三群"]
    assert {line["状态"] for line in lines} == {"准备中"}
    assert "分批准备" in lines[0]["原因"]
    server.delivery.expand()
    assert {line["状态"] for line in _lines(admin, push)} == {"待发送"}


def test_a_program_is_told_how_many_recipients_are_in_no_unit_yet(
    program: Callable[..., Program], server: Server, ask: Callable[..., PushView]
):
    push, get = ask("一群", "二群", "三群"), program("push:read")
    units = get("GET", f"/pushes/{push.id}/units").get_json()
    assert (units["items"], units["next_after"], units["preparing"]) == ([], 0, 3)
    told = get("GET", f"/pushes/{push.id}").get_json()
    assert (told["preparing"], told["targets"], told["planned"]) == (3, {"expanding": 3}, 3)
    server.delivery.expand()
    units = get("GET", f"/pushes/{push.id}/units").get_json()
    assert [len(unit["targets"]) for unit in units["items"]] == [3]
    assert units["preparing"] == 0
