"""A member's event on its way: a fact once, points once, and the plugins told once."""

import asyncio
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lanmu.audience.service import AudienceService
from lanmu.audience.views import MemberDraft
from lanmu.events import Events
from lanmu.interfaces.errors import Conflict, Invalid
from lanmu.interfaces.events import Award, MemberEvent
from lanmu.ledger.service import LedgerService
from lanmu.ledger.verify import verify
from lanmu.metrics.service import MetricsService
from lanmu.plugins import Plugins
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock

DAY = date(2026, 11, 23)


class OnePointAYuan:
    """A rule as a plugin would offer it; `per_yuan` is a setting that somebody may change."""

    name = title = "purchase"

    def __init__(self) -> None:
        self.per_yuan = 1
        self.per_day: int | None = None

    def propose(self, event: MemberEvent) -> Iterable[Award]:
        if event.kind != "purchase":
            return
        amount = event.data.get("amount", "")
        if not amount.isdecimal():
            raise Invalid("data.amount", "must be whole cents.")
        points = int(amount) // 100 * self.per_yuan
        if points:
            yield Award("purchase", event.key, event.member, points, "Order", event.local_date, self.per_day)


class FakePlugins:
    """The plugins' side: the rules they offer and what they were told."""

    def __init__(self, *rules: Any) -> None:
        self.rules = rules
        self.told: list[str] = []

    def offers(self, hook: str) -> list[tuple[str, Any]]:
        assert hook == "lanmu_points_rules"
        return [("points", rule) for rule in self.rules]

    def tell(self, hook: str, event: MemberEvent) -> None:
        self.told.append(f"{hook} {event.key}")


class Desk:
    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.rule = OnePointAYuan()
        self.plugins = FakePlugins(self.rule)
        self.metrics = MetricsService(database, clock)
        self.ledger = LedgerService(database, clock, b"only for tests, 16+")
        self.events = Events(self.metrics, self.ledger, cast(Plugins, self.plugins))
        self.member = AudienceService(database, clock).members.create(MemberDraft("小满妈妈")).id
        self.now = clock.now()

    def order(self, number: int = 1, amount: str = "8800") -> MemberEvent:
        return MemberEvent(f"order:a-{number}", "purchase", self.member, self.now, DAY, {"amount": amount})

    def facts(self) -> int:
        return sum(day.facts for day in self.metrics.by_day(DAY, DAY + timedelta(days=9)))

    @contextmanager
    def nothing_stored(self) -> Iterator[None]:
        before = (self.facts(), self.ledger.balance(self.member), list(self.plugins.told))
        yield
        assert (self.facts(), self.ledger.balance(self.member), list(self.plugins.told)) == before


@pytest.fixture
def desk(database: Database, clock: FakeClock) -> Desk:
    return Desk(database, clock)


def test_a_purchase_posts_its_points_once_for_its_key(desk: Desk):
    first = desk.events.record(desk.order())
    assert (first.earned, first.balance, first.replayed, first.capped) == (88, 88, False, False)
    again = desk.events.record(desk.order())
    assert (again.earned, again.balance, again.replayed) == (0, 88, True)
    assert desk.events.record(desk.order(2)).balance == 176
    assert desk.facts() == 2


def test_the_plugins_are_told_once_and_after_the_points(desk: Desk):
    for _ in range(3):
        desk.events.record(desk.order())
    assert desk.plugins.told == ["lanmu_member_event order:a-1"]


def test_an_event_that_a_rule_cannot_read_leaves_nothing_behind(desk: Desk):
    with desk.nothing_stored(), pytest.raises(Invalid) as caught:
        desk.events.record(desk.order(amount="8,800"))
    assert caught.value.place == "data.amount"
    assert desk.events.record(desk.order()).earned == 88


def test_the_same_key_with_another_content_is_refused(desk: Desk):
    desk.events.record(desk.order())
    with desk.nothing_stored(), pytest.raises(Conflict):
        desk.events.record(desk.order(amount="9900"))


def test_what_earns_nothing_is_a_fact_all_the_same(desk: Desk):
    posted = desk.events.record(desk.order(amount="99"))
    assert (posted.earned, posted.balance, posted.replayed) == (0, 0, False)
    assert desk.facts() == 1
    assert len(desk.plugins.told) == 1


def test_the_cap_of_a_day_is_told(desk: Desk):
    desk.rule.per_day = 100
    assert desk.events.record(desk.order(1)).capped is False
    second = desk.events.record(desk.order(2))
    assert (second.earned, second.balance, second.capped) == (12, 100, True)
    third = desk.events.record(desk.order(3))
    assert (third.earned, third.balance, third.capped) == (0, 100, True)
    assert desk.facts() == 3


def test_a_stop_between_the_fact_and_the_points_is_made_good_by_the_repetition(desk: Desk, monkeypatch):
    def die(*_args: object, **_named: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(desk.ledger, "earn", die)
        with pytest.raises(SystemExit):
            desk.events.record(desk.order())
    assert (desk.facts(), desk.ledger.balance(desk.member)) == (1, 0)
    posted = desk.events.record(desk.order())
    assert (posted.earned, posted.balance, posted.replayed) == (88, 88, True)
    assert desk.events.record(desk.order()).balance == 88


def test_a_repetition_after_the_settings_changed_changes_nothing(desk: Desk):
    desk.events.record(desk.order())
    desk.rule.per_yuan = 3
    again = desk.events.record(desk.order())
    assert (again.earned, again.balance, again.replayed) == (0, 88, True)
    later = replace(desk.order(), at=desk.now + timedelta(days=1), local_date=DAY + timedelta(days=1))
    assert desk.events.record(later).balance == 88


def _awarding(wrong: dict[str, Any]) -> Any:
    award = Award("bonus", "bonus:1", "mem_x", 5, "Bonus", DAY)
    return SimpleNamespace(propose=lambda event: [replace(award, **{"member": event.member, **wrong})])


WRONG_AWARDS: list[dict[str, Any]] = [
    {"points": 1.5}, {"points": 5.0}, {"points": True}, {"points": "5"}, {"points": float("nan")},
    {"points": 0}, {"points": -5}, {"points": 10**30}, {"per_day": 2.5}, {"per_day": "3"},
    {"expires_after_days": 2.5}, {"expires_after_days": 0}, {"min_interval": timedelta(days=10**8)},
    {"local_date": "2026-11-23"}, {"reason": None}, {"reason": "x\0"}, {"reason": "\ud800"},
    {"rule": "r" * 41}, {"rule": None}, {"key": 5}, {"key": "键"}, {"key": ""}, {"member": 7},
]  # fmt: skip


def test_an_award_that_no_ledger_keeps_costs_neither_the_event_nor_the_others(
    desk: Desk, database: Database, caplog: pytest.LogCaptureFixture
):
    desk.plugins.rules = (*map(_awarding, WRONG_AWARDS), desk.rule)
    posted = desk.events.record(desk.order())
    assert (posted.earned, posted.balance, posted.replayed) == (88, 88, False)
    assert desk.plugins.told == ["lanmu_member_event order:a-1"]
    assert caplog.text.count("proposes what cannot be posted") == len(WRONG_AWARDS)
    assert len(desk.ledger.statement(desk.member)) == 1
    assert all(check.ok for check in verify(database))


@pytest.mark.parametrize("answer", [None, 5, [None], ["award"], [{"points": 5}]], ids=str)
def test_a_rule_that_answers_no_awards_costs_its_own_alone(desk: Desk, answer: Any):
    desk.plugins.rules = (SimpleNamespace(propose=lambda _event: answer), desk.rule)
    assert desk.events.record(desk.order()).earned == 88


@pytest.mark.parametrize("ends", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_a_rule_that_raises_no_error_costs_its_own_awards_alone(desk: Desk, ends: type[BaseException]):
    def propose(event: MemberEvent) -> Iterable[Award]:
        yield Award("bonus", "bonus:1", event.member, 5, "Bonus", DAY)
        raise ends

    desk.plugins.rules = (SimpleNamespace(propose=propose), desk.rule)
    with ThreadPoolExecutor(1) as worker:  # as the server asks: in the main thread it would be Ctrl-C
        posted = worker.submit(desk.events.record, desk.order()).result()
    assert (posted.earned, desk.plugins.told) == (88, ["lanmu_member_event order:a-1"])
