"""What a channel must pass that says it can be asked, stopped or repeated: what it declares has to hold.

Delivery believes these declarations where nobody knows whether a message went out. A lookup that answers
"nothing" because it could not ask, or a resend that has a second effect, is a message sent twice.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from lanmu.interfaces.channels import Channel, NotConnected, Outcome, Ref, Request, Sending, Window
from lanmu.testing.contracts import UNASKED, Behaviour, ChannelContract, FarEnd, spoken
from lanmu.testing.rules import holds


class DoubtContract(ChannelContract):
    """ChannelContract and more. A channel that declares `idempotency` overrides `effects`."""

    tries_doubts = True

    def effects(self, far_end: FarEnd) -> int:
        """How many messages reached their recipients, as the far end knows it."""
        raise NotImplementedError(
            "a channel that declares idempotency tells its contract how to count effects"
        )

    # --- lookups ---

    def test_a_message_whose_answer_was_lost_is_found(
        self, channel: Channel, far_end: FarEnd, window: Window
    ) -> None:
        self._can_be_looked_up(channel)
        verdict = self._send(channel, far_end, Behaviour.DROP)
        lost = verdict.outcome is Outcome.AMBIGUOUS or channel.abilities.local
        holds(lost, "no-answer-is-ambiguous", f"the answer was lost, but the verdict is {verdict}")
        far_end.behave(Behaviour.ACCEPT)
        found = self._asked(channel, far_end, self._composed(channel), window)
        holds(
            len(found) == 1,
            "find-sees-what-took-effect",
            f"one message took effect, and find answers {list(found)} for {spoken(window)}: its lookup "
            "misses it, or the far end stamps what it takes by another clock than lanmu_clock",
        )
        holds(bool(found[0].id), "find-sees-what-took-effect", "what is found has no id to adopt")
        self._serves_the_rest(channel, found[0])

    def test_what_was_sent_at_another_time_is_not_found(
        self, channel: Channel, far_end: FarEnd, window: Window
    ) -> None:
        self._can_be_looked_up(channel)
        self._send(channel, far_end, Behaviour.ACCEPT)
        span = timedelta(days=2)
        before = Window(window.since - span, window.until - span)
        found = self._asked(channel, far_end, self._composed(channel), before)
        holds(not found, "find-keeps-its-window", f"sent two days later, but found: {found}")

    def test_what_went_to_others_is_not_found(
        self, channel: Channel, far_end: FarEnd, window: Window
    ) -> None:
        self._can_be_looked_up(channel)
        other = replace(self.message(unit="u5r3p8"), sender="SomebodyElse")
        request = channel.compose(other, self.targets(channel))
        if not channel.abilities.by_sender or not isinstance(request, Request):
            pytest.skip("this channel sends in nobody's name, or not in that of a stranger")
        self._send(channel, far_end, Behaviour.ACCEPT)
        found = self._asked(channel, far_end, request, window)
        holds(not found, "find-sees-no-other", f"another sender's message was found: {found}")

    def test_what_went_to_other_recipients_is_not_found(
        self, channel: Channel, far_end: FarEnd, window: Window
    ) -> None:
        self._can_be_looked_up(channel)
        if channel.abilities.sending is Sending.CONFIRM:
            pytest.skip("its far end may tell nobody's name before somebody has confirmed")
        first, *rest = self.targets(channel)
        others = rest or [replace(first, key=f"{first.key}-2")]
        sent = channel.compose(self.message(), [first])
        asked = channel.compose(self.message(unit="u4w7c2"), others)
        if not isinstance(sent, Request) or not isinstance(asked, Request):
            pytest.skip("this channel does not take other recipients")
        far_end.behave(Behaviour.ACCEPT)
        self._transmitted(channel, sent, self._connected(channel, far_end, sent))
        found = self._asked(channel, far_end, asked, window)
        story = f"the same text went to others, in another batch of the push, and was found: {found}"
        holds(not found, "find-sees-no-other", story)

    @pytest.mark.parametrize("behaviour", UNASKED)
    def test_a_lookup_that_cannot_ask_raises(
        self, channel: Channel, far_end: FarEnd, window: Window, behaviour: Behaviour
    ) -> None:
        self._can_be_looked_up(channel)
        self._can_do(channel, behaviour)
        self._send(channel, far_end, Behaviour.ACCEPT)
        request = self._composed(channel)
        far_end.behave(behaviour)
        found = self._in_vain(
            channel, far_end, behaviour, "find", lambda: list(channel.find(request, window))
        )
        if found is None:
            return
        holds(
            not found,
            "far-end-answers",
            f"find answers {found}: behave({behaviour}) is meant for questions as well as for writes",
        )
        holds(
            False,
            "find-says-it-cannot-ask",
            f"the far end met the question with {behaviour}, and find answers that there is nothing: the "
            "message would be sent again. Raise NotConnected",
        )

    # --- cancels ---

    def test_a_cancel_can_be_repeated(self, channel: Channel, far_end: FarEnd) -> None:
        self._can_be_cancelled(channel)
        ref = self._accepted(channel, far_end)
        first, second = channel.cancel(ref), channel.cancel(ref)
        holds(first.cancelled == second.cancelled, "cancel-repeats", f"first {first}, then {second}")

    @pytest.mark.parametrize("behaviour", UNASKED)
    def test_a_cancel_that_cannot_ask_does_not_say_it_is_cancelled(
        self, channel: Channel, far_end: FarEnd, behaviour: Behaviour
    ) -> None:
        self._can_be_cancelled(channel)
        self._can_do(channel, behaviour)
        ref = self._accepted(channel, far_end)
        far_end.behave(behaviour)
        said = self._in_vain(channel, far_end, behaviour, "cancel", lambda: channel.cancel(ref))
        if said is None:
            return
        holds(
            behaviour is Behaviour.REFUSE and not said.cancelled,
            "cancel-says-it-cannot-ask",
            f"the far end met the cancel with {behaviour}, and cancel answers {said}. Raise NotConnected",
        )

    # --- resends ---

    @pytest.mark.parametrize("behaviour", [Behaviour.ACCEPT, Behaviour.DROP])
    def test_the_same_bytes_twice_have_one_effect(
        self, channel: Channel, far_end: FarEnd, behaviour: Behaviour
    ) -> None:
        if channel.abilities.idempotency is None:
            pytest.skip("this channel declares no idempotency")
        before = self.effects(far_end)
        self._send(channel, far_end, behaviour)
        once = self.effects(far_end) - before
        self._send(channel, far_end, behaviour, writes=None)
        twice = self.effects(far_end) - before
        holds(once > 0, "idempotency-holds", "the first write had no effect at all")
        holds(
            once == twice,
            "idempotency-holds",
            f"{once} after one write, {twice} after the same bytes again",
        )

    # --- the steps that the cases share ---

    def _serves_the_rest(self, channel: Channel, found: Ref) -> None:
        """What is adopted is asked for its results, and taken back, by what `find` said of it."""
        abilities, call = channel.abilities, ""
        try:
            if abilities.acceptance == "async":
                call = "results"
                list(channel.results(found))
            if abilities.cancel:
                call = "cancel"
                channel.cancel(found)
        except NotConnected:
            pass
        except Exception as error:
            raise AssertionError(
                f"find-serves-the-rest: {call} of {found}, which find answered, raised "
                f"{type(error).__name__}: {error}. Does it lack a detail that an acceptance's Ref has?"
            ) from error

    def _can_be_looked_up(self, channel: Channel) -> None:
        if not channel.abilities.lookup:
            pytest.skip("this channel declares no lookup")

    def _can_be_cancelled(self, channel: Channel) -> None:
        if not channel.abilities.cancel:
            pytest.skip("this channel declares no cancel")
