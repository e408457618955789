"""Lists and searches of the library: filters and Chinese text as one index query, pages, totals, facets."""

import base64
import binascii
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import DBAPICursor

from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid
from lanmu.library import bigrams
from lanmu.library.context import LibraryContext
from lanmu.library.search_sql import (
    AXES,
    COUNT_FEW,
    HITS,
    PROBE,
    SORTS,
    VERSION,
    Sort,
    Way,
    conditions,
    facet_statement,
    material_row,
    page_statement,
)
from lanmu.library.views import Facets, MaterialRow, Page
from lanmu.storage import UtcDateTime

__all__ = ["SORTS", "Filters", "MaterialSearch", "Sort"]

PAGE_MOST = 200
_REMEMBERED = 4096
_FEW_MOST = 200
_SHELF = ("content_class", "zone")
_SHELVES_MOST = 24
_STORED = UtcDateTime()

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
        self._dialect = context.database.engine.dialect
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
        if self._sqlite and isinstance(after.get("value"), datetime):
            after["value"] = _STORED.process_bind_param(after["value"], self._dialect)
        query = _query(filters)
        if filters.text.strip() and not query.phrases:
            return Page((), "", 0)  # nothing but signs was typed, and signs are in no index
        said = self._said(query)
        with self._database.engine.connect() as connection:
            asking = self._cursor(connection)
            narrowed = self._few(asking, filters, query)
            way: Way = "few" if narrowed else "hits" if said else "all"
            condition, values = narrowed or ("", {})
            asking.execute(
                page_statement(self._sqlite, sort, way, bool(after), condition),
                {"said": said, "count": limit + 1, **values, **after},
            )
            rows: list[Any] = list(asking.fetchall())
            if not after and len(rows) <= limit:
                total = len(rows)
            elif narrowed:
                asking.execute(COUNT_FEW + condition, values)
                total = int(asking.fetchall()[0][0])
            else:
                # The version was read before anything is counted: a count may be newer than it, never older.
                version = rows[0][-1] if rows else 0
                total = self._remember("total", said, version, lambda: self._count(asking, said))
        more = len(rows) > limit
        items = tuple([material_row(row) for row in rows[:limit]])
        return Page(items, _closed(sort, items[-1]) if more else "", total)

    def _few(
        self, cursor: DBAPICursor, filters: Filters, query: bigrams.Query
    ) -> tuple[str, dict[str, Any]] | None:
        """Where a text alone has few hits: their keys and the filters as conditions on columns; else None.

        Most words are rare and most filters common. To walk a filter's long list of materials beside a
        text's short one costs ten times as much as to look at the few that the text has left.
        """
        if not (self._sqlite and query.phrases):
            return None
        text = bigrams.for_fts5(bigrams.Query(query.phrases, ()))
        cursor.execute(PROBE, {"said": text, "most": _FEW_MOST + 1})
        ((count, keys),) = cursor.fetchall()
        if count > _FEW_MOST:
            return None
        chosen = {axis: getattr(filters, axis) for axis in AXES}
        condition, values = conditions(chosen, filters.tags, filters.in_use)
        return condition, {**values, "few": keys}

    def facets(self, filters: Filters = Filters()) -> Facets:
        """For every axis, how many materials each value has under the other axes' filters."""
        if filters.text.strip() and not _query(filters).phrases:
            return Facets({axis: {} for axis in (*AXES, "tag")})
        with self._database.engine.connect() as connection:
            asking = self._cursor(connection)
            asking.execute(f"SELECT {VERSION}")
            version = asking.fetchall()[0][0]
            counts: dict[str, Mapping[str, int]] = {}
            for axis in (*AXES, "tag"):
                said = self._said(_query(filters, without=axis))
                counts[axis] = self._remember(axis, said, version, self._counter(asking, axis, said))
        return Facets(counts)

    def _said(self, query: bigrams.Query) -> str:
        if not query:
            return ""
        return bigrams.for_fts5(query) if self._sqlite else bigrams.for_tsquery(query)

    def _cursor(self, connection: Connection) -> DBAPICursor:
        """The driver's own cursor, outside of any transaction on SQLite.

        Lists are what is asked for most; on this way a row costs a third of what it costs through the ORM.
        """
        cursor = connection.connection.cursor()
        if not self._sqlite:
            # A plan for any word would be kept after the fifth search; words differ in how rare they are.
            cursor.execute("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)")
        return cursor

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

    def _count(self, cursor: DBAPICursor, said: str) -> int:
        hits = HITS[self._sqlite] if said else "SELECT 1 FROM material"
        cursor.execute(f"SELECT count(*) FROM ({hits}) AS hits", {"said": said})  # noqa: S608
        return int(cursor.fetchall()[0][0])

    def _counter(self, cursor: DBAPICursor, axis: str, said: str) -> Callable[[], Mapping[str, int]]:
        def ask() -> Mapping[str, int]:
            cursor.execute(facet_statement(self._sqlite, axis, bool(said)), {"said": said})
            return {str(value): int(count) for value, count in cursor.fetchall()}

        return ask


def _query(filters: Filters, without: str = "") -> bigrams.Query:
    axes = [axis for axis in AXES if axis != without and getattr(filters, axis)]
    groups: list[list[str]] = []
    if 0 < len(filters.content_class) * len(filters.zone) <= _SHELVES_MOST and without not in _SHELF:
        groups.append([bigrams.shelf_mark(*pair) for pair in product(filters.content_class, filters.zone)])
        axes = [axis for axis in axes if axis not in _SHELF]
    groups += [[bigrams.mark(axis, value) for value in getattr(filters, axis)] for axis in axes]
    groups += [[bigrams.mark("tag", tag)] for tag in filters.tags]
    if filters.in_use:
        groups.append([bigrams.IN_USE])
    return bigrams.read_query(filters.text, groups)


def _closed(sort: Sort, row: MaterialRow) -> str:
    by, _direction = SORTS[sort]
    value = row.updated_at.isoformat() if by == "updated_at" else row.key if by == "id" else getattr(row, by)
    document = json.dumps([sort, value, row.key], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(document.encode()).decode().rstrip("=")


def _opened(cursor: str, sort: Sort) -> dict[str, Any]:
    """The value and id after which the page starts. Raises Invalid for what this list did not give out."""
    if not cursor:
        return {}
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
    return {"value": value, "id": key}
