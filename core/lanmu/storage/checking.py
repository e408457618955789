"""What every part of `verify` is made of: checks that stream over one consistent view and stop at a fault."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy.orm import Session

from lanmu.i18n import _
from lanmu.storage.database import Database

_BATCH = 500

_UNREADABLE = (TypeError, ValueError, ArithmeticError, LookupError)
"""What a value raises that no column of its kind holds: SQLite keeps a text where a number belongs."""

RESTORE = _(
    "Stop Lanmu, keep a copy of the database as it is, and restore the last backup that this check "
    "finds right."
)
"""The way out of what no person can put right by hand."""


@dataclass(frozen=True, slots=True)
class Check:
    """What became of one check: how many `rows` were looked at, and the first faulty one in words.

    Where it found one, `way_out` says what to do about it.
    """

    invariant: str
    title: str
    ok: bool
    rows: int
    first_wrong: str = ""
    way_out: str = ""


Looked = Generator[str | None, None, None]
"""One for each row that was looked at: None where it is right, what is wrong with it otherwise."""

Look = Callable[[Session], Looked]


def run_checks(
    database: Database,
    checks: Sequence[tuple[str, str, Look]],
    ways_out: Mapping[str, str] = MappingProxyType({}),
) -> Iterable[Check]:
    """Run checks (invariant, title, look) one after the other; each ends at its first wrong row.

    `ways_out` tells by the invariant what to do then, where restoring a backup is not it.
    """
    for invariant, title, look in checks:
        with database.read() as session:
            if database.dialect == "postgresql":  # all of a check's queries must see the same moment
                # However long it takes: a check reads whole tables.
                session.connection(execution_options={"isolation_level": "REPEATABLE READ", "patience": None})
            yield _run(session, invariant, title, look, ways_out.get(invariant, RESTORE))


def _run(session: Session, invariant: str, title: str, look: Look, way_out: str) -> Check:
    rows = 0
    with closing(look(session)) as found:  # a check that ends early must give back its cursor
        try:
            for wrong in found:
                rows += 1
                if wrong is not None:
                    return Check(invariant, title, False, rows, wrong, way_out)
        except _UNREADABLE as error:  # what is damaged must not keep the other checks from being made
            wrong = f"row {rows + 1}: holds what cannot be read: {error}"
            return Check(invariant, title, False, rows + 1, wrong, way_out)
    return Check(invariant, title, True, rows)


def stream(session: Session, query: Any) -> Iterator[Any]:
    """The rows of a query, a few at a time, so that memory does not grow with their number."""
    with session.execute(query.execution_options(yield_per=_BATCH)) as rows:
        yield from rows
