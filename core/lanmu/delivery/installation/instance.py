"""Knows the one installation that a database belongs to; a copy is frozen until a person releases it."""

import contextlib
import fcntl
import json
import logging
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.exc import NotSupportedError, ProgrammingError
from sqlalchemy.orm import Session

from lanmu.delivery.installation.instance_models import InstanceRecord
from lanmu.delivery.installation.owner import boot_id
from lanmu.i18n import Filled, _
from lanmu.interfaces.errors import Conflict
from lanmu.storage import Database
from lanmu.storage.once import insert_once

log = logging.getLogger(__name__)

GONE = timedelta(minutes=2)
"""After so long without a heartbeat another host may take over a SQLite database."""

MARK, LOCK = "lanmu.home", "lanmu.lock"


@dataclass(frozen=True, slots=True)
class Host:
    """This machine: its lasting id where it has one, this boot of it, and the name that people know."""

    machine: str
    boot: str
    name: str

    def is_same(self, other: "Host") -> bool:
        """Containers have no id of their own, but they share the boot of their machine."""
        return self.boot == other.boot or (self.machine != "" and self.machine == other.machine)


def this_host() -> Host:
    return Host(
        _read("/etc/machine-id") or _read("/var/lib/dbus/machine-id"),
        boot_id() or os.uname().nodename,
        os.uname().nodename,
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def home_of(database: Database, host: Host) -> str:
    """What tells this database from a copy of it.

    A SQLite file is known by its machine, its path and its inode: a copy has another, and stays where it is
    through a restart. A PostgreSQL database may serve any number of machines; a dump that was read in has
    another number, a cluster restored or promoted from its log another timeline.
    """
    path = sqlite_file(database)
    if path is not None:
        return f"sqlite {host.machine} {path} {path.stat().st_ino}"
    if database.dialect == "sqlite":
        return "sqlite"
    return "postgresql " + " ".join(_asked(database, question) for question in _WHICH_DATABASE)


_WHICH_DATABASE = (
    "SELECT oid FROM pg_database WHERE datname = current_database()",
    "SELECT system_identifier FROM pg_control_system()",
    "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)",
)


def _asked(database: Database, question: str) -> str:
    try:
        with database.glance() as connection:
            return str(connection.execute(text(question)).scalar())
    except (ProgrammingError, NotSupportedError):
        return "-"  # a hosted database may not let us ask


def sqlite_file(database: Database) -> Path | None:
    """The file of a SQLite database; None for one in memory, or on a server."""
    name = database.url.database
    if database.dialect != "sqlite" or not name or name == ":memory:":
        return None
    return Path(name).resolve()


class Instance:
    """This installation. `folder` is where its mark lies: beside the SQLite file, or in the data folder.

    The mark holds the number of the last heartbeat that is known to be committed, so that a database put back
    to an older state is noticed; on SQLite also which host is at work, for there may be only one.
    """

    def __init__(self, database: Database, folder: Path, host: Host | None = None) -> None:
        path = sqlite_file(database)
        self._one_host = path is not None
        self._database = database
        self._path = (path.parent if path else folder) / MARK
        self._lock_path = self._path.with_name(LOCK)
        self._host = host or this_host()
        self._beats = self._to_be = 0
        self._unmarked = False
        self._held: Any = None

    def is_as_it_was(self, session: Session, now: datetime) -> bool:
        """Whether there is nothing for `arrive` to write: so a command that only reads waits for no writer.

        Raises Conflict where another host is at work on the same SQLite file.
        """
        row = session.scalar(select(InstanceRecord))
        if row is None:
            return False
        mark = self._mark()
        self._keep_second_host_off(row, mark, now)
        return not self._why_freeze(row, int(mark.get("beats", 0)))

    def arrive(self, session: Session, now: datetime) -> None:
        """Take a new database for this installation's own, or freeze one that is a copy."""
        ours = {"id": 1, "home": home_of(self._database, self._host), "host": self._host.name}
        if insert_once(session, InstanceRecord, ["id"], ours) is not None:
            return
        row = session.scalars(select(InstanceRecord).with_for_update()).one()
        if why := self._why_freeze(row, int(self._mark().get("beats", 0))):
            freeze(row, now, why)

    def beat(self, session: Session, now: datetime) -> None:
        """Say that somebody is at work here; on SQLite also that it is this host."""
        row = session.scalar(select(InstanceRecord).with_for_update())
        if row is None:
            row = InstanceRecord(id=1, home=home_of(self._database, self._host), beats=0)
            session.add(row)
        elif (not self._one_host or self._held is None) and (why := self._why_freeze(row, self._beats)):
            freeze(row, now, why)  # a server can be put back, or replaced, under a running Lanmu
        self._keep_second_host_off(
            row, self._mark(), now
        )  # while this one stood still, another may have come
        row.host, row.heartbeat_at, row.beats = self._host.name, now, row.beats + 1
        self._to_be = row.beats

    def beaten(self) -> None:
        """The heartbeat is committed: put it down outside of the database.

        Not before: one that the database lost with its commit would make it look put back to an older state.
        """
        self._beats = self._to_be
        if self._one_host and self._held is None:
            self._held = self._lock_path.open("a", encoding="utf-8")
            with contextlib.suppress(OSError):  # some network folders know no locks; the heartbeat remains
                fcntl.flock(self._held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        self._put(self._host)

    def leave(self) -> None:
        """This process stops. The last of this host makes room for another."""
        if self._held is None:
            return
        with contextlib.suppress(OSError):
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._put(None)
        self._held.close()
        self._held = None

    def settle_in(self, row: InstanceRecord) -> None:
        """Take this place for the home from now on: on a person's word."""
        row.home, row.host = home_of(self._database, self._host), self._host.name
        row.beats = max(row.beats, int(self._mark().get("beats", 0)))  # else it would look put back again

    def _why_freeze(self, row: InstanceRecord, beats_known: int) -> str:
        if row.frozen_at is not None:
            return ""
        if row.backup_at is not None:
            return Filled(RESTORED, at=f"{row.backup_at:%Y-%m-%d %H:%M} UTC")
        if row.home != home_of(self._database, self._host):
            return Filled(MOVED, host=row.host)
        return PUT_BACK if row.beats < beats_known else ""

    def _keep_second_host_off(self, row: InstanceRecord, mark: dict[str, Any], now: datetime) -> None:
        if not self._one_host or not mark.get("boot"):
            return
        there = Host(str(mark.get("machine", "")), str(mark["boot"]), str(mark.get("name", "")))
        if self._host.is_same(there) or row.heartbeat_at is None:
            return
        if now - row.heartbeat_at > GONE and not self._is_held():
            return
        raise Conflict(
            str(self._lock_path),
            _("the host %(host)s is at work on this SQLite database (last seen %(at)s)."),
            _(
                "Stop Lanmu there, or wait two minutes if it has crashed; several hosts need PostgreSQL "
                "(database.url)."
            ),
            host=there.name,
            at=f"{row.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC",
        )

    def _is_held(self) -> bool:
        """Whether some process holds the lock; where locks do not reach other hosts, the heartbeat tells."""
        try:
            with self._lock_path.open("a", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def _mark(self) -> dict[str, Any]:
        try:
            mark = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return mark if isinstance(mark, dict) else {}

    def _put(self, host: Host | None) -> None:
        mark: dict[str, Any] = {"beats": self._beats}
        if host is not None and self._one_host:
            mark |= {"machine": host.machine, "boot": host.boot, "name": host.name}
        new = self._path.with_suffix(f".{os.getpid()}")
        try:
            new.write_text(json.dumps(mark), encoding="utf-8")
            new.replace(self._path)
            self._unmarked = False
        except OSError as error:
            if not self._unmarked:  # told once: it is tried again at every sweep
                log.warning("the mark of this installation cannot be written: %s", error)
            self._unmarked = True


RESTORED = _("This is a copy restored from the backup of %(at)s.")
MOVED = _("This database is a copy or was moved: it was last at work elsewhere (host %(host)s).")
PUT_BACK = _("This database was put back to an older state than this machine has seen.")


def freeze(row: InstanceRecord, now: datetime, reason: str) -> None:
    """Let nothing go out until a person releases it."""
    row.frozen_at, row.frozen_reason = now, reason
    log.error("nothing is sent until a person releases this installation (lanmu release): %s", reason)
