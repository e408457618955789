"""Migrated PostgreSQL databases for tests: a used one is emptied and handed on if only rows have changed.

Making one and dropping it takes the server a third of a second and more, emptying one 30 ms. Whatever else
has changed (a table, a trigger that was switched off, a role) shows in the catalogs; such a one is dropped.
"""

import threading
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import URL, CursorResult, make_url
from sqlalchemy.exc import DBAPIError

Run = Callable[[str], CursorResult[Any]]

_FULL = 4 * 1024 * 1024
"""Bytes of a table above which its database is dropped: emptying it would take longer."""

_CATALOGS = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'
      AND (NOT relisshared OR relname IN ('pg_authid', 'pg_auth_members', 'pg_db_role_setting'))
      AND relname NOT IN ('pg_statistic', 'pg_statistic_ext_data')
    ORDER BY relname
"""

_OF_THE_DATABASE = """
    SELECT to_jsonb(d) - '{oid,datname,datfrozenxid,datminmxid,dathasloginevt}'::text[]
    FROM pg_database d WHERE datname = current_database()
"""

_TABLES = """
    SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname = 'public' ORDER BY 1
"""

_USED = """
    SELECT name, size FROM (
        SELECT oid::regclass::text AS name, pg_relation_size(oid) AS size FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    ) WHERE size > 0
"""

_RESTART = """
    SELECT setval(seqrelid, seqstart, false) FROM pg_sequence
    WHERE pg_sequence_last_value(seqrelid) IS NOT NULL
"""


class Copies:
    """Copies of the database `template` on the server at `url`; `run` runs a statement there as its owner."""

    def __init__(self, url: str, run: Run, template: str, prefix: str = "lanmu") -> None:
        self._url = make_url(url)
        self._run = run
        self._template = template
        self._prefix = prefix
        self._numbers = count()
        self._clean: deque[str] = deque()
        self.made = 0
        with self._open(template) as connection:
            self._catalogs = [str(name) for (name,) in connection.execute(_CATALOGS)]
            self._own_rows = self._inserts(connection)
            self._as_made = self._fingerprint(connection)

    def take(self) -> URL:
        """A database as the template is, under a name that no test has seen."""
        if self._clean:
            return self._url.set(database=self._clean.popleft())
        name = self._new_name()
        self._run(f"CREATE DATABASE {name} TEMPLATE {self._template} STRATEGY FILE_COPY")
        self.made += 1
        return self._url.set(database=name)

    def give_back(self, url: URL) -> None:
        """Empty it for the next test, or drop it where more than rows has changed.

        It gets a new name before that: a thread that the test left running finds it no more.
        """
        name, new_name = str(url.database), self._new_name()
        try:
            self._end_connections(name)
            self._run(f"ALTER DATABASE {name} RENAME TO {new_name}")
            name = new_name
            emptied = self._empty(name)
        except (psycopg.Error, DBAPIError):
            emptied = False
        if emptied:
            self._clean.append(name)
        else:
            self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def only_rows_differ(self, connection: psycopg.Connection) -> bool:
        """Whether the catalogs are as they are in the template."""
        return self._fingerprint(connection) == self._as_made

    def _new_name(self) -> str:
        return f"{self._prefix}_{next(self._numbers)}"

    def _end_connections(self, name: str) -> None:
        """Those that were closed a moment ago count too, for the server that is about to rename it."""
        ended = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'"
        for _attempt in range(1000):
            if self._run(ended).scalar() == 0:
                return
            threading.Event().wait(0.001)

    def _empty(self, name: str) -> bool:
        with self._open(name) as connection:
            if not self.only_rows_differ(connection):
                return False
            used = connection.execute(_USED).fetchall()
            if any(size > _FULL for _table, size in used):
                return False
            steps = ["SET session_replication_role = replica"]  # no trigger, and no order among the tables
            steps += [f"DELETE FROM {table}" for table, _size in used]
            steps += self._own_rows
            connection.execute(";".join([*steps, _RESTART]).encode())
            # Without it the next test's plans, and its order of rows, would depend on what was here before.
            tables = ", ".join(table for table, _size in used)
            connection.execute(f"VACUUM (INDEX_CLEANUP ON, SKIP_DATABASE_STATS) {tables}".encode())
        return True

    def _open(self, name: str) -> psycopg.Connection:
        plain = self._url.set(drivername="postgresql", database=name)
        return psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True)

    def _fingerprint(self, connection: psycopg.Connection) -> object:
        """What changes with every statement that is not about rows: each catalog's rows and newest change."""
        parts = " UNION ALL ".join(
            f"SELECT '{name}', count(*), max(xmin::text::bigint) FROM {name}" for name in self._catalogs
        )
        return connection.execute(parts.encode()).fetchall(), connection.execute(_OF_THE_DATABASE).fetchall()

    def _inserts(self, connection: psycopg.Connection) -> list[str]:
        """What puts the template's own rows back."""
        found = []
        for (table,) in connection.execute(_TABLES).fetchall():
            row = connection.execute(f"SELECT jsonb_agg(t)::text FROM {table} t".encode()).fetchone()
            if row and row[0]:
                rows = sql.Literal(row[0]).as_string(connection)
                found.append(
                    f"INSERT INTO {table} SELECT * FROM jsonb_populate_recordset(NULL::{table}, {rows})"
                )
        return found
