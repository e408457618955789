"""What every verb of the library works with: the database, the clock, its folder and the shop's rules."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from lanmu.interfaces.clock import Clock
from lanmu.interfaces.events import MaterialApproved
from lanmu.storage import Database

Usage = Callable[[Sequence[int]], Mapping[int, int]]
"""Counts how often materials were planned or sent, by their keys; given by a room above, which knows."""


@dataclass(frozen=True, slots=True)
class LibraryContext:
    """The library's surroundings.

    `assets` is the folder of stored files; `zone` the shop's, in which dates become instants;
    `solo_approval` lets people approve what they wrote themselves; `approved` hears of every approval,
    after the commit.
    """

    database: Database
    clock: Clock
    assets: Path
    zone: ZoneInfo
    solo_approval: bool
    approved: Callable[[MaterialApproved], None]
    usage: Usage
