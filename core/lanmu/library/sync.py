"""The two-way sync of the library with a folder of files: added, changed, lost, and changed on both sides.

Each side is compared with what both last agreed on. No text is ever lost: the library keeps every revision, a
file is written over only when nobody has changed it, and what both have changed stands in both afterwards.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import select

from lanmu.i18n import _
from lanmu.interfaces.errors import Conflict, Faults, Invalid, LanmuError, NotFound
from lanmu.interfaces.events import MaterialApproved
from lanmu.library import taxonomy
from lanmu.library.assets import Assets
from lanmu.library.content import Attachment, tidy
from lanmu.library.context import LibraryContext
from lanmu.library.faults import faults_to_approve, faults_to_save
from lanmu.library.files import Document, parse
from lanmu.library.folder import ContentFolder, Found
from lanmu.library.models import Asset, Material, SyncedFile
from lanmu.library.sync_writes import FileExport, FileImport, Known
from lanmu.library.taxonomy import Taxonomy

_BATCH = 100
_NEVER_EMPTY = 5
"""So many known files do not vanish all at once by anybody's wish: a folder is missing then."""

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class SyncReport:
    """What a sync has done, by path. `faults` are placed as `PATH:LINE`; a faulty file changes nothing."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    unchanged: int = 0
    faults: list[LanmuError] = field(default_factory=list)


class FolderSync:
    """文件同步: keeps the library and a folder of Markdown files alike."""

    def __init__(self, context: LibraryContext, assets: Assets) -> None:
        self._context = context
        self._assets = assets

    def run(self, folder: Path, *, progress: Progress | None = None, export_new: bool = True) -> SyncReport:
        """Bring both sides together; running it again changes nothing.

        `progress` hears (done, of how many). With `export_new` off, material made in the console gets no
        file. Raises NotFound where there is no folder, Conflict where it is suddenly empty.
        """
        if not folder.is_dir():
            raise NotFound(
                str(folder),
                _("there is no such folder."),
                _("Create it, or correct its path in config.toml."),
            )
        return _Run(self._context, self._assets, ContentFolder(folder), progress).all(export_new=export_new)


class _Run:
    """One sync."""

    def __init__(
        self, context: LibraryContext, assets: Assets, folder: ContentFolder, progress: Progress | None
    ) -> None:
        self._context = context
        self._folder = folder
        self._progress = progress
        self._report = SyncReport()
        self._assets = assets
        self._stored: dict[str, str] = {}
        self._import = FileImport(context)
        self._export = FileExport(context, folder)
        self._taxonomy: Taxonomy

    def all(self, *, export_new: bool) -> SyncReport:
        known = self._load()
        paths = list(self._folder.paths())
        present = set(paths)
        lost = [item for item in known.values() if item.file_hash and item.path not in present]
        expected = sum(1 for item in known.values() if item.file_hash)
        if not paths and expected >= _NEVER_EMPTY:
            raise Conflict(
                "content_library",
                _("the folder is empty, and %(count)d files were there before; nothing was changed."),
                _("Put the files back. To retire everything, do it in the console."),
                count=expected,
            )
        steps = len(paths) + len(lost)
        gone_by_hash = {item.file_hash: item for item in lost}
        jobs: list[tuple[Found, Document, Known | None]] = []
        for number, path in enumerate(paths, 1):
            job = self._look(path, known, gone_by_hash)
            if job is not None:
                jobs.append(job)
            if len(jobs) >= _BATCH:
                self._take_in(jobs)
                jobs = []
            self._tell(number, steps)
        self._take_in(jobs)
        for number, item in enumerate(gone_by_hash.values(), len(paths) + 1):
            self._lost(item)
            self._tell(number, steps)
        for item in known.values():
            if not item.file_hash and item.path not in present and item.server_changed:
                self._write_out(item)  # restored in the console after its file had been taken away
        if export_new:
            for key in self._without_file():
                path = self._export.new(key)
                if path:
                    self._report.written.append(path)
        return self._report

    def _look(
        self, path: str, known: dict[str, Known], gone: dict[str, Known]
    ) -> tuple[Found, Document, Known | None] | None:
        """Decide what a file that lies there asks for; answer it where it is to be taken in."""
        try:
            found = self._folder.read(path)
        except LanmuError as fault:
            self._report.faults.append(fault)
            return None
        item = known.get(path)
        if item is None and found.hash in gone:
            item = gone.pop(found.hash)
            self._import.move(item, path)
            item = known[path] = replace(item, path=path)
            self._report.moved.append(path)
        if item is not None and item.file_hash == found.hash:
            if item.server_changed:
                self._write_out(item, found)
            elif path not in self._report.moved:
                self._report.unchanged += 1
            return None
        try:
            return found, self._read(found), item
        except Faults as faults:
            self._report.faults.extend(faults.faults)
            return None

    def _read(self, found: Found) -> Document:
        """A file's document with its images stored and everything checked. Raises Faults."""
        document = parse(found.raw, found.path, self._context.zone)
        faults: list[LanmuError] = []
        attachments = []
        for image in document.images:
            try:
                place = self._folder.image(found.path, image.path)
                attachments.append(Attachment(self._store(place), " ".join(image.caption.split())[:200]))
            except LanmuError as fault:
                faults.append(
                    Invalid(f"{found.path}:{image.line}", fault.fault, fault.way_out, **fault.params)
                )
        content = tidy(replace(document.content, attachments=tuple(attachments)))
        document = replace(document, content=content)
        faults += [document.located(found.path, fault) for fault in faults_to_save(content, self._taxonomy)]
        if document.state == "approved" and not faults:
            # What has run out since may still be loaded: its validity keeps it from going out.
            lacking = [
                *faults_to_approve(content, None, self._context.zone),
                *self._reviewer_faults(document),
            ]
            faults += [document.located(found.path, fault) for fault in lacking]
        if faults:
            raise Faults(faults)
        return document

    def _reviewer_faults(self, document: Document) -> Iterable[LanmuError]:
        if not document.reviewer:
            yield Invalid(
                "reviewer" if "reviewer" in document.lines else "state",
                _("approved material needs a reviewer."),
                _("Name the reviewer, or write state: in_review."),
            )
        elif document.reviewer == document.author and not self._context.solo_approval:
            yield Invalid(
                "reviewer",
                _("%(by)s wrote this version and cannot approve it."),
                _("Name another reviewer, or write state: in_review."),
                by=document.reviewer,
            )

    def _store(self, place: Path) -> str:
        digest = self._folder.digest(place)
        if digest not in self._stored:
            with place.open("rb") as file:
                stored = self._assets.store(file, place.name)
            self._stored[digest] = self._stored[stored.sha256] = stored.id
        return self._stored[digest]

    def _take_in(self, jobs: Sequence[tuple[Found, Document, Known | None]]) -> None:
        """Write a batch of files into the library, in one transaction."""
        events: list[MaterialApproved] = []
        with self._context.database.write() as session:
            for found, document, item in jobs:
                if item is None:
                    events += self._import.add(session, found, document)
                    self._report.added.append(found.path)
                    continue
                outcome = self._import.change(session, found, document, item, self._export)
                events += outcome.events
                if outcome.conflict:
                    self._report.conflicts.append(found.path)
                elif outcome.changed:
                    self._report.changed.append(found.path)
                else:
                    self._report.unchanged += 1
        for event in events:
            self._context.approved(event)

    def _lost(self, item: Known) -> None:
        """A file is no longer there: its material is retired, unless the console has changed it since."""
        if item.server_changed and item.state != "retired":
            self._report.conflicts.append(item.path)
            self._write_out(item)
        elif self._import.lose(item):
            self._report.retired.append(item.path)

    def _write_out(self, item: Known, found: Found | None = None) -> None:
        try:
            if self._export.known(item, found):
                self._report.written.append(item.path)
            else:
                self._report.unchanged += 1
        except LanmuError as fault:
            self._report.faults.append(fault)

    def _load(self) -> dict[str, Known]:
        with self._context.database.read() as session:
            self._taxonomy = taxonomy.load(session)
            for sha256, asset in session.execute(select(Asset.sha256, Asset.public_id)):
                if self._assets.holds(sha256):
                    self._stored[sha256] = asset
            rows = session.execute(
                select(SyncedFile, Material).join(Material, Material.id == SyncedFile.material_id)
            )
            return {
                synced.path: Known(
                    path=synced.path,
                    key=material.id,
                    file_hash=synced.file_hash,
                    state=material.state,
                    revision_key=material.current_revision_id or 0,
                    synced_state=synced.state,
                    synced_revision=synced.revision_id,
                )
                for synced, material in rows
            }

    def _without_file(self) -> list[int]:
        with self._context.database.read() as session:
            return list(
                session.scalars(
                    select(Material.id)
                    .outerjoin(SyncedFile, SyncedFile.material_id == Material.id)
                    .where(SyncedFile.path.is_(None), Material.state != "retired")
                    .order_by(Material.id)
                )
            )

    def _tell(self, done: int, of: int) -> None:
        if self._progress is not None:
            self._progress(done, of)
