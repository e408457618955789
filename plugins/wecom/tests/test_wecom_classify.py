"""What an observation proves: the table of delivery.md 2.5, row by row."""

import json
from datetime import timedelta
from typing import Any

import pytest

from lanmu.interfaces.channels import Observation, Outcome, Verdict
from lanmu_wecom.app_message import AppChannel
from lanmu_wecom.broadcast import GroupChannel
from lanmu_wecom.client import Client
from lanmu_wecom.robot import RobotChannel

GROUP = GroupChannel(None)  # type: ignore[arg-type]
APP = AppChannel(None)  # type: ignore[arg-type]
ROBOT = RobotChannel(Client("http://127.0.0.1:9"), {}, False)
CHANNELS = pytest.mark.parametrize("channel", [GROUP, APP, ROBOT], ids=lambda channel: channel.name)
AnyChannel = GroupChannel | AppChannel | RobotChannel


def seen(code: int, **more: Any) -> Observation:
    body = json.dumps({"errcode": code, "errmsg": "text that nobody matches on", **more}).encode()
    return Observation(wrote=True, status=200, body=body)


@CHANNELS
def test_nothing_written_is_not_sent(channel: AnyChannel) -> None:
    verdict = channel.classify(Observation(wrote=False, fault="closed"))
    assert (verdict.outcome, verdict.reason) == (Outcome.NOT_SENT, "closed")


@CHANNELS
def test_written_without_an_answer_is_ambiguous(channel: AnyChannel) -> None:
    assert channel.classify(Observation(wrote=True, fault="timeout")).outcome is Outcome.AMBIGUOUS


@CHANNELS
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_gateways_page_is_ambiguous(channel: AnyChannel, status: int) -> None:
    verdict = channel.classify(Observation(wrote=True, status=status, body=b"<html>Bad Gateway</html>"))
    assert verdict.outcome is Outcome.AMBIGUOUS
    assert (verdict.retry_after is not None) == (status == 429)


@CHANNELS
@pytest.mark.parametrize("status", [301, 302, 403, 404, 413])
def test_a_4xx_without_json_is_a_fault_of_the_settings(channel: AnyChannel, status: int) -> None:
    verdict = channel.classify(Observation(wrote=True, status=status, body=b""))
    assert (verdict.outcome, verdict.scope) == (Outcome.REFUSED, "account")


@CHANNELS
@pytest.mark.parametrize("body", [b"", b'{"errcode":0,"err', b"[]", b'"ok"', b"\xff\xfe", b"[" * 100_000])
def test_a_200_that_cannot_be_read_is_ambiguous(channel: AnyChannel, body: bytes) -> None:
    assert channel.classify(Observation(True, 200, body)).outcome is Outcome.AMBIGUOUS


@CHANNELS
@pytest.mark.parametrize("code", [40014, 42001])
def test_a_dead_token_costs_no_try(channel: AnyChannel, code: int) -> None:
    verdict = channel.classify(seen(code))
    assert (verdict.outcome, verdict.free, verdict.retry_after) == (Outcome.LATER, True, timedelta(0))


@CHANNELS
@pytest.mark.parametrize("code", [40001, 40013, 48002, 60020, 60011, 50003, 301002])
def test_a_fault_of_the_account_stops_the_account(channel: AnyChannel, code: int) -> None:
    verdict = channel.classify(seen(code))
    assert (verdict.outcome, verdict.scope, verdict.code) == (Outcome.REFUSED, "account", str(code))
    assert verdict.reason


@CHANNELS
@pytest.mark.parametrize("code", [40007, 45002, 40058, 41064, 41065, 40201])
def test_a_fault_of_the_content_stops_the_push(channel: AnyChannel, code: int) -> None:
    verdict = channel.classify(seen(code))
    assert (verdict.outcome, verdict.scope) == (Outcome.REFUSED, "content")


@CHANNELS
@pytest.mark.parametrize("code", [40003, 40096, 84061, 41048, 81013, 93000])
def test_a_fault_of_the_recipient_stops_the_unit_alone(channel: AnyChannel, code: int) -> None:
    verdict = channel.classify(seen(code))
    assert (verdict.outcome, verdict.scope) == (Outcome.REFUSED, "unit")


@CHANNELS
def test_the_rate_limit_waits_a_little_longer_than_its_minute(channel: AnyChannel) -> None:
    verdict = channel.classify(seen(45009))
    assert (verdict.outcome, verdict.retry_after) == (Outcome.LATER, timedelta(seconds=61))


@CHANNELS
def test_too_much_at_once_waits_shortly(channel: AnyChannel) -> None:
    verdict = channel.classify(seen(45033))
    assert verdict.outcome is Outcome.LATER
    assert verdict.retry_after is not None
    assert verdict.retry_after <= timedelta(seconds=3)


@CHANNELS
def test_busy_may_have_taken_effect_all_the_same(channel: AnyChannel) -> None:
    assert channel.classify(seen(-1)).outcome is Outcome.AMBIGUOUS


@CHANNELS
@pytest.mark.parametrize(("code", "trips"), [(45009, "rate"), (45033, "concurrency"), (42001, "")])
def test_a_limit_is_told_to_the_other_workers(channel: AnyChannel, code: int, trips: str) -> None:
    assert channel.classify(seen(code)).trips == trips


@CHANNELS
def test_a_gateways_429_is_told_to_the_other_workers(channel: AnyChannel) -> None:
    assert channel.classify(Observation(True, 429, b"")).trips == "rate"


@CHANNELS
def test_an_expired_file_is_worth_uploading_once_more(channel: AnyChannel) -> None:
    assert channel.classify(seen(40007)).stale_files
    assert not channel.classify(seen(45002)).stale_files


@CHANNELS
def test_an_unknown_code_is_refused_with_its_number(channel: AnyChannel) -> None:
    verdict = channel.classify(seen(987654))
    assert (verdict.outcome, verdict.scope, verdict.code) == (Outcome.REFUSED, "unclear", "987654")


@CHANNELS
def test_a_code_counts_whatever_the_status_beside_it(channel: AnyChannel) -> None:
    body = b'{"errcode":45009,"errmsg":"x"}'
    assert channel.classify(Observation(True, 502, body)).outcome is Outcome.LATER


def accepted(verdict: Verdict) -> str:
    assert verdict.outcome is Outcome.ACCEPTED
    assert verdict.ref is not None
    return verdict.ref.id


def test_a_missing_errcode_counts_as_zero() -> None:
    assert accepted(GROUP.classify(Observation(True, 200, b'{"msgid":"msg1"}'))) == "msg1"
    assert ROBOT.classify(Observation(True, 200, b"{}")).outcome is Outcome.ACCEPTED


def test_recipients_that_were_left_out_are_told_one_by_one() -> None:
    verdict = GROUP.classify(seen(0, msgid="msg1", fail_list=["wr2"]))
    assert accepted(verdict) == "msg1"
    assert list(verdict.failed) == ["wr2"]
    verdict = APP.classify(seen(0, msgid="m", invaliduser="zhang|li", unlicenseduser="wang"))
    assert set(verdict.failed) == {"zhang", "li", "wang"}


def test_a_broadcast_accepted_without_an_id_must_be_looked_up() -> None:
    assert GROUP.classify(seen(0)).outcome is Outcome.AMBIGUOUS


def test_a_robots_warning_about_json_is_no_success() -> None:
    observation = Observation(True, 200, b'{"errcode":0,"errmsg":"ok. Warning: wrong json format. "}')
    assert ROBOT.classify(observation).outcome is Outcome.AMBIGUOUS
