"""Writing and reading single materials, and what planner and delivery take from the library."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from lanmu.i18n import _
from lanmu.interfaces.channels import Asset as SentAsset
from lanmu.interfaces.errors import Conflict, Faults, Invalid, NotFound
from lanmu.library import records, taxonomy
from lanmu.library.content import Attachment, Content, content_from, licence_from, tidy, usable_until
from lanmu.library.context import LibraryContext
from lanmu.library.faults import faults_to_save
from lanmu.library.models import Material, Review, Revision
from lanmu.library.naming import generated_name
from lanmu.library.views import Candidate, MaterialView, ReviewView, RevisionView, Snapshot

WEIGHT_MOST = 1000


class EditConflict(Conflict):
    """Somebody saved a newer version meanwhile. `kept` and `newest` are revision numbers: mine and theirs."""

    def __init__(self, material: str, *, kept: int, newest: int, author: str, by: str) -> None:
        self.kept = kept
        self.newest = newest
        super().__init__(
            material,
            _(
                "%(author)s saved version %(newest)d while %(by)s was writing. "
                "Nothing is lost: what %(by)s wrote is kept as version %(kept)d."
            ),
            _("Compare the two, and save again what should stand."),
            author=author,
            newest=newest,
            by=by,
            kept=kept,
        )


class Materials:
    """素材, one at a time."""

    def __init__(self, context: LibraryContext) -> None:
        self._context = context
        self._database = context.database

    def create(self, content: Content, by: str, *, note: str = "", generator: str = "") -> MaterialView:
        """Add a draft. Raises Faults (every fault of the content at once)."""
        with self._database.write() as session:
            content = checked(session, content)
            row = records.insert(session, content, author=by, now=self._now(), note=note, generator=generator)
            return self._view(session, row)

    def edit(
        self, material: str, content: Content, lock: int, by: str, *, note: str = "", generator: str = ""
    ) -> MaterialView:
        """Write new content over the version that `lock` belongs to; saving what stands already is no change.

        Raises EditConflict where somebody was faster (the text given here is kept as a revision that nobody
        uses), Conflict for a retired material, Faults, NotFound.
        """
        with self._database.write() as session:
            row = records.find(session, material, for_update=True)
            content = checked(session, content)
            if row.state == "retired":
                raise Conflict(material, _("it has been retired."), _("Restore it first, then edit it."))
            newest = session.get_one(Revision, row.current_revision_id)
            if row.lock == lock or records.content_of(session, newest) == content:
                records.change(
                    session, row, content, author=by, now=self._now(), note=note, generator=generator
                )
                return self._view(session, row)
            kept = records.write_revision(
                session,
                row,
                content,
                author=by,
                now=self._now(),
                note=note,
                generator=generator,
                conflict=True,
            )
            conflict = EditConflict(
                material, kept=kept.number, newest=newest.number, author=newest.author, by=by
            )
        raise conflict  # after the commit, which keeps the text

    def set_weight(self, material: str, weight: int) -> MaterialView:
        """Raise or lower how often the planner takes it: 100 is the usual, 0 never. Raises Invalid."""
        if not 0 <= weight <= WEIGHT_MOST:
            raise Invalid(
                "weight",
                _("%(weight)d is out of range."),
                _("Use 0 (never) to %(most)d; 100 is the usual."),
                weight=weight,
                most=WEIGHT_MOST,
            )
        with self._database.write() as session:
            row = records.find(session, material, for_update=True)
            row.weight = weight
            records.touch(session, row, records.current(session, row), self._now())
            return self._view(session, row)

    def get(self, material: str) -> MaterialView:
        """A material by its public id. Raises NotFound."""
        with self._database.read() as session:
            return self._view(session, records.find(session, material))

    def by_key(self, key: int) -> MaterialView:
        """A material by the key that rooms above store. Raises NotFound."""
        with self._database.read() as session:
            row = session.get(Material, key)
            if row is None:
                raise NotFound("material", _("there is no material “%(id)s”."), id=key)
            return self._view(session, row)

    def revisions(self, material: str) -> tuple[RevisionView, ...]:
        """Every revision, the newest first, those kept from conflicts among them. Raises NotFound."""
        with self._database.read() as session:
            row = records.find(session, material)
            rows = session.scalars(
                select(Revision).where(Revision.material_id == row.id).order_by(Revision.number.desc())
            )
            return tuple(
                records.revision_view(session, revision, self._context.assets) for revision in rows.all()
            )

    def revision(self, material: str, number: int) -> RevisionView:
        """One revision by its number. Raises NotFound."""
        with self._database.read() as session:
            row = records.find(session, material)
            found = revision_row(session, row, number)
            return records.revision_view(session, found, self._context.assets)

    def candidates(self) -> list[Candidate]:
        """All material that has an approved revision and is not retired, in one query.

        Validity is not looked at: the planner compares it with the time of each slot.
        """
        with self._database.read() as session:
            rows = session.execute(
                select(
                    Material.id,
                    Material.public_id,
                    Material.weight,
                    Revision.id,
                    Revision.title,
                    Revision.fields,
                )
                .join(Revision, Revision.id == Material.approved_revision_id)
                .where(Material.state != "retired")
                .order_by(Material.id)
            ).all()
        found = []
        for key, public_id, weight, revision_key, title, fields in rows:
            found.append(
                Candidate(
                    key=key,
                    revision_key=revision_key,
                    id=public_id,
                    title=title,
                    content_class=fields["content_class"],
                    kind=fields["kind"],
                    zone=fields["zone"],
                    form=fields["form"],
                    tags=frozenset(fields["tags"]),
                    usable_from=_instant(fields["valid_from"]),
                    usable_until=self._usable_until(fields),
                    weight=weight,
                )
            )
        return found

    def snapshot(self, revision_key: int) -> Snapshot:
        """An approved revision with its files. Raises NotFound, and Conflict for one that nobody approved."""
        with self._database.read() as session:
            revision = session.get(Revision, revision_key)
            if revision is None:
                raise NotFound("revision", _("there is no revision “%(id)s”."), id=revision_key)
            row = session.get_one(Material, revision.material_id)
            if revision.conflict or not records.is_approved(session, revision):
                raise Conflict(
                    row.public_id,
                    _("version %(number)d has not been approved."),
                    _("Have it reviewed first."),
                    number=revision.number,
                )
            attached = records.attachments_of(session, revision.id, self._context.assets)
            fields = revision.fields
            return Snapshot(
                key=row.id,
                revision_key=revision.id,
                id=row.public_id,
                name=generated_name(
                    fields["month"], fields["content_class"], fields["topic"], fields["form"]
                ),
                number=revision.number,
                title=revision.title,
                body=revision.body,
                assets=tuple(
                    SentAsset(
                        name=item.asset.name,
                        media_type=item.asset.media_type,
                        sha256=item.asset.sha256,
                        size=item.asset.size,
                        path=item.asset.path,
                    )
                    for item in attached
                ),
                content_class=fields["content_class"],
                kind=fields["kind"],
                content_hash=revision.content_hash,
                usable_from=_instant(fields["valid_from"]),
                usable_until=self._usable_until(fields),
                retired=row.state == "retired",
            )

    def count(self, state: str = "") -> int:
        """How many materials there are, retired ones among them, or how many in one state."""
        query = select(func.count()).select_from(Material)
        if state:
            query = query.where(Material.state == state)
        with self._database.read() as session:
            return session.scalar(query) or 0

    def _usable_until(self, fields: dict[str, object]) -> datetime | None:
        licence = licence_from(fields["licence"])  # type: ignore[arg-type]
        return usable_until(_instant(fields["valid_until"]), licence, self._context.zone)

    def _view(self, session: Session, row: Material) -> MaterialView:
        return view(session, row, self._context)

    def _now(self) -> datetime:
        return self._context.clock.now()


def checked(session: Session, content: Content) -> Content:
    """The content as it will be stored. Raises Faults."""
    content = tidy(content)
    faults = faults_to_save(content, taxonomy.load(session))
    if faults:
        raise Faults(faults)
    return content


def revision_row(session: Session, material: Material, number: int) -> Revision:
    """A material's revision by its number. Raises NotFound."""
    found = session.scalars(
        select(Revision).where(Revision.material_id == material.id, Revision.number == number)
    ).first()
    if found is None:
        raise NotFound(
            material.public_id,
            _("it has no version %(number)d."),
            _("Choose one from its history."),
            number=number,
        )
    return found


def view(session: Session, row: Material, context: LibraryContext) -> MaterialView:
    """A material whole."""
    newest = session.get_one(Revision, row.current_revision_id)
    attachments = records.attachments_of(session, newest.id, context.assets)
    content = content_from(
        newest.title,
        newest.body,
        newest.fields,
        tuple(Attachment(item.asset.id, item.caption) for item in attachments),
    )
    approved = session.get(Revision, row.approved_revision_id) if row.approved_revision_id else None
    return MaterialView(
        id=row.public_id,
        key=row.id,
        name=row.name,
        content=content,
        attachments=attachments,
        state=row.state,
        weight=row.weight,
        retired_reason=row.retired_reason,
        revision=newest.number,
        revision_key=newest.id,
        author=newest.author,
        approved_number=approved.number if approved else None,
        approved_revision_key=approved.id if approved else None,
        in_use=approved is not None and row.state != "retired",
        lock=row.lock,
        used=context.usage([row.id]).get(row.id, 0),
        reviews=_reviews(session, row),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _reviews(session: Session, row: Material) -> tuple[ReviewView, ...]:
    rows = session.execute(
        select(Review, Revision.number)
        .join(Revision, Revision.id == Review.revision_id)
        .where(Review.material_id == row.id)
        .order_by(Review.id.desc())
    )
    return tuple(
        ReviewView(
            revision=number,
            reviewer=review.reviewer,
            approved=review.approved,
            compliance=review.compliance,
            relevance=review.relevance,
            appeal=review.appeal,
            comment=review.comment,
            decided_at=review.decided_at,
        )
        for review, number in rows
    )


def _instant(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
