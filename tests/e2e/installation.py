"""One Lanmu in a folder of its own, run as real processes, and what a test asks of it from outside."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from lanmu.config import load
from lanmu.server import Server

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(what: str, ask: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Ask until the answer is true; processes cannot be handed a clock, so this one waits."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"never came: {what}")


@dataclass
class Lanmu:
    """One installation in a folder of its own, with the processes that a test starts in it."""

    folder: Path
    port: int
    sandbox_port: int
    environ: dict[str, str]
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    _engine: Any = None

    def start(
        self, *arguments: str, config: str = "config.toml", through: Sequence[str] = (), **environ: str
    ) -> subprocess.Popen[str]:
        """Run `lanmu` with these arguments, `through` a command that becomes it in the end."""
        path = self.folder / f"{arguments[0]}-{len(self.processes)}.log"
        with path.open("w") as log:
            process = subprocess.Popen(
                [*through, sys.executable, "-m", "lanmu.cli.main", "--config", config, *arguments],
                cwd=self.folder,
                env=self.environ | environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.processes.append(process)
        return process

    def change(self, old: str, new: str) -> None:
        """Write something else into config.toml, before anything is started."""
        path = self.folder / "config.toml"
        told = path.read_text(encoding="utf-8")
        assert old in told
        path.write_text(told.replace(old, new), encoding="utf-8")

    def logs(self) -> str:
        return "\n".join(f"--- {p.name}\n{p.read_text()}" for p in sorted(self.folder.glob("*.log")))

    def serve(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the web and wait until it is ready; remembers the password that it prints."""
        process = self.start("serve", *arguments)
        path = sorted(self.folder.glob("serve-*.log"))[-1]

        def ready() -> bool:
            assert process.poll() is None, self.logs()
            return "Ready." in path.read_text()

        until("the server is ready", ready)
        if found := re.search(r"admin  (\S+)", path.read_text()):
            self.password = found[1]
        return process

    def worker(
        self, config: str = "config.toml", through: Sequence[str] = (), **environ: str
    ) -> subprocess.Popen[str]:
        number = len(self.processes)
        process = self.start("worker", config=config, through=through, **environ)
        path = self.folder / f"worker-{number}.log"
        until("the worker runs", lambda: "The worker runs" in path.read_text())
        return process

    def sandbox(self, path: str, body: Any = None, method: str | None = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.sandbox_port}/sandbox/api/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def received(self, call: str) -> list[dict[str, Any]]:
        """What the sandbox received of a call, as JSON."""
        calls: list[dict[str, Any]] = self.sandbox(f"received?call={call}")["received"]
        return calls

    def query(self, statement: str) -> list[Any]:
        """Rows straight from the database, as a stranger to the program sees them."""
        if self._engine is None:
            url = load(self.folder / "config.toml", self.environ).database_url
            self._engine = create_engine(url, pool_pre_ping=True)
        with self._engine.connect() as connection:
            return list(connection.execute(text(statement)))

    def inside(self) -> Server:
        """A server object on the same data, to do what a person does in the console."""
        return Server(load(self.folder / "config.toml", self.environ))

    def kill_all(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._engine is not None:
            self._engine.dispose()


_CONFIG = """
[server]
port = {port}
data_dir = "data"
{database}
[queue]
{queue}
[library]
folder = "content_library"
[demo]
enabled = {demo}
[delivery]
sweep_seconds = 0.5
absent_after_seconds = 3
quiet_from = ""
quiet_until = ""
[plugins.wecom]
base_url = "http://127.0.0.1:{sandbox_port}"
sandbox = true
[plugins.personal_wechat_export]
[plugins.llm_copy]
[plugins.points]
"""


def install(folder: Path, database: str, queue: str, demo: bool) -> Lanmu:
    port, sandbox_port = free_port(), free_port()
    (folder / "content_library").symlink_to(ROOT / "content_library")
    (folder / "config.toml").write_text(
        _CONFIG.format(
            port=port, sandbox_port=sandbox_port, database=database, queue=queue, demo=str(demo).lower()
        )
    )
    environ = {**os.environ, "LANMU_LANG": "en", "PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1"}
    return Lanmu(folder, port, sandbox_port, environ)


def bare(folder: Path, database: str, queue: str) -> Lanmu:
    """An empty shop; its far end tells of a message within seconds, and leases are as short as may be."""
    lanmu = install(folder, database, queue, demo=False)
    lanmu.change('folder = "content_library"', 'folder = ""')
    lanmu.change("sandbox = true", "sandbox = true\nsettle_seconds = 3")
    lanmu.change("sweep_seconds = 0.5", "sweep_seconds = 0.5\nlease_seconds = 20")
    return lanmu


def soon(seconds: float) -> datetime:
    """An instant a little ahead, at a full second."""
    return (datetime.now(UTC) + timedelta(seconds=seconds + 1)).replace(microsecond=0)
