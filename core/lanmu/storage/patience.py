"""A PostgreSQL server that is there and says nothing: whoever asks it gives up, as if it were gone.

The kernel of a machine whose server hangs goes on to answer for it, so neither keepalives nor the time limits
of TCP find that out; and the server's own time limits hang with it.
"""

from typing import Any

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, event


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


def limit(engine: Engine) -> None:
    """Let the engine's connections give up after the `patience` of what they are used for: see `Database`."""
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "begin", _begin)


def _connect(_dialect: object, _record: object, cargs: tuple[Any, ...], cparams: dict[str, Any]) -> _Asking:
    return _Asking.connect(*cargs, **cparams)


def _begin(connection: Connection) -> None:
    driver = connection.connection.driver_connection
    if isinstance(driver, _Asking):
        driver.patience = connection.get_execution_options().get("patience")
