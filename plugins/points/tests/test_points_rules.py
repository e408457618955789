"""What earns points, how many, and under which key."""

from datetime import UTC, date, datetime, timedelta

import pytest
from marshmallow import ValidationError

from lanmu.i18n import Catalog
from lanmu.interfaces.errors import Invalid
from lanmu.interfaces.events import Award, DescribedRule, MemberEvent
from lanmu_points.rules import CheckInRule, MessageRule, PurchaseRule, check_in
from lanmu_points.settings import PointsSchema, PointsSettings

MONDAY = date(2026, 11, 23)
NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)


def event(kind: str, key: str = "e1", **data: str) -> MemberEvent:
    return MemberEvent(key, kind, "mem_li", NOON, MONDAY, data)


def test_a_check_in_is_keyed_by_the_local_day() -> None:
    before = check_in("mem_li", "Asia/Shanghai", datetime(2026, 11, 23, 15, 59, 59, tzinfo=UTC))
    after = check_in("mem_li", "Asia/Shanghai", datetime(2026, 11, 23, 16, 0, 1, tzinfo=UTC))
    rule = CheckInRule(PointsSettings())
    keys = [award.key for tap in (before, before, after) for award in rule.propose(tap)]
    assert keys == ["checkin:mem_li:2026-11-23", "checkin:mem_li:2026-11-23", "checkin:mem_li:2026-11-24"]


def test_a_message_earns_ten_points_with_a_cap_and_a_pause() -> None:
    assert list(MessageRule(PointsSettings()).propose(event("message", "message:77"))) == [
        Award(
            rule="message",
            key="message:77",
            member="mem_li",
            points=10,
            reason="Spoke in the community",
            local_date=MONDAY,
            per_day=50,
            expires_after_days=365,
            min_interval=timedelta(minutes=10),
        )
    ]


@pytest.mark.parametrize(("amount", "points"), [("19900", 199), ("199", 1), ("99", None), ("0", None)])
def test_a_purchase_earns_for_each_whole_yuan(amount: str, points: int | None) -> None:
    asked = event("purchase", shop="main", order="A7", amount=amount)
    awards = list(PurchaseRule(PointsSettings()).propose(asked))
    assert [(award.key, award.points) for award in awards] == (
        [("order:main:A7:earn", points)] if points else []
    )


def test_an_order_of_a_shop_with_a_chinese_name_has_a_key_that_the_ledger_keeps() -> None:
    rule = PurchaseRule(PointsSettings())
    orders = [("旗舰店", "订单1"), ("旗舰店", "订单2"), ("专卖店", "订单1"), ("a:b", "c"), ("a", "b:c")]
    keys = [
        award.key
        for shop, order in orders
        for award in rule.propose(event("purchase", shop=shop, order=order, amount="1000"))
    ]
    assert len(set(keys)) == len(orders)
    assert all(key.isascii() and key.isprintable() and len(key) <= 255 for key in keys)


@pytest.mark.parametrize("amount", ["", "-1", "19.90", "１００", "1e9", "9" * 12])
def test_an_amount_that_is_no_number_of_fen_is_refused_by_name(amount: str) -> None:
    with pytest.raises(Invalid, match=r"data\.amount: must be the order's amount in fen"):
        list(PurchaseRule(PointsSettings()).propose(event("purchase", order="A7", amount=amount)))


def test_a_rule_hears_only_its_own_kind_and_zero_switches_it_off() -> None:
    off = PointsSettings(check_in_points=0, message_points=0, purchase_points_per_yuan=0)
    for rule in (CheckInRule, MessageRule, PurchaseRule):
        assert list(rule(PointsSettings()).propose(event("something"))) == []
        assert list(rule(off).propose(event(rule.name, amount="1000"))) == []


def test_a_rule_tells_what_it_gives_with_its_own_numbers() -> None:
    settings = PointsSettings(
        message_points=7, message_daily_cap=21, message_interval_minutes=0, expiry_days=0
    )
    told = [list(rule(settings).describe()) for rule in (CheckInRule, MessageRule, PurchaseRule)]
    assert told == [
        ["5 points for a check-in", "once a day", "never expire"],
        ["7 points for a message", "at most 21 a day", "never expire"],
        ["1 points for each whole yuan of an order", "once an order", "never expire"],
    ]
    assert all(isinstance(rule(settings), DescribedRule) for rule in (CheckInRule, MessageRule, PurchaseRule))
    catalog = Catalog(("lanmu_points",))
    chinese = [catalog.gettext("zh-CN", text) for text in MessageRule(PointsSettings()).describe()]
    assert chinese == ["每条发言 10 积分", "每天最多 50 积分", "10 分钟内只算一次", "365 天后过期"]
    off = PointsSettings(check_in_points=0)
    assert list(CheckInRule(off).describe()) == ["Gives nothing: its points are set to 0 in config.toml."]


def test_the_settings_have_a_working_default_and_say_what_is_wrong() -> None:
    assert PointsSchema().load({}) == PointsSettings()
    assert PointsSchema().load({"expiry_days": 0}).expires_after_days is None
    with pytest.raises(ValidationError) as fault:
        PointsSchema().load({"check_in_points": -1, "message_points": "10", "link_days": 31, "points": 1})
    assert set(fault.value.messages_dict) == {"check_in_points", "message_points", "link_days", "points"}
