"""The fakes keep their promises, since other tests build on them."""

from datetime import timedelta
from typing import Any

import pytest

from lanmu.interfaces.channels import Message, NotConnected, Observation, Outcome, Request, Target, Verdict
from lanmu.interfaces.clock import utc
from lanmu.interfaces.errors import Conflict
from lanmu.interfaces.events import Award, MemberEvent
from lanmu.interfaces.host import OfferView
from lanmu.secret_settings import secrets_in
from lanmu.testing.fakes import Does, FakeChannel, FakeHost


def _request(channel: FakeChannel, token: str = "u1") -> Request:
    request = channel.compose(Message("psh_1", token, "早安", "早上好"), [Target("a"), Target("b")])
    assert isinstance(request, Request)
    return request


def _send(channel: FakeChannel, request: Request) -> Verdict:
    try:
        line = channel.connect(request)
    except NotConnected as error:
        return channel.classify(Observation(wrote=False, fault=error.reason))
    return channel.classify(channel.transmit(request, line))


@pytest.mark.parametrize(
    ("does", "outcome", "effect"),
    [
        (Does.ACCEPT, Outcome.ACCEPTED, True),
        (Does.HAND_OVER, Outcome.HANDED_OVER, True),
        (Does.REFUSE, Outcome.REFUSED, False),
        (Does.LATER, Outcome.LATER, False),
        (Does.STALE, Outcome.LATER, False),
        (Does.CUT_BEFORE, Outcome.AMBIGUOUS, False),
        (Does.CUT_AFTER, Outcome.AMBIGUOUS, True),
        (Does.GARBAGE, Outcome.AMBIGUOUS, True),
        (Does.NOT_WRITTEN, Outcome.NOT_SENT, False),
        (Does.UNREACHABLE, Outcome.NOT_SENT, False),
    ],
)
def test_the_script_is_followed_and_effects_are_counted(does: Does, outcome: Outcome, effect: bool) -> None:
    channel = FakeChannel()
    channel.script(does)
    assert _send(channel, _request(channel)).outcome is outcome
    assert channel.sends()["a"] == effect
    assert _send(channel, _request(channel)).outcome is Outcome.ACCEPTED  # the script is used up


def test_a_lookup_finds_what_was_cut_off_after_it_took_effect() -> None:
    channel = FakeChannel()
    channel.script(Does.CUT_BEFORE, Does.CUT_AFTER)
    request = _request(channel)
    window = _window(channel)
    _send(channel, request)
    assert list(channel.find(request, window)) == []
    _send(channel, request)
    assert [ref.id for ref in channel.find(request, window)] == ["ref-1"]


def _window(channel: FakeChannel) -> Any:
    from lanmu.interfaces.channels import Window

    now = channel.clock.now()
    return Window(now - timedelta(minutes=2), now + timedelta(minutes=2))


def test_a_link_dies_and_cannot_be_forged(lanmu_host: FakeHost) -> None:
    token = lanmu_host.sign("page", "mem_1", timedelta(days=1))
    assert lanmu_host.unsign("page", token) == "mem_1"
    assert lanmu_host.unsign("other", token) is None
    assert lanmu_host.unsign("page", token[:-1] + ("0" if token[-1] != "0" else "1")) is None
    lanmu_host.clock.advance(timedelta(days=1, seconds=1))
    assert lanmu_host.unsign("page", token) is None


def test_an_event_is_counted_once_and_within_its_cap(lanmu_host: FakeHost) -> None:
    class Ten:
        name = title = "message"

        def propose(self, event: MemberEvent) -> list[Award]:
            return [Award("message", event.key, event.member, 10, "发言", event.local_date, per_day=15)]

    lanmu_host.rules.append(Ten())
    at = utc(2026, 11, 23)

    def event(key: str) -> MemberEvent:
        return MemberEvent(key, "message", "mem_1", at, at.date())

    assert lanmu_host.record(event("m1")).earned == 10
    assert lanmu_host.record(event("m1")).replayed
    capped = lanmu_host.record(event("m2"))
    assert (capped.earned, capped.balance, capped.capped) == (5, 15, True)


def test_an_offer_sells_out_and_a_repeated_key_buys_nothing_more(lanmu_host: FakeHost) -> None:
    lanmu_host.points.add_offer(OfferView("off_1", "满 200 减 30", "", 10, 1, None))
    lanmu_host.points.grant("mem_1", 25)
    coupon = lanmu_host.points.redeem("mem_1", "off_1", "k1")
    assert coupon.code
    assert lanmu_host.points.redeem("mem_1", "off_1", "k1").id == coupon.id
    with pytest.raises(Conflict, match="Sold out"):
        lanmu_host.points.redeem("mem_1", "off_1", "k2")
    assert lanmu_host.points.balance("mem_1") == 15


def test_secrets_are_found_however_deep_they_lie() -> None:
    from lanmu.interfaces.secrets import Secret

    class Holder:
        __slots__ = ("inside",)

        def __init__(self) -> None:
            self.inside = {"robots": [Secret("a"), (Secret("b"), Secret(""))]}

    assert {secret.reveal() for secret in secrets_in([Holder()])} == {"a", "b"}
