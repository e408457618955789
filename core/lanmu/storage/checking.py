"""What every part of `verify` is made of: checks that stream over one consistent view and stop at a fault."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from lanmu.storage.database import Database

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Check:
    """What became of one check: how many `rows` were looked at, and the first faulty one in words."""

    invariant: str
    title: str
    ok: bool
    rows: int
    first_wrong: str = ""


Rows = Generator[str | None, None, None]
"""One for each row that was looked at: None where it is right, what is wrong with it otherwise."""

Look = Callable[[Session], Rows]


def run_checks(database: Database, checks: Sequence[tuple[str, str, Look]]) -> Iterable[Check]:
    """Run checks (invariant, title, look) one after the other; each ends at its first wrong row."""
    for invariant, title, look in checks:
        with database.read() as session:
            if database.dialect == "postgresql":  # all of a check's queries must see the same moment
                # However long it takes: a check reads whole tables.
                session.connection(execution_options={"isolation_level": "REPEATABLE READ", "patience": None})
            yield _run(session, invariant, title, look)


def _run(session: Session, invariant: str, title: str, look: Look) -> Check:
    rows = 0
    with closing(look(session)) as found:  # a check that ends early must give back its cursor
        for wrong in found:
            rows += 1
            if wrong is not None:
                return Check(invariant, title, False, rows, wrong)
    return Check(invariant, title, True, rows)


def stream(session: Session, query: Any) -> Iterator[Any]:
    """The rows of a query, a few at a time, so that memory does not grow with their number."""
    with session.execute(query.execution_options(yield_per=_BATCH)) as rows:
        yield from rows
