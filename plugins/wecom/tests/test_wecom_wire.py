"""What one write shows when the far end is slow, mute, long-winded or gone."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lanmu.interfaces.channels import NotConnected, Observation, Outcome
from lanmu_wecom.broadcast import GroupChannel
from lanmu_wecom.client import Client, Unreachable
from lanmu_wecom.corp import Corp, open_line
from lanmu_wecom.wire import Origin

from .wecom_kit import Sandbox, message, push


@contextmanager
def far_end(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """A far end for one connection; yields its address and what it read."""
    listener = socket.create_server(("127.0.0.1", 0))
    read: list[bytes] = []

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(5)
            try:
                read.append(peer.recv(65536))
                answer(peer)
            except OSError:
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", read
    finally:
        thread.join(timeout=10)
        listener.close()


def write(url: str, *, timeout: float = 5) -> Observation:
    client = Client(url, timeout=timeout)
    line = client.open("/cgi-bin/webhook/send?key=k")
    try:
        return client.write(line, b'{"msgtype":"text"}')
    finally:
        line.close()


def test_an_answer_that_comes_whole_is_seen_whole() -> None:
    def answer(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with far_end(answer) as (url, read):
        assert write(url) == Observation(wrote=True, status=200, body=b"{}")
    assert read[0].startswith(b"POST /cgi-bin/webhook/send?key=k HTTP/1.1\r\n")
    assert read[0].endswith(b'\r\n\r\n{"msgtype":"text"}')


def test_a_chunked_answer_is_put_together() -> None:
    def answer(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")

    with far_end(answer) as (url, _):
        assert write(url).body == b"{}"


def test_a_redirect_is_not_followed() -> None:
    def answer(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")

    with far_end(answer) as (url, _):
        assert write(url).status == 301


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.",
        b'HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{"errcode":0',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_off_was_written_and_has_no_status(answer: bytes) -> None:
    with far_end(lambda peer: peer.sendall(answer)) as (url, _):
        observation = write(url)
    assert observation.wrote
    assert observation.status is None
    assert observation.fault


def test_an_endless_answer_is_cut_at_one_mebibyte() -> None:
    def answer(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(40):
            peer.sendall(b"x" * 65536)

    with far_end(answer) as (url, _):
        assert "1 MiB" in write(url).fault


def test_a_dribbling_answer_does_not_outlive_the_deadline() -> None:
    stop = threading.Event()

    def answer(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not stop.wait(0.02):
            peer.sendall(b"x")

    with far_end(answer) as (url, _):
        started = time.monotonic()
        observation = write(url, timeout=0.3)
        took = time.monotonic() - started
        stop.set()
    assert observation.wrote
    assert "in time" in observation.fault
    assert took < 1.5


def test_a_far_end_that_hung_up_before_the_write_was_sent_nothing() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}")
    line = client.open("/x")
    peer, _ = listener.accept()
    peer.close()
    listener.close()
    observation = client.write(line, b"{}")
    line.close()
    assert not observation.wrote


def test_nobody_listening_is_not_connected() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(NotConnected) as caught:
        open_line(Client(f"http://127.0.0.1:{port}"), "/x")
    assert not caught.value.config


def test_a_question_whose_kept_connection_died_is_asked_on_a_new_one(sandbox: Sandbox, corp: Corp) -> None:
    asking = {"chat_id": "wrDEMO0001"}
    corp.ask("externalcontact/groupchat/get", asking)
    kept = corp.client._kept[0]
    kept.shutdown(socket.SHUT_RDWR)
    assert corp.ask("externalcontact/groupchat/get", asking)["group_chat"]["owner"] == "linxiao"


def test_a_question_that_gets_no_json_is_unreachable(sandbox: Sandbox, corp: Corp) -> None:
    sandbox.fault(kind="html502", call="externalcontact/groupchat/get")
    with pytest.raises(Unreachable):
        corp.ask("externalcontact/groupchat/get", {"chat_id": "wrDEMO0001"})


@pytest.mark.parametrize(
    ("kind", "when"),
    [
        *((kind, "before") for kind in ("drop", "html502", "empty")),
        *((kind, "after") for kind in ("drop", "html502", "empty", "truncate", "huge")),
    ],
)
def test_each_broken_answer_of_the_sandbox_is_ambiguous(
    sandbox: Sandbox, corp: Corp, kind: str, when: str
) -> None:
    sandbox.fault(kind=kind, call="externalcontact/add_msg_template", when=when)
    sent = push(GroupChannel(corp), message(), "wrDEMO0001")
    assert sent.observation.wrote
    assert sent.verdict.outcome is Outcome.AMBIGUOUS
    effects = [row["effect"] for row in sandbox.received("externalcontact/add_msg_template")]
    assert effects == [when == "after"]


def test_a_slow_answer_is_written_once_and_then_ambiguous(sandbox: Sandbox, corp: Corp) -> None:
    sandbox.fault(kind="slow", call="externalcontact/add_msg_template", when="after", seconds=1)
    corp.client._timeout = 0.3
    sent = push(GroupChannel(corp), message(), "wrDEMO0001")
    assert sent.verdict.outcome is Outcome.AMBIGUOUS
    assert len(sandbox.received("externalcontact/add_msg_template")) == 1


def test_a_line_does_not_show_its_token(corp: Corp) -> None:
    line = corp.open("externalcontact/add_msg_template")
    assert line.token not in repr(line)
    line.close()


@pytest.mark.parametrize(
    "url", ["ftp://x", "http://example.test", "https://", "https://u:p@x", "https://x?a=1"]
)
def test_a_base_url_that_would_leak_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Origin.of(url)
