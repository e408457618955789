"""`verify` for the database itself: a guard that was dropped, a lost row and a damaged page are named."""

import pytest
from sqlalchemy import Connection, text

from lanmu.storage import Database
from lanmu.storage.checking import Check
from lanmu.storage.integrity import verify


def check_of(database: Database) -> Check:
    (check,) = verify(database)
    return check


def test_a_migrated_database_is_whole(database: Database) -> None:
    check = check_of(database)
    assert (check.ok, check.first_wrong) == (True, "")
    assert check.rows > 100  # every guard and every reference was looked at


@pytest.mark.parametrize(
    ("index", "again"),
    [
        ("ix_unit_due", ""),
        ("ix_unit_in_doubt", "CREATE INDEX ix_unit_in_doubt ON unit (look_at) WHERE state = 'held'"),
        ("ix_unit_open", "CREATE INDEX ix_unit_open ON unit (push_id)"),
        ("ix_unit_ref", "CREATE INDEX ix_unit_ref ON unit (ref, channel) WHERE ref <> ''"),
    ],
)
def test_an_index_that_is_gone_or_another_is_named(database: Database, index: str, again: str) -> None:
    with database.write() as session:
        session.execute(text(f"DROP INDEX {index}"))
        if again:
            session.execute(text(again))
    assert f"table unit: the index {index} is missing" in check_of(database).first_wrong


def test_a_recipient_that_may_be_in_a_push_twice_is_named(database: Database) -> None:
    with database.write() as session:
        connection = session.connection()
        if connection.dialect.name == "postgresql":
            name = "uq_target_push_id_account_recipient_key"
            connection.execute(text(f"ALTER TABLE target DROP CONSTRAINT {name}"))
        else:
            _rewrite(connection, "target", "UNIQUE (push_id, account, recipient_key)", "CHECK (1)")
    told = check_of(database).first_wrong
    assert told == "table target: nothing keeps push_id, account, recipient_key unique any more"


def test_a_row_that_refers_to_none_is_named(database: Database) -> None:
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if database.dialect == "postgresql":
            connection.execute(text("SET session_replication_role = replica"))
        else:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.exec_driver_sql("BEGIN")
        connection.execute(
            text(
                "INSERT INTO unit (id, push_id, number, channel, sender, token, state, reason, code,"
                " not_before, fence, owner, tries, deaths, ref)"
                " VALUES (7, 99, 1, 'c', '', 't', 'pending', '', '',"
                " '2026-11-23 00:00:00', 0, '', 0, 0, '')"
            )
        )
        if database.dialect == "sqlite":
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
            connection.exec_driver_sql("BEGIN")
    assert check_of(database).first_wrong == "table unit, row 7: refers to a row of push that is not there"


def test_tables_of_another_version_are_named(database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert "are not of the version" in check_of(database).first_wrong


def test_an_index_that_lost_a_row_is_found_by_sqlite_itself(sqlite_database: Database) -> None:
    beat = (
        "INSERT INTO worker (owner, host, pid, started_at, heartbeat_at) VALUES ('w', 'h', 1, '2026', '2026')"
    )
    with sqlite_database.write() as session:
        connection = session.connection()
        connection.execute(text("CREATE INDEX ix_pid ON worker (pid)"))
        sql = connection.execute(text("SELECT sql FROM sqlite_master WHERE name = 'ix_pid'")).scalar_one()
        page = connection.execute(
            text("SELECT rootpage FROM sqlite_master WHERE name = 'ix_pid'")
        ).scalar_one()
    with sqlite_database.write() as session:
        _unlocked(session.connection(), "DELETE FROM sqlite_master WHERE name = 'ix_pid'")
    sqlite_database.engine.dispose()
    with sqlite_database.write() as session:
        session.execute(text(beat))
        _unlocked(
            session.connection(),
            f"INSERT INTO sqlite_master VALUES ('index', 'ix_pid', 'worker', {page}, '{sql}')",
        )
    sqlite_database.engine.dispose()
    assert check_of(sqlite_database).first_wrong == "SQLite says: row 1 missing from index ix_pid"


def _rewrite(connection: Connection, table: str, words: str, instead: str) -> None:
    """Take a constraint out of a SQLite table, which has no statement for that."""
    sql = connection.execute(text(f"SELECT sql FROM sqlite_master WHERE name = '{table}'")).scalar_one()
    cut = [line for line in sql.splitlines() if words not in line]
    assert len(cut) < len(sql.splitlines())
    connection.execute(text(f"DROP TABLE {table}"))
    connection.exec_driver_sql("\n".join(cut).replace(", \n)", "\n)").replace(",\n)", "\n)"))


def _unlocked(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql("PRAGMA writable_schema=ON")
    connection.exec_driver_sql(statement)
    connection.exec_driver_sql("PRAGMA writable_schema=RESET")
