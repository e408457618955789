"""A shop on each of the two databases, and a small one on SQLite for what does not depend on them."""

from pathlib import Path

import pytest
from tests.shop import Shop

from lanmu.storage import Database
from lanmu.testing.clock import FakeClock


@pytest.fixture
def shop(database: Database, clock: FakeClock, tmp_path: Path) -> Shop:
    return Shop(database, clock, tmp_path / "data")


@pytest.fixture
def small_shop(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Shop:
    return Shop(sqlite_database, clock, tmp_path / "data")
