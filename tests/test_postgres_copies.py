"""A database that a test has used reaches the next one as the template is, or not at all."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import tests.postgres_copies
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from tests.delivery.conftest import stored_material
from tests.postgres_copies import Copies, Run

from lanmu.storage import Database
from lanmu.testing.clock import FakeClock

_ALTERED = {
    "a table": "CREATE TABLE more (id int)",
    "no table": "DROP TABLE attempt CASCADE",
    "a column": "ALTER TABLE material ADD COLUMN more int",
    "a default": "ALTER TABLE material ALTER COLUMN owner SET DEFAULT 'li'",
    "a column that may be empty": "ALTER TABLE material ALTER COLUMN owner DROP NOT NULL",
    "an index": "CREATE INDEX more ON material (owner)",
    "a rule of a column": "ALTER TABLE material ADD CONSTRAINT more CHECK (owner <> '')",
    "triggers switched off": "ALTER TABLE ledger_entry DISABLE TRIGGER ALL",
    "a function": "CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "a view": "CREATE VIEW more AS SELECT 1 AS one",
    "a schema": "CREATE SCHEMA more",
    "a type": "CREATE TYPE more AS ENUM ('one')",
    "a sequence's step": "ALTER SEQUENCE material_id_seq INCREMENT BY 7",
    "a right": "GRANT SELECT ON material TO PUBLIC",
    "a comment": "COMMENT ON TABLE material IS 'more'",
    "a large object": "SELECT lo_create(0)",
    "an emptied table": "TRUNCATE material CASCADE",
    "a setting of the database": "ALTER DATABASE {name} SET timezone = 'Asia/Shanghai'",
    "a limit of the database": "ALTER DATABASE {name} CONNECTION LIMIT 3",
    "a role": "CREATE ROLE more",
}

_POSTED = """
    INSERT INTO audit_record (at, actor, permission, action, object, allowed, address, prev_hash, hash)
    VALUES ('2026-11-23 00:00:00', 'a', 'p', 'x', 'o', true, '', '', '')
"""
"""A row that a trigger lets nobody remove."""


@pytest.fixture
def copies(postgres_url: str, postgres: Run, postgres_template: str) -> Iterator[Copies]:
    yield Copies(postgres_url, postgres, postgres_template, prefix="lanmu_again")
    left = postgres("SELECT datname FROM pg_database WHERE datname LIKE 'lanmu\\_again\\_%'").scalars().all()
    for name in left:
        postgres(f"DROP DATABASE {name} WITH (FORCE)")
    postgres("DROP ROLE IF EXISTS more")


def _plain(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _run(url: URL, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def _everything(url: URL) -> dict[str, Any]:
    """Every row, every sequence's next number, and how large the tables are."""
    found: dict[str, Any] = {}
    engine = create_engine(url)
    with engine.connect() as connection:
        tables = connection.execute(text("SELECT relname FROM pg_class WHERE relkind = 'r' AND oid >= 16384"))
        for table in tables.scalars().all():
            found[table] = connection.execute(text(f"SELECT t.*::text FROM {table} t")).scalars().all()
            size = connection.execute(text(f"SELECT pg_relation_size('{table}')"))
            found[f"size of {table}"] = size.scalar()
        sequences = connection.execute(text("SELECT sequencename, last_value FROM pg_sequences"))
        found["sequences"] = {name: last for name, last in sequences}  # noqa: C416  rows are no pairs to mypy
    engine.dispose()
    return found


def _number_of(url: URL, postgres: Run) -> object:
    return postgres(f"SELECT oid FROM pg_database WHERE datname = '{url.database}'").scalar()


def test_what_a_test_wrote_is_gone_and_what_the_template_has_is_back(
    copies: Copies, postgres: Run, postgres_url: str, postgres_template: str, clock: FakeClock
):
    template = _everything(make_url(postgres_url).set(database=postgres_template))
    used = copies.take()
    number = _number_of(used, postgres)
    database = Database(used)
    for _time in range(3):
        stored_material(database, clock.now())
    database.close()
    _run(
        used,
        _POSTED,
        "DELETE FROM alembic_version",
        "UPDATE material_search_version SET version = 17",
    )
    assert _everything(used) != template
    copies.give_back(used)
    handed_on = copies.take()
    assert _number_of(handed_on, postgres) == number
    assert _everything(handed_on) == template
    assert copies.made == 1


def test_a_number_that_was_given_out_and_rolled_back_is_given_out_again(copies: Copies):
    used = copies.take()
    _run(used, "SELECT nextval('material_id_seq')")
    copies.give_back(used)
    with psycopg.connect(_plain(copies.take())) as connection:
        assert connection.execute("SELECT nextval('material_id_seq')").fetchone() == (1,)


@pytest.fixture(scope="module")
def altered(
    postgres_url: str, postgres: Run, postgres_template: str
) -> Iterator[tuple[Copies, psycopg.Connection]]:
    """One for all alterations: each is taken back."""
    copies = Copies(postgres_url, postgres, postgres_template, prefix="lanmu_altered")
    used = copies.take()
    with psycopg.connect(_plain(used)) as connection:
        yield copies, connection
    postgres(f"DROP DATABASE {used.database} WITH (FORCE)")


@pytest.mark.parametrize("change", _ALTERED.values(), ids=_ALTERED)
def test_whatever_is_changed_but_rows_is_seen(altered: tuple[Copies, psycopg.Connection], change: str):
    copies, connection = altered
    assert copies.only_rows_differ(connection)
    connection.execute(change.format(name=connection.info.dbname).encode())
    assert not copies.only_rows_differ(connection)
    connection.rollback()


@pytest.mark.parametrize(
    "change",
    ["ALTER TABLE ledger_entry DISABLE TRIGGER ALL", "ALTER DATABASE {name} ALLOW_CONNECTIONS false"],
)
def test_a_database_that_was_altered_is_thrown_away(
    copies: Copies, postgres: Run, postgres_url: str, change: str
):
    used = copies.take()
    of_the_database = change.startswith("ALTER DATABASE")
    _run(make_url(postgres_url) if of_the_database else used, change.format(name=used.database))
    copies.give_back(used)
    assert postgres("SELECT count(*) FROM pg_database WHERE datname LIKE 'lanmu\\_again\\_%'").scalar() == 0
    copies.take()
    assert copies.made == 2


def test_a_table_that_has_grown_large_takes_its_database_along(
    copies: Copies, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tests.postgres_copies, "_FULL", 8191)
    database = Database(copies.take())
    stored_material(database, clock.now())
    database.close()
    copies.give_back(database.url)
    copies.take()
    assert copies.made == 2


def test_whoever_is_still_connected_is_put_out_and_does_not_get_in_again(copies: Copies, clock: FakeClock):
    database = Database(copies.take())
    with pytest.raises(OperationalError), database.write() as session:  # noqa: PT012  it ends at the commit
        session.execute(text(_POSTED))
        copies.give_back(database.url)
        session.commit()
    with pytest.raises(OperationalError, match="does not exist"), database.read() as session:
        session.execute(text("SELECT 1"))
    database.close()
    handed_on = copies.take()
    assert _everything(handed_on)["audit_record"] == []
    assert copies.made == 1


def test_a_database_that_the_test_dropped_itself_is_no_trouble(copies: Copies, postgres: Run):
    used = copies.take()
    postgres(f"DROP DATABASE {used.database}")
    copies.give_back(used)
    copies.take()
    assert copies.made == 2
