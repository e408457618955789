"""Robots and app messages against the sandbox."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from marshmallow import ValidationError

from lanmu.interfaces.channels import Asset, NotConnected, Outcome, Refusal, Request, Target
from lanmu.interfaces.secrets import Secret
from lanmu_wecom.app_message import AppChannel
from lanmu_wecom.client import Client
from lanmu_wecom.corp import Corp
from lanmu_wecom.robot import RobotChannel
from lanmu_wecom.sandbox.demo import SEED
from lanmu_wecom.settings import WecomSchema, WecomSettings

from .wecom_kit import PNG, Sandbox, message, push

ROBOT = SEED.robots[0]


@pytest.fixture
def robot(client: Client) -> RobotChannel:
    return RobotChannel(client, {each.name: Secret(each.key) for each in SEED.robots}, False)


def shown(sandbox: Sandbox, name: str) -> list[dict[str, object]]:
    chats = sandbox.call("/sandbox/api/view")["wecom"]["chats"]
    found: list[dict[str, object]] = next(chat for chat in chats if chat["name"] == name)["messages"]
    return found


def test_a_text_appears_in_the_group_at_once(sandbox: Sandbox, robot: RobotChannel) -> None:
    sent = push(robot, message("值班提醒"), ROBOT.name)
    assert sent.verdict.outcome is Outcome.ACCEPTED
    [row] = sandbox.received("webhook/send")
    assert row["text"].encode() == sent.request.body
    assert [part["text"] for part in shown(sandbox, ROBOT.chat_name)] == ["值班提醒"]


def test_a_picture_is_shown_as_it_was(sandbox: Sandbox, robot: RobotChannel, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    asset = Asset("a.png", "image/png", hashlib.sha256(PNG).hexdigest(), len(PNG), path)
    assert push(robot, message("", assets=(asset,)), ROBOT.name).verdict.outcome is Outcome.ACCEPTED
    assert shown(sandbox, ROBOT.chat_name)[0]["kind"] == "image"


@pytest.mark.parametrize("form", ["markdown", "markdown_v2"])
def test_markdown_is_taken(robot: RobotChannel, form: str) -> None:
    sent = push(robot, message("**今日** `3` 条", options={"format": form}), ROBOT.name)
    assert sent.verdict.outcome is Outcome.ACCEPTED


def test_a_news_card_is_taken(sandbox: Sandbox, robot: RobotChannel) -> None:
    options = {"link": "https://s.test/1", "link_picture": "https://s.test/1.png"}
    assert push(robot, message(options=options), ROBOT.name).verdict.outcome is Outcome.ACCEPTED
    assert shown(sandbox, ROBOT.chat_name)[0]["title"] == "今日育儿"


def test_the_twenty_first_message_in_a_minute_waits(sandbox: Sandbox, robot: RobotChannel) -> None:
    for number in range(20):
        assert push(robot, message(str(number)), ROBOT.name).verdict.outcome is Outcome.ACCEPTED
    assert push(robot, message("多"), ROBOT.name).verdict.code == "45009"
    assert push(robot, message("别的群"), SEED.robots[1].name).verdict.outcome is Outcome.ACCEPTED


def test_a_removed_or_disabled_robot_stops_its_own_unit_alone(sandbox: Sandbox, client: Client) -> None:
    gone = RobotChannel(client, {"旧": Secret("no-such-key")}, False)
    verdict = push(gone, message(), "旧").verdict
    assert (verdict.outcome, verdict.scope, verdict.code) == (Outcome.REFUSED, "unit", "93000")
    sandbox.call("/sandbox/api/robot", {"key": ROBOT.key, "enabled": False})
    off = RobotChannel(client, {"关": Secret(ROBOT.key)}, False)
    assert push(off, message(), "关").verdict.code == "93004"


def test_a_robot_that_left_the_settings_cannot_be_connected(client: Client) -> None:
    with pytest.raises(NotConnected) as caught:
        RobotChannel(client, {}, False).connect(Request("webhook/send", b"{}", ("旧",)))
    assert caught.value.config


def test_an_app_message_tells_whom_it_did_not_reach(sandbox: Sandbox, corp: Corp) -> None:
    verdict = push(AppChannel(corp), message(), "linxiao", "Zhang").verdict
    assert verdict.outcome is Outcome.ACCEPTED
    assert list(verdict.failed) == ["zhang"]
    assert push(AppChannel(corp), message(), "Zhang").verdict.code == "81013"


def test_the_same_app_message_twice_is_shown_once(sandbox: Sandbox, corp: Corp) -> None:
    channel = AppChannel(corp)
    for _ in range(2):
        assert push(channel, message("提醒"), "linxiao").verdict.outcome is Outcome.ACCEPTED
    assert [part["text"] for part in shown(sandbox, "栏目")] == ["提醒"]


def load(table: Mapping[str, object]) -> WecomSettings:
    loaded = WecomSchema().load(table)
    assert isinstance(loaded, WecomSettings)
    return loaded


def test_on_this_machine_the_demo_corp_stands_in() -> None:
    settings = load({"base_url": "http://127.0.0.1:8765"})
    assert settings.corpid == SEED.corp.corpid
    assert set(settings.robots) == {robot.name for robot in SEED.robots}


def test_elsewhere_nobody_stands_in() -> None:
    settings = load({})
    assert (settings.corpid, settings.robots) == ("", {})


def test_a_whole_webhook_address_is_taken_for_its_key() -> None:
    url = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a91f6-7xxx"
    assert load({"robots": {"群": url}}).robots["群"] == Secret("693a91f6-7xxx")


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ({"corpid": "ww1"}, "secret"),
        ({"corpid": "ww1", "secret": "s"}, "agentid"),
        ({"secret": "s"}, "corpid"),
        ({"base_url": "http://example.test"}, "base_url"),
        ({"base_url": "nonsense"}, "base_url"),
        ({"timeout": 60}, "timeout"),
        ({"robot_pictures": "maybe"}, "robot_pictures"),
        ({"corp_id": "ww1"}, "corp_id"),
        ({"robots": {"群": ""}}, "robots"),
    ],
)
def test_a_fault_in_the_settings_names_its_key(table: dict[str, object], place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        load(table)
    assert place in caught.value.messages_dict


def test_a_robot_without_a_key_is_a_fault_of_the_settings_and_not_of_the_text(robot: RobotChannel) -> None:
    refused = robot.compose(message(), [Target("not there")])
    assert isinstance(refused, Refusal)
    assert refused.config
    too_long = robot.compose(message("字" * 2000), [Target(ROBOT.name)])
    assert isinstance(too_long, Refusal)
    assert not too_long.config


def test_targets_of_a_robots_call_are_its_name(robot: RobotChannel) -> None:
    request = robot.compose(message(), [Target(ROBOT.name)])
    assert isinstance(request, Request)
    assert request.targets == (ROBOT.name,)
    assert ROBOT.key not in repr(request)
