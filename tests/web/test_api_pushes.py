"""Pushes over the API: stop them, go on, decide a doubt; and who may."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import update
from tests.web.conftest import Program, Send

from lanmu.delivery.models import Push
from lanmu.server import Server


def test_a_cancel_answers_its_numbers_and_is_audited(
    program: Callable[..., Program], server: Server, send: Send
):
    ask = program("push:write")
    push = send("a", "b")
    answer = ask("POST", f"/pushes/{push.id}/cancel")
    assert (answer.status_code, answer.json) == (200, {"stopped": 2, "out": 0, "unclear": 0})
    line = server.audit.latest(1)[0]
    assert (line.action, line.object, line.permission) == ("push.cancel", push.id, "push.cancel")
    assert ask("POST", f"/pushes/{push.id}/cancel").status_code == 409


def test_a_cancel_repeated_with_its_key_gets_the_same_answer(program: Callable[..., Program], send: Send):
    ask = program("push:write")
    push = send("a")
    first = ask("POST", f"/pushes/{push.id}/cancel", **{"Idempotency-Key": "k1"})
    again = ask("POST", f"/pushes/{push.id}/cancel", **{"Idempotency-Key": "k1"})
    assert first.json == again.json == {"stopped": 1, "out": 0, "unclear": 0}


def test_a_push_is_paused_and_resumed(program: Callable[..., Program], send: Send):
    ask = program("push:write")
    push = send("a")
    assert ask("POST", f"/pushes/{push.id}/pause").get_json()["state"] == "paused"
    assert ask("POST", f"/pushes/{push.id}/resume", {}).get_json()["state"] == "running"
    assert ask("POST", f"/pushes/{push.id}/resume", {}).status_code == 409


def test_what_is_late_goes_on_only_where_the_program_says_so(
    program: Callable[..., Program], server: Server, send: Send
):
    ask = program("push:write")
    push = send("a")
    ask("POST", f"/pushes/{push.id}/pause")
    with server.database.write() as session:
        late = server.clock.now() - timedelta(hours=1)
        session.execute(update(Push).where(Push.id == push.row).values(due_at=late))
    assert ask("GET", f"/pushes/{push.id}").get_json()["late"] is True
    assert ask("POST", f"/pushes/{push.id}/resume", {}).status_code == 409
    assert ask("POST", f"/pushes/{push.id}/resume", {"although_late": True}).get_json()["state"] == "running"


def test_a_doubt_is_decided_but_no_program_sends_again(
    program: Callable[..., Program], server: Server, send: Send
):
    ask = program()
    push = send("a", push="running", unit="unknown", target="unknown")
    assert ask("GET", f"/pushes/{push.id}").get_json()["doubts"] == 1
    assert [
        unit["state"] for unit in ask("GET", f"/pushes/{push.id}/units?state=unknown").get_json()["items"]
    ] == ["unknown"]
    assert ask("GET", f"/pushes/{push.id}/units?state=held").get_json()["items"] == []
    assert ask("GET", f"/pushes/{push.id}/units?state=nonsense").status_code == 422
    assert ask("POST", f"/pushes/{push.id}/units/1/decide", {"answer": "again"}).status_code == 422
    decided = ask("POST", f"/pushes/{push.id}/units/1/decide", {"answer": "sent", "why": "seen"})
    assert (decided.status_code, decided.get_json()["doubts"]) == (200, 0)
    line = server.audit.latest(1)[0]
    assert (line.action, line.detail) == ("push.decide", {"answer": "sent", "why": "seen"})


def test_reading_is_not_stopping(program: Callable[..., Program], send: Send):
    push = send("a")
    assert program("push:read")("POST", f"/pushes/{push.id}/cancel").status_code == 403
