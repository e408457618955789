"""What limits have used in periods long over is forgotten, and no limit lets more through for that."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, update
from tests.delivery.limited import community, is_as_recounted, limit

from lanmu.delivery.door import pruning
from lanmu.delivery.door.limit_models import LimitUse, SendLimit
from lanmu.delivery.door.limits import release
from lanmu.delivery.door.pruning import prune
from lanmu.delivery.intake import Recipient
from lanmu.delivery.verify import verify
from lanmu.interfaces.clock import utc


@pytest.fixture
def room(make_room, database):
    """Its material has no end."""
    made = make_room(database)
    made.change_material(usable_until=None)
    return made


def to(room, key, **changes):
    return room.send(recipients=[Recipient("g1", "", community_id=key)], **changes)


def rows(room):
    with room.database.read() as session:
        return session.scalar(select(func.count()).select_from(LimitUse)) or 0


def pruned(room, **more):
    return prune(room.database, room.clock, pause=lambda _seconds: None, **more)


@pytest.mark.parametrize(
    ("zone", "first", "last"),
    [
        ("Asia/Shanghai", utc(2026, 11, 30, 16), utc(2026, 12, 31, 15, 59)),
        ("Pacific/Kiritimati", utc(2026, 11, 30, 10), utc(2026, 12, 31, 9, 59)),
        ("Pacific/Pago_Pago", utc(2026, 12, 1, 11), utc(2027, 1, 1, 10, 59)),
    ],
)
def test_a_month_of_the_shops_zone_is_kept_to_its_last_minute(room, zone, first, last):
    limit(room, "month", "community", 2, "month")
    with room.database.write() as session:
        session.execute(update(SendLimit).values(zone=zone))
    key = community(room)
    room.clock.set(first)
    sent = [to(room, key), to(room, key)]
    room.run()
    assert [room.states(push) for push in sent] == [["accepted"], ["accepted"]]
    room.clock.set(last)
    assert pruned(room) == 0
    third = to(room, key, deadline_at=last + timedelta(days=2))
    room.run()
    assert (room.unit(third).state, room.unit(third).code) == ("pending", "cap")
    assert is_as_recounted(room)
    room.clock.set(room.unit(third).not_before)
    pruned(room)
    room.run()
    assert room.states(third) == ["accepted"], "the next month has room again"


def test_what_no_period_can_need_any_more_is_deleted_portion_by_portion(room, monkeypatch):
    monkeypatch.setattr(pruning, "PORTION", 3)
    limit(room, "day", "community", 1)
    limit(room, "month", "community", 9, "month")
    keys = [community(room, f"c{number}") for number in range(7)]
    for key in keys:
        room.send(recipients=[Recipient(f"g{key}", "", community_id=key)])
    room.run()
    assert rows(room) == 14
    room.clock.advance(timedelta(days=50))
    late = to(room, keys[0])
    room.run()
    assert rows(room) == 16
    portions = iter(range(2))
    assert pruned(room, stopping=lambda: next(portions, None) is None) == 6, "whoever stops goes on next time"
    assert rows(room) == 10
    assert pruned(room) == 8
    assert rows(room) == 2
    with room.database.read() as session:
        assert set(session.scalars(select(LimitUse.starts_on))) == {date(2027, 1, 12), date(2027, 1, 1)}
    assert pruned(room) == 0
    again = to(room, keys[0], deadline_at=room.clock.now() + timedelta(days=2))
    room.run()
    assert (room.states(late), room.unit(again).code) == (["accepted"], "cap"), "the limit still holds"
    assert is_as_recounted(room)
    assert all(check.ok for check in verify(room.database, room.clock.now()))


def test_a_unit_that_is_proven_not_to_be_out_long_after_gives_back_nothing_that_is_gone(room):
    limit(room, "day", "community", 1)
    key = community(room)
    old = to(room, key)
    room.run()
    room.clock.advance(timedelta(days=50))
    to(room, key)
    room.run()
    assert pruned(room) == 1
    with room.database.write() as session:
        release(session, [room.unit(old).id])
    with room.database.read() as session:
        assert list(session.scalars(select(LimitUse.used))) == [1]
    assert is_as_recounted(room)
