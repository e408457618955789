"""The points pages on a real server: what rules give, a member's link, and a coupon used at the till."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import select
from tests.web.conftest import PASSWORD, Browser

from lanmu.audience.views import MemberDraft
from lanmu.interfaces.events import Award
from lanmu.ledger.models import Coupon
from lanmu.server import Server
from lanmu.testing.clock import FakeClock


@pytest.fixture
def member(server: Server) -> str:
    made = server.audience.members.create(MemberDraft("乐乐妈妈", tags=("母婴",))).id
    server.ledger.adjust(made, 300, "k", reason="开业礼", actor="admin")
    return made


@pytest.fixture
def code(server: Server, member: str) -> str:
    offer = server.ledger.shelf.create("满 99 减 10", 100, detail="全场通用")
    return server.ledger.redeem(member, offer.id, "k").code


@pytest.mark.parametrize(
    ("language", "gist"), [("zh-CN", "每条发言 10 积分"), ("en", "10 points for a message")]
)
def test_every_rule_says_what_it_gives(admin: Browser, language: str, gist: str):
    admin.client.set_cookie("lanmu_lang", language)
    page = admin.get("/points").text
    assert gist in page
    assert page.count('class="rule-told"') == 3


def test_the_menu_leads_those_who_may_to_the_plugins_pages(sign_in: Callable[[str], Browser]):
    for who, members, till in (("admin", True, True), ("auditor", True, False), ("writer", False, False)):
        page = sign_in(who).get("/calendar").text
        assert ('href="/p/points/members"' in page) is members, who
        assert ('href="/p/points/till"' in page) is till, who
    assert sign_in("auditor").get("/p/points/till").status_code == 403


def test_a_members_link_opens_their_phone_page(admin: Browser, server: Server, member: str):
    page = admin.get("/p/points/members?q=乐乐").text
    assert "乐乐妈妈" in page
    assert ">300<" in page
    page = admin.get(f"/p/points/members?member={member}").text
    assert 'src="data:image/svg+xml' in page
    link = re.search(r'href="[^"]*(/p/points/m/[^"]+)"', page)
    assert link is not None
    assert "乐乐妈妈" in admin.get(link[1]).text


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_a_coupon_is_used_once_at_the_till(
    admin: Browser, server: Server, member: str, code: str, language: str
):
    admin.client.set_cookie("lanmu_lang", language)
    assert admin.get("/p/points/till").status_code == 200
    typed = f"{code[:4]}-{code[4:8]} {code[8:]}".lower()
    seen = admin.post("/p/points/till", {"code": typed})
    assert "满 99 减 10" in seen.text
    assert server.ledger.coupons(member)[0].state == "issued"
    done = admin.post("/p/points/till/use", {"code": typed})
    assert done.status_code == 200
    with server.database.read() as session:
        used = session.scalar(select(Coupon))
    assert used is not None
    assert (used.state, used.used_by) == ("redeemed", "admin")
    told = [(line.actor, line.object) for line in server.audit.latest() if line.action == "coupon.use"]
    assert told == [("admin", used.public_id)]
    again = admin.post("/p/points/till/use", {"code": typed})
    assert (again.status_code, 'id="fault-code"' in again.text) == (422, True)
    assert ("这张券您刚刚核销过了" if language == "zh-CN" else "You have just used") in again.text
    assert admin.post("/p/points/till", {"code": "0000"}).status_code == 422


def test_the_till_tells_who_used_a_coupon_when_that_was(
    sign_in: Callable[[str], Browser], admin: Browser, server: Server, clock: FakeClock, code: str
):
    admin.post("/p/points/till/use", {"code": code})
    clock.advance(timedelta(minutes=7))
    assert "这张券您在 7 分钟前核销过了。只算一次：" in admin.post("/p/points/till", {"code": code}).text
    server.staff.create("till", "Till", PASSWORD, ["points"])
    other = sign_in("till")
    other.get("/p/points/till")
    assert "券码无效" in other.post("/p/points/till", {"code": code}).text


def test_the_till_needs_the_token_of_the_session(admin: Browser, code: str):
    admin.get("/p/points/till")
    for path in ("/p/points/till", "/p/points/till/use"):
        forged = admin.client.post(path, data={"code": code, "csrf_token": "forged"})
        assert forged.status_code == 403


def test_a_rule_that_cannot_say_what_it_gives_is_shown_by_its_title(
    admin: Browser, server: Server, monkeypatch: pytest.MonkeyPatch
):
    def describe() -> list[str]:
        raise ZeroDivisionError

    odd = SimpleNamespace(name="odd", title="怪规则", propose=list, describe=describe)
    bare = SimpleNamespace(name="bare", propose=list)
    offered = [("x", odd), ("x", bare), ("x", SimpleNamespace(propose=list)), ("x", None)]
    monkeypatch.setattr(
        server.plugins, "offers", lambda hook: offered if hook == "lanmu_points_rules" else []
    )
    page = admin.get("/points")
    assert page.status_code == 200
    assert ("怪规则" in page.text, "bare" in page.text) == (True, True)


def test_an_unused_coupon_is_cancelled_and_its_points_go_back(
    admin: Browser, sign_in: Callable[[str], Browser], server: Server, member: str, code: str
):
    (posting,) = (line.id for line in server.ledger.lines(kind="redeem"))
    other = server.audience.members.create(MemberDraft("别人")).id
    assert "撤销这张券" in admin.get("/points").text
    assert "撤销这张券" in admin.get(f"/points?member={member}").text
    assert "撤销这张券" not in admin.get(f"/points?member={other}").text
    assert "撤销这张券" not in sign_in("auditor").get("/points").text
    path = f"/points/postings/{posting}/cancel"
    assert sign_in("auditor").post(path).status_code == 403
    for _tap in range(2):
        assert "已撤销：券已作废，退回 100 积分。" in admin.post(path, {"member": member}).text
        assert (server.ledger.balance(member), server.ledger.coupons(member)[0].state) == (300, "void")
    assert "撤销这张券" not in admin.get("/points").text
    assert "券码无效" in admin.post("/p/points/till", {"code": code}).text
    assert "撤销优惠券并退回积分" in admin.get("/settings/audit").text


def test_a_used_coupon_and_what_is_no_coupon_are_not_cancelled(
    admin: Browser, server: Server, member: str, code: str
):
    server.ledger.use_coupon(code, "admin")
    for line in server.ledger.lines():
        admin.post(f"/points/postings/{line.id}/cancel")
    admin.post("/points/postings/9999/cancel")
    assert admin.post(f"/points/postings/{10**30}/cancel").status_code == 404
    assert (server.ledger.balance(member), len(server.ledger.lines())) == (200, 2)
    assert "撤销这张券" not in admin.get("/points").text


def test_a_member_who_owes_is_told_so_and_not_that_points_are_missing(
    admin: Browser, server: Server, member: str
):
    offer = server.ledger.shelf.create("满 99 减 10", 100).id
    server.ledger.earn(Award("purchase", "order:a:1:earn", member, 50, "Order", date(2026, 11, 23)))
    server.ledger.spend(member, 350, "k", reason="礼品", actor="admin")
    link = f"/p/points/m/{server.signer.sign('plugin/points/points.member', member, timedelta(days=1))}"
    for page in (link, f"{link}/offers/{offer}"):
        assert "差 100" in admin.get(page).text
    server.ledger.reverse("order:a:1:earn", reason="", actor="admin")
    for page in (link, f"{link}/offers/{offer}"):
        told = admin.get(page).text
        assert "有退货订单的积分还没补回" in told
        assert "差 100" not in told


def test_the_points_of_a_link_in_wrong_hands_are_frozen_and_freed(
    admin: Browser, sign_in: Callable[[str], Browser], server: Server, member: str
):
    offer = server.ledger.shelf.create("满 99 减 10", 100).id
    link = f"/p/points/m/{server.signer.sign('plugin/points/points.member', member, timedelta(days=1))}"
    page = admin.get(f"{link}/offers/{offer}").text
    form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page))
    path = f"/points/members/{member}/freeze"
    assert path not in admin.get("/points").text
    assert path in admin.get(f"/points?member={member}").text
    assert sign_in("auditor").post(path, {"frozen": "1"}).status_code == 403
    assert path not in sign_in("auditor").get(f"/points?member={member}").text
    assert "已冻结：“乐乐妈妈”可以得积分，不能兑换。" in admin.post(path, {"frozen": "1"}).text
    refused = admin.client.post(f"{link}/offers/{offer}/redeem", data=form)
    assert (refused.status_code, server.ledger.balance(member)) == (409, 300)
    assert "“乐乐妈妈”的积分已冻结。" in admin.get(f"/points?member={member}").text
    assert "冻结" in admin.get(link).text
    assert "冻结或解冻会员积分" in admin.get("/settings/audit").text
    assert "已解冻：“乐乐妈妈”可以正常兑换了。" in admin.post(path, {"frozen": ""}).text
    assert admin.client.post(f"{link}/offers/{offer}/redeem", data=form).status_code == 303
    assert "没有会员 mem_x" in admin.post("/points/members/mem_x/freeze").text
