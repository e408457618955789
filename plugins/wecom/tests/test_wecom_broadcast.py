"""Broadcasts against the sandbox: from the task to each recipient's result, lookup and cancel."""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lanmu.interfaces.channels import Asset, NotConnected, Outcome, Ref, Request, Target, TargetState, Window
from lanmu.testing.clock import FakeClock
from lanmu_wecom.broadcast import CustomerChannel, GroupChannel
from lanmu_wecom.corp import Corp

from .wecom_kit import PNG, Sandbox, Sent, message, push


@pytest.fixture
def group(corp: Corp) -> GroupChannel:
    return GroupChannel(corp)


@pytest.fixture
def customer(corp: Corp) -> CustomerChannel:
    return CustomerChannel(corp)


@pytest.fixture
def dispatched(sandbox: Sandbox) -> None:
    sandbox.world.options.dispatch_seconds = 0


def states(channel: GroupChannel | CustomerChannel, sent: Sent) -> dict[str, TargetState]:
    assert sent.verdict.ref is not None
    return {result.key: result.state for result in channel.results(sent.verdict.ref)}


def window(clock: FakeClock) -> Window:
    return Window(clock.now() - timedelta(minutes=2), clock.now() + timedelta(minutes=15))


def test_the_sandbox_receives_exactly_the_bytes_that_were_composed(
    sandbox: Sandbox, group: GroupChannel
) -> None:
    sent = push(group, message("早安 😀"), "wrDEMO0001", "wrDEMO0002")
    [row] = sandbox.received("externalcontact/add_msg_template")
    assert row["text"].encode() == sent.request.body
    assert row["effect"]
    assert row["query"] == {}


def test_nothing_is_known_while_the_broadcast_is_dispatched(
    sandbox: Sandbox, customer: CustomerChannel, clock: FakeClock
) -> None:
    sent = push(customer, message(), "wmDEMO0001")
    assert states(customer, sent) == {}
    assert sandbox.world.counters.errcodes == {"41063": 1}
    clock.advance(timedelta(seconds=3))
    assert states(customer, sent) == {"wmDEMO0001": TargetState.WAITING}


def test_results_that_cannot_be_asked_for_raise(sandbox: Sandbox, group: GroupChannel) -> None:
    sent = push(group, message(), "wrDEMO0001")
    sandbox.fault(kind="html502", call="externalcontact/get_groupmsg_task")
    with pytest.raises(NotConnected):
        states(group, sent)


@pytest.mark.usefixtures("dispatched")
def test_a_group_is_delivered_when_its_owner_confirms(sandbox: Sandbox, group: GroupChannel) -> None:
    sent = push(group, message(), "wrDEMO0001", "wrDEMO0002")
    assert sandbox.confirm(sent.msgid, "linxiao", "part", ["wrDEMO0002"]) == 1
    assert states(group, sent) == {"wrDEMO0002": TargetState.DELIVERED}
    assert sandbox.confirm(sent.msgid, "linxiao") == 1
    assert states(group, sent) == {
        "wrDEMO0001": TargetState.DELIVERED,
        "wrDEMO0002": TargetState.DELIVERED,
    }


@pytest.mark.usefixtures("dispatched")
def test_customers_wait_until_the_employee_confirms(sandbox: Sandbox, customer: CustomerChannel) -> None:
    sent = push(customer, message(), "wmDEMO0001", "wmDEMO0002")
    assert set(states(customer, sent).values()) == {TargetState.WAITING}
    sandbox.confirm(sent.msgid, "linxiao")
    assert set(states(customer, sent).values()) == {TargetState.DELIVERED}


@pytest.mark.usefixtures("dispatched")
def test_a_refused_task_stays_waiting(sandbox: Sandbox, customer: CustomerChannel) -> None:
    sent = push(customer, message(), "wmDEMO0001")
    sandbox.confirm(sent.msgid, "linxiao", "none")
    assert states(customer, sent) == {"wmDEMO0001": TargetState.WAITING}


@pytest.mark.usefixtures("dispatched")
def test_a_lost_friend_and_a_used_up_quota_are_told_apart(
    sandbox: Sandbox, customer: CustomerChannel
) -> None:
    sandbox.world.options.quota = 1
    sent = push(customer, message("一"), "wmDEMO0001", "wmDEMO0002", "wmDEMO0003")
    second = push(customer, message("二"), "wmDEMO0003")  # both were made before anybody confirmed
    sandbox.call("/sandbox/api/unfriend", {"userid": "linxiao", "external_userid": "wmDEMO0002"})
    sandbox.confirm(sent.msgid, "linxiao")
    sandbox.confirm(second.msgid, "linxiao")
    assert states(customer, sent)["wmDEMO0002"] is TargetState.UNDELIVERED
    assert states(customer, second) == {"wmDEMO0003": TargetState.UNDELIVERED}
    reasons = {result.reason for result in customer.results(Ref(sent.msgid))}
    assert any("friends" in reason for reason in reasons)
    assert any("platform allows" in result.reason for result in customer.results(Ref(second.msgid)))


@pytest.mark.usefixtures("dispatched")
def test_results_of_many_pages_come_whole(sandbox: Sandbox, customer: CustomerChannel) -> None:
    world = sandbox.world
    keys = [f"wmMANY{number:05d}" for number in range(1300)]
    with world.store.change():
        world.store.run_many("insert into customer values (?, ?, 'linxiao')", [(key, key) for key in keys])
        world.store.run_many("insert into follow values ('linxiao', ?, 1)", [(key,) for key in keys])
    sent = push(customer, message(), *keys)
    assert set(states(customer, sent)) == set(keys)


def test_a_wrong_group_is_left_out_and_named(group: GroupChannel) -> None:
    sent = push(group, message(), "wrDEMO0001", "wrDEMO0004", "wrNONE")
    assert set(sent.verdict.failed) == {"wrDEMO0004", "wrNONE"}
    assert sent.verdict.outcome is Outcome.ACCEPTED


def test_nobody_left_is_refused_for_the_unit(group: GroupChannel) -> None:
    verdict = push(group, message(), "wrNONE").verdict
    assert (verdict.outcome, verdict.scope, verdict.code) == (Outcome.REFUSED, "unit", "41048")


@pytest.mark.usefixtures("dispatched")
def test_a_lost_answer_is_found_again(sandbox: Sandbox, group: GroupChannel, clock: FakeClock) -> None:
    sandbox.fault(kind="drop", call="externalcontact/add_msg_template", when="after")
    sent = push(group, message("带链接 https://s.test/r/tok1"), "wrDEMO0001")
    assert sent.verdict.outcome is Outcome.AMBIGUOUS
    [found] = group.find(sent.request, window(clock))
    assert found.id.startswith("msg")


@pytest.mark.usefixtures("dispatched")
def test_a_call_that_took_no_effect_is_not_found(
    sandbox: Sandbox, group: GroupChannel, clock: FakeClock
) -> None:
    push(group, message("另一条"), "wrDEMO0001")
    sandbox.fault(kind="drop", call="externalcontact/add_msg_template", when="before")
    sent = push(group, message("这一条"), "wrDEMO0001")
    assert group.find(sent.request, window(clock)) == []


@pytest.mark.usefixtures("dispatched")
def test_the_lookup_matches_text_sender_recipients_and_time(
    sandbox: Sandbox, customer: CustomerChannel, clock: FakeClock
) -> None:
    mine = push(customer, message("同文"), "wmDEMO0001")
    push(customer, message("同文"), "wmDEMO0002")
    push(customer, message("同文", sender="chenke"), "wmDEMO0001")
    push(customer, message("同文", options={"link": "https://s.test/a"}), "wmDEMO0001")
    assert [ref.id for ref in customer.find(mine.request, window(clock))] == [mine.msgid]
    clock.advance(timedelta(hours=1))
    assert customer.find(mine.request, window(clock)) == []


def test_a_lookup_while_dispatching_says_ask_later_and_not_nothing(
    group: GroupChannel, clock: FakeClock
) -> None:
    sent = push(group, message(), "wrDEMO0001")
    with pytest.raises(NotConnected) as caught:
        group.find(sent.request, window(clock))
    assert caught.value.retry_after == timedelta(minutes=5)


@pytest.mark.usefixtures("dispatched")
def test_a_lookup_that_fails_raises(sandbox: Sandbox, group: GroupChannel, clock: FakeClock) -> None:
    sent = push(group, message(), "wrDEMO0001")
    sandbox.fault(kind="html502", call="externalcontact/get_groupmsg_list_v2")
    with pytest.raises(NotConnected):
        group.find(sent.request, window(clock))


@pytest.mark.usefixtures("dispatched")
@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ("get_groupmsg_list_v2", {"group_msg_list": {"0": {}}}),
        ("get_groupmsg_list_v2", {"group_msg_list": "none"}),
        ("get_groupmsg_list_v2", {"group_msg_list": ["msgDEMO"]}),
        ("get_groupmsg_list_v2", {"group_msg_list": [{"text": {"content": "这一条"}}]}),
        ("get_groupmsg_task", {"task_list": []}),
        ("get_groupmsg_task", {}),
        ("get_groupmsg_send_result", {"send_list": [None]}),
    ],
)
def test_an_answer_of_another_shape_is_not_the_answer_that_there_is_none(
    group: GroupChannel, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, call: str, answer: dict[str, Any]
) -> None:
    sent = push(group, message("这一条"), "wrDEMO0001")
    ask = group._corp.ask
    monkeypatch.setattr(
        group._corp, "ask", lambda name, asked: answer if name.endswith(call) else ask(name, asked)
    )
    with pytest.raises(NotConnected):
        group.find(sent.request, window(clock))


@pytest.mark.usefixtures("dispatched")
def test_cancel_stops_those_who_have_not_confirmed(sandbox: Sandbox, group: GroupChannel) -> None:
    sent = push(group, message(), "wrDEMO0001", "wrDEMO0002")
    sandbox.confirm(sent.msgid, "linxiao", "part", ["wrDEMO0001"])
    assert group.cancel(Ref(sent.msgid)).cancelled
    assert group.cancel(Ref(sent.msgid)).cancelled
    assert states(group, sent) == {"wrDEMO0001": TargetState.DELIVERED}
    unknown = group.cancel(Ref("msgNONE"))
    assert not unknown.cancelled
    assert unknown.reason


@pytest.mark.usefixtures("dispatched")
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "html502", "when": "after"},
        {"kind": "drop", "when": "after"},
        {"kind": "truncate", "when": "after"},
        {"kind": "errcode", "code": -1, "when": "after"},
        {"kind": "slow", "when": "after", "seconds": 1},
    ],
    ids=lambda fault: fault["kind"],
)
def test_whatever_became_of_the_answer_an_effect_is_found(
    sandbox: Sandbox, group: GroupChannel, corp: Corp, clock: FakeClock, fault: dict[str, object]
) -> None:
    corp.client._timeout = 0.5
    sandbox.fault(call="externalcontact/add_msg_template", **fault)
    sent = push(group, message("有没有发出去"), "wrDEMO0001")
    assert sent.verdict.outcome is Outcome.AMBIGUOUS
    corp.client._timeout = 5
    assert len(group.find(sent.request, window(clock))) == 1


@pytest.mark.usefixtures("dispatched")
def test_a_lookup_reads_every_page(sandbox: Sandbox, group: GroupChannel, clock: FakeClock) -> None:
    sandbox.world.options.quota = 1000
    for number in range(120):
        push(group, message(f"第 {number} 条"), "wrDEMO0001")
    last = push(group, message("要找的这一条"), "wrDEMO0001")
    for number in range(20):
        push(group, message(f"后面第 {number} 条"), "wrDEMO0001")
    assert [ref.id for ref in group.find(last.request, window(clock))] == [last.msgid]


@pytest.mark.usefixtures("dispatched")
def test_a_cancel_that_cannot_be_asked_for_raises(sandbox: Sandbox, group: GroupChannel) -> None:
    sent = push(group, message(), "wrDEMO0001")
    assert sent.verdict.ref is not None
    call = "externalcontact/cancel_groupmsg_send"
    for fault in (
        {"kind": "html502"},
        {"kind": "errcode", "code": 45009},
        {"kind": "errcode", "code": 41063},
    ):
        sandbox.fault(call=call, **fault)
        with pytest.raises(NotConnected):
            group.cancel(sent.verdict.ref)
    assert group.cancel(sent.verdict.ref).cancelled


def picture(tmp_path: Path, content: bytes = PNG) -> Asset:
    path = tmp_path / "早安 图.png"
    path.write_bytes(content)
    return Asset(path.name, "image/png", hashlib.sha256(content).hexdigest(), len(content), path)


def uploaded(asset: Asset, ref: str) -> Asset:
    return Asset(asset.name, asset.media_type, asset.sha256, asset.size, asset.path, ref)


def test_an_uploaded_picture_lives_three_days(
    sandbox: Sandbox, group: GroupChannel, clock: FakeClock, tmp_path: Path
) -> None:
    asset = picture(tmp_path)
    ref = group.upload(asset)
    assert ref.expires_at == clock.now() + timedelta(days=3)
    fields: dict[str, Any] = {"assets": (uploaded(asset, ref.ref),)}
    assert push(group, message(**fields), "wrDEMO0001").verdict.outcome is Outcome.ACCEPTED
    row = sandbox.world.store.one("select name, bytes from media")
    assert row is not None
    assert (row["name"], bytes(row["bytes"])) == ("早安 图.png", PNG)
    clock.advance(timedelta(days=3))
    verdict = push(group, message(**fields), "wrDEMO0001").verdict
    assert (verdict.code, verdict.scope) == ("40007", "content")


@pytest.mark.usefixtures("dispatched")
def test_a_broadcast_is_found_by_a_copy_that_uploaded_its_picture_anew(
    sandbox: Sandbox, group: GroupChannel, clock: FakeClock, tmp_path: Path
) -> None:
    """A restored copy does not know what the original called the picture, and asks under its own name."""
    asset = picture(tmp_path)
    first, second = group.upload(asset), group.upload(asset)
    assert first.ref != second.ref
    sent = push(group, message("早安", assets=(uploaded(asset, first.ref),)), "wrDEMO0001")
    push(group, message("早安"), "wrDEMO0001")
    anew = group.compose(message("早安", assets=(uploaded(asset, second.ref),)), [Target("wrDEMO0001")])
    assert isinstance(anew, Request)
    assert anew.body != sent.request.body
    assert [ref.id for ref in group.find(anew, window(clock))] == [sent.msgid]


def test_an_upload_that_is_refused_proves_that_nothing_was_sent(
    sandbox: Sandbox, group: GroupChannel, tmp_path: Path
) -> None:
    with pytest.raises(NotConnected) as caught:
        group.upload(picture(tmp_path, b"GIF89a-no-picture-here"))
    assert not caught.value.config
    sandbox.call("/sandbox/api/switches", {"ip_not_allowed": True})
    with pytest.raises(NotConnected) as caught:
        group.upload(picture(tmp_path))
    assert caught.value.config
