"""What people write of a material, as one value, and the hash of what a reviewer answers for."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

_LAST_DAY = date(9990, 12, 31)  # "for ever" is often written as 9999-12-31, and nothing comes after that


@dataclass(frozen=True, slots=True)
class Licence:
    """Leave to use somebody else's text: where it stands, who gave it, and its last day."""

    source: str
    licensor: str
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes along, by its asset's id, with a caption."""

    asset: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that people write of a material.

    `month` is YYYYMM. `valid_from` is the first instant at which it may be sent and `valid_until` the first
    at which it may not any more (see `end_of_day`).
    """

    title: str
    body: str
    content_class: str
    kind: str
    zone: str
    genre: str
    topic: str
    form: str
    month: str
    owner: str
    origin: str = "original"
    tags: tuple[str, ...] = ()
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    licence: Licence | None = None
    consent: str = ""
    attachments: tuple[Attachment, ...] = field(default=())


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a day in a zone, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant after a day in a zone, in UTC: what `valid_until` is for a last day."""
    return start_of_day(min(day, _LAST_DAY) + timedelta(days=1), zone)


def usable_until(valid_until: datetime | None, licence: Licence | None, zone: ZoneInfo) -> datetime | None:
    """When material may no longer be sent: its validity's or its licence's end, whichever is first."""
    licence_end = end_of_day(licence.until, zone) if licence is not None and licence.until else None
    ends = [end for end in (valid_until, licence_end) if end is not None]
    return min(ends, default=None)


def tidy(content: Content) -> Content:
    """The content as it is stored: trimmed, one kind of line break, tags without repeats."""
    tags = dict.fromkeys(" ".join(tag.split()) for tag in content.tags)
    values: dict[str, Any] = {name: getattr(content, name) for name in content.__dataclass_fields__}
    for name in ("title", "topic", "owner"):
        values[name] = " ".join(values[name].split())
    for name in ("content_class", "kind", "zone", "genre", "form", "month", "origin", "consent"):
        values[name] = values[name].strip()
    values["body"] = re.sub(r"\r\n?", "\n", content.body).strip()
    values["tags"] = tuple(tag for tag in tags if tag)
    return Content(**values)


def content_hash(content: Content, attached: list[tuple[str, str]]) -> str:
    """SHA-256 over what a reviewer answers for. `attached` is (sha256, caption) in order.

    Not in it: topic, month, tags and owner, which sort a material but send nothing to anybody.
    """
    stored = fields_of(content)
    for name in ("topic", "month", "tags", "owner"):
        del stored[name]
    said = [content.title, content.body, attached, stored]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def fields_of(content: Content) -> dict[str, Any]:
    """Everything but title, body and attachments, as JSON can hold it."""
    fields = asdict(content)
    for name in ("title", "body", "attachments"):
        del fields[name]
    fields["tags"] = list(content.tags)
    for name in ("valid_from", "valid_until"):
        fields[name] = fields[name] and fields[name].astimezone(UTC).isoformat()
    fields["licence"] = licence_document(content.licence)
    return fields


def content_from(
    title: str, body: str, fields: dict[str, Any], attachments: tuple[Attachment, ...]
) -> Content:
    """The content that `fields_of` was made from."""
    values = dict(fields)
    values["tags"] = tuple(values["tags"])
    for name in ("valid_from", "valid_until"):
        values[name] = datetime.fromisoformat(values[name]) if values[name] else None
    values["licence"] = licence_from(values["licence"])
    return Content(title=title, body=body, attachments=attachments, **values)


def licence_document(licence: Licence | None) -> dict[str, str] | None:
    if licence is None:
        return None
    until = licence.until.isoformat() if licence.until else ""
    return {"source": licence.source, "licensor": licence.licensor, "until": until}


def licence_from(document: dict[str, str] | None) -> Licence | None:
    if document is None:
        return None
    until = date.fromisoformat(document["until"]) if document["until"] else None
    return Licence(document["source"], document["licensor"], until)
