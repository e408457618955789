"""The console's pushes: their tabs with counts, what a person must decide, and the list for a spreadsheet."""

import csv
import io
import re
from collections.abc import Callable

import pytest
from tests.web.conftest import Browser, Send

from lanmu.delivery.listing import Group
from lanmu.delivery.views import PushView
from lanmu.server import Server


@pytest.fixture
def one_of_each(send: Send) -> dict[Group, PushView]:
    return {
        Group.AHEAD: send("a"),
        Group.SENDING: send("b", push="running", unit="calling"),
        Group.DECIDE: send("c", push="running", unit="unknown", target="unknown"),
        Group.AWAITED: send("d", push="finished", unit="handed_over", target="handed_over", asked=True),
        Group.ISSUES: send("e", push="finished_with_issues", unit="failed", target="failed"),
        Group.DONE: send("f", push="finished", unit="delivered", target="delivered"),
    }


def _listed(html: str) -> set[str]:
    return set(re.findall(r"/pushes/(psh_\w+)", html))


def test_every_push_is_in_one_tab_and_the_tabs_count_them(
    admin: Browser, server: Server, one_of_each: dict[Group, PushView]
):
    assert server.delivery.groups() == dict.fromkeys(Group, 1)
    for group, push in one_of_each.items():
        page = admin.get(f"/pushes?state={group}").text
        assert _listed(page) == {push.id}, group
        assert re.findall(r'aria-current="page">[^<]+<span class="n[^"]*">(\d+)<', page) == ["1"]
    assert _listed(admin.get("/pushes").text) == {push.id for push in one_of_each.values()}
    assert server.delivery.groups("wecom.group") == dict.fromkeys(Group, 0)
    assert _listed(admin.get("/pushes?state=nonsense").text) == {push.id for push in one_of_each.values()}


def test_the_menu_counts_what_waits_for_a_decision(admin: Browser, server: Server, send: Send):
    assert 'class="count"' not in admin.get("/calendar").text
    send("a", push="running", unit="unknown", target="unknown")
    send("b", "c", push="held")
    send("d", push="running", unit="held")
    send("e", push="finished", unit="delivered", target="delivered")
    send("f", push="in_review")
    assert server.delivery.undecided() == server.delivery.groups()[Group.DECIDE] == 4
    assert re.findall(r'class="count">(\d+)<', admin.get("/calendar").text) == ["4"]
    board = admin.get("/").text
    assert "4 条推送" in board.partition('id="h-decide"')[2][:200]
    assert len(set(re.findall(r'href="/pushes/(psh_\w+)#decide"', board))) == 4
    assert re.search(r'待决定的推送</span><br><span class="stat-value">4', board)


def test_a_push_that_waits_for_its_executor_is_not_called_finished(
    admin: Browser, one_of_each: dict[Group, PushView]
):
    waiting, done = one_of_each[Group.AWAITED], one_of_each[Group.DONE]
    page = admin.get(f"/pushes/{waiting.id}").text
    assert "待执行人发送" in page
    assert "已送达 0 / 1" in page
    assert "已完成" not in page
    page = admin.get(f"/pushes/{done.id}").text
    assert "已完成" in page
    assert "已送达 1 / 1" in page
    assert "1 条推送等员工发送" in admin.get("/").text


def test_the_end_of_a_push_is_named_for_what_it_was(
    admin: Browser, server: Server, one_of_each: dict[Group, PushView]
):
    server.delivery.cancel(one_of_each[Group.AHEAD].id)
    page = admin.get(f"/pushes/{one_of_each[Group.AHEAD].id}").text
    assert "推送已取消。" in page
    assert ">cancelled<" not in page
    names = {Group.AHEAD: "取消时间", Group.AWAITED: "下发时间", Group.DONE: "全部发出"}
    for group, name in names.items():
        page = admin.get(f"/pushes/{one_of_each[group].id}").text
        assert [each for each in names.values() if f"<dt>{each}</dt>" in page] == [name], group


@pytest.mark.parametrize(
    ("answer", "unit", "target"),
    [("sent", "accepted", "accepted"), ("again", "pending", "planned"), ("give_up", "failed", "failed")],
)
def test_a_unit_in_doubt_is_decided_in_three_ways(
    admin: Browser, server: Server, send: Send, answer: str, unit: str, target: str
):
    push = send("一群", push="running", unit="unknown", target="unknown")
    page = admin.get(f"/pushes/{push.id}").text
    assert set(re.findall(r'name="as" value="(\w+)"', page)) == {"sent", "give_up"}
    if answer == "again":
        assert f"/pushes/{push.id}/units/1/again" in page
        admin.post(f"/pushes/{push.id}/units/1/again", {"why": "群里没有这条", "twice": "yes"})
    else:
        admin.post(f"/pushes/{push.id}/units/1", {"as": answer})
    after = server.delivery.units(push.id)[0]
    assert (after.state, after.targets[0].state) == (unit, target)
    assert "<h2>待决定</h2>" not in admin.get(f"/pushes/{push.id}").text


def test_who_may_not_decide_sees_what_is_in_doubt_but_no_answers(
    sign_in: Callable[[str], Browser], send: Send
):
    push = send("一群", push="running", unit="unknown", target="unknown")
    auditor = sign_in("auditor")
    page = auditor.get(f"/pushes/{push.id}").text
    assert "<h2>待决定</h2>" in page
    assert "结果不明" in page.partition('id="push-progress"')[2][:300], "the push is called as its batch is"
    assert 'name="as"' not in page
    assert auditor.post(f"/pushes/{push.id}/units/1", {"as": "sent"}).status_code == 403
    assert (
        auditor.post(f"/pushes/{push.id}/units/1/again", {"why": "没有", "twice": "yes"}).status_code == 403
    )


def test_units_on_hold_in_a_running_push_are_released(admin: Browser, server: Server, send: Send):
    push = send("一群", push="running", unit="held")
    assert f"/pushes/{push.id}/release" in admin.get(f"/pushes/{push.id}").text
    admin.post(f"/pushes/{push.id}/release")
    assert server.delivery.units(push.id)[0].state == "pending"
    again = admin.post(f"/pushes/{push.id}/release")
    assert 'class="flash flash-error"' in again.text


def test_the_recipients_come_as_a_file_that_no_spreadsheet_runs(admin: Browser, send: Send):
    push = send("=1+1", "母婴,一群", push="finished", unit="delivered", target="delivered")
    answer = admin.get(f"/pushes/{push.id}/recipients.csv")
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{push.id}.csv"'
    head, *lines = csv.reader(io.StringIO(answer.data.decode("utf-8-sig"), newline=""))
    assert head[:2] == ["接收对象", "接收地址"]
    assert [line[0] for line in lines] == ["'=1+1", "母婴,一群"]
    assert {line[4] for line in lines} == {"已送达"}


def test_a_part_of_a_page_pays_for_no_counts(admin: Browser, server: Server, monkeypatch: pytest.MonkeyPatch):
    def dear() -> int:
        raise AssertionError("the menu was counted for a part of a page")

    monkeypatch.setattr(server.delivery, "undecided", dear)
    assert admin.get("/materials?q=x", **{"HX-Request": "true"}).status_code == 200
