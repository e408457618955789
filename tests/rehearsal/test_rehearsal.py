"""A rehearsal is green on ordinary columns, changes nothing, and is red where the engine is broken."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.rehearsal.conftest import ZONE, rehearsed, stocked
from tests.shop import Shop

from lanmu.delivery.door import gate
from lanmu.delivery.door.limits import COMMUNITY_DAY
from lanmu.delivery.door.send_limits import SendLimits
from lanmu.delivery.sending import preflight
from lanmu.delivery.service import DeliveryService
from lanmu.interfaces.errors import Conflict, NotFound
from lanmu.rehearsal.comparing import LEFT, Kind
from lanmu.rehearsal.report import from_document
from lanmu.schedule import calendar, handover, planning
from lanmu.schedule.columns import PoolDraft, SlotDraft, Targets
from lanmu.storage import Base, Database
from lanmu.testing.clock import FakeClock


def _rows(database: Database) -> dict[str, list[Any]]:
    with database.read() as session:
        return {
            table.name: sorted(map(repr, session.execute(select(table)).all()))
            for table in Base.metadata.sorted_tables
        }


def test_ordinary_columns_are_green_over_thirty_days_and_every_difference_has_its_reason(shop: Shop):
    shop.column("早安", SlotDraft("daily", "08:30"))
    shop.column("午间", SlotDraft("workday", "12:00"), approval="each")
    shop.column("月初", SlotDraft(rrule="FREQ=MONTHLY;BYMONTHDAY=1,31;BYHOUR=20;BYMINUTE=0"))
    report = rehearsed(shop)
    assert report.green, report.faults
    noon, morning, monthly = report.columns
    assert (morning.name, noon.name, monthly.name) == ("早安", "午间", "月初")
    assert morning.expected == 30 * 4
    assert len(noon.days) == 22, "from the 24th of November to the 23rd of December people work on 22 days"
    assert [day.day for day in monthly.days] == ["2026-11-30", "2026-12-01"], "November has no 31st"
    for column in report.columns:
        assert column.expected == column.produced + column.explained
        assert column.people == 2
    assert report.waited == 22, "each slot of the column whose slots people approve"
    reasons = {(reason.text, reason.kept) for reason in morning.reasons}
    assert (LEFT, False) in reasons
    assert ("These are quiet hours where the recipients are.", True) in reasons, "half past seven in New York"
    assert from_document(report.as_document()) == report


def test_it_takes_columns_that_are_switched_off_where_they_are_named_and_no_others(shop: Shop):
    shop.column("早安")
    asleep = shop.column("晚安", SlotDraft("daily", "21:00"), active=False)
    report = rehearsed(shop, days=2, columns=(asleep.id,))
    assert [column.name for column in report.columns] == ["晚安"]
    assert report.green
    assert report.produced > 0
    with pytest.raises(NotFound):
        rehearsed(shop, columns=("col_nobody",))


def test_without_a_column_that_is_on_there_is_nothing_to_rehearse(shop: Shop):
    with pytest.raises(Conflict):
        rehearsed(shop)


def test_a_column_that_no_community_gets_is_played_all_the_same_and_says_so(shop: Shop):
    shop.column("成熟期", SlotDraft("workday", "10:00"), targets=Targets(stages=("mature", "loyal")))
    report = rehearsed(shop, days=3)
    assert report.green
    assert report.columns[0].people == 0
    assert report.columns[0].produced > 0


def test_a_place_without_material_is_explained_in_the_planners_words(shop: Shop):
    shop.column("早安", pool=PoolDraft(tags=("没有这个标签",)))
    report = rehearsed(shop, days=2)
    assert report.green
    assert report.produced == 0
    words = {reason.text for reason in report.columns[0].reasons}
    assert "No material has the tags, kinds and shelves that the column asks for." in words


def test_a_text_that_its_channel_does_not_take_is_red(shop: Shop):
    shop.material(body="长" * 3000, tags=("长文",))
    shop.column("早安", pool=PoolDraft(tags=("长文",)))
    report = rehearsed(shop, days=2)
    assert not report.green
    assert set(report.counts) == {Kind.MISSING}
    assert "4000" in report.faults[0].why, "the reason names the limit"


def test_a_column_whose_channel_does_not_run_is_red_and_says_so(shop: Shop):
    shop.channels["gone.channel"] = shop.channel
    shop.column("早安", channel="gone.channel")
    report = rehearsed(shop, days=2)
    assert not report.green
    assert report.faults[0].why == "The channel is not running; look at the plugins page."


def test_a_month_limit_of_the_platform_is_told_before_it_bites(shop: Shop):
    limits = SendLimits(shop.database, shop.clock, ZONE)
    limits.change(COMMUNITY_DAY, 1, True, None, "li")
    shop.column("早安", SlotDraft("daily", "09:00"))
    shop.column("晚安", SlotDraft("daily", "20:00"))
    report = rehearsed(shop, days=4)
    assert report.green
    assert report.explained >= report.expected // 2


def test_days_worked_instead_of_a_weekend_are_expected_and_holidays_are_not(shop: Shop):
    shop.column("工作日", SlotDraft("workday", "10:00"))
    report = rehearsed(shop, first="2026-09-18", days=10)
    assert report.green, report.faults
    days = [day.day for day in report.columns[0].days]
    assert "2026-09-20" in days, "a Sunday that is worked"
    assert "2026-09-25" not in days, "a Friday of the Mid-Autumn holiday"
    assert len(days) == 6


@pytest.mark.parametrize(
    ("first", "local", "utc"),
    [("2026-03-07", "02:30", "07:30"), ("2026-10-31", "01:30", "05:30")],
    ids=["the hour that is left out", "the hour that comes twice"],
)
def test_a_change_of_the_clock_fires_once_and_as_much_later(shop: Shop, first: str, local: str, utc: str):
    shop.column("夜里", SlotDraft("daily", local), zone="America/New_York", options={"at_any_hour": "yes"})
    report = rehearsed(shop, first=first, days=3)
    assert report.green, report.faults
    assert report.expected == 3 * 4


@pytest.mark.parametrize("source", ["sqlite", "postgresql"])
def test_the_live_database_is_as_it_was_and_no_real_channel_hears_of_it(
    source: str, request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path
):
    database = request.getfixturevalue("sqlite_database" if source == "sqlite" else "postgres_database")
    shop = stocked(database, clock, tmp_path / "data")
    shop.column("早安", approval="each")
    shop.schedule.plan_ahead()
    before, file = _rows(database), tmp_path / "lanmu.db"
    digest = hashlib.sha256(file.read_bytes()).hexdigest() if source == "sqlite" else ""
    report = rehearsed(shop, days=3)
    assert report.green
    assert report.produced > 0
    assert _rows(database) == before
    if source == "sqlite":
        assert hashlib.sha256(file.read_bytes()).hexdigest() == digest
    assert not shop.channel.effects


Break = Callable[[pytest.MonkeyPatch], None]


def _skip_tuesdays(patch: pytest.MonkeyPatch) -> None:
    def skipping(*args: Any) -> Any:
        return [each for each in calendar.moments_of(*args) if each.local.isoweekday() != 2]

    patch.setattr(planning, "moments_of", skipping)


def _send_twice(patch: pytest.MonkeyPatch) -> None:
    request = DeliveryService.request

    def twice(self: DeliveryService, session: Any, asked: Any) -> Any:
        request(self, session, replace(asked, source_key=f"{asked.source_key}/2"))
        return request(self, session, asked)

    patch.setattr(DeliveryService, "request", twice)


def _disturb(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gate, "_quiet", lambda _question: None)


def _three_in_the_morning(patch: pytest.MonkeyPatch) -> None:
    resolve = calendar.resolve
    patch.setattr(calendar, "resolve", lambda wall, _zone: resolve(wall, "Europe/London"))
    _disturb(patch)


def _no_caps(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planning, "house_cap", lambda _session: None)
    patch.setattr(gate, "_limits", lambda _question: None)


def _shifted(by: timedelta) -> Break:
    def broken(patch: pytest.MonkeyPatch) -> None:
        request = handover._request
        patch.setattr(
            handover,
            "_request",
            lambda *args: replace(made := request(*args), due_at=made.due_at + by),
        )

    return broken


def _to_a_stranger(patch: pytest.MonkeyPatch) -> None:
    found = handover._recipients
    patch.setattr(
        handover,
        "_recipients",
        lambda *args: {row: one._replace(key="stranger") for row, one in found(*args).items()},
    )


def _another_text(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(preflight, "render", lambda _body, _values: "something else")


def _deaf_to_leaving(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gate, "_consent", lambda _question: None)


def _quiet_for_ever(patch: pytest.MonkeyPatch) -> None:
    dropped = gate.Answer(gate.Door.DROP, "quiet", "These are quiet hours where the recipients are.")
    patch.setattr(gate, "_quiet", lambda _question: dropped)


def _hand_nothing_over(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(handover.HandOver, "_hand_over", lambda *_args: 0)


BROKEN: dict[str, tuple[Break, set[Kind]]] = {
    "nothing (which is green)": (lambda _patch: None, set()),
    "the planner leaves a day out": (_skip_tuesdays, {Kind.MISSING}),
    "each push is made twice": (_send_twice, {Kind.DOUBLE}),
    "the door knows no quiet hours": (_disturb, {Kind.QUIET}),
    "the zone is wrong, and it is three in the morning": (_three_in_the_morning, {Kind.LATE, Kind.QUIET}),
    "nobody counts": (_no_caps, {Kind.CAP}),
    "pushes are due too soon": (_shifted(timedelta(hours=-1)), {Kind.EARLY}),
    "pushes are due too late": (_shifted(timedelta(hours=1)), {Kind.LATE}),
    "nothing is handed over": (_hand_nothing_over, {Kind.MISSING}),
    "a stranger gets it": (_to_a_stranger, {Kind.WRONG, Kind.MISSING}),
    "another text goes out": (_another_text, {Kind.WRONG}),
    "the door is deaf to who has left": (_deaf_to_leaving, {Kind.WRONG}),
    "the door says quiet hours at noon": (_quiet_for_ever, {Kind.MISSING}),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_it_is_red_where(shop: Shop, monkeypatch: pytest.MonkeyPatch, broken: str):
    SendLimits(shop.database, shop.clock, ZONE).change(COMMUNITY_DAY, 2, True, None, "li")
    for at in ("12:00", "18:00", "20:00"):
        shop.column(f"{at} 栏目", SlotDraft("daily", at), late_policy="send")
    breaks, kinds = BROKEN[broken]
    breaks(monkeypatch)
    report = rehearsed(shop, days=2)
    assert report.green is (not kinds), report.faults
    assert kinds <= set(report.counts), report.counts
