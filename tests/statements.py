"""The statements that a database is sent, for tests that count them."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event

from lanmu.storage import Database


@contextmanager
def counting(database: Database) -> Iterator[list[str]]:
    """The statements sent to the database meanwhile."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
