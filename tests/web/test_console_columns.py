"""A column whose times are all past says so, and the demo's columns are the same after every start."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.web.conftest import CHANNEL, Browser

from lanmu import config, demo
from lanmu.schedule.columns import ColumnDraft, SlotDraft
from lanmu.server import Server
from lanmu.testing.clock import FakeClock

LIBRARY = Path(__file__).parents[2] / "content_library"


@pytest.mark.parametrize(
    ("rules", "ended"),
    [
        (("DTSTART:20261123T090000 RRULE:FREQ=DAILY;COUNT=1",), True),
        (("DTSTART:20261123T090000 RRULE:FREQ=DAILY;COUNT=3",), False),
        (("DTSTART:20261101T090000 RRULE:FREQ=DAILY;UNTIL=20261122T000000Z",), True),
        (("FREQ=MONTHLY;BYMONTHDAY=1",), False),
        (("DTSTART:20261123T090000 RRULE:FREQ=DAILY;COUNT=1", ""), False),
    ],
)
def test_a_column_has_ended_when_all_of_its_slots_have(
    sign_in: Callable[[str], Browser], server: Server, clock: FakeClock, rules: tuple[str, ...], ended: bool
):
    slots = tuple(SlotDraft(rrule=rule) if rule else SlotDraft("mon", "08:00") for rule in rules)
    made = server.schedule.columns.create(ColumnDraft("早安", CHANNEL, slots))
    clock.advance(timedelta(hours=2))  # 10:00 in Shanghai
    admin = sign_in("admin")
    for path in ("/columns", f"/columns/{made.id}"):
        pills = re.findall(r'class="pill tone-\w+">(\w+)<', admin.get(path).text)
        assert ("已结束" in pills, "启用" in pills) == (ended, not ended), path


def test_a_column_that_is_switched_off_is_off_and_not_ended(admin: Browser, server: Server):
    past = SlotDraft(rrule="DTSTART:20261101T090000 RRULE:FREQ=DAILY;COUNT=1")
    server.schedule.columns.create(ColumnDraft("早安", CHANNEL, (past,), active=False))
    page = admin.get("/columns").text
    assert "停用" in page
    assert "已结束" not in page


@pytest.fixture
def restart(server: Server, clock: FakeClock) -> Iterator[Callable[[str], Server]]:
    """The same data under a new server, in another language."""
    started: list[Server] = []

    def start(locale: str) -> Server:
        raw: dict[str, Any] = {
            "server": {"data_dir": str(server.config.server.data_dir), "locale": locale},
            "demo": {"enabled": False},
            "plugins": {"personal_wechat_export": {}},
        }
        started.append(Server(config.parse(raw, None, {}), clock))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_the_demos_columns_do_not_multiply(
    server: Server, restart: Callable[[str], Server], clock: FakeClock
):
    (name,) = demo.prepare(server, LIBRARY).columns
    before = [column.id for column in server.schedule.columns.everything()]
    clock.advance(timedelta(hours=1))
    english = restart("en")
    (renamed,) = demo.prepare(english, LIBRARY).columns
    assert renamed != name
    after = english.schedule.columns.everything()
    assert sorted(column.id for column in after) == sorted(before)
    shown = english.schedule.columns.by_name(renamed)
    assert shown is not None
    assert not shown.has_ended(clock.now())


def test_a_demo_column_that_a_person_has_switched_off_stays_off(server: Server):
    (name,) = demo.prepare(server, LIBRARY).columns
    there = server.schedule.columns.by_name(name)
    assert there is not None
    off = ColumnDraft(**{**{f: getattr(there.draft, f) for f in there.draft.__slots__}, "active": False})
    server.schedule.columns.edit(there.id, off, there.lock)
    assert demo.prepare(server, LIBRARY).columns == ()
    again = server.schedule.columns.by_name(name)
    assert again is not None
    assert not again.draft.active


def test_a_slot_that_a_person_must_approve_is_told_apart_until_somebody_has(admin: Browser, stocked: Server):
    now = stocked.clock.now()
    column = stocked.schedule.columns.everything()[0]
    slots = stocked.schedule.occurrences.between(now, now + timedelta(days=1))
    places = ("/", "/calendar", f"/columns/{column.id}", f"/communities/{slots[0].community_id}")
    marks = {"/calendar": 'tone-orange" title="待审批"'}
    mark = 'pill tone-orange">待审批<'
    for path in places:
        assert marks.get(path, mark) in admin.get(path).text, path
    stocked.schedule.occurrences.approve([each.id for each in slots], "admin")
    assert mark not in admin.get("/").text
