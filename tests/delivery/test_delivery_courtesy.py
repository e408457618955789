"""What a long job leaves to others on SQLite: who waits looks while the lock is free, and is noticed."""

from datetime import timedelta
from itertools import accumulate

import pytest

from lanmu.delivery.courtesy import Courtesy, free_after
from lanmu.testing.clock import FakeClock

LOOKS = [0.0, *accumulate((0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.025, 0.025, 0.05, 0.05, 0.1))]
"""When whoever waits for SQLite's lock looks for it, counted from the first: sqliteDefaultBusyCallback."""


@pytest.mark.parametrize("held", [0.0004, 0.001, 0.0011, 0.0029, 0.0065, 0.0079, 0.017, 0.05, 0.2])
def test_whoever_comes_while_the_lock_is_held_looks_while_it_is_free(held):
    free_until = held + free_after(held)
    for came in (held * part / 200 for part in range(200)):
        assert any(held <= came + look < free_until for look in LOOKS)


@pytest.fixture
def courtesy(sqlite_database):
    """Somebody writes during its pause where the test says so."""
    somebody: list[str] = []
    pauses: list[float] = []
    clock = FakeClock()

    def pause(seconds):
        pauses.append(seconds)
        if somebody:
            with sqlite_database.write() as session:
                session.connection().exec_driver_sql("CREATE TABLE IF NOT EXISTS written (id INTEGER)")
                session.connection().exec_driver_sql("INSERT INTO written VALUES (1)")

    with Courtesy(sqlite_database, clock, pause) as made:
        yield made, somebody, pauses, clock


def test_a_transaction_makes_more_while_nobody_else_writes_but_is_never_long(courtesy):
    job, _somebody, pauses, _clock = courtesy
    told = []
    for _transaction in range(8):
        told.append(job.portions)
        job.leave(0.0008 * job.portions, job.portions)
    assert told == [1, 2, 4, 8, 8, 8, 8, 8]
    job.leave(0.0008 * 3, 3)
    assert job.portions == 8, "fewer were left to be made"
    job.leave(0.026, 8)
    assert job.portions == 2
    assert all(pauses)


def test_others_who_write_are_noticed_and_remembered_for_a_while(courtesy):
    job, somebody, _pauses, clock = courtesy
    for _transaction in range(4):
        job.leave(0.0004, 1)
    assert job.portions == 16
    somebody.append("else")
    job.leave(0.0064, 16)
    assert job.portions == 1
    somebody.clear()
    job.leave(0.0004, 1)
    assert job.portions == 1
    clock.advance(timedelta(seconds=3))
    job.leave(0.0004, 1)
    assert job.portions == 2


def test_own_transactions_are_not_taken_for_those_of_others(courtesy, sqlite_database):
    job, _somebody, _pauses, _clock = courtesy
    for transaction in range(3):
        with sqlite_database.write() as session:
            session.connection().exec_driver_sql(f"CREATE TABLE mine_{transaction} (id INTEGER)")
        job.leave(0.0004, 1)
    assert job.portions == 8


def test_nothing_is_left_on_postgresql_where_nobody_waits(postgres_database):
    pauses: list[float] = []
    with Courtesy(postgres_database, FakeClock(), pauses.append) as job:
        job.leave(0.02, 1)
        assert (job.portions, pauses) == (2, [])
        job.leave(0.2, 2)
        assert job.portions == 1
