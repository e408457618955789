"""Offers and coupons: never oversold, told apart from any mistyped code, used once."""

import threading
from datetime import date, timedelta

import pytest

from lanmu.interfaces.errors import Faults, Invalid, NotFound
from lanmu.interfaces.events import Award
from lanmu.ledger.coupons import ALPHABET, CouponCodes, grouped, normalise
from lanmu.ledger.refusals import KeyReused, Refused
from lanmu.ledger.service import LedgerService
from lanmu.testing.clock import FakeClock

LI = "mem_li"


def give(ledger: LedgerService, member: str, points: int) -> None:
    ledger.earn(Award("gift", f"gift:{member}:{points}", member, points, "A gift", date(2026, 11, 23)))


def test_fifty_coupons_are_sold_fifty_times_to_twelve_clients_at_once(ledger: LedgerService) -> None:
    offer = ledger.shelf.create("Cup", 10, cap=50).id
    members = [f"mem_{number:02}" for number in range(12)]
    for member in members:
        give(ledger, member, 1000)
    sold: list[str] = []
    refused: list[str] = []
    start = threading.Barrier(12)

    def client(member: str) -> None:
        start.wait()
        for attempt in range(8):
            try:
                sold.append(ledger.redeem(member, offer, f"{attempt}").id)
            except Refused as refusal:
                refused.append(refusal.code)

    threads = [threading.Thread(target=client, args=(member,)) for member in members]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sold) == len(set(sold)) == 50
    assert refused == ["sold_out"] * (12 * 8 - 50)
    assert ledger.shelf.get(offer).left == 0
    assert sum(ledger.balances(members).values()) == 12 * 1000 - 50 * 10


def test_one_member_on_twelve_phones_spends_the_last_points_once(ledger: LedgerService) -> None:
    offer = ledger.shelf.create("Cup", 100).id
    give(ledger, LI, 150)
    results: list[str] = []
    start = threading.Barrier(12)

    def tap(number: int) -> None:
        start.wait()
        try:
            results.append(ledger.redeem(LI, offer, f"phone-{number}").state)
        except Refused as refusal:
            results.append(refusal.code)

    threads = [threading.Thread(target=tap, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["issued"] + ["too_few_points"] * 11
    assert ledger.balance(LI) == 50


def test_a_double_tap_gets_the_same_coupon_and_pays_once(ledger: LedgerService) -> None:
    offer = ledger.shelf.create("Cup", 100).id
    give(ledger, LI, 300)
    coupons: list[str] = []
    start = threading.Barrier(4)

    def tap() -> None:
        start.wait()
        coupons.append(ledger.redeem(LI, offer, "one form").code)

    threads = [threading.Thread(target=tap) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(coupons) == 4
    assert len(set(coupons)) == 1
    assert ledger.balance(LI) == 200
    other = ledger.shelf.create("Plate", 1).id
    with pytest.raises(KeyReused):
        ledger.redeem(LI, other, "one form")


def test_an_offer_says_why_a_member_cannot_have_it(ledger: LedgerService, clock: FakeClock) -> None:
    give(ledger, LI, 100)
    dear = ledger.shelf.create("Dear", 500)
    gone = ledger.shelf.create("Gone", 1, cap=0)
    once = ledger.shelf.create("Once", 10, per_member=1)
    ledger.shelf.create("Later", 10, starts_at=clock.now() + timedelta(days=1))
    ledger.shelf.create("Over", 10, ends_at=clock.now())
    ledger.shelf.create("Off", 10, active=False)
    assert {offer.id: offer.why_not for offer in ledger.offers(LI)} == {
        gone.id: "This is sold out.",
        once.id: "",
        dear.id: "There are not enough points for this.",
    }
    ledger.redeem(LI, once.id, "1")
    assert ledger.offers(LI)[1].why_not == "The limit for one member is reached."
    for offer, code in ((dear, "too_few_points"), (gone, "sold_out"), (once, "limit_reached")):
        with pytest.raises(Refused) as refusal:
            ledger.redeem(LI, offer.id, "2" + code)
        assert refusal.value.code == code
    with pytest.raises(NotFound, match="no offer off_nothing"):
        ledger.redeem(LI, "off_nothing", "3")


def test_an_offer_that_is_over_is_not_sold(ledger: LedgerService, clock: FakeClock) -> None:
    give(ledger, LI, 100)
    offer = ledger.shelf.create("Cup", 10, ends_at=clock.now() + timedelta(hours=1))
    clock.advance(timedelta(hours=1))
    with pytest.raises(Refused) as refusal:
        ledger.redeem(LI, offer.id, "1")
    assert refusal.value.code == "not_on_offer"
    assert ledger.balance(LI) == 100


def test_nobody_pays_a_price_that_they_were_not_shown(ledger: LedgerService) -> None:
    give(ledger, LI, 100)
    offer = ledger.shelf.create("Cup", 10).id
    bought = ledger.redeem(LI, offer, "1", 10)
    ledger.shelf.edit(offer, cost=60)
    with pytest.raises(Refused) as refusal:
        ledger.redeem(LI, offer, "2", 10)
    assert (refusal.value.code, ledger.balance(LI)) == ("changed", 90)
    assert ledger.redeem(LI, offer, "1", 10) == bought  # what was paid stays, however often it is asked for
    ledger.redeem(LI, offer, "3", 60)
    assert ledger.balance(LI) == 30


def test_a_coupon_is_used_once_however_its_code_is_typed(ledger: LedgerService) -> None:
    give(ledger, LI, 100)
    coupon = ledger.redeem(LI, ledger.shelf.create("Cup", 10).id, "1")
    typed = grouped(coupon.code).lower().replace("0", "o").replace("1", "l").replace(" ", " - ")
    full_width = "".join(chr(ord(each) + 0xFEE0) if each.isalnum() else each for each in typed)
    assert ledger.desk.use(full_width, "staff:wang").state == "redeemed"
    with pytest.raises(Invalid) as used:
        ledger.desk.use(coupon.code, "staff:zhao")
    with pytest.raises(Invalid) as unknown:
        ledger.desk.use("0000 0000 0000 0000", "staff:zhao")
    assert str(used.value) == str(unknown.value)
    assert ledger.coupons(LI)[0].state == "redeemed"
    shown = ledger.coupon(LI, coupon.id)
    assert shown is not None
    assert shown.code == ""


def test_who_used_a_coupon_up_is_told_so_and_nobody_else(ledger: LedgerService, clock: FakeClock) -> None:
    give(ledger, LI, 100)
    code = ledger.redeem(LI, ledger.shelf.create("Cup", 10).id, "1").code
    ledger.desk.use(code, "staff:wang")
    with pytest.raises(Invalid, match="You have just used this coupon up"):
        ledger.use_coupon(code, "staff:wang")
    clock.advance(timedelta(seconds=190))
    for ask in (ledger.use_coupon, ledger.look_at_coupon):
        with pytest.raises(Invalid, match="You used this coupon up 3 minutes ago"):
            ask(code, "staff:wang")
        for other in ("staff:zhao", ""):
            with pytest.raises(Invalid, match="This code is not valid"):
                ask(code, other)


def test_a_coupon_shows_its_code_to_its_owner_alone_until_it_ends(
    ledger: LedgerService, clock: FakeClock
) -> None:
    give(ledger, LI, 100)
    coupon = ledger.redeem(LI, ledger.shelf.create("Cup", 10, coupon_days=3).id, "1")
    mine = ledger.coupon(LI, coupon.id)
    assert mine == coupon
    assert ledger.coupon("mem_wang", coupon.id) is None
    assert ledger.coupons(LI)[0].code == ""
    clock.advance(timedelta(days=3))
    late = ledger.coupon(LI, coupon.id)
    assert late is not None
    assert (late.state, late.code) == ("expired", "")
    with pytest.raises(Invalid, match="not valid"):
        ledger.desk.use(coupon.code, "staff:wang")
    assert ledger.desk.expire() == 1


def test_a_refunded_coupon_is_void_and_its_piece_is_sold_again(ledger: LedgerService) -> None:
    give(ledger, LI, 100)
    offer = ledger.shelf.create("Cup", 10, cap=1)
    coupon = ledger.redeem(LI, offer.id, "1")
    posting = ledger.lines(kind="redeem")[0]
    with pytest.raises(Refused, match="No more than"):
        ledger.refund(posting.id, 3, "part", reason="Broken", actor="test")
    ledger.refund(posting.id, 10, "r", reason="Broken", actor="test")
    assert (ledger.balance(LI), ledger.shelf.get(offer.id).left) == (100, 1)
    with pytest.raises(Invalid):
        ledger.desk.use(coupon.code, "staff:wang")
    second = ledger.redeem(LI, offer.id, "2")
    ledger.desk.use(second.code, "staff:wang")
    with pytest.raises(Refused, match="has been used"):
        ledger.refund(ledger.lines(kind="redeem")[0].id, 10, "r2", reason="Broken", actor="test")


def test_a_faulty_offer_is_told_all_its_faults(ledger: LedgerService, clock: FakeClock) -> None:
    with pytest.raises(Faults) as faults:
        ledger.shelf.create(
            " ", 0, cap=-1, per_member=0, coupon_days=0, starts_at=clock.now(), ends_at=clock.now()
        )
    assert [fault.place for fault in faults.value.faults] == [
        "title",
        "cost",
        "cap",
        "per_member",
        "coupon_days",
        "ends_at",
    ]


def test_an_offer_cannot_shrink_below_what_members_have(ledger: LedgerService) -> None:
    give(ledger, LI, 100)
    offer = ledger.shelf.create("Cup", 10, cap=5, per_member=3).id
    ledger.redeem(LI, offer, "1")
    ledger.redeem(LI, offer, "2")
    with pytest.raises(Faults, match="below the 2 that members have"):
        ledger.shelf.edit(offer, cap=1)
    with pytest.raises(Faults, match="per_member"):
        ledger.shelf.edit(offer, per_member=1)
    assert ledger.shelf.edit(offer, cap=2, title="Last cups").left == 0
    with pytest.raises(Refused, match="sold out"):
        ledger.redeem(LI, offer, "3")


def test_a_mistyped_character_or_two_swapped_ones_are_found() -> None:
    code = CouponCodes(b"sixteen bytes at least").code("cpn_x")
    assert normalise(code) == code
    for place in range(16):
        for other in ALPHABET.replace(code[place], ""):
            assert normalise(code[:place] + other + code[place + 1 :]) is None
    assert normalise(code[:15]) is None
    assert normalise(code[:15] + "U") is None
    assert normalise("券" * 16) is None


def test_codes_differ_by_coupon_and_by_server() -> None:
    here, there = CouponCodes(b"sixteen bytes at least"), CouponCodes(b"another sixteen bytes")
    assert len({here.code("cpn_a"), here.code("cpn_b"), there.code("cpn_a")}) == 3
    assert here.lookup("A") != there.lookup("A")
    with pytest.raises(ValueError, match="16 bytes"):
        CouponCodes(b"short")
