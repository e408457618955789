"""Asks the plugins' objections for a rehearsal, and lets nothing be changed while they answer."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Connection, event

from lanmu.delivery.sending.preflight import Objections
from lanmu.i18n import _
from lanmu.interfaces.channels import Message
from lanmu.interfaces.errors import Conflict
from lanmu.interfaces.events import Objection
from lanmu.storage import Database

CHANGES = _(
    "A plugin wants to change something when it is asked for objections, and a rehearsal lets nothing be "
    "changed: the log names it."
)

_READING = frozenset({"SELECT", "WITH", "VALUES", "EXPLAIN", "SHOW", "PRAGMA", "BEGIN"})

_asked: ContextVar[bool] = ContextVar("asked", default=False)


class _Once(logging.Filter):
    """What a plugin does wrong at each of a rehearsal's thousand messages is logged at the first."""

    def __init__(self) -> None:
        super().__init__()
        self._told: set[tuple[str, object]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        told = record.msg, getattr(record, "plugin", None)
        if not _asked.get() or told not in self._told:
            self._told |= {told} if _asked.get() else set()
            return True
        return False


@contextmanager
def only_asked(live: Database, objections: Objections) -> Iterator[Objections]:
    """The same question, asked so that no answer to it can write into the live database.

    Others of this process write there as ever.
    """

    def let_it_read(connection: Connection) -> None:
        if _asked.get() and not connection.get_execution_options().get("readonly", False):
            raise Conflict("", CHANGES)

    def let_it_select(*executed: Any) -> None:
        _connection, _cursor, statement, _parameters, context, _many = executed
        if not _asked.get():
            return
        writes = context is not None and (context.isinsert or context.isupdate or context.isdelete)
        if writes or statement.split(None, 1)[0].upper() not in _READING:
            raise Conflict("", CHANGES)

    def ask(message: Message, channel: str) -> Sequence[Objection]:
        before = _asked.set(True)
        try:
            return [_plain(each) for each in objections(message, channel)]
        finally:
            _asked.reset(before)

    # Before SQLite's own listener, which would wait for the one who writes there.
    event.listen(live.engine, "begin", let_it_read, insert=True)
    event.listen(live.engine, "before_cursor_execute", let_it_select)
    plugins, once = logging.getLogger("lanmu.plugins"), _Once()
    plugins.addFilter(once)
    try:
        yield ask
    finally:
        plugins.removeFilter(once)
        event.remove(live.engine, "before_cursor_execute", let_it_select)
        event.remove(live.engine, "begin", let_it_read)


def _plain(said: Objection) -> Objection:
    """Our own refusal, which comes back as a plugin's exception, in words that are translated."""
    return Objection(CHANGES) if CHANGES in said.reason else said
