"""A sandbox on loopback, a clock to set, a database with the plugin's table, and a corp that uses them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import lanmu_wecom
from lanmu.interfaces.secrets import Secret
from lanmu.storage import Database
from lanmu.storage.migrate import plugin_chain, upgrade
from lanmu.testing.clock import FakeClock
from lanmu_wecom.client import Client
from lanmu_wecom.corp import Corp
from lanmu_wecom.models import WecomBase
from lanmu_wecom.sandbox import Options, start
from lanmu_wecom.sandbox.demo import SEED

from .wecom_kit import Sandbox


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def sandbox(clock: FakeClock) -> Iterator[Sandbox]:
    running = start(clock, None, Options())
    yield Sandbox(running, clock)
    running.stop()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the plugin's table, made by its own migrations; copied for each test."""
    path = tmp_path_factory.mktemp("wecom") / "template.db"
    database = Database(f"sqlite:///{path}")
    versions = Path(lanmu_wecom.__file__).parent / "migrations"
    upgrade(database, plugin_chain("wecom", versions, WecomBase.metadata))
    database.close()
    return path


@pytest.fixture
def database(tmp_path: Path, migrated: Path) -> Iterator[Database]:
    shutil.copy(migrated, tmp_path / "lanmu.db")
    found = Database(f"sqlite:///{tmp_path / 'lanmu.db'}")
    yield found
    found.close()


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    found = Client(sandbox.url, timeout=5)
    yield found
    found.close()


@pytest.fixture
def corp(client: Client, database: Database, clock: FakeClock) -> Corp:
    corp = SEED.corp
    return Corp(client, corp.corpid, Secret(corp.secret), corp.agentid, database, clock)
