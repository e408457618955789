"""The thin client: fresh connections for writes, kept ones for questions, and nothing done twice."""

import socket
import ssl
import threading
from collections import deque
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from lanmu.i18n import _
from lanmu.interfaces.channels import Observation
from lanmu.interfaces.clock import Clock, FarTime
from lanmu_wecom import wire
from lanmu_wecom.errcodes import errcode_of, parse
from lanmu_wecom.wire import Answer, Broken, Origin

JSON = "application/json; charset=utf-8"
_KEPT = 4

NO_LINE = Observation(wrote=False, fault=_("There was no open line, so nothing was written."))
"""What is seen of a write that has no line to go by."""


class Unreachable(Exception):
    """A question to the far end got no usable answer; it is safe to ask again later."""


class Refused(Exception):
    """The far end answered a question with an errcode."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"errcode {code}")
        self.code = code
        self.text = text


class OpenLine:
    """A connection for one write, with the path (and so the token) it will be written to.

    The path never shows: neither in repr nor in an exception.
    """

    __slots__ = ("_sock", "path", "token")

    def __init__(self, sock: socket.socket, path: str, token: str) -> None:
        self._sock = sock
        self.path = path
        self.token = token

    def close(self) -> None:
        self._sock.close()

    def __repr__(self) -> str:
        return "OpenLine(…)"


class Client:
    """Calls to one far end. `timeout` bounds an exchange, `connect_timeout` the way there, in seconds.

    With a `clock` it keeps what time the far end said it was: a witness of whether ours is right.
    """

    def __init__(
        self, base_url: str, *, timeout: float = 15, connect_timeout: float = 5, clock: Clock | None = None
    ) -> None:
        self._clock = clock
        self._far_time: FarTime | None = None
        self.origin = Origin.of(base_url)
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._context = ssl.create_default_context() if self.origin.tls else None
        self._kept: deque[socket.socket] = deque()
        self._lock = threading.Lock()

    def open(self, path: str, token: str = "") -> OpenLine:
        """A fresh connection for one write to `path`. Raises OSError."""
        sock = wire.open_socket(self.origin, self._connect_timeout, self._context)
        return OpenLine(sock, path, token)

    def write(self, line: OpenLine, body: bytes, content_type: str = JSON) -> Observation:
        """Write `body` once on the line and say what was seen. Does not raise."""
        request = wire.request_bytes(self.origin, "POST", line.path, body, content_type)
        try:
            answer = wire.exchange(line._sock, request, "POST", self._timeout)
        except Broken as broken:
            return Observation(wrote=broken.wrote, fault=broken.fault)
        self._hear(answer)
        return Observation(wrote=True, status=answer.status, body=answer.body)

    def ask(self, method: str, path: str, body: bytes = b"", content_type: str = JSON) -> dict[str, Any]:
        """A question that changes nothing, on a kept connection. Raises Unreachable or Refused."""
        request = wire.request_bytes(self.origin, method, path, body, content_type)
        try:
            sock = self._borrow()
        except OSError as error:
            raise Unreachable(wire.why_not_open(error)) from error
        try:
            answer = wire.exchange(sock, request, method, self._timeout)
        except Broken as broken:
            sock.close()
            raise Unreachable(broken.fault) from broken
        self._give_back(sock, answer)
        self._hear(answer)
        data = parse(answer.body)
        code = None if data is None else errcode_of(data)
        if data is None or code is None:
            raise Unreachable(_("The far end answered without JSON."))
        if code:
            raise Refused(code, str(data.get("errmsg", "")))
        return data

    def far_time(self) -> FarTime | None:
        """What the far end's clock said last; None before it said anything."""
        return self._far_time

    def _hear(self, answer: Answer) -> None:
        if self._clock is None or not answer.date:
            return
        try:
            at = parsedate_to_datetime(answer.date)
        except ValueError:
            return
        if at.tzinfo is not None:
            self._far_time = FarTime(at.astimezone(UTC), self._clock.boottime())

    def close(self) -> None:
        """Hang up on every kept connection."""
        with self._lock:
            while self._kept:
                self._kept.pop().close()

    def _borrow(self) -> socket.socket:
        while True:
            with self._lock:
                sock = self._kept.pop() if self._kept else None
            if sock is None:
                return wire.open_socket(self.origin, self._connect_timeout, self._context)
            if not wire.closed_by_peer(sock):
                return sock
            sock.close()

    def _give_back(self, sock: socket.socket, answer: Answer) -> None:
        with self._lock:
            if answer.kept and len(self._kept) < _KEPT:
                self._kept.append(sock)
                return
        sock.close()
