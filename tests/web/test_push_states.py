"""What the states of a push ask of people, in words: on hold, frozen, taken, moved to another time."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update
from tests.web.conftest import Browser, Send

from lanmu.audience.views import Address, CommunityDraft
from lanmu.delivery.installation.instance import RESTORED, freeze
from lanmu.delivery.installation.instance_models import InstanceRecord
from lanmu.delivery.models import Push, Unit, UnitTarget
from lanmu.delivery.progress import Progress
from lanmu.delivery.service import PushFilter
from lanmu.delivery.views import PushView
from lanmu.i18n import Filled
from lanmu.interfaces.channels import Sending
from lanmu.server import Server
from lanmu.testing.clock import FakeClock
from lanmu.web.pages import push_shown

SignIn = Callable[[str], Browser]


def test_a_frozen_copy_tells_the_time_of_its_backup_in_the_shops_zone(admin: Browser, server: Server):
    with server.database.write() as session:
        row = session.scalars(select(InstanceRecord)).one()
        reason = Filled(RESTORED, at="2026-11-22 16:30 UTC")
        freeze(row, server.clock.now(), reason)
    page = admin.get("/").text
    assert "2026-11-23 00:30" in page
    assert "16:30" not in page.partition("flash-error")[2].partition("</div>")[0]
    assert "lanmu release --reconcile" in page


def test_the_colours_of_the_bar_are_told_and_taken_is_not_delivered(admin: Browser, send: Send):
    push = send("一群", push="finished", unit="handed_over", target="handed_over", asked=True)
    page = admin.get(f"/pushes/{push.id}").text
    told = re.sub(r"<[^>]+>", "", page.partition("flow-legend")[2].partition("</ul>")[0])
    assert "还没送达 1" in told
    assert "已送达" not in told
    assert 'hx-trigger="every 15s"' in page, "somebody still confirms, and the page says so without a reload"


def test_what_a_channel_has_accepted_by_itself_is_not_called_delivered(app: Flask):
    counted = Progress(3, {"accepted": 3}, {"accepted": 2, "delivered": 1})
    with app.test_request_context("/?lang=zh-CN"):
        by_itself, by_people = (push_shown.legend(counted, each) for each in (Sending.AUTO, Sending.CONFIRM))
    assert [(each["text"], each["n"]) for each in by_itself] == [("已送达", 1), ("渠道已接收", 2)]
    assert [each["name"] for each in by_people] == ["good", "given"]
    assert [each.name for each in push_shown.bar(counted, Sending.AUTO) if each.width] == ["good", "taken"]


def test_the_calendar_shows_a_changed_push_at_its_new_time(
    sign_in: SignIn, server: Server, stocked: Server, clock: FakeClock
):
    first = stocked.schedule.occurrences.between(clock.now(), clock.now() + timedelta(days=2))[0]
    stocked.schedule.occurrences.approve({first.id: first.revision_id}, "reader")
    clock.set(first.due_at - timedelta(minutes=5))
    stocked.schedule.hand_over()
    admin = sign_in("admin")
    push = server.delivery.pushes(PushFilter())[0]
    assert "12:00" in _event(admin.get("/calendar").text, push)
    with server.database.write() as session:
        moved = first.due_at + timedelta(days=1, hours=3, minutes=7)
        session.execute(update(Push).where(Push.id == push.row).values(due_at=moved))
    page = admin.get("/calendar").text
    assert "15:07" in _event(page, push)
    assert page.count(f'href="/pushes/{push.id}"') == 1


def _event(page: str, push: PushView) -> str:
    """What the calendar says of a push."""
    return page.partition(f'href="/pushes/{push.id}"')[2].partition("</a>")[0]


def test_who_sends_is_called_by_name_whatever_the_channel_calls_them(
    admin: Browser, server: Server, send: Send
):
    for group, executor in (("一群", "林晓"), ("二群", "林晓"), ("三群", "陈可"), ("四群", "周宁")):
        sender = "linxiao" if executor == "林晓" else "shared"
        address = {"wecom.group": Address(f"wr{group}", sender)}
        draft = CommunityDraft(group, executor=executor, addresses=address)
        server.audience.communities.create(draft)
    assert server.audience.communities.executors() == {"linxiao": "林晓"}, (
        "of the other nobody can say who it is"
    )
    push = send("一群", push="finished", unit="delivered", target="delivered")
    with server.database.write() as session:
        session.execute(update(Unit).where(Unit.push_id == push.row).values(sender="linxiao"))
        session.execute(update(Push).where(Push.id == push.row).values(created_by="cli", approved_by="cli"))
    page = admin.get(f"/pushes/{push.id}").text
    assert "由林晓发送" in page.replace(" ", "")
    assert "linxiao" not in page
    assert page.count("服务器命令行 ·") == 2
    assert ">cli " not in page
    assert "林晓" in admin.get(f"/pushes/{push.id}/recipients.csv").text


def test_the_question_before_a_cancel_tells_what_will_be_taken_back(
    admin: Browser, server: Server, send: Send
):
    push = send("一群", "二群", push="finished", unit="handed_over", target="handed_over", asked=True)
    with server.database.write() as session:
        session.execute(update(Unit).where(Unit.push_id == push.row).values(ref="pack"))
    page = admin.get(f"/pushes/{push.id}").text
    assert "还没发出、将停止：0；还没人确认、将撤回：2；已发出、收不回：0；结果不明：0。" in page
    with server.database.write() as session:
        done = update(UnitTarget).where(UnitTarget.push_id == push.row, UnitTarget.recipient_key == "一群")
        session.execute(done.values(state="delivered"))
    seen = re.findall(r"seen=([^&\"]+)", page)[0]
    news = admin.get(f"/pushes/{push.id}/live?seen={seen}").text
    assert "将撤回：1；已发出、收不回：1；" in news, "also on a page that has stood open meanwhile"


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        ("content_out", "延长素材有效期"),
        ("config", "config.toml 里把账号、密钥或权限改好"),
        ("settings", "请改好 config.toml、重启服务，再点「继续发送」"),
        ("99999", "请查这个错误码的含义"),
        ("network", "检查网络和地址"),
        ("something_new", "再点「继续发送」"),
    ],
)
def test_what_is_on_hold_says_what_it_asks_of_a_person(
    admin: Browser, server: Server, send: Send, code: str, asked: str
):
    push = send("一群", push="running", unit="held")
    with server.database.write() as session:
        session.execute(update(Unit).where(Unit.push_id == push.row).values(reason="原因在此", code=code))
    card = admin.get(f"/pushes/{push.id}").text.partition('id="push-decide"')[2].partition('id="push-prog')[0]
    assert "原因在此" in card
    assert asked in card
    assert "已确认没有发给" in card


def test_who_may_not_approve_is_offered_neither_to_approve_nor_to_send_back(sign_in: SignIn, send: Send):
    push = send("一群", push="in_review")
    for username, offered in (("writer", False), ("auditor", False), ("reader", True)):
        page = sign_in(username).get(f"/pushes/{push.id}").text
        assert ("退回修改" in page, "/approve" in page) == (offered, offered), username
    assert "需要有「审核与审批」权限的同事来决定" in sign_in("writer").get(f"/pushes/{push.id}").text
