"""What a channel must pass that says it can be asked, stopped or repeated: what it declares has to hold.

Delivery believes these declarations where nobody knows whether a message went out. A lookup that answers
"nothing" because it could not ask, or a resend that has a second effect, is a message sent twice.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from lanmu.interfaces.channels import Channel, NotConnected, Outcome, Ref, Request, Window
from lanmu.testing.contracts import Behaviour, ChannelContract, FarEnd


class DoubtContract(ChannelContract):
    """ChannelContract and more. A channel that declares `idempotency` overrides `effects`."""

    def effects(self, far_end: FarEnd) -> int:
        """How many messages reached their recipients, as the far end knows it."""
        raise NotImplementedError(
            "a channel that declares idempotency tells its contract how to count effects"
        )

    def test_a_message_whose_answer_was_lost_is_found(
        self, channel: Channel, far_end: FarEnd, window: Window
    ) -> None:
        if not channel.abilities.lookup:
            pytest.skip("this channel declares no lookup")
        verdict = self._send(channel, far_end, Behaviour.DROP)
        assert verdict.outcome is Outcome.AMBIGUOUS
        found = channel.find(self._composed(channel), window)
        assert len(found) == 1, f"find-sees-what-took-effect: one message took effect, found are {found}"
        assert found[0].id, "find-sees-what-took-effect: what is found has no id to adopt"

    def test_what_was_sent_at_another_time_is_not_found(
        self, channel: Channel, far_end: FarEnd, window: Window
    ) -> None:
        if not channel.abilities.lookup:
            pytest.skip("this channel declares no lookup")
        self._send(channel, far_end, Behaviour.ACCEPT)
        span = timedelta(days=2)
        before = Window(window.since - span, window.until - span)
        found = channel.find(self._composed(channel), before)
        assert not found, f"find-keeps-its-window: sent two days later, but found: {found}"

    def test_what_went_to_others_is_not_found(
        self, channel: Channel, far_end: FarEnd, window: Window
    ) -> None:
        if not channel.abilities.lookup:
            pytest.skip("this channel declares no lookup")
        self._send(channel, far_end, Behaviour.ACCEPT)
        other = replace(self.message(), sender="SomebodyElse")
        request = channel.compose(other, self.targets(channel))
        if channel.abilities.by_sender and isinstance(request, Request):
            found = channel.find(request, window)
            assert not found, f"find-sees-no-other: another sender's message was found: {found}"

    def test_a_lookup_that_cannot_ask_raises(self, channel: Channel, far_end: FarEnd, window: Window) -> None:
        if not channel.abilities.lookup:
            pytest.skip("this channel declares no lookup")
        request = self._composed(channel)
        far_end.behave(Behaviour.UNREACHABLE)
        with pytest.raises(NotConnected):
            channel.find(request, window)

    def test_a_cancel_can_be_repeated(self, channel: Channel, far_end: FarEnd) -> None:
        if not channel.abilities.cancel:
            pytest.skip("this channel declares no cancel")
        verdict = self._send(channel, far_end, Behaviour.ACCEPT)
        assert verdict.ref is not None
        first, second = channel.cancel(verdict.ref), channel.cancel(verdict.ref)
        assert first.cancelled == second.cancelled, f"cancel-repeats: first {first}, then {second}"

    def test_a_cancel_that_cannot_ask_does_not_say_it_is_cancelled(
        self, channel: Channel, far_end: FarEnd
    ) -> None:
        if not channel.abilities.cancel:
            pytest.skip("this channel declares no cancel")
        far_end.behave(Behaviour.UNREACHABLE)
        with pytest.raises(NotConnected):
            channel.cancel(Ref("somewhere"))

    @pytest.mark.parametrize("behaviour", [Behaviour.ACCEPT, Behaviour.DROP])
    def test_the_same_bytes_twice_have_one_effect(
        self, channel: Channel, far_end: FarEnd, behaviour: Behaviour
    ) -> None:
        if channel.abilities.idempotency is None:
            pytest.skip("this channel declares no idempotency")
        before = self.effects(far_end)
        self._send(channel, far_end, behaviour)
        once = self.effects(far_end) - before
        self._send(channel, far_end, behaviour, writes=2)
        twice = self.effects(far_end) - before
        assert once > 0, "idempotency-holds: the first write had no effect at all"
        assert once == twice, f"idempotency-holds: {once} after one write, {twice} after the same bytes again"
