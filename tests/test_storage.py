"""The database keeps what it promises, on both engines."""

from typing import Any

from sqlalchemy import text

from lanmu.delivery.installation.instance_models import ClockRecord
from lanmu.interfaces.clock import utc
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


def test_a_server_that_went_silent_is_not_waited_for_for_hours(postgres_database: Database):
    with postgres_database.glance() as connection:
        driver: Any = connection.connection.driver_connection
        said = driver.info.get_parameters()
    assert int(said["connect_timeout"]) <= 10
    assert int(said["tcp_user_timeout"]) <= 30_000, "while what was sent is not acknowledged"
    silent = [int(said[f"keepalives_{each}"]) for each in ("idle", "interval", "count")]
    assert silent[0] + silent[1] * silent[2] <= 30, "while an answer is waited for"
    own = postgres_database.url.update_query_dict({"connect_timeout": "3"})
    database = Database(own)
    with database.glance() as connection:
        driver = connection.connection.driver_connection
        assert driver.info.get_parameters()["connect_timeout"] == "3", "who sets it otherwise means it"
    database.close()


def test_what_was_prepared_is_not_prepared_anew_after_something_was_read(postgres_database: Database):
    with postgres_database.glance() as connection:
        server = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    for _time in range(8):
        with postgres_database.write() as session:
            session.execute(text("SELECT count(*) FROM unit"))
        with postgres_database.read() as session:
            session.execute(text("SELECT count(*) FROM push"))
        with postgres_database.glance() as connection:
            connection.execute(text("SELECT count(*) FROM target"))
    with postgres_database.glance() as connection:
        assert connection.exec_driver_sql("SELECT pg_backend_pid()").scalar() == server
        prepared = connection.exec_driver_sql("SELECT statement FROM pg_prepared_statements").scalars().all()
    assert {"push", "target", "unit"} <= {each.rpartition(" ")[2] for each in prepared}


def test_nothing_is_written_by_who_only_reads(database: Database):
    with database.read() as session:
        session.add(ClockRecord(id=1, max_wall_seen=utc(2026, 11, 22)))
    with database.read() as session:
        assert session.get(ClockRecord, 1) is None
