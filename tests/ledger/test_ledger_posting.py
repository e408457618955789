"""Points in and out: once, within their caps, from live lots, and never below nothing."""

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from lanmu.interfaces.errors import Invalid, NotFound
from lanmu.interfaces.events import Award
from lanmu.ledger.refusals import KeyReused, Refused
from lanmu.ledger.service import LedgerService
from lanmu.testing.clock import FakeClock

LI = "mem_li"
MONDAY = date(2026, 11, 23)


def award(key: str, points: int = 10, **changes: object) -> Award:
    plain = Award(rule="message", key=key, member=LI, points=points, reason="Spoke up", local_date=MONDAY)
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_an_award_is_posted_once_for_its_key(ledger: LedgerService) -> None:
    first = ledger.earn(award("message:1"))
    again = ledger.earn(award("message:1"))
    assert (first.earned, first.balance, first.replayed) == (10, 10, False)
    assert (again.earned, again.balance, again.replayed) == (0, 10, True)


def test_a_key_that_comes_back_with_another_award_is_a_conflict(ledger: LedgerService) -> None:
    ledger.earn(award("order:1", 10))
    with pytest.raises(KeyReused, match="order:1"):
        ledger.earn(award("order:1", 1000))
    assert ledger.balance(LI) == 10


def test_a_rule_gives_no_more_than_its_cap_a_day(ledger: LedgerService) -> None:
    earned = [ledger.earn(award(f"message:{n}", per_day=25)) for n in range(4)]
    assert [each.earned for each in earned] == [10, 10, 5, 0]
    assert [each.capped for each in earned] == [False, False, True, True]
    tomorrow = award("message:9", per_day=25, local_date=MONDAY + timedelta(days=1))
    assert ledger.earn(tomorrow).earned == 10


def test_a_cap_holds_for_twelve_messages_at_once(ledger: LedgerService) -> None:
    start = threading.Barrier(12)
    earned: list[int] = []

    def speak(number: int) -> None:
        start.wait()
        earned.append(ledger.earn(award(f"message:{number}", per_day=55)).earned)

    threads = [threading.Thread(target=speak, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(earned, reverse=True) == [10] * 5 + [5] + [0] * 6
    assert ledger.balance(LI) == 55


def test_what_was_capped_stays_capped_when_it_comes_again(ledger: LedgerService) -> None:
    ledger.earn(award("message:1", per_day=10))
    ledger.earn(award("message:2", per_day=10))
    ledger.rules.set("message", active=True, per_day=1000)
    again = ledger.earn(award("message:2", per_day=10))
    assert (again.earned, again.replayed, again.capped) == (0, True, True)


def test_the_shop_may_lower_a_cap_and_switch_a_rule_off(ledger: LedgerService) -> None:
    ledger.rules.set("message", active=True, per_day=15)
    assert [ledger.earn(award(f"message:{n}", per_day=100)).earned for n in range(3)] == [10, 5, 0]
    ledger.rules.set("message", active=False)
    tuesday = award("message:7", local_date=MONDAY + timedelta(days=1))
    assert ledger.earn(tuesday).earned == 0


def test_two_awards_within_the_interval_give_points_once(ledger: LedgerService, clock: FakeClock) -> None:
    spaced = timedelta(minutes=10)
    assert ledger.earn(award("message:1", min_interval=spaced)).earned == 10
    clock.advance(timedelta(minutes=9, seconds=59))
    assert ledger.earn(award("message:2", min_interval=spaced)).earned == 0
    clock.advance(timedelta(seconds=1))
    assert ledger.earn(award("message:3", min_interval=spaced)).earned == 10


def test_points_of_a_lot_are_gone_the_instant_it_expires(ledger: LedgerService, clock: FakeClock) -> None:
    ledger.earn(award("message:1", 100, expires_after_days=1))
    clock.advance(timedelta(days=1) - timedelta(microseconds=1))
    assert ledger.balance(LI) == 100
    clock.advance(timedelta(microseconds=1))
    assert ledger.balance(LI) == 0
    with pytest.raises(Refused, match="not enough points"):
        ledger.spend(LI, 1, "a", reason="A gift", actor="test")


def test_what_expires_first_is_spent_first(ledger: LedgerService, clock: FakeClock) -> None:
    ledger.earn(award("a", 10, expires_after_days=None))
    ledger.earn(award("b", 10, expires_after_days=30))
    ledger.earn(award("c", 10, expires_after_days=2))
    ledger.spend(LI, 15, "s", reason="A gift", actor="test")
    clock.advance(timedelta(days=2))
    assert ledger.balance(LI) == 15
    clock.advance(timedelta(days=28))
    assert ledger.balance(LI) == 10


def test_expired_points_are_written_off_once(ledger: LedgerService, clock: FakeClock) -> None:
    ledger.earn(award("a", 10, expires_after_days=1))
    ledger.earn(award("b", 7, expires_after_days=9))
    clock.advance(timedelta(days=1))
    assert ledger.expire() == 1
    assert ledger.expire() == 0
    assert [(line.kind, line.amount) for line in ledger.statement(LI)] == [
        ("expire", -10),
        ("earn", 7),
        ("earn", 10),
    ]
    assert ledger.totals().outstanding == 7


def test_a_refusal_is_kept_with_its_key(ledger: LedgerService) -> None:
    with pytest.raises(Refused) as first:
        ledger.spend(LI, 50, "k", reason="A gift", actor="test")
    ledger.earn(award("a", 100))
    with pytest.raises(Refused) as again:
        ledger.spend(LI, 50, "k", reason="A gift", actor="test")
    assert (first.value.code, first.value.replayed) == ("too_few_points", False)
    assert (again.value.code, again.value.replayed) == ("too_few_points", True)
    assert str(first.value) == str(again.value)
    with pytest.raises(KeyReused):
        ledger.spend(LI, 60, "k", reason="A gift", actor="test")


def test_a_frozen_member_earns_but_does_not_spend(
    ledger: LedgerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.earn(award("a", 100))
    monkeypatch.setattr(ledger, "_frozen", lambda member: member == LI)
    with pytest.raises(Refused, match="frozen"):
        ledger.spend(LI, 10, "k", reason="A gift", actor="test")
    assert ledger.earn(award("b")).balance == 110


def test_a_refund_goes_back_to_the_lots_it_came_from(ledger: LedgerService, clock: FakeClock) -> None:
    ledger.earn(award("a", 10, expires_after_days=5))
    ledger.earn(award("b", 10, expires_after_days=50))
    spent = ledger.spend(LI, 15, "s", reason="A gift", actor="test")
    ledger.refund(spent.id, 7, "r", reason="Broken", actor="test")
    clock.advance(timedelta(days=5))
    assert ledger.balance(LI) == 10  # five back in the later lot; the other two expired with the first


def test_a_refund_into_a_lot_that_has_expired_lives_a_week(ledger: LedgerService, clock: FakeClock) -> None:
    ledger.earn(award("a", 10, expires_after_days=5))
    spent = ledger.spend(LI, 10, "s", reason="A gift", actor="test")
    clock.advance(timedelta(days=9))
    ledger.refund(spent.id, 10, "r", reason="Broken", actor="test")
    assert ledger.balance(LI) == 10
    clock.advance(timedelta(days=7))
    assert ledger.balance(LI) == 0


def test_refunds_never_pass_the_spending(ledger: LedgerService) -> None:
    ledger.earn(award("a", 10))
    spent = ledger.spend(LI, 10, "s", reason="A gift", actor="test")
    ledger.refund(spent.id, 6, "r1", reason="Broken", actor="test")
    with pytest.raises(Refused, match="No more than what was spent"):
        ledger.refund(spent.id, 5, "r2", reason="Broken", actor="test")
    ledger.refund(spent.id, 4, "r3", reason="Broken", actor="test")
    assert ledger.balance(LI) == 10
    assert ledger.refund(spent.id, 6, "r1", reason="Broken", actor="test").amount == 6
    assert ledger.balance(LI) == 10


def test_an_order_sent_back_after_its_points_are_spent_is_owed(ledger: LedgerService) -> None:
    ledger.earn(award("order:1", 100))
    ledger.spend(LI, 70, "s", reason="A gift", actor="test")
    taken = ledger.reverse("order:1", reason="Returned", actor="test")
    assert (taken.amount, ledger.balance(LI), ledger.totals().owed) == (-100, 0, -70)
    with pytest.raises(Refused, match="returned order"):
        ledger.spend(LI, 1, "t", reason="A gift", actor="test")
    assert ledger.earn(award("order:2", 80)).balance == 10
    assert ledger.totals().owed == 0
    ledger.spend(LI, 10, "u", reason="A gift", actor="test")
    assert ledger.reverse("order:1", reason="Returned", actor="test").id == taken.id


def test_a_refund_makes_up_for_what_is_owed_at_once(ledger: LedgerService, clock: FakeClock) -> None:
    ledger.earn(award("order:1", 100, expires_after_days=30))
    spent = ledger.spend(LI, 100, "gift", reason="A gift", actor="test")
    ledger.reverse("order:1", reason="Returned", actor="test")
    assert ledger.totals().owed == -100
    ledger.refund(spent.id, 40, "a", reason="Broken", actor="test")
    ledger.refund(spent.id, 60, "b", reason="Broken", actor="test")
    assert (ledger.totals().owed, ledger.totals().outstanding, ledger.balance(LI)) == (0, 0, 0)
    with pytest.raises(Refused, match="No more than"):
        ledger.refund(spent.id, 1, "c", reason="Broken", actor="test")
    clock.advance(timedelta(days=31))
    assert ledger.expire() == 0  # nothing is lost twice
    ledger.earn(award("order:2", 10))
    assert ledger.balance(LI) == 10


def test_what_a_refund_leaves_over_can_be_spent(ledger: LedgerService, clock: FakeClock) -> None:
    ledger.earn(award("order:1", 30, expires_after_days=30))
    ledger.earn(award("order:2", 100, expires_after_days=1))
    spent = ledger.spend(LI, 130, "gift", reason="A gift", actor="test")
    ledger.reverse("order:1", reason="Returned", actor="test")
    clock.advance(timedelta(days=1))  # the longer half of what was spent would live on for the grace alone
    ledger.refund(spent.id, 130, "all", reason="Broken", actor="test")
    assert (ledger.totals().owed, ledger.balance(LI)) == (0, 100)
    clock.advance(timedelta(days=7))
    assert ledger.balance(LI) == 30


def test_the_shop_can_waive_what_is_owed(ledger: LedgerService) -> None:
    ledger.earn(award("order:1", 100))
    ledger.spend(LI, 100, "gift", reason="A gift", actor="test")
    ledger.reverse("order:1", reason="Returned", actor="test")
    ledger.adjust(LI, 120, "waive", reason="Our mistake", actor="test")
    assert (ledger.totals().owed, ledger.balance(LI)) == (0, 20)
    ledger.spend(LI, 20, "again", reason="A gift", actor="test")


@pytest.mark.parametrize("written_off", [True, False])
def test_taking_back_what_has_expired_costs_nothing_more(
    ledger: LedgerService, clock: FakeClock, written_off: bool
) -> None:
    ledger.earn(award("order:1", 100, expires_after_days=1))
    ledger.earn(award("other", 50))
    clock.advance(timedelta(days=1))
    if written_off:
        ledger.expire()
    ledger.reverse("order:1", reason="Returned", actor="test")
    ledger.expire()
    assert (ledger.balance(LI), ledger.totals().owed) == (50, 0)


def test_an_adjustment_needs_a_reason(ledger: LedgerService) -> None:
    with pytest.raises(Invalid, match="reason: must not be empty"):
        ledger.adjust(LI, 100, "k", reason="  ", actor="test")
    given = ledger.adjust(LI, 100, "k", reason="A kind word", actor="test")
    taken = ledger.adjust(LI, -30, "l", reason="Too kind", actor="test")
    assert (given.amount, taken.amount, ledger.balance(LI)) == (100, -30, 70)
    with pytest.raises(Refused):
        ledger.adjust(LI, -71, "m", reason="Far too kind", actor="test")


@pytest.mark.parametrize("points", [0, -5, 10**12 + 1])
def test_a_senseless_number_of_points_is_refused_by_name(ledger: LedgerService, points: int) -> None:
    with pytest.raises(Invalid, match=f"points: {points} is not between 1 and"):
        ledger.earn(award("a", points))


@pytest.mark.parametrize("key", ["", "x" * 256, "订单", "a\nb"])
def test_a_key_that_cannot_be_kept_is_refused(ledger: LedgerService, key: str) -> None:
    with pytest.raises(Invalid, match="1 to 255 printable ASCII"):
        ledger.earn(award(key))


def test_accounts_come_in_pages_the_largest_first(ledger: LedgerService) -> None:
    for number in range(7):
        ledger.earn(award(f"k{number}", 10 * (number % 4 + 1), member=f"mem_{number}"))
    seen, cursor = [], ""
    while True:
        page, cursor = ledger.accounts(cursor, limit=3)
        seen += page
        if not cursor:
            break
    assert [line.balance for line in seen] == [40, 30, 30, 20, 20, 10, 10]
    assert len({line.member for line in seen}) == 7
    with pytest.raises(Invalid, match="not a cursor"):
        ledger.accounts("elsewhere")


def test_the_shop_sees_what_moved_in_a_span_of_time(ledger: LedgerService, clock: FakeClock) -> None:
    ledger.earn(award("a", 50))
    ledger.spend(LI, 20, "s", reason="A gift", actor="test")
    since = datetime(2026, 11, 23, tzinfo=UTC)
    flows = {
        flow.kind: (flow.postings, flow.points) for flow in ledger.flows(since, since + timedelta(days=1))
    }
    assert flows == {"earn": (1, 50), "spend": (1, -20)}
    assert ledger.flows(since + timedelta(days=1), since + timedelta(days=2)) == []
    assert ledger.balances([LI, "mem_stranger"]) == {LI: 30, "mem_stranger": 0}
    with pytest.raises(NotFound):
        ledger.posting(999)
