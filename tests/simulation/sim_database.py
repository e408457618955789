"""The database of a simulated world: the production one, which may go away in the midst of a transaction."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from lanmu.delivery.sending.journal import Journal
from lanmu.delivery.sending.recorded import Recorded
from lanmu.storage import Database


class SimDatabase(Database):
    """The production database without its wait for the disk; knows when a writer is inside.

    `ends` is asked at each commit how that goes: "" well, "undone" where the database has gone before it,
    "unheard" where it is done and the answer is lost. From then on until `away_until` it is not there.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(f"sqlite:///{path}")
        self.folder = path.parent
        self.writing = 0
        self.is_away: Callable[[], bool] = lambda: False
        self.ends: Callable[[], str] = lambda: ""
        event.listen(self.engine, "connect", _do_not_wait_for_the_disk)

    @contextmanager
    def write(self) -> Iterator[Session]:
        self._be_there()
        self.writing += 1
        try:
            with super().write() as session:
                yield session
                end = self.ends()
                if end == "undone":
                    raise _away()
        finally:
            self.writing -= 1
        if end == "unheard":
            raise _away()

    @contextmanager
    def read(self) -> Iterator[Session]:
        self._be_there()
        with super().read() as session:
            yield session

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        self._be_there()
        with super().glance() as connection:
            yield connection

    @contextmanager
    def seen_from_outside(self) -> Iterator[Session]:
        """What stands in it, for the simulation itself: it is never away for that."""
        with super().read() as session:
            yield session

    def _be_there(self) -> None:
        if self.is_away():
            raise _away()


def _away() -> OperationalError:
    return OperationalError("", None, ConnectionError("the database is away"))


def _do_not_wait_for_the_disk(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


class SimJournal(Journal):
    """The production journal; remembers what was ever put into it, by unit and fence."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.kept: set[tuple[int, int]] = set()

    def append(self, at: datetime, results: Sequence[Recorded]) -> int:
        lines = super().append(at, results)
        self.kept |= {(each.unit.id, each.unit.fence) for each in results if each.seen is not None}
        return lines

    def waits(self) -> bool:
        """Whether there is something in it that is not in the database yet."""
        return self.path.exists() and self.path.stat().st_size > 0
