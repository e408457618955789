"""A sandbox on loopback, a clock to set, a database with the plugin's table, and a corp that uses them."""

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


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path / 'lanmu.db'}")
    versions = Path(lanmu_wecom.__file__).parent / "migrations"
    upgrade(found, plugin_chain("wecom", versions, WecomBase.metadata))
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
