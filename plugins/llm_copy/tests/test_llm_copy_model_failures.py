"""A server that misbehaves in every way seen in the wild, and a deadline that holds; all on loopback."""

import json
import time
from typing import Any

import pytest

from lanmu.interfaces.rewriting import Brief
from lanmu.testing.host import FakeHost
from lanmu_llm_copy.model import ModelFailed

KEY = "sk-canary-7f3d91"
TEXT = "{{ member.nickname }}，纸尿裤89元，11月30日20:00开抢，https://shop.example.cn/a?id=3"
BRIEF = Brief("polish", TEXT)
# What the model sees and should write: ⟦F1⟧ name, ⟦F2⟧ price, ⟦F3⟧ date, ⟦F4⟧ time, ⟦F5⟧ link.
GOOD = "⟦F1⟧，家里纸尿裤还够吗？⟦F2⟧一包，⟦F3⟧⟦F4⟧开抢：⟦F5⟧"
RESTORED = (
    "{{ member.nickname }}，家里纸尿裤还够吗？89元一包，11月30日20:00开抢：https://shop.example.cn/a?id=3"
)


# Failures: what is retried, what is not, and what a person reads


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        (
            401,
            {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"},
            "refused the key",
        ),
        (403, {"message": "region"}, "refused the key"),
        (402, {"message": "Insufficient Balance"}, "no credit"),
        (429, {"message": "You exceeded your current quota", "code": "insufficient_quota"}, "no credit"),
        (404, {"message": "model not found"}, "knows no model"),
    ],
)
def test_what_no_retry_can_mend_is_asked_once(
    server: Any, kit: Any, build: Any, status: int, error: dict[str, Any], told: str
) -> None:
    server.scenes = [kit.fails(status, error)]
    with pytest.raises(ModelFailed, match=told) as caught:
        build().propose(BRIEF)
    assert len(server.requests) == 1
    assert KEY not in repr(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_passing_trouble_is_tried_again_twice(server: Any, kit: Any, build: Any, status: int) -> None:
    server.scenes = [
        kit.fails(status, b"<html>bad gateway</html>"),
        kit.fails(status),
        kit.says(kit.variants(GOOD)),
    ]
    writer = build()
    assert writer.propose(BRIEF).proposals[0].usable
    assert len(server.requests) == 3
    assert len(writer.waits) == 2


def test_a_trouble_that_stays_is_told_after_three_calls(server: Any, kit: Any, build: Any) -> None:
    server.scenes = [kit.fails(500, {"message": "oops"})]
    with pytest.raises(ModelFailed, match="HTTP 500"):
        build().propose(BRIEF)
    assert len(server.requests) == 3


def test_retry_after_is_kept_where_time_allows(server: Any, kit: Any, build: Any) -> None:
    server.scenes = [
        kit.fails(429, {"message": "slow down"}, retry_after="2"),
        kit.fails(429, {"message": "slow down"}, retry_after_ms="300"),
        kit.says(kit.variants(GOOD)),
    ]
    writer = build()
    writer.propose(BRIEF)
    assert writer.waits == [2.0, 0.3]


@pytest.mark.parametrize("wish", ["300", "11"])
def test_a_wish_beyond_the_deadline_ends_the_job_and_tells_the_time(
    server: Any, kit: Any, build: Any, wish: str
) -> None:
    server.scenes = [kit.fails(429, {"message": "slow down"}, retry_after=wish)]
    with pytest.raises(ModelFailed, match=f"wait {wish} seconds"):
        build().propose(BRIEF)
    assert len(server.requests) == 1


@pytest.mark.parametrize("wish", ["soon", "Wed, 21 Oct 2026 07:28:00 GMT", "-4", ""])
def test_a_senseless_wish_is_ignored(server: Any, kit: Any, build: Any, wish: str) -> None:
    server.scenes = [kit.fails(429, {"message": "x"}, retry_after=wish), kit.says(kit.variants(GOOD))]
    writer = build()
    writer.propose(BRIEF)
    assert writer.waits == [0.5]


def test_nobody_listening_is_told(host: FakeHost, kit: Any, build: Any) -> None:
    with pytest.raises(ModelFailed, match=r"127\.0\.0\.1 cannot be reached"):
        build(base_url="http://127.0.0.1:9/v1").propose(BRIEF)


def test_a_web_page_with_status_200_points_at_base_url(server: Any, kit: Any, build: Any) -> None:
    server.scenes = [lambda handler, body: handler.answer(200, b"<html>login</html>", "text/html")]
    with pytest.raises(ModelFailed, match="ends with /v1"):
        build().propose(BRIEF)
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"", b"nonsense", b"{}", b'{"choices": []}', b"[1]", b'{"choices": [{}]}'])
def test_a_body_that_is_no_completion_is_told(server: Any, kit: Any, build: Any, body: bytes) -> None:
    server.scenes = [lambda handler, _body: handler.answer(200, body)]
    with pytest.raises(ModelFailed):
        build().propose(BRIEF)


def test_a_broken_line_in_the_stream_is_told(server: Any, kit: Any, build: Any) -> None:
    def scene(handler: Any, _body: Any) -> None:
        handler.begin_stream()
        handler.wfile.write(b"data: {broken\n\n")

    server.scenes = [scene]
    with pytest.raises(ModelFailed, match="no chat completion"):
        build().propose(BRIEF)


def test_an_error_inside_the_stream_is_told_without_the_key(server: Any, kit: Any, build: Any) -> None:
    def scene(handler: Any, _body: Any) -> None:
        handler.begin_stream()
        error = {"error": {"message": f"overloaded for {KEY}", "code": "x"}}
        handler.wfile.write(b"data: " + json.dumps(error).encode() + b"\n\n")

    server.scenes = [scene]
    with pytest.raises(ModelFailed, match="overloaded") as caught:
        build().propose(BRIEF)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("how", ["no_finish", "reset"])
def test_a_stream_that_breaks_off_is_tried_again(server: Any, kit: Any, build: Any, how: str) -> None:
    def cut(handler: Any, _body: Any) -> None:
        handler.begin_stream()
        handler.piece(kit.variants(GOOD)[:80])
        if how == "reset":
            handler.connection.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # close with RST

    server.scenes = [cut, kit.says(kit.variants(GOOD))]
    assert build().propose(BRIEF).proposals[0].usable
    assert len(server.requests) == 2


def test_an_empty_answer_is_tried_again(server: Any, kit: Any, build: Any) -> None:
    server.scenes = [kit.says(" "), kit.says(kit.variants(GOOD))]
    assert build().propose(BRIEF).proposals[0].usable


def test_a_filtered_answer_is_told(server: Any, kit: Any, build: Any) -> None:
    server.scenes = [kit.says("", finish="content_filter")]
    with pytest.raises(ModelFailed, match="content rules"):
        build().propose(BRIEF)


def test_an_answer_cut_at_its_length_gets_more_room_once(server: Any, kit: Any, build: Any) -> None:
    server.scenes = [kit.says("{", finish="length"), kit.says(kit.variants(GOOD))]
    assert build().propose(BRIEF).proposals[0].usable
    first, second = (request["max_tokens"] for request in server.requests)
    assert second == first * 3 // 2
    server.scenes = [kit.says("{", finish="length")]
    with pytest.raises(ModelFailed, match="length limit"):
        build().propose(BRIEF)


# Time and size


@pytest.mark.parametrize("kind", ["silent", "drip", "keep_alive", "head"])
def test_a_server_that_never_ends_is_left_at_the_deadline(
    server: Any, kit: Any, build: Any, kind: str
) -> None:
    def scene(handler: Any, _body: Any) -> None:
        if kind == "head":
            server.stopped.wait(8)
            return
        handler.begin_stream()
        while not server.stopped.wait(0.05):
            if kind == "drip":
                handler.piece("字")
            elif kind == "keep_alive":
                handler.wfile.write(b": keep-alive\n\n")
                handler.wfile.flush()

    server.scenes = [scene]
    start = time.monotonic()
    with pytest.raises(ModelFailed, match="did not finish within 1 seconds"):
        build(deadline_s=1.0).propose(BRIEF)
    assert 0.9 < time.monotonic() - start < 1.6
    assert len(server.requests) == 1


def test_two_megabytes_of_answer_are_cut_off(server: Any, kit: Any, build: Any) -> None:
    def scene(handler: Any, _body: Any) -> None:
        handler.begin_stream()
        for _n in range(2000):
            handler.piece("字" * 340)

    server.scenes = [scene]
    start = time.monotonic()
    with pytest.raises(ModelFailed, match="more than anybody asked for"):
        build().propose(BRIEF)
    assert time.monotonic() - start < 5


def test_two_megabytes_of_comments_are_cut_off_too(server: Any, kit: Any, build: Any) -> None:
    def scene(handler: Any, _body: Any) -> None:
        handler.begin_stream()
        for _n in range(40):
            handler.wfile.write(b": " + b"x" * 60_000 + b"\n\n")
        handler.piece("x")

    server.scenes = [scene]
    with pytest.raises(ModelFailed, match="more than anybody asked for"):
        build().propose(BRIEF)


def test_a_text_too_long_for_a_model_is_refused_before_the_call(server: Any, kit: Any, build: Any) -> None:
    with pytest.raises(ModelFailed, match="Split it first"):
        build().propose(Brief("polish", "字" * 4001))
    assert server.requests == []
