"""A push's page: live progress, what waits for a person and why, doubts, changes; and what leads there."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update
from tests.web.conftest import CHANNEL, Browser, Send

from lanmu.audience.views import Address, CommunityDraft
from lanmu.delivery.door.limit_models import GateCount
from lanmu.delivery.installation.instance_models import ClockRecord
from lanmu.delivery.installation.owner import this_process
from lanmu.delivery.intake import PushRequest, Recipient
from lanmu.delivery.models import Attempt, Push, Unit
from lanmu.delivery.service import PushFilter
from lanmu.delivery.views import PushView
from lanmu.server import Server
from lanmu.testing.clock import FakeClock

SignIn = Callable[[str], Browser]


@pytest.fixture
def planned(stocked: Server) -> PushView:
    """A push of an approved material to two communities, due in two hours."""
    row = stocked.library.search.find().items[0]
    material = stocked.library.materials.get(row.id)
    revision = stocked.library.materials.revisions(row.id)[0]
    now = stocked.clock.now()
    return stocked.delivery.send(
        PushRequest(
            source_key="test:planned",
            title="周五福利",
            channel=CHANNEL,
            revision_id=revision.id,
            material_id=material.key,
            content_hash=revision.content_hash,
            body=revision.content.body,
            due_at=now + timedelta(hours=2),
            zone="Asia/Shanghai",
            recipients=[
                Recipient(each.name, each.name, "admin", community_id=each.row)
                for each in stocked.audience.communities.find()
            ],
            approved_by="reader",
            approved_at=now,
            created_by="早安",
        )
    )


def _live(browser: Browser, push: PushView, seen: str = "") -> str:
    answer = browser.get(f"/pushes/{push.id}/live?seen={seen}", **{"HX-Request": "true"})
    assert answer.status_code == 200
    return answer.text


def test_the_page_looks_for_news_only_while_something_is_under_way(admin: Browser, send: Send):
    moving = send("a", push="running", unit="calling")
    page = admin.get(f"/pushes/{moving.id}").text
    assert 'hx-trigger="every 2s"' in page
    for state in ("finished", "paused", "held", "draft", "in_review"):
        resting = send(state, push=state, unit="delivered" if state == "finished" else "")
        assert "hx-trigger" not in admin.get(f"/pushes/{resting.id}").text, state
        assert "hx-get" not in _live(admin, resting), state
    waits_for_a_person = send("b", push="running", unit="unknown", target="unknown")
    assert "hx-trigger" not in admin.get(f"/pushes/{waits_for_a_person.id}").text


def test_the_part_brings_the_rest_of_the_page_along_only_once_that_has_changed(
    admin: Browser, server: Server, send: Send
):
    push = send("a", push="running", unit="calling")
    page = admin.get(f"/pushes/{push.id}").text
    found = re.search(r'hx-get="[^"]*seen=([^"]+)"', page)
    assert found
    same = _live(admin, push, found[1])
    assert 'id="push-progress"' in same
    assert 'id="push-units"' not in same
    with server.database.write() as session:
        session.execute(update(Unit).where(Unit.push_id == push.row).values(state="unknown"))
    changed = _live(admin, push, found[1])
    assert {"push-units", "push-decide", "push-acts", "push-gate"} <= set(
        re.findall(r'id="([\w-]+)"', changed)
    )
    assert "<html" not in changed


def test_recipients_and_calls_are_told_apart_in_words(admin: Browser, planned: PushView):
    page = admin.get(f"/pushes/{planned.id}").text
    assert "2 个社群" in page
    assert "2 批" in page or "1 批" in page


def test_a_doubt_that_the_far_end_is_asked_about_says_when_and_offers_no_answer(
    admin: Browser, server: Server, clock: FakeClock, send: Send
):
    push = send("a", push="running", unit="unknown", target="unknown")
    with server.database.write() as session:
        later = clock.now() + timedelta(minutes=7)
        session.execute(update(Unit).where(Unit.push_id == push.row).values(look_at=later, looks=1))
    page = admin.get(f"/pushes/{push.id}").text
    assert "核实是否已发出，下次 08:07" in page
    assert 'name="as"' not in page
    assert admin.get(f"/pushes/{push.id}/units/1/again").status_code == 409


def test_sending_again_warns_asks_for_a_reason_and_keeps_it_with_the_name(
    admin: Browser, server: Server, send: Send
):
    push = send("一群", push="running", unit="unknown", target="unknown")
    page = admin.get(f"/pushes/{push.id}/units/1/again").text
    assert "收到两遍" in page
    path = f"/pushes/{push.id}/units/1/again"
    assert admin.post(path, {"why": "", "twice": "yes"}).status_code == 422
    assert admin.post(path, {"why": "群里没有这条", "twice": ""}).status_code == 422
    assert server.delivery.units(push.id)[0].state == "unknown"
    admin.post(path, {"why": "群里没有这条", "twice": "yes"})
    assert server.delivery.units(push.id)[0].state == "pending"
    line = next(each for each in server.audit.latest() if each.action == "pushes.again")
    assert (line.actor, line.object, line.detail) == ("admin", f"{push.id}/1", {"why": "群里没有这条"})
    assert line.permission == "push.force"


def test_sending_again_is_not_reached_by_the_way_of_the_other_answers(
    admin: Browser, server: Server, send: Send
):
    push = send("a", push="running", unit="unknown", target="unknown")
    admin.post(f"/pushes/{push.id}/units/1", {"as": "again"})
    assert server.delivery.units(push.id)[0].state == "unknown"


def test_what_is_late_goes_out_only_on_a_word_that_it_shall(
    admin: Browser, server: Server, clock: FakeClock, planned: PushView
):
    with server.database.write() as session:
        late = {"state": "held", "held_reason": "late", "due_at": clock.now() - timedelta(hours=1)}
        session.execute(update(Push).where(Push.id == planned.row).values(late))
    page = admin.get(f"/pushes/{planned.id}").text
    assert "已晚 1 小时" in page
    assert "2 个社群" in page
    admin.post(f"/pushes/{planned.id}/release")
    assert server.delivery.get(planned.id).state == "held", "no word that it is late was given"
    admin.post(f"/pushes/{planned.id}/release", {"late": "send"})
    assert server.delivery.get(planned.id).state == "running"


def test_a_paused_push_goes_on_by_who_may_stop_it(sign_in: SignIn, server: Server, planned: PushView):
    server.staff.create("op", "运营", "a password for testing alone", ["operator"])
    operator = sign_in("op")
    operator.post(f"/pushes/{planned.id}/pause")
    assert server.delivery.get(planned.id).state == "paused"
    assert operator.post(f"/pushes/{planned.id}/release").status_code == 403
    operator.post(f"/pushes/{planned.id}/resume")
    assert server.delivery.get(planned.id).state == "scheduled"


def test_another_time_is_approved_by_another_person(
    admin: Browser, sign_in: SignIn, server: Server, planned: PushView
):
    assert admin.get(f"/pushes/{planned.id}/edit").status_code == 200
    admin.post(f"/pushes/{planned.id}/edit", {"seen": "1", "due_at": "2026-11-23T18:30", "revision": ""})
    after = server.delivery.get(planned.id)
    assert (after.state, after.binding) == ("in_review", 2)
    own = admin.get(f"/pushes/{planned.id}").text
    assert f"/pushes/{planned.id}/approve" not in own
    admin.post(f"/pushes/{planned.id}/approve", {"seen": "2"})
    assert server.delivery.get(planned.id).state == "in_review"
    reader = sign_in("reader")
    assert f"/pushes/{planned.id}/approve" in reader.get(f"/pushes/{planned.id}").text
    reader.post(f"/pushes/{planned.id}/approve", {"seen": "1"})
    assert server.delivery.get(planned.id).state == "in_review", "it was changed since"
    reader.post(f"/pushes/{planned.id}/approve", {"seen": "2"})
    approved = server.delivery.get(planned.id)
    assert (approved.state, approved.approved_by) == ("scheduled", "reader")


def test_a_time_gone_by_is_refused_beside_its_field(admin: Browser, planned: PushView):
    answer = admin.post(
        f"/pushes/{planned.id}/edit", {"seen": "1", "due_at": "2026-11-20T10:00", "revision": ""}
    )
    assert answer.status_code == 422
    assert 'id="fault-due_at"' in answer.text


def test_who_was_missed_gets_a_draft_that_is_submitted(admin: Browser, server: Server, planned: PushView):
    server.delivery.cancel(planned.id)
    assert f"/pushes/{planned.id}/clone" in admin.get(f"/pushes/{planned.id}").text
    answer = admin.post(f"/pushes/{planned.id}/clone")
    made = answer.request.path.rpartition("/")[2]
    assert made != planned.id
    assert server.delivery.get(made).state == "draft"
    assert planned.id in admin.get(f"/pushes/{made}").text
    admin.post(f"/pushes/{made}/submit")
    assert server.delivery.get(made).state == "in_review"


def test_the_acts_on_a_push_name_their_permissions(sign_in: SignIn, server: Server, planned: PushView):
    auditor = sign_in("auditor")
    for path in ("cancel", "pause", "resume", "release", "edit", "clone", "submit", "approve", "send-back"):
        assert auditor.post(f"/pushes/{planned.id}/{path}", {"seen": "1"}).status_code == 403, path
    assert server.delivery.get(planned.id).state == "scheduled"
    page = auditor.get(f"/pushes/{planned.id}").text
    assert "<form" not in page.partition('id="push-acts"')[2].partition("</div>")[0]


def test_the_acts_on_a_push_want_the_token_of_the_session(admin: Browser, app: Flask, planned: PushView):
    admin.get("/pushes")
    for path in ("resume", "edit", "clone", "submit", "approve", "send-back", "units/1/again"):
        answer = admin.client.post(f"/pushes/{planned.id}/{path}", data={"seen": "1"})
        assert answer.status_code == 403, path


def test_evidence_is_told_in_words_and_the_raw_answer_lies_behind_a_fold(
    admin: Browser, server: Server, send: Send
):
    push = send("a", push="finished_with_issues", unit="failed", target="failed")
    unit = server.delivery.units(push.id)[0]
    with server.database.write() as session:
        session.add(
            Attempt(
                unit_id=unit.id, fence=1, owner="x", call="send", request=b'{"text":"hi"}',
                request_sha256="ab" * 32, meta={}, started_at=server.clock.now(),
                finished_at=server.clock.now(), outcome="failed",
                evidence={"wrote": True, "status": 200, "fault": "", "answer": '{"errcode":40096}'},
            )
        )  # fmt: skip
    page = admin.get(f"/pushes/{push.id}").text
    words, _fold, raw = page.partition("原始请求与应答")
    assert "消息已交给渠道，渠道已答复。" in words
    assert "40096" not in words
    assert "40096" in raw


def test_what_the_last_door_said_is_counted_in_words(admin: Browser, server: Server, send: Send):
    push = send("a", push="running")
    with server.database.write() as session:
        session.add(
            GateCount(
                push_id=push.row, door="wait", code="quiet", reason="The push is paused.", answers=12,
                last_at=server.clock.now(),
            )
        )  # fmt: skip
    page = admin.get(f"/pushes/{push.id}").text
    assert "推迟发送" in page
    assert "12 次" in page
    assert ">quiet<" not in page


def test_the_board_leads_to_each_decision(
    admin: Browser, server: Server, clock: FakeClock, planned: PushView
):
    assert "h-decide" not in admin.get("/").text
    with server.database.write() as session:
        session.execute(
            update(Push).where(Push.id == planned.row).values(state="held", held_reason="网络断了")
        )
    page = admin.get("/").text
    assert page.index("h-decide") < page.index("今日待推送消息")
    assert "网络断了" in page
    assert f'href="/pushes/{planned.id}#decide"' in page
    assert 'id="decide"' in admin.get(f"/pushes/{planned.id}").text


def test_the_list_of_today_holds_as_many_as_the_board_counts(admin: Browser, planned: PushView):
    counted = re.search(r'今日待推送消息</span><br><span class="stat-value">(\d+)', admin.get("/").text)
    assert counted
    page = admin.get("/today").text
    listed = re.findall(r"(\d+) 个社群</td>", page)
    assert sum(map(int, listed)) == int(counted[1]) == 4


def test_what_waits_for_approval_is_not_said_to_go_out_by_itself(admin: Browser, stocked: Server):
    page = admin.get("/").text
    assert "不审批不会发出" in page
    assert "自动发往" not in page


def test_a_clock_in_doubt_stands_on_every_page_until_a_person_trusts_it(
    admin: Browser, sign_in: SignIn, server: Server, clock: FakeClock
):
    server.home.tick()
    with server.database.write() as session:
        session.execute(
            update(ClockRecord).values(suspect_since=server.clock.now(), suspect_reason="The push is paused.")
        )
    clock.advance(timedelta(seconds=2))
    assert "本机时钟不可信" in admin.get("/calendar").text
    auditor = sign_in("auditor")
    assert "本机时钟不可信" in auditor.get("/").text
    assert auditor.post("/clock/trust").status_code == 403
    admin.post("/clock/trust")
    assert "本机时钟不可信" not in admin.get("/").text


def test_limits_are_shown_with_their_use_and_changed_with_an_audit(
    admin: Browser, sign_in: SignIn, server: Server
):
    page = admin.get("/settings/limits").text
    assert "每个社群每天" in page
    assert "平台规则" in page
    assert "每个客户群每月" in page, "and not each of its customers"
    assert "顺延到下一周期" in page.partition('<div class="stack">')[0]
    admin.post("/settings/limits/community.day", {"most": "5", "enabled": "on"})
    limit = next(each for each in server.limits.everything() if each.code == "community.day")
    assert (limit.most, limit.enabled, limit.changed_by) == (5, True, "admin")
    line = server.audit.latest(1)[0]
    assert (line.action, line.object, line.permission) == ("limits.change", "community.day", "settings.edit")
    refused = admin.post("/settings/limits/community.day", {"most": "-1", "enabled": "on"})
    assert "flash-error" in refused.text
    reader = sign_in("reader")
    assert reader.post("/settings/limits/community.day", {"most": "9"}).status_code == 403
    assert "保存" not in reader.get("/settings/limits").text.partition("自定上限")[2]


def test_a_platforms_limit_keeps_the_day_when_it_was_checked(admin: Browser, server: Server):
    code = next(each.code for each in server.limits.everything() if each.origin == "platform")
    admin.post(f"/settings/limits/{code}", {"most": "", "enabled": "on", "checked_on": "2026-11-22"})
    limit = next(each for each in server.limits.everything() if each.code == code)
    assert str(limit.checked_on) == "2026-11-22"


def test_what_is_no_limit_is_told(admin: Browser):
    assert "flash-error" in admin.post("/settings/limits/nothing", {"most": "1"}).text


def test_a_test_goes_to_a_community_that_is_marked_for_it_and_is_marked_everywhere(
    admin: Browser, sign_in: SignIn, server: Server
):
    address = {CHANNEL: Address("测试群", "admin")}
    made = server.audience.communities.create(CommunityDraft("自己人", tags=("测试",), addresses=address))
    assert f'value="{made.id}/{CHANNEL}"' in admin.get("/pushes/test").text
    answer = admin.post("/pushes/test", {"to": "", "text": "早安"})
    assert answer.status_code == 422
    assert 'id="fault-to"' in answer.text
    shown = admin.post("/pushes/test", {"to": f"{made.id}/{CHANNEL}", "text": "早安"})
    push = server.delivery.pushes(PushFilter())[0]
    assert (push.title, push.is_test, push.progress.planned) == ("【测试】早安", True, 1)
    assert server.delivery.units(push.id)[0].targets[0].key == "测试群"
    assert shown.request.path == f"/pushes/{push.id}"
    assert ">测试</span>" in shown.text
    assert "北京时间" in shown.text.partition("计划时间")[2][:300]
    assert ">测试</span>" in admin.get("/pushes").text
    assert sign_in("reader").get("/pushes/test").status_code == 403


def test_no_audience_of_the_shops_can_be_given_as_a_test_recipient(admin: Browser, stocked: Server):
    page = admin.get("/pushes/test").text
    assert "还没有测试群" in page
    assert "<select" not in page
    customers = next(each for each in stocked.audience.communities.find() if each.name == "一群")
    for to in (f"{customers.id}/{CHANNEL}", "一群"):
        assert admin.post("/pushes/test", {"to": to, "channel": CHANNEL, "key": "一群"}).status_code == 422
    assert not [each for each in stocked.delivery.pushes(PushFilter()) if each.is_test]


def test_the_tests_of_a_day_are_counted_once_however_many_channels_run(admin: Browser, server: Server):
    address = {CHANNEL: Address("测试群", "admin")}
    made = server.audience.communities.create(CommunityDraft("自己人", tags=("test",), addresses=address))
    admin.post("/pushes/test", {"to": f"{made.id}/{CHANNEL}", "text": "早安"})
    server.home.tick()
    server.dispatcher(this_process(), ThreadPoolExecutor(1), batch=1).run_due()
    assert "今天已用 1 条 · 最多 20 条" in admin.get("/pushes/test").text
    tests = admin.get("/settings/limits").text.partition("测试发送每天")[2]
    assert "今天已用 1 条" in tests[: tests.index("</form>")]
