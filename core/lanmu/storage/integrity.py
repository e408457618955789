"""`verify` for the database itself: its version, its guards, what its rows refer to, and its own checks."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Index, Table, UniqueConstraint, and_, exists, inspect, not_, select, text
from sqlalchemy.engine.interfaces import ReflectedIndex
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from lanmu.i18n import Filled, _
from lanmu.storage.checking import Check, Looked, run_checks
from lanmu.storage.database import Database
from lanmu.storage.migrate import CORE, Chain, is_newest


def verify(database: Database, chains: Iterable[Chain] = (CORE,)) -> Iterable[Check]:
    """Check the tables of these chains; names the first thing that is missing or damaged."""
    known = tuple(chains)

    def look(session: Session) -> Looked:
        yield from _whole(session.connection(), known)

    return run_checks(
        database, [("I16", _("The database is whole: version, guards, references and pages"), look)]
    )


def _whole(connection: Connection, chains: Iterable[Chain]) -> Looked:
    for chain in chains:
        yield (
            None
            if is_newest(connection, chain)
            else Filled(
                _("the tables of %(owner)s are not of the version that this program wants"), owner=chain.owner
            )
        )
        for table in chain.metadata.sorted_tables:
            yield from _guards(connection, table)
            yield from _references(connection, table)
    yield from _pages_of_sqlite(connection) if connection.dialect.name == "sqlite" else _pages(connection)


def _guards(connection: Connection, table: Table) -> Looked:
    """The unique constraints, foreign keys and indexes without which two workers could do the same twice."""
    inspector = inspect(connection)
    if not inspector.has_table(table.name):
        yield Filled(_("table %(table)s is missing"), table=table.name)
        return
    indexes = {str(index["name"]): index for index in inspector.get_indexes(table.name)}
    unique = {tuple(found["column_names"]) for found in inspector.get_unique_constraints(table.name)}
    unique |= {
        tuple(str(name) for name in found["column_names"])
        for found in indexes.values()
        if found["unique"] and not _condition(found)
    }
    unique.add(tuple(inspector.get_pk_constraint(table.name)["constrained_columns"]))
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            columns = tuple(column.name for column in constraint.columns)
            yield None if columns in unique else _missing(table, ", ".join(columns))
    keys = {
        (tuple(key["constrained_columns"]), key["referred_table"])
        for key in inspector.get_foreign_keys(table.name)
    }
    for key in table.foreign_key_constraints:
        columns = tuple(key.column_keys)
        yield (
            None
            if (columns, key.referred_table.name) in keys
            else Filled(
                _("table %(table)s: nothing ties %(columns)s to %(other)s any more"),
                table=table.name,
                columns=", ".join(columns),
                other=key.referred_table.name,
            )
        )
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        yield (
            None
            if _is_there(index, indexes.get(str(index.name)))
            else Filled(
                _("table %(table)s: the index %(index)s is missing, or not the one it should be"),
                table=table.name,
                index=str(index.name),
            )
        )


def _missing(table: Table, columns: str) -> str:
    return Filled(
        _("table %(table)s: nothing keeps %(columns)s unique any more"), table=table.name, columns=columns
    )


def _is_there(wanted: Index, found: ReflectedIndex | None) -> bool:
    if found is None or bool(found["unique"]) != bool(wanted.unique):
        return False
    if [str(name) for name in found["column_names"]] != [column.name for column in wanted.columns]:
        return False
    condition = wanted.dialect_options["sqlite"]["where"]
    return _literals(_condition(found)) == _literals("" if condition is None else str(condition))


def _condition(found: ReflectedIndex) -> str:
    options = found.get("dialect_options", {})
    return str(options.get("sqlite_where", options.get("postgresql_where", "")))


def _literals(condition: str) -> tuple[bool, frozenset[str]]:
    """Whether there is a condition, and the values in it: PostgreSQL keeps one in words of its own."""
    return bool(condition), frozenset(re.findall(r"'([^']*)'", condition))


def _references(connection: Connection, table: Table) -> Looked:
    """Rows that refer to one that is not there; looked for by query, since a constraint may come too late."""
    for key in table.foreign_key_constraints:
        other = key.referred_table.alias("referred")
        pairs = [(element.parent, other.c[element.column.name]) for element in key.elements]
        orphan = (
            select(*table.primary_key.columns)
            .where(
                and_(*(mine.is_not(None) for mine, _theirs in pairs)),
                not_(exists().where(and_(*(mine == theirs for mine, theirs in pairs)))),
            )
            .limit(1)
        )
        found = connection.execute(orphan).first()
        yield (
            None
            if found is None
            else Filled(
                _("table %(table)s, row %(row)s: refers to a row of %(other)s that is not there"),
                table=table.name,
                row=", ".join(map(str, found)),
                other=key.referred_table.name,
            )
        )


def _pages_of_sqlite(connection: Connection) -> Looked:
    for (told,) in connection.exec_driver_sql("PRAGMA integrity_check(1)"):
        yield None if told == "ok" else Filled(_("SQLite says: %(told)s"), told=told)


def _pages(connection: Connection) -> Looked:
    """What PostgreSQL's own amcheck says, where it is installed and may be asked."""
    if not connection.execute(_MAY_ASK).scalar():
        return
    for statement in (_TABLES, _INDEXES):
        try:
            for (told,) in _asked(connection, statement):
                yield None if told is None else Filled(_("PostgreSQL says: %(told)s"), told=told)
        except DBAPIError as error:
            yield Filled(_("PostgreSQL says: %(told)s"), told=str(error.orig).strip())


def _asked(connection: Connection, statement: Any) -> Iterator[Any]:
    yield from connection.execute(statement)


_MAY_ASK = text("""
    SELECT EXISTS (
        SELECT 1 FROM pg_extension e
        JOIN pg_depend d ON d.refobjid = e.oid AND d.deptype = 'e'
        JOIN pg_proc p ON p.oid = d.objid AND p.proname = 'verify_heapam'
        WHERE e.extname = 'amcheck' AND has_function_privilege(p.oid, 'execute')
    )
""")
_TABLES = text("""
    SELECT relname || ': ' || msg
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, LATERAL verify_heapam(c.oid)
    WHERE n.nspname = current_schema() AND c.relkind = 'r'
""")
_INDEXES = text("""
    SELECT NULL FROM (
        SELECT bt_index_check(c.oid, true)
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_am a ON a.oid = c.relam AND a.amname = 'btree'
        JOIN pg_index i ON i.indexrelid = c.oid AND i.indisready AND i.indisvalid
        WHERE n.nspname = current_schema() AND c.relkind = 'i'
    ) AS checked
""")
