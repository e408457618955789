"""One cache of compiled SQL for all the databases of a test run: each test compiled the same statements anew.

SQLAlchemy keeps what it compiled for the dialect of one engine. A server has few of those in its life, tests
have one each, and compiling took a third of their time. Here dialects of one kind count as one.
"""

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

_COMPILED: LRUCache[Any, Any] = LRUCache(5000)


class _Alike(DefaultDialect):
    """Equals every dialect of its class whose server has the same version: all that they compile by."""

    def __eq__(self, other: object) -> bool:
        return self is other or (
            type(self) is type(other)
            and isinstance(other, DefaultDialect)
            and self.server_version_info is not None  # known once it is connected
            and self.server_version_info == other.server_version_info
        )

    def __hash__(self) -> int:
        return hash(type(self))

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        engine.update_execution_options(compiled_cache=_COMPILED)


class Sqlite(_Alike, SQLiteDialect_pysqlite):
    """SQLite as ever, but for the cache."""

    supports_statement_cache = True


class Postgres(_Alike, PGDialect_psycopg):
    """PostgreSQL as ever, but for the cache."""

    supports_statement_cache = True


def share() -> None:
    """Let every engine that is made from now on use the cache."""
    registry.register("sqlite", __name__, "Sqlite")
    registry.register("postgresql.psycopg", __name__, "Postgres")
