"""Backs the whole installation up into one file while it runs: database, data folder, library and settings.

The file is a tar.gz of mode 0600. Its last member is a manifest with the SHA-256 of every other, so that
what is restored is known to be what was backed up. Secrets of config.toml are left out; the database
is not, so whoever has the file has the shop's data.
"""

import contextlib
import hashlib
import io
import json
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from sqlalchemy import Connection, MetaData, text

from lanmu import __version__
from lanmu.chain_ends import End, as_document, chain_ends, from_document
from lanmu.config import Config
from lanmu.delivery.installation.instance import LOCK, MARK, sqlite_file
from lanmu.i18n import _
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Conflict, Invalid
from lanmu.secret_settings import Places, without_secrets
from lanmu.storage import Database

FORMAT = 1
MANIFEST = "manifest.json"
SQLITE = "database/lanmu.db"
TABLES = "database/tables"

_LEFT_OUT = ("lanmu.db", "lanmu.db-wal", "lanmu.db-shm", MARK, LOCK)
_QUEUE = "huey.db"
_LEVEL = 3  # most of it is pictures, which do not get smaller


@dataclass(frozen=True, slots=True)
class Backup:
    """What was backed up: the file, its size in bytes, how many files and rows are in it, and as of when.

    `left_out`: the settings whose texts are not in it, since they are secrets or might be.
    """

    path: Path
    size: int
    files: int
    rows: int
    made_at: datetime
    left_out: tuple[str, ...] = ()


def back_up(
    config: Config, database: Database, clock: Clock, target: Path, known: Places = MappingProxyType({})
) -> Backup:
    """Write the backup to `target`, at once or not at all.

    `known` says where the plugins' secrets stand in config.toml. Of a plugin that is not in it every text is
    left out. Raises Invalid where `target` is there already, or cannot be written.
    """
    if target.exists():
        raise Invalid(
            str(target), _("is there already."), _("Choose another name; no backup is written over.")
        )
    now = clock.now()  # before the snapshot: what is sent from here on may be missing in it
    try:
        with tempfile.TemporaryDirectory(dir=target.resolve().parent, prefix=".lanmu-backup-") as folder:
            part = Path(folder) / "backup.tar.gz"
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                packed = _Packing(file)
                ends = chain_ends(database)  # before the snapshot, which therefore holds them
                tables = _pack_database(packed, database, Path(folder), now)
                _pack_data(packed, config.server.data_dir)
                if config.library.folder is not None and config.library.folder.is_dir():
                    packed.add_folder(config.library.folder, "content_library")
                left_out: tuple[str, ...] = ()
                if config.path is not None:
                    settings, left_out = without_secrets(config.path.read_text("utf-8-sig"), known)
                    packed.add_bytes(settings.encode(), "config.toml")
                manifest = {
                    "format": FORMAT,
                    "lanmu": __version__,
                    "made_at": now.isoformat(),
                    "dialect": database.dialect,
                    "revisions": revisions(database),
                    "tables": tables,
                    "chain_ends": as_document(ends),
                    "left_out": left_out,
                    "files": packed.hashes,
                }
                packed.close(json.dumps(manifest, ensure_ascii=False, indent=1).encode())
                file.flush()
                os.fsync(file.fileno())
            os.link(part, target)  # and not a rename, which would write over what has come there meanwhile
    except FileExistsError as error:
        raise Invalid(
            str(target), _("is there already."), _("Choose another name; no backup is written over.")
        ) from error
    except OSError as error:
        raise Invalid(
            str(target), _("cannot be written: %(error)s."), error=error.strerror or error
        ) from error
    rows = sum(int(table["rows"]) for table in tables.values())
    return Backup(target, target.stat().st_size, len(packed.hashes), rows, now, left_out)


def ends_in(file: Path) -> dict[str, End]:
    """The ends of the hash chains that a backup keeps. Raises Invalid where it is none, or keeps none."""
    try:
        with tarfile.open(file, "r:gz") as tar:
            manifest = tar.extractfile(MANIFEST)
            if manifest is None:
                raise KeyError(MANIFEST)
            return from_document(json.load(manifest)["chain_ends"])
    except (tarfile.TarError, OSError, EOFError) as error:
        raise Invalid(str(file), _("cannot be read as a backup: %(error)s."), error=error) from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise Invalid(
            str(file),
            _("does not say where the chains of hashes ended."),
            _("Take a backup that was made by this version of Lanmu or a newer one."),
        ) from error


class _Packing:
    """A tar.gz that remembers the hash of everything put into it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w:gz", compresslevel=_LEVEL)  # noqa: SIM115  see close
        self.hashes: dict[str, str] = {}

    def add_file(self, path: Path, name: str) -> None:
        """Pack a file as long as it is now; one that goes away meanwhile is left out."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        with file:
            self._add(file, os.fstat(file.fileno()).st_size, name)

    def add_bytes(self, data: bytes, name: str) -> None:
        self._add(io.BytesIO(data), len(data), name)

    def add_folder(self, folder: Path, name: str, left_out: tuple[str, ...] = ()) -> None:
        for path in sorted(folder.rglob("*")):
            place = path.relative_to(folder)
            if path.is_file() and not path.is_symlink() and str(place) not in left_out:
                self.add_file(path, f"{name}/{place.as_posix()}")

    def close(self, manifest: bytes) -> None:
        self._add(io.BytesIO(manifest), len(manifest), MANIFEST)
        self._tar.close()

    def _add(self, file: IO[bytes], size: int, name: str) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        hashing = _Hashing(file, size)
        self._tar.addfile(info, hashing)
        if name != MANIFEST:
            self.hashes[name] = hashing.hash.hexdigest()


class _Hashing(io.RawIOBase):
    """Reads a file through, no further than it was long at first, and hashes what was read."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(data)
        self.hash.update(data)
        return data


def _pack_data(packed: _Packing, folder: Path) -> None:
    queue = tuple(f"{_QUEUE}{end}" for end in ("", "-wal", "-shm", "-journal"))
    packed.add_folder(folder, "data", (*_LEFT_OUT, *queue))


def _pack_database(packed: _Packing, database: Database, folder: Path, now: datetime) -> dict[str, Any]:
    """One consistent state, beside which everybody goes on writing."""
    path = sqlite_file(database)
    if path is not None:
        copy = folder / "lanmu.db"
        tables = _copy_sqlite(path, copy, now)
        packed.add_file(copy, SQLITE)
        return tables
    if database.dialect != "postgresql":
        raise Conflict("database.url", _("a database in memory cannot be backed up."))
    tables = {}
    with one_state(database) as connection:
        metadata = MetaData()
        metadata.reflect(connection)
        for table in metadata.sorted_tables:
            columns = [column.name for column in table.columns if column.computed is None]
            part = folder / "table"
            rows = _copy_table(connection, table.name, columns, part)
            packed.add_file(part, f"{TABLES}/{table.name}")
            tables[table.name] = {"rows": rows, "columns": columns}
    return tables


def _copy_sqlite(path: Path, copy: Path, now: datetime) -> dict[str, Any]:
    source = sqlite3.connect(path, timeout=30)
    try:
        source.execute("VACUUM INTO ?", (str(copy),))
    finally:
        source.close()
    os.chmod(copy, 0o600)
    made = sqlite3.connect(copy)
    try:
        if (found := made.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
            raise Conflict(str(path), _("the database is damaged: %(found)s."), found=found)
        with contextlib.suppress(sqlite3.OperationalError), made:  # tables older than this have no such row
            # So whoever puts this file in place by hand has a frozen copy too.
            made.execute(
                "UPDATE instance SET backup_at = ?",
                (now.replace(tzinfo=None).isoformat(" ", "microseconds"),),
            )
        names = [row[0] for row in made.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: {"rows": made.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]}  # noqa: S608
            for name in names
            if not name.startswith("sqlite_") and "_fts" not in name and not name.endswith("_search")
        }
    finally:
        made.close()


@contextmanager
def one_state(database: Database) -> Iterator[Connection]:
    """A PostgreSQL connection that sees one state of the database, whatever is committed meanwhile."""
    with database.engine.connect() as connection:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        yield connection
        connection.rollback()


def _copy_table(connection: Connection, table: str, columns: list[str], part: Path) -> int:
    raw: Any = connection.connection.driver_connection
    with part.open("wb") as file, raw.cursor() as cursor:
        with cursor.copy(f"COPY {quoted(table)} ({', '.join(map(quoted, columns))}) TO STDOUT") as rows:
            for data in rows:
                file.write(data)
        return int(cursor.rowcount)


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def revisions(database: Database) -> dict[str, str]:
    """The newest migration of each owner of tables: of the core, and of plugins."""
    found = {}
    with database.glance() as connection:
        metadata = MetaData()
        metadata.reflect(connection, only=lambda name, _metadata: name.startswith("alembic_version"))
        for table in metadata.tables.values():
            owner = table.name.removeprefix("alembic_version").removeprefix("_plugin_") or "core"
            found[owner] = str(connection.execute(table.select()).scalar())
    return found
