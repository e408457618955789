"""The API as a program meets it: its document, its tokens, its pages, and what it answers to bad requests."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator
from sqlalchemy import update
from tests.web.conftest import Browser, Program
from werkzeug.test import TestResponse

from lanmu.interfaces.access import PUBLIC
from lanmu.server import Server
from lanmu.staff.models import Staff
from lanmu.staff.roles import EVERY_PERMISSION, SCOPES
from lanmu.staff.tokens import REMEMBERED_SECONDS
from lanmu.testing.clock import FakeClock
from lanmu.web import guard
from lanmu.web.api import document

MATERIAL = {
    "title": "周末亲子", "body": "周末去哪儿？", "content_class": "brand", "kind": "values",
    "zone": "knowledge", "genre": "guide", "topic": "亲子", "form": "text", "month": "202611",
    "owner": "林晓", "tags": ["亲子"],
}  # fmt: skip


def _timed(ask: Callable[[], TestResponse]) -> tuple[TestResponse, float]:
    """An answer, and the CPU seconds it took: the least of three, since other threads count too."""
    spent = []
    for _try in range(3):
        began = time.process_time()
        answer = ask()
        spent.append(time.process_time() - began)
    return answer, min(spent)


def _problem(answer: TestResponse, status: int) -> dict[str, Any]:
    """The Problem Details of a refusal, whole."""
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json"), answer.text
    told: dict[str, Any] = answer.get_json()
    assert set(told) == {"type", "title", "status", "detail", "errors", "instance", "request_id"}
    assert told["status"] == status
    assert told["title"]
    assert told["request_id"] == answer.headers["X-Request-Id"]
    return told


def test_the_document_is_valid_and_every_operation_says_who_may_call_it(app: Flask):
    described = document(app)
    OpenAPIV31SpecValidator(described).validate()
    operations = [
        (path, method, operation)
        for path, item in described["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]
    assert len(operations) >= 14
    for path, method, operation in operations:
        assert operation["security"] == [{"bearer": []}], (method, path)
        assert operation["x-permission"] in EVERY_PERMISSION, (method, path)
        assert operation["x-scopes"], (method, path)
        for scope in operation["x-scopes"]:
            assert operation["x-permission"] in SCOPES[scope]
        assert operation["summary"], (method, path)
    named = {path for path, _method, _operation in operations}
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/v1/"):
            assert rule.rule.replace("<int:", "<").replace("<", "{").replace(">", "}") in named


def test_the_document_names_the_permission_that_the_guard_asks_for(app: Flask):
    described = document(app)
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/api/v1/"):
            continue
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            operation = described["paths"][
                rule.rule.replace("<int:", "<").replace("<", "{").replace(">", "}")
            ][method.lower()]
            assert operation["x-permission"] == guard.permission_of(app, rule.endpoint, method) != PUBLIC


def test_a_material_is_written_read_edited_and_handed_in(program: Callable[..., Program]):
    call = program("content:write")
    made = call("POST", "/materials", MATERIAL)
    assert made.status_code == 201
    material = made.get_json()
    assert (material["state"], material["tags"], material["body"]) == ("draft", ["亲子"], "周末去哪儿？")
    path = f"/materials/{material['id']}"
    assert call("GET", path).get_json() == material
    edited = call("PUT", path, {**MATERIAL, "body": "周日去哪儿？", "lock": material["lock"]})
    assert (edited.status_code, edited.get_json()["revision"]) == (200, 2)
    late = _problem(call("PUT", path, {**MATERIAL, "body": "别的", "lock": material["lock"]}), 409)
    assert late["type"] == "about:blank#conflict"
    assert call("POST", f"{path}/submit").get_json()["state"] == "in_review"
    found = call("GET", "/materials?q=周日&content_class=brand").get_json()
    assert [row["id"] for row in found["items"]] == [material["id"]]


def test_a_token_does_what_its_scopes_say_and_no_more(program: Callable[..., Program], server: Server):
    reads = program("content:read")
    assert reads("GET", "/materials").status_code == 200
    _problem(reads("POST", "/materials", MATERIAL), 403)
    _problem(reads("GET", "/members"), 403)
    assert server.audit.latest()[0].actor == "admin/erp"
    assert server.library.materials.count() == 0


def test_a_token_does_no_more_than_its_owner_may_since_a_second(
    program: Callable[..., Program], server: Server, clock: FakeClock
):
    call = program("content:write", owner="writer")
    second = timedelta(seconds=REMEMBERED_SECONDS)
    assert call("POST", "/materials", MATERIAL).status_code == 201
    with server.database.write() as session:
        session.execute(update(Staff).where(Staff.username == "writer").values(roles=["reviewer"]))
    clock.advance(second)
    assert call("GET", "/materials").status_code == 200
    _problem(call("POST", "/materials", MATERIAL), 403)
    with server.database.write() as session:
        session.execute(update(Staff).where(Staff.username == "writer").values(active=False))
    clock.advance(second)
    _problem(call("GET", "/materials"), 401)


def test_a_token_dies_at_its_time_and_when_it_is_revoked(
    program: Callable[..., Program], server: Server, clock: FakeClock
):
    short, revoked = program("content:read", days=1), program("content:read")
    assert revoked("GET", "/materials").status_code == 200
    server.tokens.revoke(revoked.token.split("_")[1])
    _problem(revoked("GET", "/materials"), 401)
    clock.advance(timedelta(hours=23, minutes=59))
    assert short("GET", "/materials").status_code == 200
    clock.advance(timedelta(minutes=1))
    _problem(short("GET", "/materials"), 401)


def test_a_token_that_is_altered_anywhere_is_nobodys(program: Callable[..., Program]):
    call = program("content:read")
    whole = call.token
    for altered in (
        whole[:-1],
        whole + "a",
        whole.swapcase(),
        "lanmu_",
        "",
        "Bearer",
        whole.replace("lanmu", "lanmo"),
    ):
        call.token = altered
        _problem(call("GET", "/materials"), 401)


def test_a_token_in_the_address_is_refused_and_revoked(program: Callable[..., Program], server: Server):
    call = program("content:read")
    fresh = call.client.application.test_client()
    for query in (f"?token={call.token}", f"?x=1&access={call.token.replace('_', '%5F')}"):
        _problem(fresh.get(f"/api/v1/materials{query}"), 403)
    _problem(call("GET", "/materials"), 401)
    assert any(line.action == "token.revoke" for line in server.audit.latest())


def test_a_guessed_token_in_the_address_revokes_nobodys(program: Callable[..., Program]):
    call = program("content:read")
    public = call.token.split("_")[1]
    call.client.get(f"/api/v1/materials?token=lanmu_{public}_guessed")
    assert call("GET", "/materials").status_code == 200


def test_a_token_opens_the_api_and_no_page(program: Callable[..., Program]):
    call = program()
    bearer = {"Authorization": f"Bearer {call.token}"}
    for path in ("/materials", "/points", "/settings/audit"):
        assert call.client.get(path, headers=bearer).status_code == 302, path
    form = {"member": "mem_x", "amount": "1000000", "reason": "x", "key": "k"}
    assert call.client.post("/points/adjust", data=form, headers=bearer).status_code == 302


def test_the_console_may_ask_the_api_with_its_cookie_but_writes_only_with_its_token(admin: Browser):
    assert admin.client.get("/api/v1/materials").status_code == 200
    _problem(admin.client.post("/api/v1/materials", json=MATERIAL), 403)
    admin.get("/materials")
    made = admin.client.post("/api/v1/materials", json=MATERIAL, headers={"X-CSRF-Token": admin.token})
    assert made.status_code == 201


def test_unknown_fields_are_refused_by_name(program: Callable[..., Program], server: Server):
    call = program()
    for field in ("id", "state", "approved_by", "role", "balance", "weight", "lock"):
        told = _problem(call("POST", "/materials", {**MATERIAL, field: "x"}), 422)
        assert any(field in error["place"] for error in told["errors"]), told
    assert server.library.materials.count() == 0
    _problem(call("GET", "/materials?sort=password_hash"), 422)
    assert call("GET", "/materials?lang=en").status_code == 200
    _problem(call("POST", "/members", {"name": "乐乐妈妈", "balance": 10_000}), 422)


def test_each_kind_of_bad_request_has_its_status(program: Callable[..., Program]):
    call = program()
    _problem(call.raw("/materials", b"{"), 400)
    _problem(call.raw("/materials", b'{"title": "\xff\xfe"}'), 400)
    _problem(call.raw("/materials", json.dumps(MATERIAL).encode(), "text/plain"), 415)
    _problem(call.raw("/materials", json.dumps(MATERIAL).encode(), "application/x-www-form-urlencoded"), 415)
    _problem(call("GET", "/materials/mat_x"), 404)
    _problem(call("DELETE", "/materials"), 405)
    _problem(call("POST", "/materials", {**MATERIAL, "title": ""}), 422)
    _problem(call("POST", "/materials", [MATERIAL]), 422)
    _problem(call("POST", "/materials"), 422)


def test_a_crash_is_told_by_its_number_alone(
    program: Callable[..., Program], server: Server, monkeypatch: pytest.MonkeyPatch
):
    def burst(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("secret of the inside: /srv/lanmu.db")

    call = program()
    monkeypatch.setattr(server.library.materials, "get", burst)
    answer = call("GET", "/materials/mat_x")
    told = _problem(answer, 500)
    assert told["request_id"] in told["detail"]
    assert "inside" not in answer.text
    assert "Traceback" not in answer.text
    monkeypatch.undo()
    assert call("GET", "/materials").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"title":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b'{"title": "a", "title": "b"}',
        b'{"licence": {"source": "a", "source": "b"}}',
        b'{"title": "' + b"x" * 1_100_000 + b'"}',
        b'{"title": NaN}',
        b'{"title": "half \\ud800 pair"}',
        b'{"title": "nul \\u0000"}',
        b'{"\\u0000": "nul"}',
    ],
    ids=["lists", "objects", "twice", "twice-inside", "megabyte", "nan", "surrogate", "nul", "nul-key"],
)
def test_json_that_is_no_honest_json_is_refused_at_once(program: Callable[..., Program], body: bytes):
    call = program()
    answer, spent = _timed(lambda: call.raw("/materials", body))
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.mimetype == "application/problem+json"
    honest = json.dumps({"title": ["x" * 50] * 18_000}).encode()  # as large as a request may be
    _refused, usual = _timed(lambda: call.raw("/materials", honest))
    assert spent < usual
    assert call("GET", "/materials").status_code == 200


def test_words_with_marks_of_direction_are_kept_and_break_nothing(
    program: Callable[..., Program], admin: Browser
):
    call = program()
    title = "促销\u202e1202\u202c <script>alert(1)</script>"
    assert call("POST", "/materials", {**MATERIAL, "title": title}).status_code == 201
    assert "<script>alert" not in admin.get("/materials").text


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE material; --", '" OR 1=1', "%", "_", "\\", "*)", "AND OR NOT", "。"]
)
def test_a_search_takes_any_sign_as_text(program: Callable[..., Program], text: str):
    call = program()
    call("POST", "/materials", MATERIAL)
    for name in ("q", "owner", "tag", "content_class", "month"):
        answer = call.client.get(
            "/api/v1/materials", query_string={name: text}, headers={"Authorization": f"Bearer {call.token}"}
        )
        assert answer.status_code in (200, 422), answer.text
        assert answer.status_code == 422 or answer.get_json()["items"] == [] or name == "q"


def _walk(call: Program, path: str, limit: int) -> list[str]:
    seen: list[str] = []
    cursor = ""
    while True:
        page = call.client.get(
            f"/api/v1{path}",
            query_string={"limit": limit, "cursor": cursor},
            headers={"Authorization": f"Bearer {call.token}"},
        ).get_json()
        assert len(page["items"]) <= limit
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            return seen


def test_pages_walk_over_everything_once(program: Callable[..., Program]):
    call = program()
    for number in range(11):
        call("POST", "/materials", {**MATERIAL, "title": f"素材{number}"})
        call("POST", "/members", {"name": f"会员{number}"})
    for path in ("/materials", "/members"):
        whole = _walk(call, path, 200)
        assert len(set(whole)) == len(whole) == 11
        for limit in (1, 4, 10, 11):
            assert _walk(call, path, limit) == whole


def test_forged_cursors_and_limits_out_of_bounds_are_refused(program: Callable[..., Program]):
    call = program()
    call("POST", "/materials", MATERIAL)
    call("POST", "/members", {"name": "乐乐妈妈"})
    for path in ("/materials", "/members", "/pushes"):
        for cursor in ("forged", "~", "2026-11-23T00:00:00+00:00~psh_x", "MTIz", "-1", "'", "%00", "9" * 300):
            answer = call("GET", f"{path}?cursor={cursor}")
            assert answer.status_code in (404, 422), (path, cursor, answer.text)
        for limit in ("0", "-1", "201", "1000000000", "ten", "1.5"):
            _problem(call("GET", f"{path}?limit={limit}"), 422)
