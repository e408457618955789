"""What is told of a crowded day: how many messages want its places, and who sends them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class Rival:
    """A column, or a push by hand (`column` empty), and how many of its messages want a place on the day."""

    column: str
    title: str
    wanted: int
    priority: int
    is_draft: bool = False


@dataclass(frozen=True, slots=True)
class Crowd:
    """A day of the shop on which somebody is to have more messages than a limit allows.

    `subjects` is how many they are, and `name` who has the most: a community, a channel, a sender; empty for
    members, who are not named. `planned` and `most` are theirs, and of `planned` `sent` are out already;
    `empty` and `held` count the messages of all that stay empty or are held until the next day, once the
    days are planned again. `rivals` want that one's places, first in line first.
    """

    day: date
    scope: str
    channel: str
    name: str
    subjects: int
    planned: int
    most: int
    empty: int
    held: int
    rivals: Sequence[Rival]
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """What a column would put on the calendar if it were saved; `key` is its row, None if it is new."""

    key: int | None
    name: str
    channel: str
    priority: int
    communities: Sequence[int]
    instants: Sequence[datetime]
