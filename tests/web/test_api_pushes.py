"""Pushes over the API: stop them, go on, decide a doubt; and who may."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update
from tests.web.conftest import Program, Send

from lanmu.delivery.models import Push, Unit
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


def test_a_doubt_is_decided_and_sending_again_is_an_address_of_its_own(
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


WHY = {"why": "looked into the group: it is not there"}


def test_a_unit_in_doubt_is_sent_once_more_by_who_may_with_a_reason_that_is_kept(
    program: Callable[..., Program], server: Server, send: Send
):
    ask = program("push:force")
    push = send("a", push="running", unit="unknown", target="unknown")
    again = f"/pushes/{push.id}/units/1/again"
    assert ask("POST", again, {}).status_code == 422
    assert ask("POST", again, {"why": "    "}).status_code == 422
    assert server.delivery.units(push.id)[0].state == "unknown"
    first = ask("POST", again, WHY, **{"Idempotency-Key": "k"})
    assert (first.status_code, first.get_json()["units"]) == (200, {"pending": 1})
    assert ask("POST", again, WHY, **{"Idempotency-Key": "k"}).get_json() == first.get_json()
    assert ask("POST", again, WHY).status_code == 409, "it is not in doubt any more"
    lines = [line for line in server.audit.latest(5) if line.action == "push.again"]
    assert [(line.object, line.permission, line.detail) for line in lines] == [
        (f"{push.id}/1", "push.force", WHY)
    ]


def test_a_unit_that_is_looked_up_at_its_channel_is_not_sent_again_yet(
    program: Callable[..., Program], server: Server, send: Send
):
    push = send("a", push="running", unit="unknown", target="unknown")
    with server.database.write() as session:
        at = server.clock.now() + timedelta(minutes=10)
        session.execute(update(Unit).where(Unit.push_id == push.row).values(look_at=at))
    answer = program("push:force")("POST", f"/pushes/{push.id}/units/1/again", WHY)
    assert (answer.status_code, answer.mimetype) == (409, "application/problem+json")


def test_what_is_on_hold_is_released_once_for_its_key(
    program: Callable[..., Program], server: Server, send: Send
):
    ask = program("push:force")
    push = send("a", push="running", unit="held")
    first = ask("POST", f"/pushes/{push.id}/release", {"why": "paid"}, **{"Idempotency-Key": "k"})
    assert (first.status_code, first.get_json()["units"]) == (200, {"pending": 1})
    again = ask("POST", f"/pushes/{push.id}/release", {"why": "paid"}, **{"Idempotency-Key": "k"})
    assert again.get_json() == first.get_json()
    assert ask("POST", f"/pushes/{push.id}/release", {}).status_code == 409, "nothing is on hold any more"
    lines = [line for line in server.audit.latest(5) if line.action == "push.release"]
    assert [(line.permission, line.detail) for line in lines] == [
        ("push.force", {"why": "paid", "although_late": False})
    ]


def test_a_push_that_is_held_late_is_released_only_where_the_program_says_so(
    program: Callable[..., Program], server: Server, send: Send
):
    ask = program("push:force")
    push = send("a", push="held")
    with server.database.write() as session:
        late = server.clock.now() - timedelta(hours=1)
        session.execute(update(Push).where(Push.id == push.row).values(due_at=late))
    assert ask("POST", f"/pushes/{push.id}/release", {}).status_code == 409
    released = ask("POST", f"/pushes/{push.id}/release", {"although_late": True})
    assert released.get_json()["state"] == "running"


@pytest.mark.parametrize(
    ("scopes", "owner"),
    [
        (["push:read"], "admin"),
        (["push:write"], "admin"),
        (["push:force"], "writer"),
        (["push:force"], "reader"),
        (["push:force"], "auditor"),
    ],
)
def test_who_may_not_force_neither_releases_nor_sends_again(
    program: Callable[..., Program], server: Server, send: Send, scopes: list[str], owner: str
):
    ask = program(*scopes, owner=owner)
    doubted = send("a", push="running", unit="unknown", target="unknown")
    held = send("b", push="running", unit="held")
    assert ask("POST", f"/pushes/{doubted.id}/units/1/again", WHY).status_code == 403
    assert ask("POST", f"/pushes/{held.id}/release", {}).status_code == 403
    assert server.delivery.units(doubted.id)[0].state == "unknown"
    assert server.delivery.units(held.id)[0].state == "held"


def test_who_may_force_alone_may_not_stop_or_decide_otherwise(program: Callable[..., Program], send: Send):
    ask = program("push:force")
    push = send("a", push="running", unit="unknown", target="unknown")
    for path, body in (("/pause", None), ("/cancel", None), ("/units/1/decide", {"answer": "sent"})):
        assert ask("POST", f"/pushes/{push.id}{path}", body).status_code == 403


def test_the_end_of_a_pause_releases_nothing_that_is_on_hold(
    program: Callable[..., Program], server: Server, send: Send
):
    ask = program("push:write")
    push = send("a", push="running", unit="held")
    ask("POST", f"/pushes/{push.id}/pause")
    assert ask("POST", f"/pushes/{push.id}/resume", {}).get_json()["units"] == {"held": 1}


def test_a_decision_repeated_with_its_key_gets_the_same_answer(
    program: Callable[..., Program], server: Server, send: Send
):
    ask = program("push:write")
    push = send("a", push="running", unit="unknown", target="unknown")
    answers = [
        ask("POST", f"/pushes/{push.id}/units/1/decide", {"answer": "give_up"}, **{"Idempotency-Key": "k"})
        for _time in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].get_json() == answers[1].get_json()
    assert [line.action for line in server.audit.latest(5)].count("push.decide") == 1
