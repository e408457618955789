"""Faulty requests to the API are answered with every fault, named by its path, in the reader's language."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from lanmu.server import Server

Post = Callable[..., Any]


@pytest.fixture
def post(app: Flask, server: Server) -> Post:
    token = server.tokens.create("admin", "test", ["points:earn", "community:read"], 1)

    def send(body: Any, path: str = "/api/v1/events", language: str = "en") -> Any:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = body if isinstance(body, str) else None
        json = None if data is not None else body
        return app.test_client().post(f"{path}?lang={language}", headers=headers, json=json, data=data)

    return send


def test_every_fault_is_named_by_its_field(post: Post) -> None:
    answer = post({"kind": "dance", "amount_cents": "x", "amuont": 1})
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    told = {each["place"]: f"{each['fault']} {each['way_out']}".strip() for each in answer.json["errors"]}
    assert told == {
        "kind": "must be one of: check_in, message, purchase.",
        "amount_cents": "is not a whole number.",
        "amuont": told["amuont"],
    }
    assert told["amuont"].startswith("is not known here. Known here: kind, member,")
    assert answer.json["title"] == f"{answer.json['errors'][0]['place']}: {answer.json['errors'][0]['fault']}"


def test_faults_are_told_in_chinese_to_who_reads_chinese(post: Post) -> None:
    answer = post({"kind": "check_in", "amount_cents": "x"}, language="zh-CN")
    assert answer.json["errors"] == [{"place": "amount_cents", "fault": "不是整数。", "way_out": ""}]
    assert answer.json["detail"] == "amount_cents: 不是整数。"


def test_a_schemas_own_fault_is_told_too(post: Post) -> None:
    answer = post({"kind": "message", "member": "mem_x"})
    assert [each["place"] for each in answer.json["errors"]] == ["message"]


def test_a_body_that_is_not_json_is_named(post: Post) -> None:
    answer = post('{"kind":')
    assert answer.status_code == 400
    assert answer.json["errors"] == [{"place": "body", "fault": "is not valid JSON.", "way_out": ""}]


def test_a_body_of_the_wrong_kind_is_named(post: Post) -> None:
    answer = post([1])
    assert answer.json["errors"][0]["place"] == "body"


def test_a_faulty_query_is_named_by_its_parameter(app: Flask, server: Server) -> None:
    token = server.tokens.create("admin", "test", ["push:read"], 1)
    headers = {"Authorization": f"Bearer {token}"}
    answer: Any = app.test_client().get("/api/v1/pushes?limit=9999&lang=en", headers=headers)
    assert answer.status_code == 422
    assert [(each["place"], each["fault"]) for each in answer.json["errors"] if each["place"] == "limit"] == [
        ("limit", "must be between 1 and 200.")
    ]
