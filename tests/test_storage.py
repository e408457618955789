"""The database keeps what it promises, on both engines."""

from lanmu.storage import Database
from lanmu.storage.migrate import CORE, differences


def test_the_migrated_tables_are_those_of_the_models(database: Database):
    assert differences(database, CORE) == []
