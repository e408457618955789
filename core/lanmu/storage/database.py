"""The database: one engine for writers and one for readers, each session one short transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.orm import Session


class Database:
    """Sessions on SQLite or PostgreSQL.

    On SQLite every writing transaction opens with BEGIN IMMEDIATE: with the driver's own way a check and
    the write that relies on it would fall into two transactions, and fifty coupons would be sold a hundred
    times. `synchronous=FULL`, because a lost intent is a message sent twice.

    A session waits `patience` seconds for each answer of a PostgreSQL server, None for ever. On SQLite nobody
    is waited for but a writer, for ten seconds.
    """

    def __init__(self, url: str | URL, *, pool_size: int = 16, patience: float | None = None) -> None:
        parsed = make_url(url)
        self.url = parsed
        self.dialect = parsed.get_backend_name()
        options: dict[str, Any] = {
            "pool_size": pool_size,
            "max_overflow": pool_size,
        }
        if self.dialect == "sqlite":
            options["connect_args"] = {"timeout": 10, "check_same_thread": False}
        else:
            options["connect_args"] = {
                name: value for name, value in _PATIENCE.items() if name not in parsed.query
            }
        self.engine: Engine = create_engine(parsed, **options)
        if self.dialect == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            from lanmu.storage import patience as waiting  # needs the driver of PostgreSQL

            waiting.watch(self.engine, patience)
        self._pool_size, self._patience = pool_size, patience
        self._by_index: Database | None = None
        self._writer = self.engine.execution_options(patience=patience)
        self._reader = self.engine.execution_options(readonly=True, patience=patience)
        self._hasty = self.engine.execution_options(hasty=True, patience=patience)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that may write: committed at the end, rolled back on any exception."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write_hastily(self) -> Iterator[Session]:
        """As `write`, but it does not wait for the disk, for what would be done again by itself.

        Where the power fails it may be undone, with all that came after it and never before it.
        """
        with Session(self._hasty, expire_on_commit=False) as session, session.begin():
            if self.dialect == "postgresql":
                session.execute(_HASTY)
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads; on SQLite it never waits for a writer."""
        with Session(self._reader, expire_on_commit=False) as session:
            yield session
            session.expunge_all()  # nothing may be written here
            session.commit()  # after a rollback the driver of PostgreSQL prepares every statement anew

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """A reading connection without an ORM session: a third of the cost, for what every request asks."""
        with self._reader.connect() as connection:
            yield connection
            connection.commit()  # as in `read`

    @property
    def by_index(self) -> "Database":
        """The same database, for a few statements about few rows each that run all the time.

        PostgreSQL plans each of them once, by the indexes alone, whatever it believes of the tables' sizes:
        that an empty one is full it learns only after a minute.
        """
        if self.dialect != "postgresql":
            return self
        if self._by_index is None:
            self._by_index = Database(self.url, pool_size=self._pool_size, patience=self._patience)
            event.listen(self._by_index.engine, "connect", _go_by_index)
        return self._by_index

    def close(self) -> None:
        self.engine.dispose()
        if self._by_index is not None:
            self._by_index.close()


_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""In seconds, the last in milliseconds: a PostgreSQL server that went silent, or the way to it, is found out
within half a minute. By themselves systems wait for a quarter of an hour, or for two hours for an answer."""


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not open transactions by itself
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _go_by_index(connection: Any, _record: object) -> None:
    connection.execute(
        "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;"
        "SET enable_hashjoin = off; SET enable_mergejoin = off"
    )
    connection.commit()  # a rollback would take it back


_HASTY = text("SET LOCAL synchronous_commit = off")


def _begin_sqlite(connection: Any) -> None:
    options = connection.get_execution_options()
    readonly, hasty = options.get("readonly", False), options.get("hasty", False)
    if connection.info.get("hasty", False) != hasty:  # the same connections serve both
        connection.exec_driver_sql(f"PRAGMA synchronous={'NORMAL' if hasty else 'FULL'}")
        connection.info["hasty"] = hasty
    connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")
