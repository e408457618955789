"""Composing is pure: exact bytes, limits in bytes of UTF-8, and refusals that tell numbers and a way out."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from lanmu.interfaces.channels import Asset, Channel, Message, Refusal, Request, Target
from lanmu.interfaces.secrets import Secret
from lanmu_wecom.app_message import AppChannel
from lanmu_wecom.broadcast import CustomerChannel, GroupChannel
from lanmu_wecom.client import Client
from lanmu_wecom.robot import RobotChannel

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))


class NoCorp:
    """Composing must need nothing of the corp but the app's id."""

    agentid = 1000002


def message(text: str = "早安", **fields: Any) -> Message:
    return Message(
        **{"push": "p", "token": "t", "title": "今日育儿", "text": text, "sender": "linxiao", **fields}
    )


def group() -> GroupChannel:
    return GroupChannel(NoCorp())  # type: ignore[arg-type]


def customer() -> CustomerChannel:
    return CustomerChannel(NoCorp())  # type: ignore[arg-type]


def app() -> AppChannel:
    return AppChannel(NoCorp())  # type: ignore[arg-type]


def robot(*, leave_out: bool = False) -> RobotChannel:
    return RobotChannel(Client("http://127.0.0.1:9"), {"值班": Secret("key-1")}, leave_out)


def picture(tmp_path: Path, ref: str = "", content: bytes = PNG, kind: str = "image/png") -> Asset:
    path = tmp_path / "图.png"
    path.write_bytes(content)
    return Asset("图.png", kind, hashlib.sha256(content).hexdigest(), len(content), path, ref)


def composed(channel: Channel, message: Message, *keys: str) -> dict[str, Any]:
    request = channel.compose(message, [Target(key) for key in keys])
    assert isinstance(request, Request), str(request)
    found: dict[str, Any] = json.loads(request.body)
    return found


def refused(channel: Channel, message: Message, *keys: str) -> str:
    refusal = channel.compose(message, [Target(key) for key in keys])
    assert isinstance(refusal, Refusal)
    assert "%(" not in str(refusal)
    return str(refusal)


def test_a_group_broadcast_is_exactly_these_bytes() -> None:
    request = group().compose(message("早安 😀"), [Target("wr1"), Target("wr2")])
    assert isinstance(request, Request)
    assert request.body.decode() == (
        '{"chat_type":"group","chat_id_list":["wr1","wr2"],"sender":"linxiao","text":{"content":"早安 😀"}}'
    )
    assert request.targets == ("wr1", "wr2")
    assert request.call == "externalcontact/add_msg_template"


def test_the_same_message_gives_the_same_bytes() -> None:
    first, second = (customer().compose(message(), [Target("wm1")]) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("char", ["a", "妈", "😀"])
def test_a_broadcast_may_have_4000_bytes_and_not_one_more(char: str) -> None:
    size = len(char.encode())
    text = char * (4000 // size) + "a" * (4000 % size)
    assert composed(group(), message(text), "wr1")["text"]["content"] == text
    assert "4001 bytes" in refused(group(), message(text + "a"), "wr1")


@pytest.mark.parametrize("char", ["a", "妈", "😀", "👩‍👧"])
@pytest.mark.parametrize(("form", "limit"), [("text", 2048), ("markdown", 4096), ("markdown_v2", 4096)])
def test_a_robot_counts_bytes_and_not_characters(char: str, form: str, limit: int) -> None:
    size = len(char.encode())
    text = char * (limit // size) + "a" * (limit % size)
    fits = message(text, options={"format": form})
    assert composed(robot(), fits, "值班")[form]["content"] == text
    assert f"{limit + 1} bytes" in refused(robot(), message(text + "a", options={"format": form}), "值班")


def test_half_an_emoji_is_refused_and_does_not_crash() -> None:
    assert "surrogate" in refused(group(), message("早\ud83d安"), "wr1")
    assert "surrogate" in refused(robot(), message("早\ud83d安"), "值班")


def test_a_broadcast_without_a_sender_is_refused() -> None:
    assert "needs a sender" in refused(group(), message(sender=""), "wr1")


def test_an_empty_message_is_refused_everywhere() -> None:
    for channel, key in ((group(), "wr1"), (customer(), "wm1"), (robot(), "值班"), (app(), "linxiao")):
        assert "empty" in refused(channel, message(""), key)


def test_pictures_and_a_link_become_attachments_in_order(tmp_path: Path) -> None:
    options = {"link": "https://example.test/r/abc", "link_title": "领券", "link_text": "满100减20"}
    body = composed(group(), message(assets=(picture(tmp_path, "MEDIA1"),), options=options), "wr1")
    assert body["attachments"] == [
        {"msgtype": "image", "image": {"media_id": "MEDIA1"}},
        {
            "msgtype": "link",
            "link": {"title": "领券", "desc": "满100减20", "url": "https://example.test/r/abc"},
        },
    ]


def test_ten_attachments_are_one_too_many(tmp_path: Path) -> None:
    nine = (picture(tmp_path, "M"),) * 9
    assert len(composed(group(), message(assets=nine), "wr1")["attachments"]) == 9
    linked = message(assets=nine, options={"link": "https://example.test/"})
    assert "10 attachments" in refused(group(), linked, "wr1")


def test_a_card_title_of_43_chinese_characters_is_too_long() -> None:
    fits = {"link": "https://example.test/", "link_title": "字" * 42 + "ab"}
    assert composed(group(), message(options=fits), "wr1")["attachments"][0]["link"]["title"]
    over = {"link": "https://example.test/", "link_title": "字" * 43}
    assert "129 bytes" in refused(group(), message(options=over), "wr1")


def test_a_link_that_is_no_web_address_is_refused() -> None:
    assert "javascript:" in refused(group(), message(options={"link": "javascript:alert(1)"}), "wr1")


def test_a_picture_that_was_not_uploaded_is_refused(tmp_path: Path) -> None:
    assert "not been uploaded" in refused(group(), message(assets=(picture(tmp_path),)), "wr1")


def test_a_picture_above_five_megabytes_is_refused(tmp_path: Path) -> None:
    big = Asset("大.png", "image/png", "0" * 64, 5_000_001, tmp_path / "x", "M")
    assert "5000001 bytes" in refused(customer(), message(assets=(big,)), "wm1")


def test_a_batch_above_the_channels_limit_is_refused() -> None:
    keys = [f"wr{number}" for number in range(2001)]
    assert "2001 recipients" in refused(group(), message(), *keys)


def test_allow_select_goes_along_for_customers_only() -> None:
    options = {"allow_select": "1"}
    assert composed(customer(), message(options=options), "wm1")["allow_select"] is True
    assert "allow_select" not in composed(group(), message(options=options), "wr1")


def test_a_robot_sends_a_picture_with_its_md5(tmp_path: Path) -> None:
    body = composed(robot(), message("", assets=(picture(tmp_path),)), "值班")
    assert base64.b64decode(body["image"]["base64"]) == PNG
    assert body["image"]["md5"] == hashlib.md5(PNG).hexdigest()


def test_a_robot_refuses_a_picture_that_changed_after_approval(tmp_path: Path) -> None:
    asset = picture(tmp_path)
    asset.path.write_bytes(PNG + b"x")
    assert "no longer the file" in refused(robot(), message("", assets=(asset,)), "值班")


def test_a_robot_refuses_text_with_a_picture_unless_told_to_leave_it_out(tmp_path: Path) -> None:
    both = message(assets=(picture(tmp_path),))
    assert "pictures = leave_out" in refused(robot(), both, "值班")
    wished = message(assets=(picture(tmp_path),), options={"pictures": "leave_out"})
    assert composed(robot(), wished, "值班") == {"msgtype": "text", "text": {"content": "早安"}}
    assert composed(robot(leave_out=True), both, "值班")["msgtype"] == "text"
    insists = message(assets=(picture(tmp_path),), options={"pictures": "refuse"})
    assert "not both" in refused(robot(leave_out=True), insists, "值班")


def test_a_robot_makes_a_news_card_of_a_link_with_a_picture(tmp_path: Path) -> None:
    options = {"link": "https://example.test/r/1", "link_picture": "https://example.test/1.png"}
    body = composed(robot(), message("三步读懂", assets=(picture(tmp_path),), options=options), "值班")
    assert body["news"]["articles"] == [
        {
            "title": "今日育儿",
            "description": "三步读懂",
            "url": "https://example.test/r/1",
            "picurl": "https://example.test/1.png",
        }
    ]


def test_a_robot_writes_a_bare_link_below_the_text_once() -> None:
    options = {"link": "https://example.test/r/1"}
    text = composed(robot(), message(options=options), "值班")["text"]["content"]
    assert text == "早安\nhttps://example.test/r/1"
    assert composed(robot(), message(text, options=options), "值班")["text"]["content"] == text


def test_a_robot_that_nobody_set_up_is_refused_with_the_place_to_set_it() -> None:
    assert "[plugins.wecom.robots]" in refused(robot(), message(), "没有的")


def test_a_robots_key_is_nowhere_in_the_request() -> None:
    assert "key-1" not in repr(robot().compose(message(), [Target("值班")]))


def test_a_robot_mentions_whom_the_options_name() -> None:
    body = composed(robot(), message(options={"mention": "linxiao, @all"}), "值班")
    assert body["text"]["mentioned_list"] == ["linxiao", "@all"]


def test_an_app_message_asks_for_the_duplicate_check() -> None:
    body = composed(app(), message(), "linxiao", "chenke")
    assert body["touser"] == "linxiao|chenke"
    assert (body["enable_duplicate_check"], body["duplicate_check_interval"]) == (1, 14400)


def test_an_app_message_never_goes_to_everybody() -> None:
    assert "@all" in refused(app(), message(), "@all")
    assert "a|b" in refused(app(), message(), "a|b")
