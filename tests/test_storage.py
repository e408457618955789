"""The database keeps what it promises, on both engines."""

from sqlalchemy import text

from lanmu.storage import Database
from lanmu.storage.migrate import CORE, differences


def test_the_migrated_tables_are_those_of_the_models(database: Database):
    assert differences(database, CORE) == []


def test_what_need_not_last_does_not_wait_for_the_disk_and_the_next_does_again(database: Database):
    ask, hasty, safe = (
        ("PRAGMA synchronous", 1, 2)
        if database.dialect == "sqlite"
        else ("SHOW synchronous_commit", "off", "on")
    )
    for write, told in [(database.write_hastily, hasty), (database.write, safe)] * 2:
        with write() as session:
            assert session.scalar(text(ask)) == told
