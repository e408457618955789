"""Many rows as one parameter, so that one statement moves a whole batch, each row to values of its own."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, DateTime, Subquery, Text, bindparam, cast, func, select
from sqlalchemy.types import TypeEngine


class Rows:
    """A table of rows that travels as one JSON parameter: `Rows("r", id=int, reason=str)`.

    A batch of any size is one statement with one text, so it is compiled and planned once. Columns are of
    int, str, bool or datetime; each may be None.
    """

    def __init__(self, name: str, **columns: type) -> None:
        self.name = name
        self._columns = columns

    def table(self, dialect: str) -> Subquery:
        """The rows as something to select from; the statement then takes a parameter called as they are."""
        given = bindparam(self.name, type_=Text())
        if dialect == "postgresql":
            each = func.json_array_elements(cast(given, JSON)).table_valued("value", name=f"{self.name}_each")
            columns = [
                cast(each.c.value.op("->>")(place), _TYPES[kind]).label(name)
                for place, (name, kind) in enumerate(self._columns.items())
            ]
        else:
            each = func.json_each(given).table_valued("value", name=f"{self.name}_each")
            columns = [
                func.json_extract(each.c.value, f"$[{place}]", type_=_SQLITE_TYPES[kind]).label(name)
                for place, (name, kind) in enumerate(self._columns.items())
            ]
        return select(*columns).subquery(self.name)

    def pack(self, dialect: str, rows: Iterable[Sequence[object]]) -> dict[str, str]:
        """The parameter for these rows, each with its values in the order of the columns."""
        default = _as_postgresql_reads_it if dialect == "postgresql" else _as_sqlite_stores_it
        return {self.name: json.dumps(list(rows), ensure_ascii=False, default=default)}


_TYPES: dict[type, TypeEngine[Any]] = {
    int: BigInteger(),
    str: Text(),
    bool: Boolean(),
    datetime: DateTime(timezone=True),
}
# SQLite's JSON functions answer values of their own type already; instants are stored as text there.
_SQLITE_TYPES: dict[type, TypeEngine[Any]] = {**_TYPES, datetime: Text()}


def _instant(value: object) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError(f"cannot be a value of a row: {value!r}")
    return value


def _as_postgresql_reads_it(value: object) -> str:
    return _instant(value).isoformat()


def _as_sqlite_stores_it(value: object) -> str:
    return _instant(value).astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
