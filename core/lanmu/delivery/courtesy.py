"""How much a long job does in a transaction, and how long it then leaves SQLite's one lock to others."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from sqlalchemy import PoolProxiedConnection

from lanmu.interfaces.clock import Clock
from lanmu.storage import Database

_LOOKS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.025, 0.025, 0.05, 0.05, 0.1)
"""Seconds, as all here: who waits for SQLite's lock sleeps for so long before it looks for it again."""

_LATE = 0.0003
"""For so long, at most, a process oversleeps where the machine is not busy."""

_HELD, _HELD_ELSEWHERE = 0.0065, 0.05
"""So long a transaction lasts, or as long as one portion: on SQLite less than the 8 ms of the third look."""

_REMEMBERED = 2.0
"""For so long after others wrote they are taken to write, and each transaction makes one portion only."""


class Courtesy:
    """Tells a long job how many portions to make in its next transaction, by how long the last one lasted."""

    def __init__(self, database: Database, clock: Clock, pause: Callable[[float], object]) -> None:
        self._clock = clock
        self._pause = pause
        self._others_until = 0.0
        self._held = _HELD if database.dialect == "sqlite" else _HELD_ELSEWHERE
        self.portions = 1
        # A connection of its own, which writes nothing: to it everybody's commits are others'.
        self._watching = database.engine.raw_connection() if database.dialect == "sqlite" else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watching is not None:
            self._watching.close()

    def leave(self, held: float, made: int) -> None:
        """Say that a transaction of so many portions lasted so long; leaves SQLite's lock to others then."""
        if self._watching is not None and self._leave(self._watching, held):
            self.portions = 1
        else:
            fit = self._held * made / max(held, 1e-9)
            self.portions = max(1, min(2 * self.portions, int(fit)))

    def _leave(self, watching: PoolProxiedConnection, held: float) -> bool:
        """Whether others write."""
        before = _version(watching)
        self._pause(free_after(held))
        now = self._clock.boottime()
        if _version(watching) != before:
            self._others_until = now + _REMEMBERED
        return now < self._others_until


def free_after(held: float) -> float:
    """For how long a lock that was held so long is left free: who came meanwhile looks within that time."""
    looked = 0.0
    for distance in _LOOKS:
        looked += distance
        if held <= looked:
            break
    return distance + _LATE


def _version(connection: PoolProxiedConnection) -> int:
    """A number that every commit of another connection changes (sqlite.org/pragma.html, data_version)."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA data_version")
    (version,) = cursor.fetchone() or (0,)
    cursor.close()
    return int(version)
