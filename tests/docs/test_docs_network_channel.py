"""The network channel of docs/writing-a-plugin.md passes the contract against a far end with a real wire."""

import json
import re
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lanmu.interfaces.channels import Channel
from lanmu.interfaces.secrets import Secret
from lanmu.testing.contracts import Behaviour, ChannelContract

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-plugin.md"


def _shown() -> Any:
    """The class as the page shows it."""
    (code,) = re.findall(
        r"```python\n(import http\.client.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    scope: dict[str, Any] = {"__name__": "lanmu_hook"}
    exec(compile(code, str(PAGE), "exec"), scope)
    return scope


class Hook:
    """A far end that says no inside a 200."""

    def __init__(self) -> None:
        self.behaviour = Behaviour.ACCEPT
        self._writes: list[bytes] = []
        self._done = threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook._writes.append(self.rfile.read(int(self.headers["Content-Length"])))
                hook._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        if self.behaviour is Behaviour.DROP:
            return
        if self.behaviour is Behaviour.SLOW:
            self._done.wait(5)
            return
        body = {
            Behaviour.GARBAGE: b"<html><h1>502 Bad",
            Behaviour.REFUSE: json.dumps({"errcode": 40014, "errmsg": "invalid token"}).encode(),
        }.get(self.behaviour, b'{"errcode": 0}')
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def behave(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        if behaviour is Behaviour.UNREACHABLE:
            self.close()

    @property
    def writes(self) -> Sequence[bytes]:
        return self._writes

    def close(self) -> None:
        self._done.set()
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


class TestNetworkChannel(ChannelContract):
    examples = 50

    @pytest.fixture
    def far_end(self) -> Iterator[Hook]:
        hook = Hook()
        yield hook
        hook.close()

    @pytest.fixture
    def channel(self, far_end: Hook) -> Channel:
        scope = _shown()
        without_tls = {"connection": scope["http"].client.HTTPConnection}
        plain = type("Plain", (scope["HookChannel"],), without_tls)
        port = far_end.server.server_address[1]
        made: Channel = plain("127.0.0.1", port, Secret("the-token-of-the-hook"), 0.3)
        return made
