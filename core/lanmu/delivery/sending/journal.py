"""Outcomes that the database could not take: kept in a file until it can (delivery.md 2.6, C9).

A worker that holds the far end's answer in memory is the only one who knows. So it tries on while its lease
lasts, and then writes what it knows to `outcome.journal` in the data folder. Whoever reaps reads that in
first: else a unit that is known to be out would be taken for one of which nobody knows.
"""

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session, aliased

from lanmu.delivery.carried import Claimed
from lanmu.delivery.models import Attempt, Unit, UnitTarget
from lanmu.delivery.sending.outcomes import Next
from lanmu.delivery.sending.recorded import Recorded
from lanmu.delivery.sending.recording import record
from lanmu.delivery.states import UnitState
from lanmu.i18n import from_store, to_store
from lanmu.interfaces.channels import Observation, Ref, Target
from lanmu.interfaces.clock import Clock
from lanmu.storage import Database
from lanmu.storage.away import AWAY, cause_of

log = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0


class Journal:
    """The file. Any number of processes of this machine may share it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "outcome.journal"

    def append(self, at: datetime, results: Sequence[Recorded]) -> int:
        """Keep what was seen of these units, durably; answers how many lines that is. Raises OSError."""
        lines = [_line(at, result, result.seen) for result in results if result.seen is not None]
        if lines:
            with self._locked() as file:
                _append(file, "".join(lines).encode())
                self._make_lasting()
        return len(lines)

    def bring_in(self, database: Database) -> int:
        """Write what the file holds to the database and empty it; answers how many units that moved.

        Bringing a line in twice changes nothing. A line that cannot be read is put aside beside the file.
        Raises what the database raises while it is away; the file then stays as it is.
        """
        if not self.path.exists() or self.path.stat().st_size == 0:
            return 0
        with self._locked() as file:
            known, strange = _read(self.path.read_text(encoding="utf-8", errors="replace"))
            moved = 0
            for at, lines in groupby(known, key=lambda line: line.at):
                with database.write() as session:
                    moved += len(record(session, at, _still_open(session, list(lines))))
            if strange:
                log.error("lines of the journal cannot be read", extra={"lines": len(strange)})
                with self.path.with_suffix(".unread").open("a", encoding="utf-8") as aside:
                    aside.writelines(f"{line}\n" for line in strange)
            os.ftruncate(file, 0)
            os.fsync(file)
        log.warning("brought in outcomes that the database had not been there for", extra={"units": moved})
        return moved

    def _make_lasting(self) -> None:
        """A file that is new must be found in its folder after a loss of power, too."""
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)


def _append(file: int, text: bytes) -> None:
    """All of the text, lasting, or none of it. Raises OSError."""
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        text = b"\n" + text  # whoever wrote last died at it: half a line must not take another with it
    try:
        while text:
            text = text[os.write(file, text) :]
        os.fsync(file)
    except OSError:
        os.ftruncate(file, size)
        raise


class Recorder:
    """Writes outcomes down, whatever the database does meanwhile. `pause` waits for so many seconds."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        journal: Journal | None,
        lease: timedelta,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._journal = journal
        self._lease = lease
        self._pause = pause or Event().wait

    def write(
        self,
        results: Sequence[Recorded],
        work: Callable[[Session], T],
        stopping: Callable[[], bool] = lambda: False,
    ) -> T | None:
        """Do the work that records `results` in one transaction; None where they went to the journal.

        There they go once the lease is over, and at once where the process is `stopping`: it has no time left
        to wait for the database. Without a journal, what the database raises at last is raised.
        """
        give_up = self._clock.boottime() + self._lease.total_seconds()
        pause = _FIRST_PAUSE
        told = False
        while True:
            try:
                with self._database.write() as session:
                    return work(session)
            except AWAY as error:
                in_a_hurry = stopping() and self._journal is not None
                if self._clock.boottime() + pause < give_up and not in_a_hurry:
                    if not told:  # once for each batch: it is tried again every few seconds
                        why = {"cause": cause_of(error)}
                        log.warning("the database does not take an outcome; trying on", extra=why)
                        told = True
                    self._pause(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
                    continue
                if self._journal is None:
                    raise
            self._keep(self._journal, results)
            return None

    def _keep(self, journal: Journal, results: Sequence[Recorded]) -> None:
        try:
            kept = journal.append(self._clock.now(), results)
            log.error("outcomes went to the journal, since the database is away", extra={"units": kept})
        except OSError:
            # Neither takes it: the units stay as they are, will be unknown, and this line is all there is.
            known = [(r.unit.id, r.unit.fence, str(r.next.state), r.next.ref) for r in results if r.seen]
            log.critical("outcomes are lost but for this line", extra={"outcomes": known}, exc_info=True)


@dataclass(frozen=True, slots=True)
class _Line:
    at: datetime
    unit: int
    fence: int
    next: Next
    seen: Observation


def _line(at: datetime, result: Recorded, seen: Observation) -> str:
    next_ = result.next
    document: dict[str, Any] = {
        "at": at.isoformat(),
        "unit": result.unit.id,
        "fence": result.unit.fence,
        "state": next_.state,
        "reason": to_store(next_.reason),
        "code": next_.code,
        "wait": _seconds(next_.wait),
        "counts_as_try": next_.counts_as_try,
        "ref": [next_.ref.id, dict(next_.ref.detail)] if next_.ref else None,
        "results_after": _seconds(next_.results_after),
        "look_after": _seconds(next_.look_after),
        "failed": {key: to_store(why) for key, why in next_.failed.items()},
        "hold_push": next_.hold_push,
        "seen": [seen.wrote, seen.status, to_store(seen.fault), seen.body[:2000].decode("utf-8", "replace")],
    }
    return json.dumps(document, ensure_ascii=False) + "\n"


def _read(text: str) -> tuple[list[_Line], list[str]]:
    """The lines that can be read, and those that cannot: a death while writing leaves half a line."""
    known, strange = [], []
    for line in filter(None, text.split("\n")):
        try:
            known.append(_parsed(json.loads(line)))
        except (ValueError, KeyError, TypeError, IndexError):
            strange.append(line)
    return known, strange


def _parsed(document: dict[str, Any]) -> _Line:
    wrote, status, fault, body = document["seen"]
    ref = document["ref"]
    return _Line(
        datetime.fromisoformat(document["at"]),
        int(document["unit"]),
        int(document["fence"]),
        Next(
            UnitState(document["state"]),
            from_store(document["reason"]),
            document["code"],
            _delta(document["wait"]),
            document["counts_as_try"],
            Ref(ref[0], ref[1]) if ref else None,
            _delta(document["results_after"]),
            {key: from_store(why) for key, why in document["failed"].items()},
            document["hold_push"],
            _delta(document["look_after"]),
        ),
        Observation(wrote, status, body.encode(), from_store(fault)),
    )


def _still_open(session: Session, lines: Sequence[_Line]) -> list[Recorded]:
    """What is not in the database yet: an attempt that has its evidence was brought in before."""
    found = []
    for line in lines:
        row = session.execute(
            select(Unit.push_id, Unit.channel, Unit.sender, Unit.token, Unit.tries, _doubted())
            .join(Attempt, Attempt.unit_id == Unit.id)
            .where(Unit.id == line.unit, Attempt.fence == line.fence, Attempt.finished_at.is_(None))
        ).first()
        if row is None:
            continue
        keys = session.scalars(select(UnitTarget.recipient_key).where(UnitTarget.unit_id == line.unit))
        targets = tuple(Target(key) for key in keys)
        unit = Claimed(
            line.unit,
            row.push_id,
            row.channel,
            row.sender,
            row.token,
            line.fence,
            row.tries,
            targets,
            None,
            None,
            counted=row.doubted,
        )
        found.append(Recorded(unit, line.next, line.seen))
    return found


def _doubted() -> ColumnElement[bool]:
    """Whether the unit had been sent again, so that an attempt before this one may be out."""
    earlier = aliased(Attempt)
    before = exists().where(
        earlier.unit_id == Attempt.unit_id, earlier.fence < Attempt.fence, earlier.again != ""
    )
    return before.label("doubted")


def _seconds(delta: timedelta | None) -> float | None:
    return None if delta is None else delta.total_seconds()


def _delta(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
