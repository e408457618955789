"""Rehearsals as people ask for them: checked, run in a thread, one at a time, and the last one kept."""

import json
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from lanmu.i18n import _, from_store, to_store, told
from lanmu.interfaces.errors import Conflict, Faults, Invalid, LanmuError
from lanmu.rehearsal.people import FEWEST
from lanmu.rehearsal.report import Report, from_document
from lanmu.rehearsal.running import Asked, House, rehearse
from lanmu.server import Server

log = logging.getLogger(__name__)

DAYS, DAYS_MOST = 30, 90
RECIPIENTS, RECIPIENTS_MOST = 10, 50
_NEAR = timedelta(days=366)
_GIVEN_UP = timedelta(minutes=2)
"""After so long without a sign a run is taken to have ended with its process."""


@dataclass(frozen=True, slots=True)
class Running:
    """A rehearsal that is under way: days done, of how many."""

    by: str
    done: int
    days: int


@dataclass(frozen=True, slots=True)
class Last:
    """How the last rehearsal ended: with a report, or with a fault in words."""

    by: str
    at: datetime
    report: Report | None
    fault: str = ""


def house_of(server: Server) -> House:
    """What a rehearsal is told of this installation."""
    config = server.config
    return House(
        config.server.zone,
        config.server.shop_name,
        server.quiet_hours(),
        timedelta(days=config.schedule.horizon_days),
        timedelta(minutes=config.schedule.hand_over_minutes),
        {name: channel.abilities for name, channel in server.plugins.channels.items()},
        server.plugins.objections,
    )


def asked_for(
    server: Server,
    days: int = DAYS,
    recipients: int = RECIPIENTS,
    columns: Sequence[str] = (),
    first: date | None = None,
) -> Asked:
    """Whole days of the shop's calendar, from tomorrow unless told otherwise. Raises Faults."""
    zone = ZoneInfo(server.config.server.zone)
    today = server.clock.now().astimezone(zone).date()
    first = first or today + timedelta(days=1)
    faults: list[LanmuError] = []
    between = _("%(value)s is out of range."), _("Give %(least)s to %(most)s.")
    for place, value, least, most in (
        ("days", days, 1, DAYS_MOST),
        ("recipients", recipients, FEWEST, RECIPIENTS_MOST),
    ):
        if not least <= value <= most:
            faults.append(Invalid(place, *between, value=value, least=least, most=most))
    if abs(first - today) > _NEAR:
        faults.append(Invalid("from", _("%(day)s is more than a year away."), day=first.isoformat()))
    if faults:
        raise Faults(faults)
    start, until = (datetime.combine(first + timedelta(days=n), time(), zone) for n in (0, days))
    return Asked(start, until, days, recipients, tuple(columns))


class Rehearsals:
    """The console's rehearsals. What they come to lies in the data folder, which all web processes share."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._folder = server.config.server.data_dir / "rehearsal"
        self._thread: threading.Thread | None = None
        self._beginning = threading.Lock()

    def begin(self, asked: Asked, by: str) -> None:
        """Run it in a thread of its own. Raises Conflict while another runs."""
        with self._beginning:
            if self.running() is not None:
                raise Conflict("", _("A rehearsal is under way."), _("Wait until it is done."))
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._note(by, 0, asked.days)
        self._thread = threading.Thread(target=self._run, args=(asked, by), name="rehearsal", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Until the rehearsal that was begun here is done, but no longer."""
        if self._thread is not None:
            self._thread.join(seconds)

    def running(self) -> Running | None:
        """The rehearsal that is under way, in whichever process."""
        found = _read(self._path("running"))
        if found is None or self._server.clock.now() - datetime.fromisoformat(found["at"]) > _GIVEN_UP:
            return None
        return Running(found["by"], found["done"], found["days"])

    def last(self) -> Last | None:
        """How the last one ended; None before the first."""
        found = _read(self._path("last"))
        if found is None:
            return None
        report = None if found["report"] is None else from_document(found["report"])
        return Last(found["by"], datetime.fromisoformat(found["at"]), report, from_store(found["fault"]))

    def _run(self, asked: Asked, by: str) -> None:
        report, fault = None, ""
        try:
            report = rehearse(
                self._server.database,
                house_of(self._server),
                asked,
                lambda done, days: self._note(by, done, days),
            )
        except LanmuError as error:
            fault = told(error)
        except Exception:
            log.exception("a rehearsal failed")
            fault = _("It could not be played to its end: look into the log.")
        self._write(
            "last",
            {
                "by": by,
                "at": self._server.clock.now().isoformat(),
                "report": None if report is None else report.as_document(),
                "fault": to_store(fault),
            },
        )
        self._path("running").unlink(missing_ok=True)

    def _note(self, by: str, done: int, days: int) -> None:
        at = self._server.clock.now().isoformat()
        self._write("running", {"by": by, "at": at, "done": done, "days": days})

    def _write(self, name: str, document: dict[str, Any]) -> None:
        new = self._path(f"{name}-new")
        new.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
        new.replace(self._path(name))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None
