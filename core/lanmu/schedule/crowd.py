"""What is told of a crowded day, week or month: how many messages want its places, and who sends them."""

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
    """A day, week or month of the shop in which somebody is to have more messages than a limit allows.

    `subjects` is how many they are, and `name` who has the most: a community, a channel, a sender; empty for
    members, who are not named. `planned` and `most` are theirs, and of `planned` `sent` are out already;
    `empty` and `held` count the messages of all that stay empty or are held until the next day, once the
    days are planned again. `rivals` want that one's places, first in line first.

    Of a week or month `day` and `last` are its first and last, `planned` holds what the columns still have to
    put on the calendar until its end, `full_on` is the day on which the first message finds no place, and
    `held` goes out when the next one begins, or not at all where its deadline comes first.
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
    period: str = "day"
    last: date | None = None
    full_on: date | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What a column would put on the calendar if it were saved; `key` is its row, None if it is new.

    `later` are the instants after those that are planned ahead.
    """

    key: int | None
    name: str
    channel: str
    priority: int
    communities: Sequence[int]
    instants: Sequence[datetime]
    later: Sequence[datetime] = ()
