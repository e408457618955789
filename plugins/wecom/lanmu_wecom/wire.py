"""One HTTP exchange at a time on a plain socket: no retries, no redirects, one deadline for the whole.

An HTTP library decides by itself what to repeat and when; a send path must know for certain whether a
byte of the request has left. So the bytes are written here, and the answer is read with `http.client`.
"""

import http.client
import io
import ipaddress
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lanmu.i18n import _

ANSWER_LIMIT = 1 << 20
"""An answer longer than this many bytes is not read to its end."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the far end stands: taken apart once, so that each call only joins strings."""

    tls: bool
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, base_url: str) -> "Origin":
        """Take a base URL apart. Raises ValueError where it is none, or is plain HTTP off this machine."""
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("not an http(s) address")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("more than scheme, host, port and path")
        tls = parts.scheme == "https"
        origin = cls(tls, parts.hostname, parts.port or (443 if tls else 80), parts.path.rstrip("/"))
        if not tls and not origin.loopback:
            raise ValueError("plain http to another machine")
        return origin

    @property
    def loopback(self) -> bool:
        """Whether it is this machine, by name or by address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that came whole. `kept`: the connection may be used again. `date` is what its head says."""

    status: int
    body: bytes
    kept: bool
    date: str = ""


class Broken(Exception):
    """An exchange that gave no whole answer; `wrote` is False only where no byte can have left."""

    def __init__(self, fault: str, *, wrote: bool) -> None:
        super().__init__(fault)
        self.fault = fault
        self.wrote = wrote


def open_socket(origin: Origin, timeout: float, context: ssl.SSLContext | None) -> socket.socket:
    """DNS, TCP and TLS. Raises OSError (of which every ssl error is one)."""
    sock = socket.create_connection((origin.host, origin.port), timeout=timeout)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            return context.wrap_socket(sock, server_hostname=origin.host)
    except BaseException:
        sock.close()
        raise
    return sock


def why_not_open(error: OSError) -> str:
    """What kept a connection from being opened, in words (an English message id)."""
    if isinstance(error, TimeoutError):
        return _("The far end did not take the connection in time.")
    if isinstance(error, socket.gaierror):
        return _("The far end's name was not found (DNS).")
    if isinstance(error, ssl.SSLError):
        return _("The far end's certificate is not acceptable.")
    return _("The far end refused the connection or cannot be reached.")


def closed_by_peer(sock: socket.socket) -> bool:
    """Whether the far end has already hung up, seen without reading or writing anything."""
    try:
        # socket's own recv, since an SSLSocket refuses flags; what is peeked at is not consumed
        sock.settimeout(0)
        return socket.socket.recv(sock, 1, socket.MSG_PEEK) == b""
    except (BlockingIOError, InterruptedError):
        return False
    except OSError:
        return True


def request_bytes(origin: Origin, method: str, target: str, body: bytes, content_type: str) -> bytes:
    """The whole request, head and body, ready to be written in one go."""
    head = f"{method} {origin.path}{target} HTTP/1.1\r\nHost: {origin.authority}\r\n"
    head += "Accept: application/json\r\nUser-Agent: lanmu\r\n"
    if method == "POST":
        head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode("ascii") + b"\r\n" + body


def exchange(sock: socket.socket, request: bytes, method: str, timeout: float) -> Answer:
    """Write the request once and read the answer, all within `timeout` seconds. Raises Broken."""
    # The wall clock is handed in elsewhere; how long a socket waits is no matter of the wall clock.
    deadline = time.monotonic() + timeout
    if closed_by_peer(sock):
        raise Broken(_("The far end hung up before the request was written."), wrote=False)
    try:
        _write(sock, request, deadline)
    except Broken as broken:
        if not broken.wrote:
            raise
        try:  # a far end that refuses a long body may answer before it has read all of it
            return _read(sock, method, deadline)
        except Broken:
            raise broken from None
    return _read(sock, method, deadline)


def _write(sock: socket.socket, request: bytes, deadline: float) -> None:
    view = memoryview(request)
    sent = 0
    try:
        while sent < len(view):
            sock.settimeout(_left(deadline))
            sent += sock.send(view[sent:])
    except OSError as error:
        # Under TLS a failed first write may have left part of a record in the kernel.
        wrote = sent > 0 or isinstance(sock, ssl.SSLSocket)
        raise Broken(_("The connection broke while the request was being written."), wrote=wrote) from error


def _read(sock: socket.socket, method: str, deadline: float) -> Answer:
    response = http.client.HTTPResponse(_Incoming(sock, deadline), method=method)  # type: ignore[arg-type]
    try:
        response.begin()
        if response.length is not None and response.length > ANSWER_LIMIT:
            raise Broken(_("The answer is longer than 1 MiB."), wrote=True)
        # With a length, read() notices a body that stops short; without one the limit must be asked for.
        body = response.read() if response.length is not None else response.read(ANSWER_LIMIT + 1)
        if len(body) > ANSWER_LIMIT:
            raise Broken(_("The answer is longer than 1 MiB."), wrote=True)
        return Answer(response.status, body, not response.will_close, response.getheader("Date") or "")
    except http.client.IncompleteRead as error:
        raise Broken(_("The answer broke off before its end."), wrote=True) from error
    except TimeoutError as error:
        raise Broken(_("No whole answer came in time."), wrote=True) from error
    except OSError as error:  # with it http.client's "closed without a word"
        raise Broken(_("The connection broke before an answer came."), wrote=True) from error
    except (http.client.HTTPException, ValueError) as error:
        raise Broken(_("What came back is no HTTP answer."), wrote=True) from error
    finally:
        response.close()


class _Incoming:
    """What HTTPResponse takes for a socket: reads stop at the deadline, however slowly bytes dribble."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, *_args: object) -> io.BufferedReader:
        return io.BufferedReader(_Deadlined(self._sock, self._deadline))


class _Deadlined(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._deadline))
        return self._sock.recv_into(buffer)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left
