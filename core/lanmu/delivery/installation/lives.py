"""Writes down which workers live and what runs in them: so others tell who is dead, and what to leave."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from lanmu.delivery.installation.owner import Owner
from lanmu.delivery.models import WorkerRecord
from lanmu.interfaces.clock import Clock
from lanmu.storage import Database

RUNS = timedelta(minutes=2)
"""So long after its last sign of life a worker is taken to run its channels, also one that has stopped: it
may be starting anew."""

_LOOKED_FOR = 5.0
"""Seconds for which what was read of the other workers is gone by."""


def beat(session: Session, now: datetime, owner: Owner, channels: Collection[str]) -> None:
    """This worker is alive, and these channels run in it."""
    row = session.get(WorkerRecord, str(owner))
    if row is None:
        row = WorkerRecord(owner=str(owner), host=owner.host, pid=owner.pid, started_at=now)
        session.add(row)
    row.heartbeat_at, row.channels = now, sorted(channels)


def end(session: Session, now: datetime, owner: Owner) -> None:
    """This worker has stopped of its own will."""
    session.execute(update(WorkerRecord).where(WorkerRecord.owner == str(owner)).values(stopped_at=now))


class Elsewhere:
    """Which channels do not run in this process, but do in another worker: what is theirs is left to them.

    A worker may lack a plugin or a variable that another has. Would it take up units that it can do nothing
    with, it could only put them to a person, or off; those that run nowhere it takes up, so that they are.
    One for a process is enough, for all its threads.
    """

    def __init__(self, database: Database, clock: Clock, here: Collection[str]) -> None:
        self._database = database
        self._clock = clock
        self._here = here
        self._known: tuple[float, frozenset[str]] | None = None

    def channels(self) -> frozenset[str]:
        """They, as of a few seconds ago at most."""
        boot, known = self._clock.boottime(), self._known
        if known is None or boot - known[0] > _LOOKED_FOR:
            now = self._clock.now()
            with self._database.read() as session:
                run = session.scalars(
                    select(WorkerRecord.channels).where(
                        WorkerRecord.heartbeat_at > now - RUNS, WorkerRecord.heartbeat_at < now + RUNS
                    )
                ).all()
            known = self._known = (
                boot,
                frozenset(name for names in run for name in names).difference(self._here),
            )
        return known[1]
