"""The library's tables: materials, revisions, assets, tags and what the sync knows of each file."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lanmu.library.naming import generated_name
from lanmu.storage import Base, JsonDoc, Public, UtcDateTime
from lanmu.storage.types import BigId

STATES = ("draft", "in_review", "approved", "retired")


class Material(Public, Base):
    """素材: an item of the library, as it was last written; its words stand in revisions.

    What may be sent is `approved_revision_id`, which stays while a newer text is still being written.
    `excerpt`, `tags` and `cover` (its first file's public id) repeat what stands elsewhere, for lists.
    """

    __tablename__ = "material"
    id_prefix = "mat"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    content_class: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(32))
    zone: Mapped[str] = mapped_column(String(32))
    genre: Mapped[str] = mapped_column(String(32))
    topic: Mapped[str] = mapped_column(String(60))
    form: Mapped[str] = mapped_column(String(32))
    month: Mapped[str] = mapped_column(String(6))
    origin: Mapped[str] = mapped_column(String(16))
    owner: Mapped[str] = mapped_column(String(60))
    state: Mapped[str] = mapped_column(String(16), default="draft")
    weight: Mapped[int] = mapped_column(default=100)
    excerpt: Mapped[str] = mapped_column(String(120), default="")
    tags: Mapped[list[str]] = mapped_column(JsonDoc, default=list)
    cover: Mapped[str] = mapped_column(String(24), default="")
    valid_from: Mapped[datetime | None] = mapped_column(UtcDateTime)
    valid_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    licence: Mapped[dict[str, Any] | None] = mapped_column(JsonDoc)
    consent: Mapped[str] = mapped_column(Text, default="")
    retired_reason: Mapped[str] = mapped_column(Text, default="")
    current_revision_id: Mapped[int | None] = mapped_column(BigId)
    approved_revision_id: Mapped[int | None] = mapped_column(BigId)
    lock: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("state IN ('draft','in_review','approved','retired')", name="state"),
        Index(None, "state", "content_class"),
        Index(None, "updated_at", "id"),
    )

    @property
    def name(self) -> str:
        """The generated name, see `lanmu.library.naming`."""
        return generated_name(self.month, self.content_class, self.topic, self.form)


class MaterialTag(Base):
    """标签 of a material, in the order in which they were given."""

    __tablename__ = "material_tag"

    material_id: Mapped[int] = mapped_column(ForeignKey("material.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(40), primary_key=True)
    position: Mapped[int] = mapped_column(default=0)

    __table_args__ = (Index(None, "tag"),)


class Revision(Base):
    """版本: a material as it was written at one time; never changed afterwards.

    `fields` holds everything besides title and body (class, tags, validity, licence …), so that an edit of
    an approved material changes nothing of what its approved revision promises. `content_hash` covers what
    a reviewer answers for: title, body, attachments and all fields but topic, month, tags and owner.
    `conflict` marks the text of somebody who saved over a newer one: kept for them, used by nobody.
    """

    __tablename__ = "revision"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    material_id: Mapped[int] = mapped_column(ForeignKey("material.id", ondelete="CASCADE"))
    number: Mapped[int]
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(String(60))
    note: Mapped[str] = mapped_column(Text, default="")
    generator: Mapped[str] = mapped_column(String(60), default="")
    fields: Mapped[dict[str, Any]] = mapped_column(JsonDoc)
    content_hash: Mapped[str] = mapped_column(String(64))
    conflict: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (UniqueConstraint("material_id", "number"),)


class Asset(Public, Base):
    """附件: a file, stored once for its content under its SHA-256."""

    __tablename__ = "asset"
    id_prefix = "ast"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    media_type: Mapped[str] = mapped_column(String(60))
    size: Mapped[int]
    width: Mapped[int | None]
    height: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RevisionAsset(Base):
    """Which files go along with a revision, in order."""

    __tablename__ = "revision_asset"

    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("asset.id"))
    caption: Mapped[str] = mapped_column(String(200), default="")


class Review(Base):
    """审核: one decision on one revision, with its three criteria."""

    __tablename__ = "review"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    material_id: Mapped[int] = mapped_column(ForeignKey("material.id", ondelete="CASCADE"))
    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id", ondelete="CASCADE"))
    reviewer: Mapped[str] = mapped_column(String(60))
    approved: Mapped[bool]
    compliance: Mapped[bool]
    relevance: Mapped[bool]
    appeal: Mapped[bool]
    comment: Mapped[str] = mapped_column(Text, default="")
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SyncedFile(Base):
    """What the sync last saw of a file and its material, so that it can tell which side has changed since.

    `file_hash` covers the text and the images it names; it is empty where the file was taken away.
    `revision_id` and `state` are the material's when both sides last agreed.
    """

    __tablename__ = "synced_file"

    path: Mapped[str] = mapped_column(String(400), primary_key=True)
    material_id: Mapped[int] = mapped_column(ForeignKey("material.id", ondelete="CASCADE"), unique=True)
    file_hash: Mapped[str] = mapped_column(String(64))
    revision_id: Mapped[int] = mapped_column(BigId)
    state: Mapped[str] = mapped_column(String(16))
    synced_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ContentClass(Base):
    """A class of the mix. The taxonomy is data: other trades cut differently."""

    __tablename__ = "content_class"

    code: Mapped[str] = mapped_column(String(32), primary_key=True)
    title_zh: Mapped[str] = mapped_column(String(40))
    title_en: Mapped[str] = mapped_column(String(40))
    share: Mapped[int]
    position: Mapped[int]


class TaxonomyTerm(Base):
    """A word of an axis: a kind (of a class), a zone, a genre (of a zone), a form, an origin."""

    __tablename__ = "taxonomy_term"

    axis: Mapped[str] = mapped_column(String(8), primary_key=True)
    code: Mapped[str] = mapped_column(String(32), primary_key=True)
    parent: Mapped[str] = mapped_column(String(32))
    title_zh: Mapped[str] = mapped_column(String(40))
    title_en: Mapped[str] = mapped_column(String(40))
    position: Mapped[int]
