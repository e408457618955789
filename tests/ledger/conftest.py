"""A ledger on each database."""

import pytest

from lanmu.ledger.service import LedgerService
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock

PEPPER = b"a pepper for the tests only"


@pytest.fixture
def ledger(database: Database, clock: FakeClock) -> LedgerService:
    return LedgerService(database, clock, PEPPER)
