"""A PostgreSQL server that says nothing is given up after a while, where whoever asks must go on."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from lanmu.storage import Database, patience
from lanmu.storage.away import AWAY, cause_of
from lanmu.storage.checking import run_checks

SLOW = text("SELECT 1 FROM pg_sleep(:seconds)")


@pytest.fixture
def impatient(postgres_database: Database) -> Iterator[Database]:
    made = Database(postgres_database.url, patience=0.2)
    yield made
    made.close()


def test_a_server_that_does_not_answer_is_given_up_as_if_it_were_gone(impatient: Database):
    with pytest.raises(OperationalError) as raised, impatient.write() as session:
        session.execute(SLOW, {"seconds": 60})
    assert isinstance(raised.value, AWAY)
    assert raised.value.connection_invalidated, "what it may still say nobody reads"
    assert "does not answer" in cause_of(raised.value)
    with impatient.write() as session:
        assert session.scalar(text("SELECT 2")) == 2


@pytest.mark.parametrize("way", ["read", "glance", "write_hastily"])
def test_whoever_only_reads_or_writes_hastily_gives_up_too(impatient: Database, way: str):
    with pytest.raises(OperationalError, match="does not answer"), getattr(impatient, way)() as asking:
        asking.execute(SLOW, {"seconds": 60})


def test_a_cursor_of_the_drivers_own_has_the_patience_of_its_database(impatient: Database):
    """The library's lists and searches ask by one; it had that of whoever used the connection before."""
    for before in (impatient.read, impatient.engine.connect):
        with before() as asking:
            asking.execute(text("SELECT 1"))
        with impatient.engine.connect() as connection:
            cursor = connection.connection.cursor()
            with pytest.raises(psycopg.OperationalError, match="does not answer"):
                cursor.execute("SELECT 1 FROM pg_sleep(20)")


def test_an_answer_in_time_is_waited_for(postgres_database: Database):
    patient = Database(postgres_database.url, patience=30)
    with patient.read() as session:
        assert session.scalar(SLOW, {"seconds": 0.3}) == 1
    patient.close()


def test_a_migration_and_a_check_take_as_long_as_they_take(impatient: Database):
    def slow(session):
        assert session.scalar(SLOW, {"seconds": 0.4}) == 1
        yield None

    (check,) = run_checks(impatient, [("I0", "It is slow", slow)])
    assert check.ok
    with impatient.glance() as connection:  # a connection that was in a hurry before
        connection.execute(text("SELECT 1"))
    with impatient.engine.connect() as connection:
        assert connection.scalar(SLOW, {"seconds": 0.4}) == 1


def test_whoever_set_no_patience_waits(postgres_database: Database):
    with postgres_database.write() as session:
        assert session.scalar(SLOW, {"seconds": 0.3}) == 1


def end_the_connection_of(database: Database) -> None:
    """As a restart of the server does, between two transactions."""
    with database.glance() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
    other = Database(database.url)
    with other.glance() as connection:
        assert connection.scalar(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    other.close()


def test_a_connection_that_died_while_it_was_idle_is_made_anew_unnoticed(
    impatient: Database, monkeypatch: pytest.MonkeyPatch
):
    end_the_connection_of(impatient)
    monkeypatch.setattr(patience, "_IDLE", 0.0)
    with impatient.glance() as connection:
        assert connection.scalar(text("SELECT 2")) == 2


def test_one_that_died_just_after_its_use_is_an_away_database_once(
    impatient: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(patience, "_IDLE", 3600.0)  # however long this test takes
    end_the_connection_of(impatient)
    with pytest.raises(AWAY), impatient.glance() as connection:
        connection.execute(text("SELECT 2"))
    with impatient.glance() as connection:
        assert connection.scalar(text("SELECT 2")) == 2
