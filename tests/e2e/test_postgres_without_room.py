"""PostgreSQL's own disk is full while a push goes out: delayed, never lost or doubled, and no hand needed."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url
from tests.e2e.apart import as_root, permitted
from tests.e2e.crowd import Crowd, health, live, log_of, said
from tests.e2e.installation import Lanmu, bare, until
from tests.e2e.servers import Postgres

pytestmark = pytest.mark.long
AWAY, BACK = "the database cannot be used", "the database can be used again"


@dataclass
class Cramped:
    """A PostgreSQL with a disk of its own, of which a test may take all the room."""

    disk: Path
    server: Postgres

    @property
    def _filling(self) -> Path:
        return self.disk / "filling"

    def fill(self) -> None:
        with self._filling.open("ab", buffering=0) as all_of_it:
            for size in (1 << 16, 1 << 12):
                with suppress(OSError):
                    while True:
                        all_of_it.write(b"\0" * size)

    def make_room(self) -> None:
        self._filling.unlink()

    def wants_another_segment(self) -> bool:
        """Have the server begin one more segment of its write-ahead log; True once it died of that."""
        url = make_url(self.server.url).set(drivername="postgresql").render_as_string(hide_password=False)
        with suppress(psycopg.Error), psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TEMP TABLE IF NOT EXISTS one (more int); SELECT pg_switch_wal()")
        return "PANIC" in self.told()

    def told(self) -> str:
        """What the server has said."""
        return (self.disk / "data" / "log").read_text(errors="replace")


@pytest.fixture
def cramped() -> Iterator[Cramped]:
    disk = Path(tempfile.mkdtemp(prefix="lanmu-disk-"))
    if not permitted(*as_root("mount", "-t", "tmpfs", "-o", "size=256m,mode=1777", "none", str(disk))):
        disk.rmdir()
        pytest.skip("no disk may be mounted here")
    try:
        server = Postgres(disk / "data")
        try:
            yield Cramped(disk, server)
        finally:
            (disk / "filling").unlink(missing_ok=True)
            server.close()
    finally:
        subprocess.run(as_root("umount", "--lazy", str(disk)), check=True)
        disk.rmdir()


@pytest.fixture
def on_cramped(tmp_path: Path, cramped: Cramped) -> Iterator[Lanmu]:
    lanmu = bare(tmp_path, f'[database]\nurl = "{cramped.server.url}"', 'backend = "sqlite"')
    yield lanmu
    lanmu.kill_all()


def begun(lanmu: Lanmu) -> tuple[Crowd, list[subprocess.Popen[str]]]:
    """A push of which some is out and much is not, with a web and a worker."""
    processes = [lanmu.serve("--no-worker"), lanmu.worker()]
    crowd = Crowd(lanmu, 600)  # more than fits into what the tables have of the disk already
    crowd.gather()
    crowd.slow(0.5)
    crowd.push()
    until("some went out", lambda: crowd.out() >= 20)
    return crowd, processes


def test_tables_that_cannot_grow_delay_a_push_and_lose_nothing_of_it(on_cramped: Lanmu, cramped: Cramped):
    crowd, processes = begun(on_cramped)
    worker = processes[-1]
    cramped.fill()
    until("the worker tells of it", lambda: said(on_cramped, worker, AWAY) == 1)
    assert "No space left on device" in log_of(on_cramped, worker).read_text()
    assert crowd.out() < crowd.count
    assert health(on_cramped) == 200, "what is there can be read"
    cramped.make_room()
    crowd.all_came()
    live(*processes)
    assert crowd.looked_up() == 0, "what the journal kept nobody had to ask for"
    until("it is told that there is room", lambda: said(on_cramped, worker, BACK) == 1)
    assert said(on_cramped, worker, "Traceback") == 0
    assert on_cramped.start("verify").wait(60) == 0, on_cramped.logs()


def test_a_server_that_dies_because_its_log_has_no_room_is_used_again_once_it_is_back(
    on_cramped: Lanmu, cramped: Cramped
):
    crowd, processes = begun(on_cramped)
    worker = processes[-1]
    cramped.fill()
    until("its log has no room", cramped.wants_another_segment)
    # It recovers by itself, needs room for that too, and ends.
    until("it has ended itself", lambda: "database system is shut down" in cramped.told())
    until("the worker tells of it", lambda: said(on_cramped, worker, AWAY) == 1)
    assert health(on_cramped) == 503
    assert crowd.out() < crowd.count
    cramped.make_room()
    cramped.server.start()  # as whoever keeps it running does
    crowd.all_came()
    live(*processes)
    assert crowd.looked_up() == 0, "what the journal kept nobody had to ask for"
    until("it is told that there is room", lambda: said(on_cramped, worker, BACK) == 1)
    assert said(on_cramped, worker, "Traceback") == 0
    assert on_cramped.start("verify").wait(60) == 0, on_cramped.logs()
