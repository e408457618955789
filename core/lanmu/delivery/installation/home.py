"""Whether this installation may send at all: it is at home, and its clock can be trusted."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, select

from lanmu.delivery.installation.clock_watch import ClockWatch, trust
from lanmu.delivery.installation.instance import Instance
from lanmu.delivery.installation.instance_models import ClockRecord, InstanceRecord
from lanmu.delivery.installation.owner import boot_id
from lanmu.i18n import _
from lanmu.interfaces.clock import Clock, FarTime
from lanmu.interfaces.errors import Conflict
from lanmu.staff.audit import Audit
from lanmu.storage import Database

_FRESH = 1.0
"""Seconds for which an answer to `state` is not asked for again: it stands on every page."""


@dataclass(frozen=True, slots=True)
class HomeState:
    """`ok`, or why nothing is sent; `reason` is a text for people, `since` when it began."""

    kind: Literal["ok", "frozen", "clock_suspect"]
    reason: str = ""
    since: datetime | None = None

    @property
    def ok(self) -> bool:
        return self.kind == "ok"


_OK = HomeState("ok")


class Home:
    """One process's view of its installation. `tick` every few seconds where something is sent or served."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        audit: Audit,
        folder: Path,
        far_times: Callable[[], Iterable[FarTime]] = tuple,
    ) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit
        self._instance = Instance(database, folder)
        self._watch = ClockWatch(clock, far_times, boot_id())
        self._known: tuple[float, HomeState] | None = None
        self._ousted = False
        self._lock = threading.Lock()

    def arrive(self) -> None:
        """Called once for each process that opens the database.

        Raises Conflict where another host is at work on the same SQLite file.
        """
        now = self._clock.now()
        with self._database.read() as session:
            if self._instance.is_as_it_was(session, now):
                return
        with self._database.write() as session:
            self._instance.arrive(session, now)

    def tick(self) -> None:
        """Say that this installation is alive, and look at the clock.

        Raises Conflict where another host has taken the SQLite database over meanwhile.
        """
        with self._lock:
            try:
                with self._database.write() as session:
                    self._instance.beat(session, self._clock.now())
                    self._watch.tick(session)
            except Conflict:
                self._ousted = True
                raise
            self._ousted = False
            self._instance.beaten()
        self._known = None

    def leave(self) -> None:
        """This process stops: make room for another host."""
        with self._lock:
            self._instance.leave()

    def may_send(self) -> bool:
        """Whether the clock can be trusted this instant, as far as this process alone can tell, and the
        database is still this host's.

        It costs nothing; what stands in the database is asked by the claim itself.
        """
        return not self._ousted and self._watch.sane()

    def state(self) -> HomeState:
        """Whether anything may be sent, and why not; at most a second old."""
        now, known = self._clock.boottime(), self._known  # read once: another thread may forget it meanwhile
        if known is None or now - known[0] > _FRESH:
            known = self._known = (now, self._look())
        return known[1]

    def clock_state(self) -> HomeState:
        """What is thought of the clock, also of a frozen installation's; looked up anew."""
        with self._database.glance() as connection:
            return _of_clock(connection)

    def _look(self) -> HomeState:
        frozen = select(InstanceRecord.frozen_at, InstanceRecord.frozen_reason)
        with self._database.glance() as connection:
            row = connection.execute(frozen.where(InstanceRecord.frozen_at.is_not(None))).first()
            if row is not None:
                return HomeState("frozen", row.frozen_reason, row.frozen_at)
            return _of_clock(connection)

    def trust(self, by: str) -> None:
        """A person has looked at the clock and found it right. Raises Conflict where nobody doubts it."""
        with self._database.write() as session:
            row = session.scalar(select(ClockRecord).with_for_update())
            if row is None or row.suspect_since is None:
                raise Conflict("", _("Nothing is wrong with the clock."))
            reason = row.suspect_reason
            trust(session, row, self._clock.now())
        self._known = None
        self._audit.record(by, "clock.trust", detail={"reason": str(reason)})

    def release(self, by: str, detail: dict[str, object] | None = None) -> None:
        """Let this copy send from now on, as the one installation. Raises Conflict where it is not frozen."""
        now = self._clock.now()
        with self._database.write() as session:
            row = session.scalar(select(InstanceRecord).with_for_update())
            if row is None or row.frozen_at is None:
                raise Conflict("", _("This installation is not frozen."))
            reason = row.frozen_reason
            self._instance.settle_in(row)
            row.frozen_at, row.frozen_reason, row.backup_at = None, "", None
            row.released_at, row.released_by = now, by[:60]
        self._known = None
        self._audit.record(by, "instance.release", detail={"reason": str(reason), **(detail or {})})


def _of_clock(connection: Connection) -> HomeState:
    suspect = select(ClockRecord.suspect_since, ClockRecord.suspect_reason)
    row = connection.execute(suspect.where(ClockRecord.suspect_since.is_not(None))).first()
    return HomeState("clock_suspect", row.suspect_reason, row.suspect_since) if row else _OK
