"""What is sent twice happens once: keys of requests, keys of events, and amounts that are amounts."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any

import pytest
from tests.serving import served
from tests.web.conftest import Program

from lanmu import config
from lanmu.audience.views import IdentityKey, MemberDraft
from lanmu.server import Server
from lanmu.staff.tokens import TokenService
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock
from lanmu.web.app import create_app

MEMBER = {"name": "乐乐妈妈", "identities": [{"provider": "wecom", "user": "wm1"}]}


def test_the_same_key_and_body_make_one_object_and_one_answer(
    program: Callable[..., Program], server: Server
):
    call = program()
    first = call("POST", "/members", MEMBER, **{"Idempotency-Key": "k1"})
    again = call("POST", "/members", MEMBER, **{"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.get_json() == again.get_json()
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(server.audience.members.page()[0]) == 1


def test_the_same_key_with_another_body_is_refused(program: Callable[..., Program], server: Server):
    call = program()
    call("POST", "/members", MEMBER, **{"Idempotency-Key": "k1"})
    other = call("POST", "/members", {"name": "别人"}, **{"Idempotency-Key": "k1"})
    assert (other.status_code, other.get_json()["errors"][0]["place"]) == (422, "Idempotency-Key")
    assert len(server.audience.members.page()[0]) == 1


def test_a_key_belongs_to_its_caller_and_its_route(program: Callable[..., Program], server: Server):
    one, other = program(), program(owner="admin")
    other_name = Program(other.client, server.tokens.create("admin", "till", ["member:write"]))
    assert one("POST", "/members", {"name": "甲"}, **{"Idempotency-Key": "k"}).status_code == 201
    answer = other_name("POST", "/members", {"name": "乙"}, **{"Idempotency-Key": "k"})
    assert (answer.status_code, answer.get_json()["name"]) == (201, "乙")


def test_a_refused_request_does_not_use_its_key_up(program: Callable[..., Program]):
    call = program()
    assert call("POST", "/members", {"name": ""}, **{"Idempotency-Key": "k1"}).status_code == 422
    assert call("POST", "/members", MEMBER, **{"Idempotency-Key": "k1"}).status_code == 201


@pytest.mark.parametrize("key", ["x" * 300, "", "k\u00e9", "a\tb"], ids=["long", "empty", "accent", "tab"])
def test_a_key_that_is_none_is_refused(program: Callable[..., Program], server: Server, key: str):
    answer = program()("POST", "/members", MEMBER, **{"Idempotency-Key": key})
    assert (answer.status_code, answer.get_json()["errors"][0]["place"]) == (422, "Idempotency-Key")
    assert server.audience.members.page()[0] == []


def test_a_purchase_told_twice_earns_once_whatever_the_key_of_the_request(
    program: Callable[..., Program],
    server: Server,
):
    call = program()
    call("POST", "/members", MEMBER)
    event = {
        "kind": "purchase", "provider": "wecom", "user": "wm1", "shop": "taobao", "order": "1001",
        "amount_cents": 19_900,
    }  # fmt: skip
    first = call("POST", "/events", event).get_json()
    again = call("POST", "/events", event, **{"Idempotency-Key": "another"}).get_json()
    assert first["earned"] == first["balance"] > 0
    assert (again["earned"], again["balance"], again["replayed"]) == (0, first["balance"], True)
    lines = server.ledger.statement(server.audience.members.page()[0][0].id)
    assert len(lines) == 1


@pytest.mark.parametrize(
    "amount",
    [b"-1", b"1.5", b"1e308", b'"12"', b"null", b"NaN", b"Infinity", b"true", b"10000000001", b"[1]"],
)
def test_an_amount_that_is_no_amount_is_refused(
    program: Callable[..., Program], server: Server, amount: bytes
):
    call = program()
    call("POST", "/members", MEMBER)
    body = (
        b'{"kind":"purchase","provider":"wecom","user":"wm1","shop":"s","order":"1","amount_cents":'
        + amount
        + b"}"
    )
    answer = call.raw("/events", body)
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json"), answer.text
    assert server.ledger.balance(server.audience.members.page()[0][0].id) == 0


@pytest.mark.parametrize(
    "named",
    [
        {"kind": "purchase", "shop": "旗舰店", "order": "订单1001", "amount_cents": 1000},
        {"kind": "purchase", "shop": "门" * 60, "order": "单" * 100, "amount_cents": 1000},
        {"kind": "purchase", "shop": "a", "order": "1\n2", "amount_cents": 1000},
        {"kind": "message", "message": "消息1"},
        {"kind": "message", "message": "m" * 128},
    ],
)
def test_what_is_named_in_any_script_earns_once(
    program: Callable[..., Program], server: Server, named: dict[str, Any]
):
    call = program()
    call("POST", "/members", MEMBER)
    event = {"provider": "wecom", "user": "wm1", **named}
    first, again = (call("POST", "/events", event).get_json() for _time in range(2))
    assert (first["earned"], again["earned"], again["replayed"]) == (10, 0, True)
    assert len(server.ledger.statement(server.audience.members.page()[0][0].id)) == 1


def test_two_orders_are_two_wherever_their_colons_stand(program: Callable[..., Program]):
    call = program()
    call("POST", "/members", MEMBER)
    event = {"kind": "purchase", "provider": "wecom", "user": "wm1", "amount_cents": 1000}
    for shop, order in (("a:b", "c"), ("a", "b:c")):
        answer = call("POST", "/events", {**event, "shop": shop, "order": order})
        assert (answer.status_code, answer.get_json()["earned"]) == (200, 10)


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "1999-12-31T23:00:00Z"]
)
@pytest.mark.parametrize("kind", ["message", "check_in"])
def test_an_event_of_no_time_of_ours_is_refused_and_not_kept(
    program: Callable[..., Program], server: Server, kind: str, at: str
):
    call = program()
    call("POST", "/members", MEMBER)
    event = {"kind": kind, "provider": "wecom", "user": "wm1", "message": "1"}
    answer = call("POST", "/events", {**event, "at": at})
    assert (answer.status_code, answer.get_json()["errors"][0]["place"]) == (422, "at")
    assert call("POST", "/events", event).get_json()["replayed"] is False


def test_an_event_may_come_in_late_and_from_a_clock_that_is_ahead(
    program: Callable[..., Program], clock: FakeClock
):
    call = program()
    call("POST", "/members", MEMBER)
    event = {"kind": "check_in", "provider": "wecom", "user": "wm1"}
    for days, status in ((-40, 200), (1, 200), (2, 422)):
        at = (clock.now() + timedelta(days=days)).isoformat()
        assert call("POST", "/events", {**event, "at": at}).status_code == status


def test_an_order_that_came_back_gives_its_points_back_once(program: Callable[..., Program], server: Server):
    call = program()
    call("POST", "/members", MEMBER)
    (member,) = server.audience.members.page()[0]
    named = {"shop": "旗舰店", "order": "1001"}
    bought = {"kind": "purchase", "provider": "wecom", "user": "wm1", "amount_cents": 19_900, **named}
    call("POST", "/events", bought)
    server.ledger.redeem(member.id, server.ledger.shelf.create("杯子", 150).id, "k")
    for _time in range(2):
        answer = call("POST", "/events/returns", named)
        assert answer.status_code == 200
        assert answer.get_json() == {"member": member.id, "taken": 199, "balance": 0, "owed": 150}
    assert call("POST", "/events", bought).get_json()["earned"] == 0
    call("POST", "/events", {**bought, "order": "1002"})
    assert server.ledger.balance(member.id) == 49
    assert [line.amount for line in server.ledger.statement(member.id)] == [199, -199, -150, 199]
    assert "event.return" in {line.action for line in server.audit.latest()}


def test_an_order_that_earned_nothing_gives_nothing_back(program: Callable[..., Program]):
    answer = program()("POST", "/events/returns", {"shop": "taobao", "order": "77"})
    assert (answer.status_code, answer.get_json()["errors"][0]["place"]) == (404, "key")
    assert program()("POST", "/events/returns", {"shop": "taobao"}).status_code == 422


def test_points_are_taken_back_by_those_alone_who_may_give_them(program: Callable[..., Program]):
    named = {"shop": "taobao", "order": "77"}
    assert program("points:read")("POST", "/events/returns", named).status_code == 403


def test_a_coupon_is_used_once_over_the_api_and_stands_in_the_log(
    program: Callable[..., Program], server: Server
):
    member = server.audience.members.create(MemberDraft("乐乐妈妈")).id
    server.ledger.adjust(member, 100, "k", reason="开业礼", actor="admin")
    code = {"code": server.ledger.redeem(member, server.ledger.shelf.create("杯子", 10).id, "k").code}
    call = program("coupon:redeem")
    assert program("member:read")("POST", "/coupons/use", code).status_code == 403
    first, again = (call("POST", "/coupons/use", code, **{"Idempotency-Key": "till-1"}) for _time in range(2))
    assert (first.status_code, first.get_json()["state"]) == (200, "redeemed")
    assert (again.status_code, again.get_json()) == (200, first.get_json())
    assert call("POST", "/coupons/use", code).status_code == 422
    assert [line.object for line in server.audit.latest() if line.action == "coupon.use"] == [
        first.get_json()["id"]
    ]


def test_an_event_of_nobody_is_told_so(program: Callable[..., Program]):
    event = {"kind": "check_in", "provider": "wecom", "user": "nobody"}
    assert program()("POST", "/events", event).status_code == 404
    assert program()("POST", "/events", {"kind": "check_in"}).status_code == 422


def _post(port: int, token: str, body: dict[str, Any], key: str) -> tuple[int, dict[str, Any]]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": key}
    connection.request("POST", "/api/v1/members", json.dumps(body).encode(), headers)
    answer = connection.getresponse()
    read = json.loads(answer.read())
    connection.close()
    return answer.status, read


def test_twenty_posts_at_once_with_one_key_make_one_member(database: Database, clock: FakeClock, tmp_path):
    raw = {
        "server": {"data_dir": str(tmp_path)},
        "database": {"url": database.url.render_as_string(hide_password=False).replace("+psycopg", "")},
    }
    server = Server(config.parse(raw, None, {}), clock)
    server.staff.create("admin", "Admin", "a password for testing alone", ["admin"])
    token = TokenService(database, clock).create("admin", "erp", ["member:write"])
    answers: list[tuple[int, dict[str, Any]]] = []
    together = threading.Barrier(20)

    def send(port: int) -> None:
        together.wait()
        answers.append(_post(port, token, MEMBER, "k1"))

    with served(create_app(server)) as port:
        threads = [threading.Thread(target=send, args=(port,)) for _index in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        last = _post(port, token, MEMBER, "k1")
    made = {answer["id"] for status, answer in answers if status == 201}
    assert len(answers) == 20
    assert {status for status, _answer in answers} <= {201, 409}
    assert len(made) == 1
    assert last == (201, next(answer for status, answer in answers if status == 201))
    assert len(server.audience.members.page()[0]) == 1
    server.close()


def test_an_identity_belongs_to_one_member(server: Server, program: Callable[..., Program]):
    server.audience.members.create(MemberDraft("甲", (IdentityKey("wecom", "wm1"),)))
    assert program()("POST", "/members", MEMBER).status_code == 409
