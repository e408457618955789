"""A shop in a folder of its own, with one channel that leads to the sink, run as real processes."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bench.dispatch_house import TEXT
from bench.sink import Sink
from sqlalchemy import func, select

from lanmu.config import load
from lanmu.delivery.intake import PushRequest, Recipient
from lanmu.delivery.models import Attempt, Push, Unit
from lanmu.library.content import Content
from lanmu.server import Server

ROOT = Path(__file__).resolve().parent.parent
_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
_CONTENT = Content(
    title="睡前一小时", body=TEXT, content_class="engagement", kind="industry_insight", zone="knowledge",
    genre="guide", topic="睡眠", form="text", month="202611", owner="bench",
)  # fmt: skip


class Shop:
    """One installation. `url` is its database's; the processes it starts write their logs beside it."""

    def __init__(self, folder: Path, url: str, sink: Sink, *, concurrency: int = 16) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.sink, self.port = folder, sink, free_port()
        self._numbers = count()
        self._material: Any = None
        # A plugin that is installed is a folder of metadata on the path.
        told = folder / "site" / "bench_sink-1.dist-info"
        told.mkdir(parents=True)
        (told / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-sink\nVersion: 1\n")
        (told / "entry_points.txt").write_text("[lanmu.plugins]\nsink = bench.sink_plugin:SinkPlugin\n")
        # An installation has no rich: the developers' tools bring it, and structlog takes in what it finds.
        (folder / "site" / "rich.py").write_text('raise ImportError("not in an installation")\n')
        if str(folder / "site") not in sys.path:
            sys.path.insert(0, str(folder / "site"))
        hour = datetime.now(ZoneInfo("Asia/Shanghai")).hour  # quiet hours are asked about, and far away
        quiet = f'quiet_from = "{(hour + 11) % 24:02d}:00"\nquiet_until = "{(hour + 12) % 24:02d}:00"\n'
        config = folder / "config.toml"
        config.write_text(
            f'[server]\nport = {self.port}\nsolo_approval = true\n[database]\nurl = "{url}"\n'
            f"[delivery]\nconcurrency = {concurrency}\n{quiet}"
            f'[library]\nfolder = ""\n'
            f"[plugins.sink]\nport = {sink.port}\n"
        )
        config.chmod(0o600)

    def inside(self) -> Server:
        """A server on the same data, to do what a person does."""
        return Server(load(self.folder / "config.toml"))

    def fill(self, n: int, due_at: datetime, recipients: int = 200) -> None:
        """Pushes of so many recipients each, `n` messages in all, due at one instant."""
        server = self.inside()
        try:
            if self._material is None:
                self._material = _approved(server)
            for start in range(0, n, recipients):
                number = next(self._numbers)
                keys = [f"c{number}-{each}" for each in range(min(recipients, n - start))]
                server.delivery.send(self._request(f"bench:{number}", keys, due_at))
        finally:
            server.close()

    def _request(self, source_key: str, keys: list[str], due_at: datetime) -> PushRequest:
        words = self._material
        return PushRequest(
            source_key=source_key,
            title=words.title,
            channel="sink",
            revision_id=words.revision_key,
            material_id=words.key,
            content_hash=words.content_hash,
            body=words.body,
            due_at=due_at,
            zone="Asia/Shanghai",
            recipients=[Recipient(key, "群") for key in keys],
            approved_by="bench",
            approved_at=_LONG_AGO,
            created_by="bench",
            late_policy="send",
            deadline_at=due_at + timedelta(hours=6),
        )

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """A process of `lanmu …`, asked to stop at the end where it still runs."""
        with (self.folder / f"{arguments[0]}-{next(self._numbers)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "lanmu.cli.main", *arguments],
                cwd=self.folder,
                env={
                    **os.environ,
                    "LANMU_LANG": "en",
                    "PYTHONPATH": os.pathsep.join((str(ROOT), str(self.folder / "site"))),
                },
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.terminate()
                process.wait()

    def answers(self) -> bool:
        """Whether the web process is ready."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def logs(self) -> str:
        """What the processes have said."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def books(self) -> dict[str, int]:
        """Units by state, attempts, and pushes that are still open."""
        server = self.inside()
        try:
            with server.database.read() as session:
                found = {
                    str(state): int(number)
                    for state, number in session.execute(
                        select(Unit.state, func.count()).group_by(Unit.state)
                    )
                }
                found["attempts"] = session.scalar(select(func.count(Attempt.id))) or 0
                found["open pushes"] = (
                    session.scalar(select(func.count()).where(Push.finished_at.is_(None))) or 0
                )
                return found
        finally:
            server.close()


def _approved(server: Server) -> Any:
    made = server.library.materials.create(_CONTENT, "bench")
    server.library.reviews.submit(made.id)
    server.library.reviews.approve(made.id, 1, "bench")
    return server.library.materials.snapshot(next(iter(server.library.materials.candidates())).revision_key)


def wait_for(what: str, ask: Callable[[], Any], shop: Shop, patience: float = 120) -> Any:
    """Ask until the answer is true."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.02)
    raise SystemExit(f"never came: {what}\n{shop.logs()[-4000:]}")


def memory(pid: int) -> float:
    """A process's own share of the memory, in MB."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) / 1024 for line in rollup.splitlines() if line.startswith("Pss:"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
