"""Rows and keys that travel as one parameter come out on the other side as they went in."""

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, type_coerce

from lanmu.storage import Database
from lanmu.storage.rows import Keys, Rows
from lanmu.storage.types import UtcDateTime

_ROWS = Rows("given", number=int, text=str, flag=bool, at=datetime)
_TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])) | st.text(
    "\"\\{},NUL \n'"
)
_INSTANTS = st.datetimes(timezones=st.just(UTC)).filter(lambda instant: instant.year >= 1970)
_ROW = st.tuples(
    st.none() | st.integers(-(2**62), 2**62),
    st.none() | _TEXT,
    st.none() | st.booleans(),
    st.none() | _INSTANTS,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(rows=st.lists(_ROW, max_size=8))
def test_every_value_comes_out_as_it_went_in(database: Database, rows: list[tuple[object, ...]]) -> None:
    table = _ROWS.table(database.dialect)
    columns = (table.c.number, table.c.text, table.c.flag, type_coerce(table.c.at, UtcDateTime()))
    with database.read() as session:
        found = session.execute(select(*columns), _ROWS.pack(database.dialect, rows)).all()
    assert [tuple(row) for row in found] == rows


def test_bytes_come_out_of_postgresql_as_they_went_in(postgres_database: Database) -> None:
    rows = Rows("given", body=bytes)
    bodies = [(bytes(range(256)),), (b"",), (None,), ("栏目".encode(),)]
    with postgres_database.read() as session:
        found = session.execute(select(rows.table("postgresql").c.body), rows.pack("postgresql", bodies))
        assert [tuple(row) for row in found] == bodies


def test_a_naive_time_is_refused(database: Database) -> None:
    with pytest.raises(TypeError, match="cannot be a value of a row"):
        _ROWS.pack(
            database.dialect, [(1, "", True, datetime(2026, 11, 23, 8, tzinfo=UTC).replace(tzinfo=None))]
        )


def test_keys_hold_what_was_given_and_nothing_else(database: Database) -> None:
    table, keys = _ROWS.table(database.dialect), Keys("keys")
    rows = [(number, "", False, None) for number in range(5)]
    asked = select(table.c.number).where(keys.hold(database.dialect, table.c.number))
    with database.read() as session:
        for wanted in ([], [3], [4, 1, 1, 99]):
            given_ = _ROWS.pack(database.dialect, rows) | keys.pack(database.dialect, wanted)
            assert set(session.scalars(asked, given_)) == set(wanted) & set(range(5))
