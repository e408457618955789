"""A far end that answers every request and remembers when each message came, in a process of its own.

    python -m bench.sink [SECONDS]        prints its port, then serves until its standard input closes

It answers at once, or that many seconds after a message came.

`POST /m` takes a message, whose first 16 bytes name it; `POST /forget` and `POST /told` are for the bench.
"""

import contextlib
import json
import selectors
import socket
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Self

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n"
_OK = _ANSWER + b'{"errcode":0}'


def request(path: str, body: bytes) -> bytes:
    """The bytes of a request, as a light client writes them."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: sink\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    return head.encode() + b"\r\n\r\n" + body


class Line:
    """One connection: a whole request out, a whole answer in."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=15)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def write(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self) -> bytes:
        """The body of one answer. Raises OSError where none comes whole."""
        data = self.socket.recv(65536)
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        length = int(data[:end].lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        while len(data) < end + 4 + length:
            data += self._more()
        return data[end + 4 :]

    def _more(self) -> bytes:
        more = self.socket.recv(65536)
        if not more:
            raise OSError("the far end hung up")
        return more

    def close(self) -> None:
        self.socket.close()


@dataclass(frozen=True)
class Arrivals:
    """What came to the sink since it last forgot: how many, how many different ones, and when (seconds)."""

    count: int
    different: int
    times: list[float]


class Sink:
    """The sink, started and asked from here. `delay` is how many seconds it takes over an answer."""

    def __init__(self, delay: float = 0.0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.sink", str(delay)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def _ask(self, path: str) -> Any:
        line = Line(self.port)
        line.write(request(path, b""))
        answer = json.loads(line.read())
        line.close()
        return answer

    def forget(self) -> None:
        self._ask("/forget")

    def arrivals(self) -> Arrivals:
        return Arrivals(**self._ask("/told"))

    def count(self) -> int:
        """How many messages have come, told fast however many they are."""
        return int(self._ask("/count")["count"])

    def close(self) -> None:
        self._process.communicate("")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _serve(delay: float) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setblocking(False)
    print(listener.getsockname()[1], flush=True)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    halves: dict[socket.socket, bytes] = {}
    times: list[float] = []
    names: set[bytes] = set()
    owed: deque[tuple[float, socket.socket]] = deque()
    while True:
        while owed and owed[0][0] <= time.monotonic():
            with contextlib.suppress(OSError):  # whoever asked has gone since
                owed.popleft()[1].sendall(_OK)
        for key, _events in selector.select(max(0.0, owed[0][0] - time.monotonic()) if owed else None):
            if key.fileobj is sys.stdin:
                return
            if key.fileobj is listener:
                connection, _address = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ)
                halves[connection] = b""
                continue
            connection = key.fileobj  # type: ignore[assignment]
            try:
                data = connection.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                selector.unregister(connection)
                connection.close()
                del halves[connection]
                continue
            data = halves[connection] + data
            while (end := data.find(b"\r\n\r\n")) >= 0:
                length = int(data[data.rindex(b" ", 0, end) : end])
                if len(data) < end + 4 + length:
                    break
                body, path = data[end + 4 : end + 4 + length], data[5 : data.index(b" ", 5)]
                data = data[end + 4 + length :]
                if path == b"/m":
                    times.append(time.time())
                    names.add(body[:16])
                    if delay:
                        owed.append((time.monotonic() + delay, connection))
                    else:
                        connection.sendall(_OK)
                elif path in (b"/told", b"/count"):
                    told: dict[str, Any] = {"count": len(times)}
                    if path == b"/told":
                        told |= {"different": len(names), "times": times}
                    whole = json.dumps(told).encode()
                    connection.setblocking(True)
                    connection.sendall(_ANSWER.replace(b"13", str(len(whole)).encode()) + whole)
                else:
                    times, names = [], set()
                    connection.sendall(_OK)
            halves[connection] = data


if __name__ == "__main__":
    _serve(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0)
