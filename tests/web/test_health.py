"""Whoever watches the server has an answer within a second or two, whatever its database does."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import URL
from tests.serving import served
from waitress.server import create_server

from lanmu.storage import Database
from lanmu.web.health import Readiness
from lanmu.web.lane import Threads

SOON = 2.0


@pytest.fixture
def silent() -> Iterator[URL]:
    """A PostgreSQL that takes up every connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield URL.create(
            "postgresql+psycopg", "lanmu", host="127.0.0.1", port=listening.getsockname()[1], database="lanmu"
        )


def get(port: int, path: str) -> tuple[int, Any, float]:
    """Status, answer and seconds, over a real socket."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Host": "localhost"})
        answer = connection.getresponse()
        body = answer.read().decode()
    finally:
        connection.close()
    held = json.loads(body) if body.startswith("{") else body
    return answer.status, held, time.monotonic() - began


def test_beside_a_database_that_says_nothing_it_is_alive_not_ready_and_says_why_soon(app: Flask, silent: URL):
    app.extensions["lanmu-readiness"] = Readiness(silent)
    with served(app) as port:
        status, told, seconds = get(port, "/healthz")
        assert (status, told) == (503, {"status": "database does not answer"})
        assert seconds < SOON
        status, told, seconds = get(port, "/livez")
        assert (status, told) == (200, {"status": "ok"})
        assert seconds < 1
        status, told, seconds = get(port, "/metrics")
        assert (status, told) == (503, "database does not answer\n")
        assert seconds < SOON


def test_many_who_ask_at_once_are_one_question_and_wait_no_longer(silent: URL):
    readiness = Readiness(silent, 0.5)
    before = threading.active_count()
    told: list[str] = []
    asking = [threading.Thread(target=lambda: told.append(readiness.why_not())) for _ in range(20)]
    began = time.monotonic()
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert told == ["database does not answer"] * 20
    assert time.monotonic() - began < SOON
    assert threading.active_count() <= before + 1
    began = time.monotonic()
    assert readiness.why_not() == "database does not answer"
    assert time.monotonic() - began < 0.4, "it has been waited for already"


def test_a_database_that_is_gone_is_told_from_one_that_hangs(silent: URL):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        gone = silent.set(port=probe.getsockname()[1])  # bound, and nobody listens
        assert Readiness(gone).why_not() == "database unreachable"


def test_a_database_that_answers_again_is_ready_again_at_once(postgres_database: Database):
    readiness = Readiness(postgres_database.url)
    assert [readiness.why_not(), readiness.why_not()] == ["", ""]


def test_whoever_asks_next_has_a_connection_that_nobody_closes_behind_them(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
):
    """Had the first answered before it was done, it would take the pool from under the second's connection,
    which nothing would close then."""
    readiness = Readiness(sqlite_database.url)
    closed: list[bool] = []
    close = readiness._database.close

    def slowly() -> None:
        closed.append(readiness._asked.done())
        close()

    monkeypatch.setattr(readiness._database, "close", slowly)
    assert readiness.why_not() == ""
    assert closed == [False]


def test_a_server_that_is_well_says_so(app: Flask):
    with served(app) as port:
        assert get(port, "/healthz")[:2] == (200, {"status": "ok"})
        assert get(port, "/livez")[:2] == (200, {"status": "ok"})
        assert "lanmu_plugins" in get(port, "/metrics")[1]


def test_with_every_thread_taken_the_watchers_have_their_answer_all_the_same():
    taken, go_on = threading.Semaphore(0), threading.Event()

    def application(environ: Any, start: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/page":
            taken.release()
            go_on.wait(30)
        start("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    with _waitress(application, 2) as port:
        pages = [threading.Thread(target=get, args=(port, "/page")) for _ in range(4)]
        try:
            for each in pages:
                each.start()
            assert taken.acquire(timeout=30)
            assert taken.acquire(timeout=30)
            for path in ("/livez", "/healthz?from=balancer", "/livez"):
                status, _told, seconds = get(port, path)
                assert status == 200
                assert seconds < SOON
        finally:
            go_on.set()
            for each in pages:
                each.join()


@contextmanager
def _waitress(application: Any, threads: int) -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    server: Any = create_server(application, sockets=[listening], _dispatcher=Threads(threads))

    def no_more() -> None:
        """Accept nobody more; the loop ends when those who are there have closed."""
        server.del_channel()
        server.socket.close()
        server.trigger.del_channel()

    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.task_dispatcher.shutdown()
        server.trigger.pull_trigger(no_more)
        thread.join(10)
        server.trigger.close()
