"""The look-alike answers as the platform does (facts of the platform's manual and of live answers)."""

import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from lanmu.testing.clock import FakeClock
from lanmu_wecom.commands import sandbox_command
from lanmu_wecom.sandbox import Options, create_app, start
from lanmu_wecom.sandbox.demo import SEED
from lanmu_wecom.sandbox.media import Upload, upload_for_robot

from .wecom_kit import PNG, Sandbox

ADD = "add_msg_template"
TEXT = {"content": "早安"}


def to_groups(*chats: str, **more: Any) -> dict[str, Any]:
    return {"chat_type": "group", "sender": "linxiao", "chat_id_list": list(chats), "text": TEXT, **more}


def to_customers(*ids: str, **more: Any) -> dict[str, Any]:
    return {"chat_type": "single", "external_userid": list(ids), "text": TEXT, **more}


def raw(sandbox: Sandbox, method: str, path: str, body: bytes = b"") -> http.client.HTTPResponse:
    parts = urlsplit(sandbox.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    connection.request(method, path, body)
    response = connection.getresponse()
    response.body = response.read()  # type: ignore[attr-defined]
    connection.close()
    return response


def test_gettoken_checks_in_the_platforms_order(sandbox: Sandbox) -> None:
    def code(query: str) -> int:
        return int(sandbox.call(f"/cgi-bin/gettoken?{query}")["errcode"])

    assert code("") == 41004
    assert code("corpsecret=x") == 41002
    assert code("corpid=ww9&corpsecret=x") == 40013
    assert code(f"corpid={SEED.corp.corpid}&corpsecret=x") == 40001
    assert sandbox.token() == sandbox.token()


def test_the_token_is_checked_before_the_body(sandbox: Sandbox, clock: FakeClock) -> None:
    def code(query: str) -> int:
        return int(sandbox.raw(f"/cgi-bin/externalcontact/{ADD}{query}", b"no json")["errcode"])

    assert code("") == 41001
    assert code("?access_token=nonsense") == 40014
    token = sandbox.token()
    assert code(f"?access_token={token}") == 40063
    clock.advance(timedelta(seconds=7200))
    assert code(f"?access_token={token}") == 42001


def test_a_failure_looks_like_the_platforms(sandbox: Sandbox) -> None:
    response = raw(sandbox, "POST", f"/cgi-bin/externalcontact/{ADD}")
    data = json.loads(response.body)  # type: ignore[attr-defined]
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert response.headers["Error-Code"] == "41001"
    assert response.headers["Server"] == "nginx"
    assert "hint: [" in data["errmsg"]
    assert data["errmsg"].endswith("devtool/query?e=41001")
    bare = sandbox.call(f"/cgi-bin/externalcontact/{ADD}?access_token=x", {})
    assert bare["errmsg"] == "invalid access_token"


def test_an_unknown_path_is_an_empty_404(sandbox: Sandbox) -> None:
    response = raw(sandbox, "POST", "/cgi-bin/externalcontact/no_such_call")
    assert (response.status, response.body) == (404, b"")  # type: ignore[attr-defined]


def test_get_for_a_post_call_is_refused(sandbox: Sandbox) -> None:
    token = sandbox.token()
    assert sandbox.call(f"/cgi-bin/externalcontact/{ADD}?access_token={token}")["errcode"] == 40063
    path = f"/cgi-bin/externalcontact/groupchat/get?access_token={token}"
    assert sandbox.call(path)["errcode"] == 40058


@pytest.mark.parametrize(
    ("switch", "code"),
    [("ip_not_allowed", 60020), ("app_off", 50003), ("api_denied", 48002), ("out_of_range", 60011)],
)
def test_an_administrators_mistake_stops_every_call(sandbox: Sandbox, switch: str, code: int) -> None:
    sandbox.call("/sandbox/api/switches", {switch: True})
    assert sandbox.x(ADD, to_groups("wrDEMO0001"))["errcode"] == code
    sandbox.call("/sandbox/api/switches", {switch: False})
    assert sandbox.x(ADD, to_groups("wrDEMO0001"))["errcode"] == 0


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (to_groups("wrDEMO0001", text=None), 40063),
        (to_groups("wrDEMO0001", text={"content": "早" * 1333 + "a"}), 0),
        (to_groups("wrDEMO0001", text={"content": "早" * 1333 + "ab"}), 40058),
        (to_groups("wrDEMO0001", text={"content": "😀" * 1000}), 0),
        (to_groups("wrDEMO0001", text={"content": "😀" * 1000 + "a"}), 40058),
        (to_groups("wrDEMO0001", sender="nobody"), 40003),
        (to_groups("wrDEMO0001", sender=None), 40063),
        (to_groups("wrDEMO0001", chat_type="all"), 40058),
        (to_groups(*(f"wr{n}" for n in range(2001))), 40058),
        (to_groups("wrDEMO0001", attachments=[{"msgtype": "poll"}]), 41065),
        (to_groups("wrDEMO0001", attachments=[{"msgtype": "image", "image": {"media_id": "x"}}]), 40007),
        (to_groups("wrDEMO0001", attachments=[{"msgtype": "link", "link": {"title": "t"}}]), 40063),
        (to_groups("wrDEMO0001", attachments=[{}] * 10), 41064),
        (to_groups("wrNONE"), 41048),
        (to_customers("wmDEMO0002", sender="chenke"), 84061),
        (to_customers("wmNONE"), 41048),
        (to_customers(tag_filter={"group_list": [{"tag_list": ["没有的标签"]}]}), 40068),
        (to_customers(tag_filter={"group_list": [{"tag_list": ["会员"]}]}), 0),
        (to_customers(sender="linxiao"), 0),
        (to_customers(), 40063),
    ],
)
def test_a_broadcast_is_checked_as_the_platform_checks_it(
    sandbox: Sandbox, payload: dict[str, Any], code: int
) -> None:
    assert sandbox.x(ADD, payload)["errcode"] == code


def test_without_a_sender_the_last_who_chatted_gets_the_task(sandbox: Sandbox) -> None:
    answer = sandbox.x(ADD, to_customers("wmDEMO0001", "wmDEMO0017"))
    sandbox.world.options.dispatch_seconds = 0
    tasks = sandbox.x("get_groupmsg_task", {"msgid": answer["msgid"]})["task_list"]
    assert [task["userid"] for task in tasks] == ["chenke", "linxiao"]


def test_the_quota_counts_by_calendar_month_in_china(sandbox: Sandbox, clock: FakeClock) -> None:
    sandbox.world.options.dispatch_seconds = 0
    for _ in range(30):  # November
        msgid = sandbox.x(ADD, to_groups("wrDEMO0001"))["msgid"]
        assert sandbox.confirm(msgid, "linxiao") == 1
    answer = sandbox.x(ADD, to_groups("wrDEMO0001"))
    assert (answer["errcode"], answer["fail_list"]) == (41048, ["wrDEMO0001"])
    answer = sandbox.x(ADD, to_groups("wrDEMO0001", "wrDEMO0002"))
    assert (answer["errcode"], answer["fail_list"]) == (0, ["wrDEMO0001"])
    clock.advance(timedelta(days=7, hours=16))  # 1 December, 00:00 in Shanghai
    assert sandbox.x(ADD, to_groups("wrDEMO0001"))["errcode"] == 0


def test_remind_is_allowed_three_times_a_day_and_not_after_cancel(sandbox: Sandbox, clock: FakeClock) -> None:
    msgid = sandbox.x(ADD, to_groups("wrDEMO0001"))["msgid"]

    def code(call: str, named: str = msgid) -> int:
        return int(sandbox.x(call, {"msgid": named})["errcode"])

    assert [code("remind_groupmsg_send") for _ in range(4)] == [0, 0, 0, 41094]
    clock.advance(timedelta(hours=24, seconds=1))
    assert code("remind_groupmsg_send") == 0
    assert [code("cancel_groupmsg_send") for _ in range(2)] == [0, 41093]
    assert code("remind_groupmsg_send") == 41093
    assert code("cancel_groupmsg_send", "") == 41046
    assert code("cancel_groupmsg_send", "msgNONE") == 41047


def test_a_cancelled_broadcast_cannot_be_confirmed(sandbox: Sandbox) -> None:
    sandbox.world.options.dispatch_seconds = 0
    msgid = sandbox.x(ADD, to_groups("wrDEMO0001"))["msgid"]
    sandbox.x("cancel_groupmsg_send", {"msgid": msgid})
    with pytest.raises(OSError, match="409"):
        sandbox.confirm(msgid, "linxiao")


def test_pages_follow_the_cursor_and_one_may_be_empty(sandbox: Sandbox) -> None:
    sandbox.world.options.dispatch_seconds = 0
    now = int(sandbox.world.stamp())
    made = {sandbox.x(ADD, to_groups("wrDEMO0001"))["msgid"] for _ in range(5)}
    asked = {"chat_type": "group", "start_time": now - 60, "end_time": now + 60, "limit": 2}
    sizes, found, cursor = [], set(), ""
    while True:
        answer = sandbox.x("get_groupmsg_list_v2", {**asked, "cursor": cursor})
        sizes.append(len(answer["group_msg_list"]))
        found |= {row["msgid"] for row in answer["group_msg_list"]}
        cursor = answer["next_cursor"]
        if not cursor:
            break
    assert sizes == [2, 0, 2, 1]
    assert found == made
    too_much = sandbox.x("get_groupmsg_list_v2", {**asked, "limit": 101})
    assert len(too_much["group_msg_list"]) == 5


def test_a_list_over_more_than_a_month_is_refused(sandbox: Sandbox) -> None:
    asked = {"chat_type": "group", "start_time": 1, "end_time": 40 * 86400}
    assert sandbox.x("get_groupmsg_list_v2", asked)["errcode"] == 600018


def test_mistyped_json_is_taken_with_a_warning_unless_strict(sandbox: Sandbox) -> None:
    mistyped = to_groups("wrDEMO0001", allow_select="yes", attachments="none")
    answer = sandbox.x(ADD, mistyped)
    assert answer["errcode"] == 0
    assert "wrong json format" in answer["errmsg"]
    assert sandbox.call("/sandbox/api/counters")["wrong_json"] == 1
    sandbox.call("/sandbox/api/options", {"strict": True})
    assert sandbox.x(ADD, mistyped)["errcode"] == 40058
    assert sandbox.x(ADD, to_groups("wrDEMO0001"))["errcode"] == 0


def test_key_order_varies_and_a_read_may_lack_its_errcode(sandbox: Sandbox) -> None:
    sandbox.world.options.dispatch_seconds = 0
    msgid = sandbox.x(ADD, to_groups("wrDEMO0001"))["msgid"]
    answers = [sandbox.x("get_groupmsg_task", {"msgid": msgid}) for _ in range(12)]
    assert {"errcode" in answer for answer in answers} == {True, False}
    assert len({tuple(answer) for answer in answers}) > 1


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"msgtype": "text", "text": {"content": "早" * 682 + "ab"}}, 0),
        ({"msgtype": "text", "text": {"content": "早" * 683}}, 40058),
        ({"msgtype": "text", "text": {"content": ""}}, 44004),
        ({"msgtype": "markdown", "markdown": {"content": "😀" * 1024}}, 0),
        ({"msgtype": "markdown", "markdown": {"content": "😀" * 1024 + "a"}}, 40058),
        ({"msgtype": "image", "image": {"base64": "AAAA", "md5": "0"}}, 40004),
        ({"msgtype": "image", "image": {}}, 44001),
        ({"msgtype": "news", "news": {"articles": [{"title": "t", "url": "u"}] * 9}}, 45008),
        ({"msgtype": "news", "news": {"articles": [{"title": "字" * 43, "url": "u"}]}}, 40058),
        ({"msgtype": "file", "file": {"media_id": "x"}}, 40007),
        ({"msgtype": "poll", "poll": {}}, 40008),
    ],
)
def test_a_robot_is_checked_as_the_platform_checks_it(
    sandbox: Sandbox, payload: dict[str, Any], code: int
) -> None:
    path = f"/cgi-bin/webhook/send?key={SEED.robots[0].key}"
    assert sandbox.call(path, payload)["errcode"] == code


def test_an_empty_message_is_told_before_a_wrong_key(sandbox: Sandbox) -> None:
    path = "/cgi-bin/webhook/send?key=wrong"
    assert sandbox.call(path, {"msgtype": "text", "text": {}})["errcode"] == 44004
    assert sandbox.call(path, {"msgtype": "text", "text": TEXT})["errcode"] == 93000


def test_a_robots_block_lasts_a_minute_from_where_the_limit_broke(sandbox: Sandbox, clock: FakeClock) -> None:
    path = f"/cgi-bin/webhook/send?key={SEED.robots[0].key}"

    def codes(count: int) -> list[int]:
        return [sandbox.call(path, {"msgtype": "text", "text": TEXT})["errcode"] for _ in range(count)]

    assert codes(20) == [0] * 20
    clock.advance(timedelta(seconds=50))
    assert codes(1) == [45009]
    clock.advance(timedelta(seconds=59))
    assert codes(1) == [45009]
    clock.advance(timedelta(seconds=1))
    assert codes(1) == [0]


def test_calls_of_one_kind_have_a_limit_a_minute(sandbox: Sandbox) -> None:
    sandbox.call("/sandbox/api/options", {"call_per_minute": 2})
    assert [sandbox.x(ADD, to_groups("wrDEMO0001"))["errcode"] for _ in range(3)] == [0, 0, 45009]


def test_too_many_calls_at_the_same_time_are_refused(sandbox: Sandbox) -> None:
    sandbox.call("/sandbox/api/options", {"concurrency": 1})
    sandbox.fault(kind="slow", call="externalcontact/" + ADD, seconds=0.4, times=-1)
    token = sandbox.token()
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda _: sandbox.x(ADD, to_groups("wrDEMO0001"), token), range(4))
    assert sorted(answer["errcode"] for answer in answers) == [0, 45033, 45033, 45033]


def test_a_file_for_one_robot_is_no_file_for_another(sandbox: Sandbox) -> None:
    world, (first, second) = sandbox.world, SEED.robots
    media_id = upload_for_robot(world, "file", Upload("a.pdf", "application/pdf", b"%PDF-1.7"), first.key)
    payload = {"msgtype": "file", "file": {"media_id": media_id["media_id"]}}
    assert sandbox.call(f"/cgi-bin/webhook/send?key={second.key}", payload)["errcode"] == 40007
    assert sandbox.call(f"/cgi-bin/webhook/send?key={first.key}", payload)["errcode"] == 0


def test_customer_groups_and_people_can_be_read(sandbox: Sandbox) -> None:
    token = sandbox.token()
    users = sandbox.call(f"/cgi-bin/externalcontact/get_follow_user_list?access_token={token}")
    assert users["follow_user"] == ["chenke", "linxiao"]
    path = f"/cgi-bin/externalcontact/list?access_token={token}&userid="
    assert "wmDEMO0001" in sandbox.call(path + "linxiao")["external_userid"]
    assert sandbox.call(path + "nobody")["errcode"] == 40003
    chats = sandbox.x("groupchat/list", {"limit": 4})
    more = sandbox.x("groupchat/list", {"limit": 4, "cursor": chats["next_cursor"]})
    assert len(chats["group_chat_list"] + more["group_chat_list"]) == len(SEED.groups)
    assert sandbox.x("groupchat/get", {"chat_id": "wrNONE"})["errcode"] == 40050


def test_it_hangs_up_though_its_loop_was_awake_before_it_was_woken(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = sandbox.running
    wake_up = running._server.trigger
    pull = wake_up._physical_pull

    def late() -> None:
        pull()
        while wake_up.thunks and running._thread.is_alive():  # all is done before the hand pulls
            time.sleep(0)
        pull()

    monkeypatch.setattr(wake_up, "_physical_pull", late)
    running.hang_up()
    assert not running._thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((running.host, running.port))


def test_what_was_sent_outlives_a_restart(tmp_path: Path, clock: FakeClock) -> None:
    state = tmp_path / "sandbox.db"
    first = Sandbox(start(clock, state, Options(dispatch_seconds=0)), clock)
    msgid = first.x(ADD, to_groups("wrDEMO0001"))["msgid"]
    token = first.token()
    first.running.stop()
    second = Sandbox(start(clock, state, Options(dispatch_seconds=0)), clock)
    assert second.token() == token
    assert second.confirm(msgid, "linxiao") == 1
    assert second.received("externalcontact/" + ADD)
    second.running.stop()


def test_an_employee_who_confirms_by_himself_does_so_after_his_time(
    sandbox: Sandbox, clock: FakeClock
) -> None:
    sandbox.call("/sandbox/api/options", {"confirm_after": 60})
    msgid = sandbox.x(ADD, to_groups("wrDEMO0001"))["msgid"]
    asked = {"msgid": msgid, "userid": "linxiao"}
    clock.advance(timedelta(seconds=59))
    assert sandbox.x("get_groupmsg_send_result", asked)["send_list"] == []
    clock.advance(timedelta(seconds=1))
    assert sandbox.x("get_groupmsg_send_result", asked)["send_list"][0]["status"] == 1


@pytest.mark.parametrize(
    ("path", "payload"),
    [
        ("faults", {"kind": "flood"}),
        ("faults", {"kind": "slow", "seconds": -1}),
        ("faults", {"kind": "slow", "colour": "red"}),
        ("options", {"no_such": 1}),
        ("options", {"quota": "many"}),
        ("switches", {"ip_not_allowed": "yes"}),
        ("clock", {"seconds": -5}),
        ("confirm", {"answer": "maybe"}),
    ],
)
def test_a_wrong_order_is_told_and_not_taken(sandbox: Sandbox, path: str, payload: dict[str, Any]) -> None:
    with pytest.raises(OSError, match="400"):
        sandbox.call(f"/sandbox/api/{path}", payload)


def test_a_form_cannot_play_the_employee(sandbox: Sandbox) -> None:
    response = raw(sandbox, "POST", "/sandbox/api/confirm", b"msgid=x")
    assert response.status == 400


def test_neither_token_nor_secret_is_in_the_log(sandbox: Sandbox) -> None:
    token = sandbox.token()
    sandbox.x(ADD, to_groups("wrDEMO0001"), token)
    log = json.dumps(sandbox.call("/sandbox/api/received"))
    assert token not in log
    assert SEED.corp.secret not in log


def test_the_seed_is_two_shops_with_six_groups_and_thirty_customers() -> None:
    assert len(SEED.groups) == 6
    assert len(SEED.customers) == 30
    assert all(80 <= group.members <= 300 for group in SEED.groups)
    assert {group.owner for group in SEED.groups} == {person.userid for person in SEED.employees}
    assert PNG


def test_an_app_can_be_made_without_a_server(clock: FakeClock) -> None:
    assert create_app(clock).test_client().get("/").status_code == 200


def test_the_command_names_its_options(clock: FakeClock) -> None:
    result = CliRunner().invoke(sandbox_command(clock), ["--help"])
    assert result.exit_code == 0
    for option in ("--host", "--port", "--state"):
        assert option in result.output


def test_a_sandbox_whose_port_is_taken_leaves_nothing_open(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        start(FakeClock(), tmp_path / "sandbox.db", port=taken.getsockname()[1])
    assert not (tmp_path / "sandbox.db-wal").exists(), "SQLite takes it away with the last connection"
