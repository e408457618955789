"""The two directions of the sync, one material at a time: file into library, library into file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from sqlalchemy import select
from sqlalchemy.orm import Session

from lanmu.i18n import _
from lanmu.interfaces.errors import Conflict, LanmuError
from lanmu.interfaces.events import MaterialApproved
from lanmu.library import records
from lanmu.library.context import LibraryContext
from lanmu.library.file_writing import compose
from lanmu.library.files import Document, parse
from lanmu.library.folder import ContentFolder, Found, conflict_path
from lanmu.library.front_matter import Image
from lanmu.library.models import Material, Review, Revision, SyncedFile
from lanmu.library.review import MET, let_through
from lanmu.library.views import AttachmentView

_NEW_FOLDER = "new"


@dataclass(frozen=True, slots=True)
class Known:
    """A file as the last sync left it, beside its material as it is now; a lost file has an empty hash."""

    path: str
    key: int
    file_hash: str
    state: str
    revision_key: int
    synced_state: str
    synced_revision: int

    @property
    def server_changed(self) -> bool:
        return (self.state, self.revision_key) != (self.synced_state, self.synced_revision)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a changed file."""

    changed: bool
    conflict: bool
    events: tuple[MaterialApproved, ...] = ()


class FileImport:
    """From files into the library."""

    def __init__(self, context: LibraryContext) -> None:
        self._context = context

    def add(self, session: Session, found: Found, document: Document) -> list[MaterialApproved]:
        """A file that was not known."""
        now = self._context.clock.now()
        row = records.insert(
            session, document.content, author=document.author, now=now, note=found.path, finish=False
        )
        events = self._settle(session, row, document, found.path)
        records.touch(session, row, document.content, now)
        self._agree(session, row, found.path, found.hash)
        return events

    def change(
        self, session: Session, found: Found, document: Document, item: Known, export: "FileExport"
    ) -> Outcome:
        """A known file that now says something else than when both sides last agreed."""
        now = self._context.clock.now()
        row = session.get_one(Material, item.key, with_for_update=True)
        here = (row.state, row.current_revision_id)
        alike = records.current(session, row) == document.content and row.state == document.state
        conflict = here != (item.synced_state, item.synced_revision) and not alike
        if conflict:  # the console's side is laid down beside the file before anything is changed
            export.beside(session, row, found)
        before = (row.state, row.current_revision_id, row.approved_revision_id)
        retired = row.state == "retired"
        records.change(
            session, row, document.content, author=document.author, now=now, note=found.path, finish=False
        )
        events: list[MaterialApproved] = []
        if conflict:
            row.state = "retired" if retired else "draft"
        else:
            events = self._settle(session, row, document, found.path)
        changed = before != (row.state, row.current_revision_id, row.approved_revision_id)
        if changed:
            records.touch(session, row, document.content, now)
        self._agree(session, row, found.path, found.hash)
        return Outcome(changed, conflict, tuple(events))

    def lose(self, item: Known) -> bool:
        """A file that is no longer there: retire its material. False where that was done already."""
        with self._context.database.write() as session:
            row = session.get_one(Material, item.key, with_for_update=True)
            if (row.state, row.current_revision_id) != (item.state, item.revision_key):
                return False  # changed this moment; the next sync sees it
            done = row.state == "retired"
            if not done:
                row.state = "retired"
                row.retired_reason = item.path
                records.touch(session, row, records.current(session, row), self._context.clock.now())
            self._agree(session, row, item.path, "")
            return not done

    def move(self, item: Known, path: str) -> None:
        """The same file under another path."""
        with self._context.database.write() as session:
            synced = session.get_one(SyncedFile, item.path)
            synced.path = path

    def _settle(
        self, session: Session, row: Material, document: Document, path: str
    ) -> list[MaterialApproved]:
        """Bring the material into the state that the file names."""
        wanted = document.state
        if wanted == "retired":
            row.retired_reason = row.retired_reason or path
            row.state = wanted
            return []
        row.retired_reason = ""
        revision = session.get_one(Revision, row.current_revision_id)
        if wanted == "approved":
            if row.approved_revision_id == revision.id:
                row.state = wanted
                return []
            return [
                let_through(session, row, revision, document.reviewer, MET, path, self._context.clock.now())
            ]
        if row.approved_revision_id is not None:
            approved = session.get_one(Revision, row.approved_revision_id)
            if approved.content_hash == revision.content_hash:  # the file takes its approval back
                row.approved_revision_id = None
        row.state = wanted
        return []

    def _agree(self, session: Session, row: Material, path: str, file_hash: str) -> None:
        agree(session, row, path, file_hash, self._context)


class FileExport:
    """From the library into files."""

    def __init__(self, context: LibraryContext, folder: ContentFolder) -> None:
        self._context = context
        self._folder = folder

    def known(self, item: Known, found: Found | None) -> bool:
        """Write a known material's file anew. False where it says all of it already.

        Raises Conflict where somebody has changed the file this very moment, Invalid for a place outside.
        """
        with self._context.database.write() as session:
            row = session.get_one(Material, item.key, with_for_update=True)
            raw, file_hash = self._lay_down(session, row, item.path, found)
            agree(session, row, item.path, file_hash, self._context)
            return found is None or raw != found.raw

    def new(self, key: int) -> str:
        """Write a file for material that has none, and answer its path."""
        with self._context.database.write() as session:
            row = session.get_one(Material, key, with_for_update=True)
            stem = re.sub(r"[^\w\-]+", "-", f"{row.name}-{row.title}")[:80].strip("-")
            path = self._folder.free_path(f"{_NEW_FOLDER}/{stem or row.public_id}.md")
            _raw, file_hash = self._lay_down(session, row, path, None)
            agree(session, row, path, file_hash, self._context)
            return path

    def beside(self, session: Session, row: Material, found: Found) -> str:
        """Lay down the console's side of a conflict beside the file, and answer its path."""
        path = self._folder.free_path(conflict_path(found.path))
        self._folder.write(path, self._composed(session, row, path, found.raw))
        return path

    def _lay_down(self, session: Session, row: Material, path: str, found: Found | None) -> tuple[bytes, str]:
        raw = self._composed(session, row, path, found.raw if found else None)
        if found is None or raw != found.raw:
            if self._folder.hash_of(path) != (found.hash if found else ""):
                raise Conflict(
                    path,
                    _("it was changed while the sync ran."),
                    _("Nothing is lost; the next sync compares both sides."),
                )
            self._folder.write(path, raw)
        return raw, self._folder.hash_of(path)

    def _composed(self, session: Session, row: Material, path: str, old: bytes | None) -> bytes:
        revision = session.get_one(Revision, row.current_revision_id)
        content = records.content_of(session, revision)
        attached = records.attachments_of(session, revision.id, self._context.assets)
        images = self._images(path, attached, old)
        reviewer = session.scalars(
            select(Review.reviewer)
            .where(Review.material_id == row.id, Review.approved.is_(True))
            .order_by(Review.id.desc())
            .limit(1)
        ).first()
        return compose(
            old,
            content,
            images,
            state=row.state,
            author=revision.author,
            reviewer=reviewer or "",
            zone=self._context.zone,
        )

    def _images(self, path: str, attached: Sequence[AttachmentView], old: bytes | None) -> list[Image]:
        """The image lines of a material; files that are not beside it yet are put there."""
        there: dict[str, str] = {}
        if old is not None:
            try:
                for image in parse(old, path, self._context.zone).images:
                    there.setdefault(self._folder.digest(self._folder.image(path, image.path)), image.path)
            except (LanmuError, OSError):  # whatever cannot be read is put there once more
                pass
        lines = []
        for item in attached:
            known = there.get(item.asset.sha256)
            if known is None:
                stem, _dot, extension = item.asset.name.rpartition(".")
                stem = re.sub(r"[^\w\-]+", "-", stem)[:60].strip("-") or "image"
                known = f"images/{stem}-{item.asset.sha256[:8]}.{extension}"
                beside = PurePosixPath(path).parent / known
                if not self._folder.has(str(beside)):
                    self._folder.write(str(beside), item.asset.path.read_bytes())
            lines.append(Image(known, item.caption))
        return lines


def agree(session: Session, row: Material, path: str, file_hash: str, context: LibraryContext) -> None:
    """Note that file and material say the same now."""
    session.flush()
    synced = session.get(SyncedFile, path)
    if synced is None:
        synced = SyncedFile(path=path, material_id=row.id)
        session.add(synced)
    synced.file_hash = file_hash
    synced.revision_id = row.current_revision_id or 0
    synced.state = row.state
    synced.synced_at = context.clock.now()
    session.flush()
