"""Puts a backup in place: checked first, whole or not at all, and frozen until a person releases it."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import Connection, MetaData, inspect, select, text

from lanmu.backup import FORMAT, MANIFEST, SQLITE, TABLES, quoted, revisions
from lanmu.config import Config
from lanmu.delivery.installation.instance import LOCK, RESTORED, freeze, sqlite_file
from lanmu.delivery.installation.instance_models import InstanceRecord
from lanmu.i18n import Filled, _
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Conflict, Invalid
from lanmu.storage import Database
from lanmu.storage.migrate import CORE, upgrade

_REVISION = re.compile(r'^revision\b[^=\n]*=\s*["\']([^"\']+)["\']', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put in place and where; `aside` is where something that was there before now lies.

    `left_out`: the settings whose texts the backup leaves out.
    """

    folder: Path
    made_at: datetime
    files: int
    config: Path | None
    aside: Path | None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Unpacked:
    folder: Path
    manifest: dict[str, Any]

    @property
    def made_at(self) -> datetime:
        return datetime.fromisoformat(self.manifest["made_at"])


def restore_into(file: Path, folder: Path, clock: Clock) -> Restored:
    """Make a new installation of a SQLite backup in a folder that is empty or not there yet."""
    if folder.exists() and any(folder.iterdir()):
        raise Conflict(str(folder), _("is not empty."), _("Name a folder that is empty or not there yet."))
    with _unpacked(file, folder.resolve().parent) as found:
        if found.manifest["dialect"] != "sqlite":
            raise Conflict(
                str(file),
                _("is a backup of a PostgreSQL database, which does not fit into a folder."),
                _("Write a config.toml whose database.url names an empty database, and leave --into out."),
            )
        settings = found.folder / "config.toml"
        data, library, fits = _places(settings)
        folder.mkdir(parents=True, exist_ok=True)
        config = None
        if settings.is_file():
            config = folder / ("config.toml" if fits else "config.from-backup.toml")
            shutil.move(settings, config)
        _move_in(found, folder / data, folder / data / "lanmu.db", folder / library)
        _freeze(f"sqlite:///{folder.resolve() / data / 'lanmu.db'}", found.made_at, clock)
        left_out = tuple(str(each) for each in found.manifest.get("left_out", ()))
        return Restored(folder, found.made_at, len(found.manifest["files"]), config, None, left_out)


def restore_here(
    file: Path, config: Config, clock: Clock, *, force_empty: bool, prepare: Callable[[], None]
) -> Restored:
    """Put the backup where config.toml says. `prepare` makes the tables of a new PostgreSQL database.

    What is there already is never deleted: with `force_empty` a data folder is moved aside.
    """
    data = config.server.data_dir
    database = Database(config.database_url)
    try:
        path = sqlite_file(database)
        taken = [each for each in (data, path) if each is not None and _has_something(each)]
        _refuse_in_use((path.parent if path else data) / LOCK)
        with _unpacked(file, data.resolve().parent) as found:
            _same_kind(found, database)
            if path is None:
                if inspect(database.engine).get_table_names():
                    raise Conflict("database.url", _("names a database that is not empty."), _EMPTY_DATABASE)
                taken = [data] if _has_something(data) else []
            if taken and not force_empty:
                raise Conflict(
                    str(taken[0]),
                    _("holds data already, which is not written over."),
                    _("Use --into FOLDER for a new place, or --force-empty to move what is there aside."),
                )
            aside = _move_aside(taken, clock.now())
            library = config.library.folder
            wanted = library if library is not None and not library.exists() else None
            if path is not None:
                _move_in(found, data, path, wanted)
            else:
                _move_in(found, data, None, wanted)
                prepare()
                _load(database, found)
            _freeze(config.database_url, found.made_at, clock)
            return Restored(data, found.made_at, len(found.manifest["files"]), None, aside)
    finally:
        database.close()


_EMPTY_DATABASE = _("Make a new, empty database for what is restored.")


class _unpacked:
    """The backup's files in a folder of their own, each with the hash that the manifest says."""

    def __init__(self, file: Path, beside: Path) -> None:
        self._file, self._beside = file, beside

    def __enter__(self) -> _Unpacked:
        self._beside.mkdir(parents=True, exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(dir=self._beside, prefix=".lanmu-restore-")
        try:
            return self._read()
        except BaseException:
            self._folder.cleanup()
            raise

    def __exit__(self, *_error: object) -> None:
        self._folder.cleanup()

    def _read(self) -> _Unpacked:
        folder = Path(self._folder.name)
        hashes: dict[str, str] = {}
        try:
            with tarfile.open(self._file, "r:gz") as tar:
                for member in tar:
                    hashes[member.name] = self._unpack(tar, member, folder)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise Invalid(
                str(self._file), _("cannot be read as a backup: %(error)s."), error=error
            ) from error
        hashes.pop(MANIFEST, None)
        try:
            manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
            kind, files, _made_at = int(manifest["format"]), dict(manifest["files"]), manifest["made_at"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged(MANIFEST) from error
        if kind > FORMAT or not _is_known(manifest["revisions"].get("core", "")):
            raise Conflict(
                str(self._file),
                _("was made by a newer Lanmu (%(version)s)."),
                _("Install that version, or a newer one, and restore with it."),
                version=manifest.get("lanmu", "?"),
            )
        if hashes != files:
            wrong = sorted(name for name in {*hashes, *files} if hashes.get(name) != files.get(name))
            raise self._damaged(wrong[0])
        return _Unpacked(folder, manifest)

    def _unpack(self, tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> str:
        name = PurePosixPath(member.name)
        source = tar.extractfile(member) if member.isreg() else None
        if source is None or name.is_absolute() or ".." in name.parts or not name.parts:
            raise self._damaged(member.name)
        target = folder.joinpath(*name.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        hashed = hashlib.sha256()
        with source, os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            while data := source.read(1 << 20):
                hashed.update(data)
                out.write(data)
        return hashed.hexdigest()

    def _damaged(self, name: str) -> Invalid:
        return Invalid(
            str(self._file),
            _("is damaged or was changed: %(name)s is not as it was backed up."),
            _("Nothing has been restored. Take another backup."),
            name=name,
        )


def _is_known(revision: str) -> bool:
    files = CORE.versions.glob("*.py")
    return any(revision in _REVISION.findall(path.read_text(encoding="utf-8")) for path in files)


def _same_kind(found: _Unpacked, database: Database) -> None:
    if found.manifest["dialect"] != database.dialect:
        raise Conflict(
            "database.url",
            _("names a %(here)s database, and the backup is of a %(there)s one."),
            _("Restore to the kind of database that was backed up."),
            here=database.dialect,
            there=found.manifest["dialect"],
        )


def _places(settings: Path) -> tuple[str, str, bool]:
    """Where data and library go below the new folder, and whether the old settings fit there.

    Settings with places of their own would have the copy work on the original's data.
    """
    raw: dict[str, Any] = tomllib.loads(settings.read_text("utf-8")) if settings.is_file() else {}
    data = raw.get("server", {}).get("data_dir", "data")
    library = raw.get("library", {}).get("folder", "content_library") or "content_library"
    inside = all(not Path(each).is_absolute() and ".." not in Path(each).parts for each in (data, library))
    fits = inside and not str(data).startswith("~") and not raw.get("database", {}).get("url")
    return (data, library, True) if fits else ("data", "content_library", False)


def _has_something(path: Path) -> bool:
    if path.is_dir():
        return any(each.name != LOCK for each in path.iterdir())
    return path.exists()


def _refuse_in_use(lock: Path) -> None:
    try:
        with lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Conflict(str(lock), _("Lanmu is running on this data."), _("Stop it first.")) from error


def _move_aside(taken: list[Path], now: datetime) -> Path | None:
    aside = None
    for path in taken:
        if path.exists():
            stamp = f".before-{now:%Y%m%dT%H%M%S}"
            for end in ("-wal", "-shm"):  # of a database file; another's would be read into the new one
                beside = path.with_name(path.name + end)
                if beside.exists():
                    beside.rename(path.with_name(path.name + stamp + end))
            aside = path.with_name(path.name + stamp)
            path.rename(aside)
    return aside


def _move_in(found: _Unpacked, data: Path, database: Path | None, library: Path | None) -> None:
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (found.folder / "data").is_dir():
        shutil.copytree(found.folder / "data", data, dirs_exist_ok=True)
    if database is not None:
        shutil.move(found.folder / SQLITE, database)
    if library is not None and (found.folder / "content_library").is_dir():
        shutil.copytree(found.folder / "content_library", library, dirs_exist_ok=True)


def _load(database: Database, found: _Unpacked) -> None:
    """Fill the tables of a new PostgreSQL database, all of them or none."""
    every: dict[str, Any] = found.manifest["tables"]
    tables = {name: table for name, table in every.items() if not name.startswith("alembic_version")}
    _same_revisions(found, revisions(database))
    with database.engine.begin() as connection:
        metadata = MetaData()
        metadata.reflect(connection)
        missing = sorted(
            name for name, table in tables.items() if table["rows"] and name not in metadata.tables
        )
        if missing:
            raise Conflict(
                f"database: {missing[0]}",
                _("there is no such table here."),
                _("Switch on the plugins that were on when the backup was made. %(new)s"),
                new=_EMPTY_DATABASE,
            )
        known = [table.name for table in metadata.sorted_tables if table.name in tables]
        for name in reversed(known):
            # The books may only be added to; here they are put back as a whole.
            connection.execute(text(f"ALTER TABLE {quoted(name)} DISABLE TRIGGER USER"))
            connection.execute(text(f"DELETE FROM {quoted(name)}"))  # noqa: S608
        for name in known:
            _load_table(connection, name, tables[name], found.folder / TABLES / name)
        for name in known:
            connection.execute(text(f"ALTER TABLE {quoted(name)} ENABLE TRIGGER USER"))


def _same_revisions(found: _Unpacked, here: dict[str, str]) -> None:
    for owner, revision in found.manifest["revisions"].items():
        if here.get(owner, revision) != revision:
            raise Conflict(
                "database",
                _("its tables (%(owner)s) are not those of the Lanmu that made the backup (%(version)s)."),
                _("Install that version, restore into a new, empty database, and upgrade then."),
                owner=owner,
                version=found.manifest.get("lanmu", "?"),
            )


def _load_table(connection: Connection, name: str, table: dict[str, Any], part: Path) -> None:
    columns = ", ".join(map(quoted, table["columns"]))
    raw: Any = connection.connection.driver_connection
    with part.open("rb") as file, raw.cursor() as cursor:
        with cursor.copy(f"COPY {quoted(name)} ({columns}) FROM STDIN") as rows:
            while data := file.read(1 << 20):
                rows.write(data)
        if cursor.rowcount != table["rows"]:
            raise Conflict(name, _("not all of its rows came in."), _EMPTY_DATABASE)
    if "id" in table["columns"]:
        sequence = connection.execute(
            text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": quoted(name)}
        ).scalar()
        if sequence:
            highest = f"(SELECT max(id) FROM {quoted(name)})"  # noqa: S608
            connection.execute(
                text(f"SELECT setval(:sequence, coalesce({highest}, 0) + 1, false)"), {"sequence": sequence}
            )


def _freeze(url: str, made_at: datetime, clock: Clock) -> None:
    database = Database(url)
    try:
        upgrade(database, CORE)
        with database.write() as session:
            row = session.scalar(select(InstanceRecord))
            if row is None:
                row = InstanceRecord(id=1)
                session.add(row)
            row.backup_at = made_at
            freeze(row, clock.now(), Filled(RESTORED, at=f"{made_at:%Y-%m-%d %H:%M} UTC"))
    finally:
        database.close()
