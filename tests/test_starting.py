"""Starts of the server: many at once on an empty database, and one beside a long write."""

import shutil
import threading
from pathlib import Path

from lanmu import config
from lanmu.config import Config
from lanmu.server import Server
from lanmu.staff.models import SettingRecord
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock


def _config(folder: Path, database: Database | None = None) -> Config:
    raw: dict[str, object] = {"server": {"data_dir": str(folder)}, "library": {"folder": ""}}
    if database is not None:
        raw["database"] = {"url": database.url.render_as_string(hide_password=False)}
    return config.parse(raw, None, {})


def test_processes_that_start_at_once_on_an_empty_database_all_start_and_agree(
    postgres_database: Database, tmp_path: Path, clock: FakeClock
):
    """Each finds nothing there, and writes what a new installation starts with."""
    count = 5
    at_once = threading.Barrier(count)
    keys: list[bytes] = []
    passwords: list[str | None] = []

    def start(number: int) -> None:
        wanted = _config(tmp_path / str(number), postgres_database)
        at_once.wait()
        server = Server(wanted, clock)
        try:
            passwords.append(server.staff.ensure_admin("Admin"))
            server.home.tick()
            keys.append(server.signer.key("any"))
        finally:
            server.close()

    threads = [threading.Thread(target=start, args=(number,)) for number in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(keys) == count
    assert len(set(keys)) == 1
    assert len([each for each in passwords if each]) == 1, "one password, which is the one that opens"


def test_a_start_on_sqlite_waits_for_no_writer(sqlite_template: Path, tmp_path: Path, clock: FakeClock):
    """Each command is one, such as a look at a push while a large one is made."""
    shutil.copy(sqlite_template, tmp_path / "lanmu.db")
    Server(_config(tmp_path), clock).close()
    busy = Database(f"sqlite:///{tmp_path / 'lanmu.db'}")
    with busy.write() as session:
        session.add(SettingRecord(key="long", value="write"))
        session.flush()
        Server(_config(tmp_path), clock).close()
    busy.close()
