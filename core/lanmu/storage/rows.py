"""Many rows as one statement's parameters, so that it moves a whole batch, each row to values of its own."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    FromClause,
    LargeBinary,
    Text,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
)
from sqlalchemy.types import TypeEngine


class Rows:
    """A table of rows that travels with a statement: `Rows("r", id=int, reason=str)`.

    A batch of any size is one statement with one text, so it is compiled and planned once. Columns are of
    int, str, bool, datetime or, on PostgreSQL, bytes; each may be None. The rows go as an array for each
    column to PostgreSQL, written out here because its driver takes a hundred times as long over one, and as
    one JSON document to SQLite.
    """

    def __init__(self, name: str, **columns: type) -> None:
        self.name = name
        self._columns = columns

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns, in their order."""
        return tuple(self._columns)

    def table(self, dialect: str) -> FromClause:
        """The rows as something to select from; the statement then takes what `pack` answers."""
        if dialect == "postgresql":
            arrays = [
                cast(bindparam(f"{self.name}_{name}", type_=Text()), ARRAY(_TYPES[kind]))
                for name, kind in self._columns.items()
            ]
            names = [column(name, _TYPES[kind]) for name, kind in self._columns.items()]
            return func.unnest(*arrays).table_valued(*names).render_derived(name=self.name)
        each = _json_each(self.name, f"{self.name}_each")
        # The paths stand in the text: as parameters they would be bound anew for each batch.
        columns = [
            func.json_extract(each.c.value, literal_column(f"'$[{place}]'"), type_=_SQLITE_TYPES[kind]).label(
                name
            )
            for place, (name, kind) in enumerate(self._columns.items())
        ]
        return select(*columns).subquery(self.name)

    def pack(self, dialect: str, rows: Iterable[Sequence[object]]) -> dict[str, Any]:
        """The parameters for these rows, each with its values in the order of the columns."""
        if dialect == "postgresql":
            across = list(zip(*rows, strict=True)) or [()] * len(self._columns)
            return {
                f"{self.name}_{name}": _array(kind, values)
                for (name, kind), values in zip(self._columns.items(), across, strict=True)
            }
        return {self.name: json.dumps(list(rows), ensure_ascii=False, default=_as_sqlite_stores_it)}


class Keys:
    """Row ids that travel as one parameter. IN would make another text of it for each number of them."""

    def __init__(self, name: str) -> None:
        self.name = name

    def hold(self, dialect: str, key: ColumnElement[int]) -> ColumnElement[bool]:
        """Whether the key is among them; the statement then takes what `pack` answers."""
        if dialect == "postgresql":
            return key == any_(cast(bindparam(self.name, type_=Text()), ARRAY(BigInteger())))
        return key.in_(select(_json_each(self.name, f"{self.name}_each").c.value))

    def pack(self, dialect: str, keys: Collection[int]) -> dict[str, Any]:
        """The parameter for these keys."""
        return {self.name: _array(int, keys) if dialect == "postgresql" else json.dumps(list(keys))}


def _json_each(parameter: str, name: str) -> Any:
    return func.json_each(bindparam(parameter, type_=Text())).table_valued("value", name=name)


_TYPES: dict[type, TypeEngine[Any]] = {
    int: BigInteger(),
    str: Text(),
    bool: Boolean(),
    datetime: DateTime(timezone=True),
    bytes: LargeBinary(),
}
# SQLite's JSON functions answer values of their own type already; instants are stored as text there.
_SQLITE_TYPES: dict[type, TypeEngine[Any]] = {**_TYPES, datetime: Text()}


def _array(kind: type, values: Collection[Any]) -> str:
    """The values as PostgreSQL writes an array."""
    if kind is str and values and None not in values:
        # Few texts hold what must be masked: a look at all of them together takes a third of the time.
        together = "".join(values)
        if '"' not in together and "\\" not in together:
            return '{"' + '","'.join(values) + '"}'
    element = _ELEMENTS[kind]
    return "{" + ",".join(["NULL" if value is None else element(value) for value in values]) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@lru_cache(256)  # a batch tells the same instant in each of its rows
def _instant(value: datetime) -> str:
    if value.tzinfo is None:
        raise TypeError(f"cannot be a value of a row: {value!r}")
    return f'"{value.isoformat()}"'


_ELEMENTS: dict[type, Callable[[Any], str]] = {
    int: str,
    str: _quoted,
    bool: lambda value: "t" if value else "f",
    datetime: _instant,
    bytes: lambda value: f'"\\\\x{value.hex()}"',
}


@lru_cache(256)
def _as_sqlite_stores_it(value: object) -> str:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError(f"cannot be a value of a row: {value!r}")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
