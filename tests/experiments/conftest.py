"""A shop on each of the two databases."""

from pathlib import Path

import pytest
from tests.shop import Shop

from lanmu.storage import Database
from lanmu.testing.clock import FakeClock


@pytest.fixture
def shop(database: Database, clock: FakeClock, tmp_path: Path) -> Shop:
    return Shop(database, clock, tmp_path / "data")
