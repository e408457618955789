"""A PostgreSQL server that says nothing any more, or that went away while nobody asked it anything.

Of one that hangs whoever asks gives up, as if it were gone: the kernel of its machine goes on to answer for
it, so neither keepalives nor the time limits of TCP find that out; and the server's own hang with it.
"""

import math
import time
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry


class _Asking(psycopg.Connection[Any]):
    """A connection that waits for each answer as long as its patience lasts, in seconds; None: for ever."""

    patience: float | None = None

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.pgconn.finish()  # what it may still say belongs to a question that nobody asks any more
            raise psycopg.OperationalError(f"the server does not answer: {error}") from None


_IDLE = 1.0
"""Seconds after which a connection is asked whether its server is still there before it is used again."""


def watch(engine: Engine, patience: float | None) -> None:
    """Let the engine's connections give up after the `patience` of what they are used for, see `Database`,
    and be made anew where their server went away while they were idle.

    `patience` here is that of whoever takes a connection and uses its driver's own cursor.
    """

    def taken(connection: _Asking, record: ConnectionPoolEntry, _proxy: object) -> None:
        connection.patience = patience  # not what the one before had, who may have waited for ever
        _wake(connection, record)

    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "checkin", _left)
    event.listen(engine, "checkout", taken)


def _connect(_dialect: object, _record: object, cargs: tuple[Any, ...], cparams: dict[str, Any]) -> _Asking:
    return _Asking.connect(*cargs, **cparams)


def _begin(connection: Connection) -> None:
    driver = connection.connection.driver_connection
    if isinstance(driver, _Asking):
        driver.patience = connection.get_execution_options().get("patience")


def _left(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["left_at"] = time.monotonic()


def _wake(connection: _Asking, record: ConnectionPoolEntry) -> None:
    """Not asked before every use, as SQLAlchemy would: that is a fourth of what a short transaction says."""
    if time.monotonic() - record.info.get("left_at", math.inf) < _IDLE:
        return
    try:
        connection.autocommit = True
        connection.execute("SELECT 1")
        connection.autocommit = False
    except psycopg.Error as error:
        raise InvalidatePoolError from error
