"""A wire between worker and sandbox that a test can cut: before the request, or after it was passed on."""

import socket
import threading
from contextlib import suppress


class Wire:
    """A TCP proxy on a port of its own. `mood` says what happens to each new connection.

    - "fine": all goes through. "refuse": closed at once. "drop": nothing is ever answered.
    - "cut_after": the request is passed on, the answer thrown away and the line cut: only the far end knows.
    - "truncate": the answer ends in its middle. "delay": it comes after `seconds`.
    `only` limits the mood to requests that contain these bytes in their first packet; others go through.
    """

    def __init__(self, far_port: int) -> None:
        self._far_port = far_port
        self.mood, self.only, self.seconds = "fine", b"", 2.0
        self.met = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                near, _address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, suppress(OSError):
            near.settimeout(30)
            if self.mood == "refuse":
                return
            first = self._request(near)
            if not first:
                return
            mood = self.mood if self.only in first else "fine"
            if mood != "fine":
                self.met += 1
            if mood == "drop":
                self._closed.wait(20)
                return
            with socket.create_connection(("127.0.0.1", self._far_port), timeout=30) as far:
                far.sendall(first)
                self._answer(near, far, mood)

    def _request(self, near: socket.socket) -> bytes:
        """One whole request: its head, and the body that the head announces."""
        got = b""
        while b"\r\n\r\n" not in got:
            more = near.recv(65536)
            if not more:
                return got
            got += more
        head, _gap, body = got.partition(b"\r\n\r\n")
        length = 0
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        for line in lines:
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        head = b"\r\n".join([*lines, b"Connection: close"])  # each call has a line, and a mood, of its own
        while len(body) < length:
            more = near.recv(65536)
            if not more:
                break
            body += more
        return head + b"\r\n\r\n" + body

    def _answer(self, near: socket.socket, far: socket.socket, mood: str) -> None:
        if mood == "cut_after":
            far.recv(65536)  # the far end has answered, so it has done what it was asked
            return
        if mood == "truncate":
            near.sendall(far.recv(65536)[:40])
            return
        if mood == "delay":
            self._closed.wait(self.seconds)
        while more := far.recv(65536):
            near.sendall(more)
