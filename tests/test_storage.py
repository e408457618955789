"""The database keeps what it promises, on both engines."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, make_url, text

from lanmu.delivery.installation.instance_models import ClockRecord
from lanmu.interfaces.clock import utc
from lanmu.storage import Database
from lanmu.storage.migrate import CORE, differences, is_newest


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


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database in which there is nothing yet."""
    url: str | URL = f"sqlite:///{tmp_path / 'empty.db'}"
    if request.param == "postgresql":
        request.getfixturevalue("postgres")("CREATE DATABASE lanmu_empty")
        url = make_url(request.getfixturevalue("postgres_url")).set(database="lanmu_empty")
    database = Database(url)
    yield database
    database.close()
    if request.param == "postgresql":
        request.getfixturevalue("postgres")("DROP DATABASE lanmu_empty WITH (FORCE)")


_MIGRATE = """
import sys
from lanmu.storage import Database
from lanmu.storage.migrate import CORE, upgrade
print("ready", flush=True)
sys.stdin.readline()
upgrade(Database(sys.argv[1]), CORE)
"""


def test_processes_that_start_at_once_do_not_get_into_each_others_way(empty: Database):
    command = [sys.executable, "-c", _MIGRATE, empty.url.render_as_string(hide_password=False)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _each in "12"
    ]
    for each in started:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in started:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in started:
        each.communicate(timeout=60)
    assert [each.returncode for each in started] == [0, 0]
    with empty.glance() as connection:
        assert is_newest(connection, CORE)


def test_what_runs_all_the_time_goes_by_the_indexes_of_a_table_believed_to_be_empty(
    postgres_database: Database,
):
    """Also after a rollback, and in every connection; who asks otherwise may have the table read through."""
    asked = text(
        "EXPLAIN SELECT 1 FROM attempt JOIN unnest(ARRAY[1, 2, 3]) AS given(id) ON attempt.unit_id = given.id"
    )
    for _again in range(2):
        with postgres_database.by_index.write() as session:
            plan = "\n".join(session.scalars(asked))
            session.rollback()
        assert "Index" in plan
        assert "Seq Scan on attempt" not in plan
    with postgres_database.read() as session:
        assert session.scalar(text("SHOW enable_seqscan")) == "on"


def test_sqlite_has_one_way_to_its_rows(sqlite_database: Database):
    assert sqlite_database.by_index is sqlite_database
