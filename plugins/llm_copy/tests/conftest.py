"""A model's server on loopback that misbehaves to order, a real clock, and the plugin built around both."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

import lanmu_llm_copy
from lanmu.interfaces.secrets import Secret
from lanmu.storage import Database
from lanmu.storage.migrate import plugin_chain, upgrade
from lanmu.testing.clock import FakeClock
from lanmu.testing.host import FakeHost
from lanmu_llm_copy.calls import Call, CallLedger, LlmCopyBase
from lanmu_llm_copy.model import ModelWriter
from lanmu_llm_copy.settings import LlmCopySettings

Scene = Callable[["Handler", dict[str, Any]], None]


class RealClock:
    """The machine's time: deadlines are tried against real servers here."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def boottime(self) -> float:
        return time.monotonic()


class Handler(BaseHTTPRequestHandler):
    """Hands each request to the scene of the day, and keeps it."""

    server: "ModelServer"
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(body)
        self.server.headers.append(dict(self.headers))
        number = len(self.server.requests) - 1
        scenes = self.server.scenes
        try:
            scenes[min(number, len(scenes) - 1)](self, body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_args: Any) -> None:
        """Quiet."""

    def answer(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True

    def piece(self, text: str = "", finish: str | None = None, **more: Any) -> None:
        chunk = {
            "id": "c1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}],
            **more,
        }
        self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self.wfile.flush()

    def done(self) -> None:
        self.piece(choices=[], usage={"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18})
        self.wfile.write(b"data: [DONE]\n\n")


class ModelServer(ThreadingHTTPServer):
    """An OpenAI-compatible server whose answers a test chooses: a scene a request, the last for the rest."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.scenes: list[Scene] = []
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.stopped = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


def says(content: str, finish: str = "stop", pieces: int = 3) -> Scene:
    """A scene: stream this content in a few pieces."""

    def scene(handler: Handler, _body: dict[str, Any]) -> None:
        handler.begin_stream()
        size = max(1, len(content) // pieces)
        for start in range(0, len(content), size):
            handler.piece(content[start : start + size])
        handler.piece(finish=finish)
        handler.done()

    return scene


def fails(status: int, error: dict[str, Any] | bytes = b"", **headers: str) -> Scene:
    """A scene: answer with this status and error object."""

    def scene(handler: Handler, _body: dict[str, Any]) -> None:
        body = error if isinstance(error, bytes) else json.dumps({"error": error}).encode()
        handler.answer(status, body, **headers)

    return scene


def variants(*texts: str, **more: Any) -> str:
    """The JSON that a well-behaved model writes."""
    angles = ["question", "empathy", "scene", "knowledge", "contrast", "care"]
    return json.dumps(
        {
            "variants": [
                {
                    "key": "ABCDEF"[n],
                    "angle": angles[n],
                    "hook": "",
                    "body": text,
                    "cta": "",
                    "text": text,
                    "used_facts": [],
                    "rationale": "写给老朋友",
                    "risk_notes": [],
                    **more,
                }
                for n, text in enumerate(texts)
            ]
        },
        ensure_ascii=False,
    )


@pytest.fixture
def server() -> Iterator[ModelServer]:
    model_server = ModelServer()
    thread = threading.Thread(target=model_server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield model_server
    model_server.stopped.set()
    model_server.shutdown()
    model_server.server_close()
    thread.join(5)


@pytest.fixture
def fake_clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the plugin's table, made by its own migration; copied for each test."""
    path = tmp_path_factory.mktemp("llm_copy") / "template.db"
    database = Database(f"sqlite:///{path}")
    upgrade(database, chain())
    database.close()
    return path


@pytest.fixture
def host(tmp_path: Path, fake_clock: FakeClock, migrated: Path) -> Iterator[FakeHost]:
    """A host whose database has the plugin's table."""
    shutil.copy(migrated, tmp_path / "llm_copy.db")
    database = Database(f"sqlite:///{tmp_path / 'llm_copy.db'}")
    yield FakeHost("llm_copy", clock=fake_clock, database=database, workspace=tmp_path)
    database.close()


def chain() -> Any:
    folder = Path(str(lanmu_llm_copy.__file__)).parent / "migrations"
    return plugin_chain("llm_copy", folder, LlmCopyBase.metadata)


@pytest.fixture
def kit() -> Any:
    """The short ways above, for tests: a conftest cannot be imported."""

    class Kit:
        says = staticmethod(says)
        fails = staticmethod(fails)
        variants = staticmethod(variants)
        chain = staticmethod(chain)
        real_clock = RealClock()

    return Kit


KEY = "sk-canary-7f3d91"


@pytest.fixture
def settings(server: Any) -> Any:
    return LlmCopySettings(server.url, "m", Secret(KEY), deadline_s=10)


@pytest.fixture
def build(host: FakeHost, kit: Any, settings: Any) -> Any:
    """A writer on the settings of this test; pauses between tries are noted and not waited."""
    waits: list[float] = []

    def made(**changes: Any) -> Any:
        wanted = replace(settings, **changes)
        ledger = CallLedger(
            host.database,
            host.clock,
            daily_calls=wanted.daily_calls,
            daily_tokens=wanted.daily_tokens,
        )
        writer: Any = ModelWriter(wanted, ledger, kit.real_clock, wait=waits.append)
        writer.waits = waits
        writer.ledger = ledger
        return writer

    return made


@pytest.fixture
def rows(host: FakeHost) -> Any:
    def read() -> Any:
        with host.database.read() as session:
            return session.scalars(select(Call).order_by(Call.id)).all()

    return read
