"""Forgets how much of the limits was used in periods long over; the units still tell what was counted."""

from collections.abc import Callable
from datetime import date, timedelta
from threading import Event
from typing import cast

from sqlalchemy import Table, and_, delete, select, tuple_

from lanmu.delivery.door.limit_models import LimitUse
from lanmu.interfaces.clock import Clock
from lanmu.storage import Database

KEPT = timedelta(days=40)
"""So long after its first day a period is kept, by the calendar of UTC.

The longest is a month of 31 days, and the shop's calendar is a day ahead of or behind UTC's at most; the rest
is for a clock that is set back: what it counts then must still be there.
"""

PORTION = 500

_USE = cast(Table, LimitUse.__table__)


def prune(
    database: Database,
    clock: Clock,
    stopping: Callable[[], bool] = lambda: False,
    *,
    pause: Callable[[float], object] | None = None,
) -> int:
    """Delete what no period can need any more, portion by portion; answers how many rows that were.

    Between two portions others have the database for as long as the one before took.
    """
    over = _USE.c.starts_on < (clock.now() - KEPT).date()
    columns = (_USE.c.limit_id, _USE.c.subject, _USE.c.starts_on)
    key = tuple_(*columns)
    rest = pause or Event().wait
    done = 0
    after: tuple[int, str, date] = (0, "", date.min)
    while not stopping():
        with database.read() as session:
            query = select(*columns).where(over, key > after).order_by(*columns)
            found = session.execute(query.limit(PORTION)).all()
        if not found:
            break
        until = tuple(found[-1])
        began = clock.boottime()
        with database.write_hastily() as session:  # whatever the power takes is deleted anew
            session.execute(delete(_USE).where(and_(over, key > after, key <= until)))
        done += len(found)
        after = until
        if len(found) < PORTION:
            break
        rest(clock.boottime() - began)
    return done
