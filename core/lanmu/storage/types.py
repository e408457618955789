"""Column types that mean the same on SQLite and PostgreSQL, and the ids that people see."""

import json
import json.encoder
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Row, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from lanmu.i18n import from_store, to_store

AnyRow = Row[*tuple[Any, ...]]
"""A row of an answer, whatever its columns."""

# Every byte becomes one of 32 letters, each as likely as the others, since 32 divides 256.
_LETTER_OF_BYTE = b"0123456789abcdefghjkmnpqrstvwxyz" * 8


def new_public_id(prefix: str) -> str:
    """An opaque id such as `mat_7h3k…`: 80 random bits, so it tells neither order nor number."""
    return f"{prefix}_{secrets.token_bytes(16).translate(_LETTER_OF_BYTE).decode()}"


# SQLite gives row ids only to INTEGER keys; PostgreSQL should have 64 bits.
BigId = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant. Naive values are refused, since SQLite would silently lose the zone.

    SQLite stores fixed-width UTC text, so that comparing text compares time.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a naive datetime reached the database: {value!r}")
        value = value.astimezone(UTC)
        if dialect.name == "sqlite":
            return value.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
        return value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, str):
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        return cast(datetime, value).astimezone(UTC)


_encoder = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _made_once() -> Callable[[Any], str]:
    """JSONEncoder makes its encoder in C anew for each document, which takes most of the time."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # a Python without it
        return _encoder.encode
    # No markers: a document that holds itself ends in a RecursionError instead of a ValueError.
    encode = make(None, _encoder.default, json.encoder.encode_basestring, None, ":", ",", True, False, True)
    return lambda document: "".join(encode(document, 0))


json_text: Callable[[Any], str] = _made_once()
"""A document as readable text with sorted keys."""


class JsonDoc(TypeDecorator[Any]):
    """A small JSON document, stored as readable text with sorted keys."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return json_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class Said(TypeDecorator[str]):
    """A text that is told to people: its message and what fills its slots, so that it can be translated."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else to_store(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else from_store(value)
