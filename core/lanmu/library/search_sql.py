"""The statements of lists and searches, and how their rows are read; `lanmu.library.search` decides which."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from lanmu.library.naming import generated_name
from lanmu.library.views import MaterialRow

Sort = Literal["newest", "updated", "month", "class", "topic", "form", "title"]
SORTS: Mapping[str, tuple[str, str]] = {
    "newest": ("id", "DESC"),
    "updated": ("updated_at", "DESC"),
    "month": ("month", "DESC"),
    "class": ("content_class", "ASC"),
    "topic": ("topic", "ASC"),
    "form": ("form", "ASC"),
    "title": ("title", "ASC"),
}
Way = Literal["all", "hits", "few"]
AXES = ("content_class", "zone", "kind", "genre", "state", "form", "month", "origin", "owner")
_FACET_MOST = 60
VERSION = "(SELECT version FROM material_search_version WHERE id = 1)"

HITS = {
    True: "SELECT rowid FROM material_search WHERE material_search MATCH :said",
    False: "SELECT material_id FROM material_search WHERE words @@ CAST(%(said)s AS tsquery)",
}


PROBE = (
    "SELECT count(*), json_group_array(id) FROM "
    "(SELECT rowid AS id FROM material_search WHERE material_search MATCH :said LIMIT :most)"
)
"""How many hits a text has, up to a limit, and which."""

_FEW = "json_each(:few) AS few"

COUNT_FEW = f"SELECT count(*) FROM {_FEW} CROSS JOIN material m ON m.id = few.value WHERE "  # noqa: S608


def conditions(
    chosen: Mapping[str, Sequence[str]], tags: Sequence[str], in_use: bool
) -> tuple[str, dict[str, str]]:
    """Filters as conditions on a material's own columns, with their values; only for few materials."""
    parts = []
    values: dict[str, str] = {}

    def named(value: str) -> str:
        name = f"v{len(values)}"
        values[name] = value
        return f":{name}"

    for axis in AXES:
        if chosen[axis]:
            parts.append(f"m.{axis} IN ({', '.join(map(named, chosen[axis]))})")
    for tag in tags:
        parts.append(
            f"EXISTS (SELECT 1 FROM material_tag t WHERE t.material_id = m.id AND t.tag = {named(tag)})"  # noqa: S608
        )
    if in_use:
        parts.append("m.approved_revision_id IS NOT NULL AND m.state <> 'retired'")
    return " AND ".join(parts) or "1", values


@lru_cache(maxsize=64)
def page_statement(sqlite: bool, sort: Sort, way: Way, paging: bool, narrowed: str) -> str:
    """The statement for a page; every part of it is a constant of this file.

    `way` says where the materials come from: all of them, the index's hits for `said`, or the few whose keys
    are handed over as JSON, narrowed by conditions on their own columns.
    """
    by, direction = SORTS[sort]
    sign = "<" if direction == "DESC" else ">"
    named = ":{}" if sqlite else "%({})s"
    after, key = named.format("value"), named.format("id")
    source = "material m"
    where = []
    order = f"m.{by} {direction}" + ("" if by == "id" else f", m.id {direction}")
    if way == "hits" and sqlite and by == "id":
        # FTS5 gives its hits in the order of row ids: the page is read, and the rest is never looked at.
        source = "material_search f CROSS JOIN material m ON m.id = f.rowid"
        where.append("material_search MATCH :said")
        if paging:
            where.append(f"f.rowid < {key}")
        order = "f.rowid DESC"
    else:
        if way == "hits":
            where.append(f"m.id IN ({HITS[sqlite]})")
        elif way == "few":
            source = f"{_FEW} CROSS JOIN material m ON m.id = few.value"
            where.append(narrowed)
        if paging and by == "id":
            where.append(f"m.id < {key}")
        elif paging:
            where.append(f"(m.{by}, m.id) {sign} ({after}, {key})")
    return (
        "SELECT m.public_id, m.id, m.title, m.excerpt, m.content_class, m.kind, m.zone, "  # noqa: S608
        "m.genre, m.topic, m.form, m.month, m.origin, m.owner, m.state, m.approved_revision_id, m.weight, "
        f"m.tags, m.valid_from, m.valid_until, m.cover, m.updated_at, {VERSION} FROM {source}"
        + (f" WHERE {' AND '.join(where)}" if where else "")
        + f" ORDER BY {order} LIMIT {named.format('count')}"
    )


@lru_cache(maxsize=64)
def facet_statement(sqlite: bool, axis: str, searching: bool) -> str:
    """The statement that counts the values of an axis."""
    where = f" WHERE m.id IN ({HITS[sqlite]})" if searching else ""
    value, source = f"m.{axis}", "material m"
    if axis == "tag":
        value, source = "t.tag", "material_tag t JOIN material m ON m.id = t.material_id"
    return (
        f"SELECT {value}, count(*) FROM {source}{where} GROUP BY {value} "  # noqa: S608
        f"ORDER BY count(*) DESC, {value} LIMIT {_FACET_MOST}"
    )


def material_row(row: tuple[Any, ...]) -> MaterialRow:
    """A row of a page as it is answered."""
    (public_id, key, title, excerpt, content_class, kind, zone, genre, topic, form, month, origin, owner,
     state, approved, weight, tags, valid_from, valid_until, cover, updated_at, _version) = row  # fmt: skip
    return MaterialRow(
        public_id,
        key,
        generated_name(month, content_class, topic, form),
        title,
        excerpt,
        content_class,
        kind,
        zone,
        genre,
        topic,
        form,
        month,
        origin,
        owner,
        state,
        approved is not None and state != "retired",
        weight,
        tuple(json.loads(tags)),
        _instant(valid_from),
        _instant(valid_until),
        cover,
        _instant(updated_at),  # type: ignore[arg-type]  # never empty
    )


def _instant(value: str | datetime | None) -> datetime | None:
    """A time as the driver gives it: SQLite keeps it as text in UTC (see `lanmu.storage.UtcDateTime`)."""
    if isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return value and value.astimezone(UTC)
