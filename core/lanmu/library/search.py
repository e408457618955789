"""Lists and searches of the library: filters and Chinese text as one index query, pages, totals, facets."""

import base64
import binascii
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, TypeVar

from sqlalchemy import BigInteger, ColumnClause, Integer, String, Text, TextClause, bindparam, column, text
from sqlalchemy.orm import Session
from sqlalchemy.sql.selectable import TextualSelect

from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid
from lanmu.library import bigrams
from lanmu.library.context import LibraryContext
from lanmu.library.naming import generated_name
from lanmu.library.views import Facets, MaterialRow, Page
from lanmu.storage import JsonDoc, UtcDateTime

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
PAGE_MOST = 200
_REMEMBERED = 4096
_FACET_MOST = 60
_AXES = ("content_class", "zone", "kind", "genre", "state", "form", "month", "origin", "owner")
_COLUMNS: tuple[ColumnClause[Any], ...] = (
    *(
        column(name, String())
        for name in ("public_id", "title", "content_class", "kind", "zone", "genre", "topic", "form", "month")
    ),
    *(column(name, String()) for name in ("origin", "owner", "state")),
    column("id", BigInteger()),
    column("weight", Integer()),
    column("approved_revision_id", BigInteger()),
    *(column(name, UtcDateTime()) for name in ("valid_from", "valid_until", "updated_at")),
    column("excerpt", Text()),
    column("fields", JsonDoc()),
    column("image", String()),
)
_SELECTED = (
    "m.public_id, m.title, m.content_class, m.kind, m.zone, m.genre, m.topic, m.form, m.month, m.origin, "
    "m.owner, m.state, m.id, m.weight, m.approved_revision_id, m.valid_from, m.valid_until, m.updated_at, "
    "substr(r.body, 1, 120) AS excerpt, r.fields, "
    "(SELECT a.public_id FROM revision_asset ra JOIN asset a ON a.id = ra.asset_id "
    "WHERE ra.revision_id = r.id ORDER BY ra.position LIMIT 1) AS image"
)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to. Values of one axis are alternatives; every tag must be there.

    `text` is what a person typed: every piece of it must be found in title, text, topic, tags or owner.
    `in_use` keeps to material with an approved revision that is not retired.
    """

    text: str = ""
    content_class: tuple[str, ...] = ()
    zone: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    genre: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    form: tuple[str, ...] = ()
    month: tuple[str, ...] = ()
    origin: tuple[str, ...] = ()
    owner: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    in_use: bool = False


class MaterialSearch:
    """Finding materials. Totals and facets are remembered until the library next changes."""

    def __init__(self, context: LibraryContext) -> None:
        self._database = context.database
        self._sqlite = context.database.dialect == "sqlite"
        self._lock = threading.Lock()
        self._version = 0
        self._remembered: dict[tuple[str, str], Any] = {}

    def find(
        self, filters: Filters = Filters(), *, sort: Sort = "newest", cursor: str = "", limit: int = 20
    ) -> Page:
        """A page of the materials that fit. `cursor` is the page before's `next_cursor`, for the same sort.

        Raises Invalid for an unknown sort, a cursor of another list, a limit out of 1…200.
        """
        if sort not in SORTS:
            raise Invalid(
                "sort", _("“%(value)s” is not known here."), _("Use one of: %(known)s."),
                value=str(sort)[:40], known=", ".join(SORTS),
            )  # fmt: skip
        if not 1 <= limit <= PAGE_MOST:
            raise Invalid(
                "limit", _("%(value)d is out of range."), _("Use 1 to %(most)d."), value=limit, most=PAGE_MOST
            )
        after = _opened(cursor, sort)
        query = _query(filters)
        if filters.text.strip() and not query.phrases:
            return Page((), "", 0)  # nothing but signs was typed, and signs are in no index
        said = self._said(query)
        with self._database.read() as session:
            self._plan_anew(session)
            version = self._read_version(session)
            rows = self._rows(session, said, sort, after, limit + 1)
            if not after and len(rows) <= limit:
                total = len(rows)
            else:
                total = self._remember("total", said, version, lambda: self._count(session, said))
        more = len(rows) > limit
        rows = rows[:limit]
        last = _closed(sort, rows[-1]) if more else ""
        return Page(tuple(_row(row) for row in rows), last, total)

    def facets(self, filters: Filters = Filters()) -> Facets:
        """For every axis, how many materials each value has under the other axes' filters."""
        if filters.text.strip() and not _query(filters).phrases:
            return Facets({axis: {} for axis in (*_AXES, "tag")})
        with self._database.read() as session:
            self._plan_anew(session)
            version = self._read_version(session)
            counts: dict[str, Mapping[str, int]] = {}
            for axis in _AXES:
                said = self._said(_query(filters, without=axis))
                counts[axis] = self._remember(axis, said, version, self._counter(session, axis, said))
            said = self._said(_query(filters))
            counts["tag"] = self._remember("tag", said, version, self._counter(session, "tag", said))
        return Facets(counts)

    def _said(self, query: bigrams.Query) -> str:
        if not query:
            return ""
        return bigrams.for_fts5(query) if self._sqlite else bigrams.for_tsquery(query)

    def _plan_anew(self, session: Session) -> None:
        if not self._sqlite:
            # A plan for any word would be kept after the fifth search; words differ in how rare they are.
            session.execute(text("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"))

    def _read_version(self, session: Session) -> int:
        # Read before anything is counted: a count can then be newer than its version, never older.
        return int(session.execute(_VERSION).scalar_one())

    def _remember(self, what: str, said: str, version: int, ask: Callable[[], Answer]) -> Answer:
        key = (what, said)
        with self._lock:
            if self._version < version:
                self._version = version
                self._remembered.clear()
            if self._version == version and key in self._remembered:
                answer: Answer = self._remembered[key]
                return answer
        answer = ask()
        with self._lock:
            if self._version == version:
                if len(self._remembered) >= _REMEMBERED:
                    self._remembered.clear()
                self._remembered[key] = answer
        return answer

    def _rows(
        self, session: Session, said: str, sort: Sort, after: Sequence[Any], count: int
    ) -> Sequence[Any]:
        given: dict[str, Any] = {"count": count}
        if said:
            given["said"] = said
        if after:
            given["value"], given["id"] = after
        return session.execute(_page(self._sqlite, sort, bool(said), bool(after)), given).all()

    def _count(self, session: Session, said: str) -> int:
        if not said:
            return int(session.execute(text("SELECT count(*) FROM material")).scalar_one())
        return int(session.execute(_TOTAL[self._sqlite], {"said": said}).scalar_one())

    def _counter(self, session: Session, axis: str, said: str) -> Callable[[], Mapping[str, int]]:
        def ask() -> Mapping[str, int]:
            given = {"said": said} if said else {}
            rows = session.execute(_facet(self._sqlite, axis, bool(said)), given)
            return {str(value): int(count) for value, count in rows}

        return ask


_VERSION = text("SELECT version FROM material_search_version WHERE id = 1")
_HITS = {
    True: "SELECT rowid FROM material_search WHERE material_search MATCH :said",
    False: "SELECT material_id FROM material_search WHERE words @@ CAST(:said AS tsquery)",
}
_TOTAL = {sqlite: text(f"SELECT count(*) FROM ({hits}) AS hits") for sqlite, hits in _HITS.items()}  # noqa: S608


@lru_cache(maxsize=64)
def _page(sqlite: bool, sort: Sort, searching: bool, paging: bool) -> TextualSelect:
    """The statement for a page; every part of it is a constant of this file."""
    by, direction = SORTS[sort]
    sign = "<" if direction == "DESC" else ">"
    source = "material m"
    where = []
    order = f"m.{by} {direction}" + ("" if by == "id" else f", m.id {direction}")
    if searching and sqlite and by == "id":
        # FTS5 gives its hits in the order of row ids: the page is read, and the rest is never looked at.
        source = "material_search f CROSS JOIN material m ON m.id = f.rowid"
        where.append("material_search MATCH :said")
        if paging:
            where.append("f.rowid < :id")
        order = "f.rowid DESC"
    else:
        if searching:
            where.append(f"m.id IN ({_HITS[sqlite]})")
        if paging and by == "id":
            where.append("m.id < :id")
        elif paging:
            where.append(f"(m.{by}, m.id) {sign} (:value, :id)")
    statement = (
        f"SELECT {_SELECTED} FROM {source} JOIN revision r ON r.id = m.current_revision_id"  # noqa: S608
        + (f" WHERE {' AND '.join(where)}" if where else "")
        + f" ORDER BY {order} LIMIT :count"
    )
    clause = text(statement)
    if paging and by == "updated_at":
        clause = clause.bindparams(bindparam("value", type_=UtcDateTime()))
    return clause.columns(*_COLUMNS)


@lru_cache(maxsize=64)
def _facet(sqlite: bool, axis: str, searching: bool) -> TextClause:
    where = f" WHERE m.id IN ({_HITS[sqlite]})" if searching else ""
    value, source = f"m.{axis}", "material m"
    if axis == "tag":
        value, source = "t.tag", "material_tag t JOIN material m ON m.id = t.material_id"
    return text(
        f"SELECT {value}, count(*) FROM {source}{where} GROUP BY {value} "  # noqa: S608
        f"ORDER BY count(*) DESC, {value} LIMIT {_FACET_MOST}"
    )


def _query(filters: Filters, without: str = "") -> bigrams.Query:
    groups = [
        [bigrams.mark(axis, value) for value in getattr(filters, axis)] for axis in _AXES if axis != without
    ]
    groups += [[bigrams.mark("tag", tag)] for tag in filters.tags]
    if filters.in_use:
        groups.append([bigrams.IN_USE])
    return bigrams.read_query(filters.text, groups)


def _row(row: Any) -> MaterialRow:
    return MaterialRow(
        id=row.public_id,
        key=row.id,
        name=generated_name(row.month, row.content_class, row.topic, row.form),
        title=row.title,
        excerpt=row.excerpt,
        content_class=row.content_class,
        kind=row.kind,
        zone=row.zone,
        genre=row.genre,
        topic=row.topic,
        form=row.form,
        month=row.month,
        origin=row.origin,
        owner=row.owner,
        state=row.state,
        in_use=row.approved_revision_id is not None and row.state != "retired",
        weight=row.weight,
        tags=tuple(row.fields["tags"]),
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        image=row.image or "",
        updated_at=row.updated_at,
    )


def _closed(sort: Sort, row: Any) -> str:
    by, _direction = SORTS[sort]
    value = row.updated_at.isoformat() if by == "updated_at" else getattr(row, by)
    document = json.dumps([sort, value, row.id], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(document.encode()).decode().rstrip("=")


def _opened(cursor: str, sort: Sort) -> tuple[Any, int] | tuple[()]:
    """The value and id after which the page starts. Raises Invalid for what this list did not give out."""
    if not cursor:
        return ()
    try:
        document = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        of, value, key = document
        by = SORTS[sort][0]
        if of != sort or type(key) is not int or not 0 < key < 2**63:
            raise ValueError(cursor)
        if by == "id":
            if value != key:
                raise ValueError(cursor)
        elif not isinstance(value, str) or len(value) > 200:
            raise ValueError(cursor)
        if by == "updated_at":
            value = datetime.fromisoformat(value)
            if value.tzinfo is None:
                raise ValueError(cursor)
    except (ValueError, TypeError, binascii.Error):
        raise Invalid(
            "cursor",
            _("it does not belong to this list."),
            _("Start again from the first page."),
        ) from None
    return value, key
