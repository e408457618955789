"""What the library answers: plain values, no rows of its tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from lanmu.i18n import _
from lanmu.interfaces.channels import Asset as SentAsset
from lanmu.library.content import Content


@dataclass(frozen=True, slots=True)
class AssetView:
    """A stored file. `width` and `height` are in pixels, None for a video."""

    id: str
    sha256: str
    name: str
    media_type: str
    size: int
    width: int | None
    height: int | None
    path: Path


@dataclass(frozen=True, slots=True)
class AttachmentView:
    """A file in its place in a revision."""

    asset: AssetView
    caption: str


@dataclass(frozen=True, slots=True)
class ReviewView:
    """One decision on one revision."""

    revision: int
    reviewer: str
    approved: bool
    compliance: bool
    relevance: bool
    appeal: bool
    comment: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class RevisionView:
    """A material as it was written at one time. `approved` says whether a reviewer has let it through."""

    id: int
    number: int
    author: str
    note: str
    generator: str
    content: Content
    attachments: tuple[AttachmentView, ...]
    content_hash: str
    conflict: bool
    approved: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class MaterialView:
    """A material whole, as its page shows it.

    `id` is what people see, `key` what rooms above join on. `lock` must be handed back with an edit.
    `in_use` says that some revision of it may be sent (inside its validity), `approved_number` which one.
    `used` is how often it has been planned or sent.
    """

    id: str
    key: int
    name: str
    content: Content
    attachments: tuple[AttachmentView, ...]
    state: str
    weight: int
    retired_reason: str
    revision: int
    revision_key: int
    author: str
    approved_number: int | None
    approved_revision_key: int | None
    in_use: bool
    lock: int
    used: int
    reviews: tuple[ReviewView, ...]
    created_at: datetime
    updated_at: datetime


class MaterialRow(NamedTuple):
    """A material as a list shows it. `excerpt` is its text's beginning, `cover` its first file's asset id.

    A tuple, because lists are what is asked for most and a frozen dataclass takes five times as long to make.
    """

    id: str
    key: int
    name: str
    title: str
    excerpt: str
    content_class: str
    kind: str
    zone: str
    genre: str
    topic: str
    form: str
    month: str
    origin: str
    owner: str
    state: str
    in_use: bool
    weight: int
    tags: tuple[str, ...]
    valid_from: datetime | None
    valid_until: datetime | None
    cover: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list. `next_cursor` is empty on the last one; `total` counts all pages, exactly."""

    items: tuple[MaterialRow, ...]
    next_cursor: str
    total: int


@dataclass(frozen=True, slots=True)
class Facets:
    """How many materials of a list have each value: axis → value → count, the largest first."""

    counts: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the planner needs to know of material that may be sent; all of it as it was approved.

    `usable_until` is the end of its validity or of its licence, whichever comes first; at that instant it may
    not be sent any more. `weight` is 100 unless people raised or lowered it.
    """

    key: int
    revision_key: int
    id: str
    title: str
    content_class: str
    kind: str
    zone: str
    form: str
    tags: frozenset[str]
    usable_from: datetime | None
    usable_until: datetime | None
    weight: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One approved revision with everything that goes out with it."""

    key: int
    revision_key: int
    id: str
    name: str
    number: int
    title: str
    body: str
    assets: tuple[SentAsset, ...]
    content_class: str
    kind: str
    content_hash: str
    usable_from: datetime | None
    usable_until: datetime | None
    retired: bool

    def why_not(self, now: datetime) -> str:
        """Why it may not go out now, as an English text to translate; empty where it may."""
        if self.retired:
            return _("The material has been retired.")
        if self.usable_from is not None and now < self.usable_from:
            return _("The material is not valid yet.")
        if self.usable_until is not None and now >= self.usable_until:
            return _("The material's validity or licence has ended.")
        return ""
