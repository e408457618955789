"""What the ledger is asked for, before anything is posted: awards of plugins may hold anything."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid
from lanmu.interfaces.events import Award
from lanmu.ledger.posting import MOST_POINTS, check_key

_LONGEST_DAYS = 36_500
_LONGEST_INTERVAL = timedelta(days=366)


def check_points(member: str, points: int, expires_after_days: int | None = None) -> None:
    """Raises Invalid unless it is a member's id, and numbers that make sense.

    A number of points with a fraction is refused even where it is whole: SQLite would keep it as it is,
    and the books would no longer add up.
    """
    if not (isinstance(member, str) and 1 <= len(member) <= 24):
        raise Invalid("member", _("must be a member's id, not %(value)s."), value=_shown(member))
    if not _whole(points) or not 1 <= points <= MOST_POINTS:
        raise _out_of_range("points", points, MOST_POINTS)
    if expires_after_days is None:
        return
    if not _whole(expires_after_days) or not 1 <= expires_after_days <= _LONGEST_DAYS:
        raise _out_of_range("expires_after_days", expires_after_days, _LONGEST_DAYS)


def check_award(award: object) -> Award:
    """The award, as a ledger on either database can keep it. Raises Invalid, naming its first wrong field."""
    if not isinstance(award, Award):
        raise _wrong("award", "Award", award)
    for field, wanted, right in _FIELDS:
        value = getattr(award, field)
        if not right(value):
            raise _wrong(field, wanted, value)
    check_key(award.key)
    check_points(award.member, award.points, award.expires_after_days)
    return award


def _whole(value: object) -> bool:
    return type(value) is int  # neither True nor 1.0


def _text(value: object, longest: int) -> bool:
    if not isinstance(value, str) or len(value) > longest or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a pair
        return False
    return True


_FIELDS: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("rule", "str, 1–40", lambda value: _text(value, 40) and bool(value)),
    ("key", "str", lambda value: isinstance(value, str)),
    ("reason", "str, 0–1000", lambda value: _text(value, 1000)),
    ("local_date", "date", lambda value: isinstance(value, date) and not isinstance(value, datetime)),
    ("per_day", "int | None", lambda value: value is None or _whole(value)),
    (
        "min_interval",
        "timedelta, 0–366 d",
        lambda value: isinstance(value, timedelta) and timedelta(0) <= value <= _LONGEST_INTERVAL,
    ),
)
"""What a database would keep differently, or not at all, or what no sum could be made of."""


def _wrong(field: str, wanted: str, got: object) -> Invalid:
    return Invalid(field, _("must be %(wanted)s, not %(got)s."), wanted=wanted, got=_shown(got))


def _shown(value: object) -> str:
    """A value as a fault shows it; of a stranger's class its name, for its text is his code as well."""
    plain = value is None or type(value) in (str, int, float, bool, date, datetime, timedelta)
    return repr(value)[:60] if plain else type(value).__name__


def _out_of_range(place: str, value: object, high: int) -> Invalid:
    return Invalid(
        place,
        _("%(value)s is not between %(low)s and %(high)s."),
        _("Write a whole number in this range."),
        value=_shown(value),
        low=1,
        high=high,
    )
