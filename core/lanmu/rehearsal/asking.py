"""Asks the plugins' objections for a rehearsal, and lets nothing be changed while they answer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

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

_asked: ContextVar[bool] = ContextVar("asked", default=False)


@contextmanager
def only_asked(live: Database, objections: Objections) -> Iterator[Objections]:
    """The same question, asked so that no answer to it can write into the live database.

    Others of this process write there as ever.
    """

    def let_it_read(connection: Connection) -> None:
        if _asked.get() and not connection.get_execution_options().get("readonly", False):
            raise Conflict("", CHANGES)

    def ask(message: Message, channel: str) -> Sequence[Objection]:
        before = _asked.set(True)
        try:
            return [_plain(each) for each in objections(message, channel)]
        finally:
            _asked.reset(before)

    # Before SQLite's own listener, which would wait for the one who writes there.
    event.listen(live.engine, "begin", let_it_read, insert=True)
    try:
        yield ask
    finally:
        event.remove(live.engine, "begin", let_it_read)


def _plain(said: Objection) -> Objection:
    """Our own refusal, which comes back as a plugin's exception, in words that are translated."""
    return Objection(CHANGES) if CHANGES in said.reason else said
