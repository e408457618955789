"""Inserting what may be there already: the first step of everything that happens once."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from lanmu.storage.base import Base


def insert_into(dialect: str, table: Table | type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that may say what becomes of a row whose key is there already (ON CONFLICT)."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def insert_once(
    session: Session, model: type[Base], unique: Sequence[str], values: dict[str, Any]
) -> int | None:
    """Insert, and answer the new row's `id`, or None where a row with the same `unique` columns exists.

    On PostgreSQL this waits for a transaction that is inserting the same key just now; so an answer of
    None means that the other row is committed and can be read.
    """
    inserted = insert_into(session.get_bind().dialect.name, model).values(values)
    statement = inserted.on_conflict_do_nothing(index_elements=list(unique))
    key: int | None = session.scalar(statement.returning(model.__table__.c["id"]))
    return key


def insert_new(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert those of the rows whose keys are not there yet: processes that start at once all find none."""
    if rows:
        inserted = insert_into(session.get_bind().dialect.name, model).values(rows)
        session.execute(inserted.on_conflict_do_nothing())
