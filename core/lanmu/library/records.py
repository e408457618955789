"""Reading and writing a material's rows inside a session: what every verb of the library is made of."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid, NotFound
from lanmu.library import bigrams
from lanmu.library.content import (
    Attachment,
    Content,
    content_from,
    content_hash,
    fields_of,
    licence_document,
)
from lanmu.library.models import Asset, Material, MaterialTag, Review, Revision, RevisionAsset
from lanmu.library.views import AssetView, AttachmentView, RevisionView

EXCERPT = 120
"""Characters of a text that a list shows."""


def find(session: Session, material: str, *, for_update: bool = False) -> Material:
    """The row of a material by its public id. Raises NotFound."""
    wanted = select(Material).where(Material.public_id == material)
    if for_update:  # on SQLite the transaction holds the whole database already
        wanted = wanted.with_for_update()
    row = session.scalars(wanted).first()
    if row is None:
        raise NotFound(
            "material",
            _("there is no material “%(id)s”."),
            _("Look it up in the list; its address may be mistyped."),
            id=material[:40],
        )
    return row


def assets_of(session: Session, attachments: Iterable[Attachment]) -> list[tuple[Asset, str]]:
    """The asset and caption of each attachment, in order. Raises Invalid for one that does not exist."""
    given = list(attachments)
    if not given:
        return []
    rows = session.scalars(select(Asset).where(Asset.public_id.in_([item.asset for item in given])))
    known = {row.public_id: row for row in rows}
    for item in given:
        if item.asset not in known:
            raise Invalid(
                "attachments", _("there is no file “%(id)s”."), _("Upload it again."), id=item.asset[:40]
            )
    return [(known[item.asset], item.caption) for item in given]


def digest(content: Content, attached: Sequence[tuple[Asset, str]]) -> str:
    """The content hash of content with its files."""
    return content_hash(content, [(asset.sha256, caption) for asset, caption in attached])


def write_revision(
    session: Session,
    material: Material,
    content: Content,
    *,
    author: str,
    now: datetime,
    note: str = "",
    generator: str = "",
    conflict: bool = False,
) -> Revision:
    """Add a revision; the material itself is left as it is."""
    attached = assets_of(session, content.attachments)
    last = session.scalar(select(func.max(Revision.number)).where(Revision.material_id == material.id))
    revision = Revision(
        material_id=material.id,
        number=(last or 0) + 1,
        title=content.title,
        body=content.body,
        author=author,
        note=note,
        generator=generator,
        fields=fields_of(content),
        content_hash=digest(content, attached),
        conflict=conflict,
        created_at=now,
    )
    session.add(revision)
    session.flush()
    for position, (asset, caption) in enumerate(attached):
        session.add(
            RevisionAsset(revision_id=revision.id, position=position, asset_id=asset.id, caption=caption)
        )
    session.flush()
    return revision


def insert(
    session: Session,
    content: Content,
    *,
    author: str,
    now: datetime,
    note: str = "",
    generator: str = "",
    finish: bool = True,
) -> Material:
    """Add a material with its first revision, as a draft. With `finish` off, the caller calls `touch`."""
    row = Material(
        public_id=Material.fresh_id(), state="draft", weight=100, lock=0, created_at=now, updated_at=now
    )
    fill(row, content)
    session.add(row)
    session.flush()
    revision = write_revision(session, row, content, author=author, now=now, note=note, generator=generator)
    row.current_revision_id = revision.id
    write_tags(session, row, content.tags)
    if finish:
        touch(session, row, content, now)
    return row


def fill(material: Material, content: Content) -> None:
    """Write the content's fields into the material's columns (not its tags: see `write_tags`)."""
    material.title = content.title
    material.content_class = content.content_class
    material.kind = content.kind
    material.zone = content.zone
    material.genre = content.genre
    material.topic = content.topic
    material.form = content.form
    material.month = content.month
    material.origin = content.origin
    material.owner = content.owner
    material.valid_from = content.valid_from
    material.valid_until = content.valid_until
    material.licence = licence_document(content.licence)
    material.consent = content.consent
    material.excerpt = content.body[:EXCERPT]
    material.tags = list(content.tags)
    material.cover = content.attachments[0].asset if content.attachments else ""


def write_tags(session: Session, material: Material, tags: Sequence[str]) -> None:
    """Replace the material's tags."""
    session.execute(delete(MaterialTag).where(MaterialTag.material_id == material.id))
    for position, tag in enumerate(tags):
        session.add(MaterialTag(material_id=material.id, tag=tag, position=position))


def change(
    session: Session,
    material: Material,
    content: Content,
    *,
    author: str,
    now: datetime,
    note: str = "",
    generator: str = "",
    finish: bool = True,
) -> Revision | None:
    """Write new content as a revision; None where it says nothing new.

    What a reviewer has let through stays approved when only what sorts it (topic, month, tags, owner) has
    changed, and comes back when the text is set back to it. Anything else is a draft again, beside the
    approved revision, which stays in use. With `finish` off, the caller calls `touch` itself.
    """
    before = session.get_one(Revision, material.current_revision_id)
    if content_of(session, before) == content:
        return None
    revision = write_revision(
        session, material, content, author=author, now=now, note=note, generator=generator
    )
    approved = session.get(Revision, material.approved_revision_id) if material.approved_revision_id else None
    if approved is not None and approved.content_hash == revision.content_hash:
        material.approved_revision_id = revision.id
        material.state = "approved"
    elif before.content_hash != revision.content_hash:
        material.state = "draft"
    material.current_revision_id = revision.id
    fill(material, content)
    write_tags(session, material, content.tags)
    if finish:
        touch(session, material, content, now)
    return revision


def touch(session: Session, material: Material, content: Content, now: datetime) -> None:
    """Finish a change: a new lock, the time, and the search index as the material is now."""
    material.lock = (material.lock or 0) + 1
    material.updated_at = now
    session.flush()
    index(session, material, content)


def current(session: Session, material: Material) -> Content:
    """What the material says now."""
    revision = session.get_one(Revision, material.current_revision_id)
    return content_of(session, revision)


def content_of(session: Session, revision: Revision) -> Content:
    """What a revision says."""
    rows = session.execute(
        select(Asset.public_id, RevisionAsset.caption)
        .join(Asset, Asset.id == RevisionAsset.asset_id)
        .where(RevisionAsset.revision_id == revision.id)
        .order_by(RevisionAsset.position)
    )
    attachments = tuple(Attachment(asset, caption) for asset, caption in rows)
    return content_from(revision.title, revision.body, revision.fields, attachments)


def index(session: Session, material: Material, content: Content) -> None:
    """Write the words and marks under which the material is found, and count the change."""
    found = bigrams.words(
        "\n".join((content.title, content.topic, " ".join(content.tags), content.body, content.owner))
    )
    marks = [
        bigrams.mark(axis, getattr(material, axis))
        for axis in ("content_class", "kind", "zone", "genre", "form", "month", "origin", "owner", "state")
    ]
    marks.append(bigrams.shelf_mark(material.content_class, material.zone))
    marks += [bigrams.mark("tag", tag) for tag in content.tags]
    if material.approved_revision_id is not None and material.state != "retired":
        marks.append(bigrams.IN_USE)
    if session.get_bind().dialect.name == "sqlite":
        session.execute(text("DELETE FROM material_search WHERE rowid = :id"), {"id": material.id})
        session.execute(
            text("INSERT INTO material_search (rowid, words) VALUES (:id, :words)"),
            {"id": material.id, "words": " ".join([*found, *marks])},
        )
    else:
        session.execute(
            text(
                "INSERT INTO material_search (material_id, words) VALUES (:id, CAST(:words AS tsvector)) "
                "ON CONFLICT (material_id) DO UPDATE SET words = EXCLUDED.words"
            ),
            {"id": material.id, "words": bigrams.tsvector(found, marks)},
        )
    session.execute(text("UPDATE material_search_version SET version = version + 1 WHERE id = 1"))


def is_approved(session: Session, revision: Revision) -> bool:
    """Did the newest decision on this text let it through? Revisions of one content hash send the same."""
    decision = session.scalars(
        select(Review.approved)
        .join(Revision, Revision.id == Review.revision_id)
        .where(Review.material_id == revision.material_id, Revision.content_hash == revision.content_hash)
        .order_by(Review.id.desc())
        .limit(1)
    ).first()
    return bool(decision)


def asset_path(folder: Path, sha256: str) -> Path:
    """Where a file of this content lies."""
    return folder / sha256[:2] / sha256


def asset_view(asset: Asset, folder: Path) -> AssetView:
    return AssetView(
        id=asset.public_id,
        sha256=asset.sha256,
        name=asset.name,
        media_type=asset.media_type,
        size=asset.size,
        width=asset.width,
        height=asset.height,
        path=asset_path(folder, asset.sha256),
    )


def attachments_of(session: Session, revision_id: int, folder: Path) -> tuple[AttachmentView, ...]:
    """The files of a revision, in order."""
    rows = session.execute(
        select(Asset, RevisionAsset.caption)
        .join(Asset, Asset.id == RevisionAsset.asset_id)
        .where(RevisionAsset.revision_id == revision_id)
        .order_by(RevisionAsset.position)
    )
    return tuple(AttachmentView(asset_view(asset, folder), caption) for asset, caption in rows)


def revision_view(session: Session, revision: Revision, folder: Path) -> RevisionView:
    attachments = attachments_of(session, revision.id, folder)
    content = content_from(
        revision.title,
        revision.body,
        revision.fields,
        tuple(Attachment(item.asset.id, item.caption) for item in attachments),
    )
    return RevisionView(
        id=revision.id,
        number=revision.number,
        author=revision.author,
        note=revision.note,
        generator=revision.generator,
        content=content,
        attachments=attachments,
        content_hash=revision.content_hash,
        conflict=revision.conflict,
        approved=is_approved(session, revision),
        created_at=revision.created_at,
    )
