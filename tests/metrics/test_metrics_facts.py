"""Facts count once, and a rate means what its definition says."""

from datetime import date, timedelta

import pytest

from lanmu.interfaces.errors import Conflict, Invalid
from lanmu.interfaces.events import MemberEvent
from lanmu.metrics.definitions import KINDS, RATES
from lanmu.metrics.service import DayCount, MetricsService, NewFact
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock

MONDAY = date(2026, 11, 23)


@pytest.fixture
def metrics(database: Database, clock: FakeClock) -> MetricsService:
    return MetricsService(database, clock)


def fact(clock: FakeClock, key: str, kind: str = "message", member: str = "mem_li", days: int = 0) -> NewFact:
    return NewFact(key, kind, clock.now(), MONDAY + timedelta(days=days), member)


def test_a_fact_counts_once_for_its_key(metrics: MetricsService, clock: FakeClock) -> None:
    assert metrics.record(fact(clock, "message:1"))
    assert not metrics.record(fact(clock, "message:1"))
    with pytest.raises(Conflict, match="another content"):
        metrics.record(fact(clock, "message:1", member="mem_wang"))
    assert metrics.by_day(MONDAY, MONDAY) == [DayCount(MONDAY, "message", 1, 1, 1)]


def test_facts_are_counted_by_kind_and_day(metrics: MetricsService, clock: FakeClock) -> None:
    for number, (kind, member, days) in enumerate(
        [("message", "mem_li", 0), ("message", "mem_li", 0), ("message", "mem_wang", 0), ("check_in", "", 1)]
    ):
        metrics.record(fact(clock, str(number), kind, member, days))
    tuesday = MONDAY + timedelta(days=1)
    assert metrics.by_day(MONDAY, tuesday) == [
        DayCount(MONDAY, "message", 3, 2, 3),
        DayCount(tuesday, "check_in", 1, 0, 1),
    ]
    assert metrics.by_day(MONDAY, tuesday, ["check_in"]) == [DayCount(tuesday, "check_in", 1, 0, 1)]


def test_an_order_counts_its_amount(metrics: MetricsService, clock: FakeClock) -> None:
    event = MemberEvent(
        "order:shop:1:earn", "purchase", "mem_li", clock.now(), MONDAY, {"amount": "19900", "shop": "shop"}
    )
    assert metrics.record_event(event)
    assert not metrics.record_event(event)
    assert metrics.by_day(MONDAY, MONDAY) == [DayCount(MONDAY, "purchase", 1, 1, 19900)]


def test_a_rate_is_a_share_of_members(metrics: MetricsService, clock: FakeClock) -> None:
    for number, (kind, member) in enumerate(
        [("message", "a"), ("message", "a"), ("message", "b"), ("purchase", "a"), ("purchase", "c")]
    ):
        metrics.record(fact(clock, str(number), kind, member))
    assert metrics.rate("speaking_rate", MONDAY, MONDAY, members=8).share == 0.25
    speakers = metrics.rate("speaker_buying_rate", MONDAY, MONDAY, members=8)
    assert (speakers.numerator, speakers.denominator) == (1, 2)
    assert metrics.rate("buying_rate", MONDAY, MONDAY, members=0).share is None


def test_every_rate_is_made_of_kinds_that_are_defined() -> None:
    for rate in RATES.values():
        assert rate.numerator in KINDS
        assert rate.denominator in {*KINDS, "members"}


def test_a_fact_without_a_key_is_refused(metrics: MetricsService, clock: FakeClock) -> None:
    with pytest.raises(Invalid, match="key: must have 1 to 255"):
        metrics.record(fact(clock, ""))
