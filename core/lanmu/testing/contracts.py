"""What every channel must pass. A channel's author subclasses ChannelContract and gives two fixtures.

    class TestEcho(ChannelContract):
        @pytest.fixture
        def channel(self): ...

        @pytest.fixture
        def far_end(self): ...

A case that a channel cannot meet is skipped by what the channel declares in its abilities, and by nothing
else. Each failure names the rule that was broken. A channel that declares `lookup`, `cancel` or `idempotency`
takes `lanmu.testing.doubt_contract.DoubtContract` instead, which holds all of this and more.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings

from lanmu.delivery.sending import asking
from lanmu.delivery.sending.answers import (
    check_composed,
    check_no_connection,
    check_observation,
    check_verdict,
)
from lanmu.interfaces.channels import (
    Asset,
    Channel,
    Message,
    NotConnected,
    Observation,
    Outcome,
    Ref,
    Refusal,
    Request,
    Sending,
    Target,
    TargetState,
    Verdict,
    Window,
)
from lanmu.secret_settings import secrets_in
from lanmu.soundness import broken_promise
from lanmu.testing.clock import FakeClock
from lanmu.testing.far_end import Behaviour, FarEnd
from lanmu.testing.files import sample_file
from lanmu.testing.rules import holds, holds_to
from lanmu.testing.seen import RUBBISH, observations

__all__ = ["Behaviour", "ChannelContract", "FarEnd"]

_UNCLEAR = (Behaviour.DROP, Behaviour.SLOW, Behaviour.GARBAGE, Behaviour.BROKEN)
_SUCCESS = (Outcome.ACCEPTED, Outcome.HANDED_OVER)


class ChannelContract:
    """The cases. Override `message`, `targets` or `window` where a channel needs others."""

    examples = 200
    """How many made-up observations `classify` is shown."""

    tries_doubts = False
    """Whether what is declared of lookups, cancels and resends is put to the test (DoubtContract)."""

    @pytest.fixture
    def channel(self) -> Channel:
        raise NotImplementedError("give the contract a fixture `channel`: the channel under test")

    @pytest.fixture
    def far_end(self) -> FarEnd:
        raise NotImplementedError("give the contract a fixture `far_end`: the other side of the channel")

    @pytest.fixture
    def window(self, lanmu_clock: FakeClock) -> Window:
        """When the writes of these tests happen, in the far end's time: the fake one, `lanmu_clock`.

        Override it where the far end stamps what it takes by another clock.
        """
        now = lanmu_clock.now()
        return Window(now - timedelta(hours=1), now + timedelta(hours=1))

    def message(self, text: str = "周三晚八点，一起聊聊换季护肤 🌿", *, unit: str = "u7k2m9") -> Message:
        """A message that the channel takes; `unit` tells one from another."""
        return Message(push="psh_test", token=unit, title="换季护肤", text=text, sender="XiaoMan")

    def targets(self, channel: Channel) -> Sequence[Target]:
        """Recipients that the channel takes, in one unit."""
        return [Target(f"group-{n}", f"{n} 群") for n in range(1, min(2, channel.abilities.batch_max) + 1)]

    # --- what a channel says of itself ---

    def test_it_has_a_name_and_a_title(self, channel: Channel) -> None:
        named = bool(re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)?", channel.name))
        holds(named and bool(channel.title), "name", f"{channel.name!r} is called PLUGIN or PLUGIN.something")

    def test_it_keeps_what_it_declares(self, channel: Channel) -> None:
        abilities = channel.abilities
        broken = broken_promise(channel.name, channel, abilities)
        unsettled = abilities.lookup and not abilities.local and not abilities.settle
        holds(broken is None, "settle-declared" if unsettled else "declared-is-written", str(broken))
        doubtful = abilities.lookup or abilities.cancel or abilities.idempotency is not None
        holds(
            self.tries_doubts or not doubtful,
            "doubt-contract",
            "lookup, cancel or idempotency is declared, and a message is sent twice where it does not hold: "
            "take lanmu.testing.doubt_contract.DoubtContract for this channel",
        )

    # --- compose ---

    def test_the_same_message_is_the_same_bytes(self, channel: Channel, far_end: FarEnd) -> None:
        forward = {"a": "1", "b": "2", "c": "3"}
        backward = dict(reversed(forward.items()))
        targets = self.targets(channel)
        first = channel.compose(replace(self.message(), options=forward), targets)
        second = channel.compose(replace(self.message(), options=backward), targets)
        holds(first == second, "compose-deterministic", f"twice the same message, but {first} and {second}")
        holds(not far_end.writes, "compose-pure", "compose wrote to the far end")

    def test_a_request_can_be_stored(self, channel: Channel, far_end: FarEnd) -> None:
        targets = self.targets(channel)
        holds_to(check_composed, channel.compose(self.message(), targets), targets)

    def test_a_request_names_its_targets(self, channel: Channel, far_end: FarEnd) -> None:
        targets = self.targets(channel)
        request = self._composed(channel)
        keys = tuple(target.key for target in targets)
        holds(
            request.targets == keys, "request-targets", f"asked for {keys}, the request has {request.targets}"
        )

    def test_a_request_holds_no_secret(self, channel: Channel, far_end: FarEnd) -> None:
        request = self._composed(channel)
        shown = (
            request.body + repr((request.call, request.targets, request.sender, dict(request.meta))).encode()
        )
        leaked = [secret for secret in secrets_in(channel) if secret.reveal().encode() in shown]
        holds(not leaked, "no-secret-in-request", "a request is stored and shown, and a secret stands in it")

    @pytest.mark.parametrize("character", ["a", "测", "😀"])
    def test_a_text_is_measured_in_bytes(self, channel: Channel, far_end: FarEnd, character: str) -> None:
        limit = channel.abilities.text_bytes
        each = len(character.encode())
        fits = channel.compose(self.message(character * (limit // each)), self.targets(channel))
        holds(isinstance(fits, Request), "limit-is-true", f"{limit} bytes are declared, but: {fits}")
        text = character * (limit // each + 1)
        over = channel.compose(self.message(text), self.targets(channel))
        holds(
            isinstance(over, Refusal),
            "limit-kept",
            f"{len(text.encode())} bytes went through, {limit} are declared",
        )
        said = str(over)
        told = str(len(text.encode())) in said or str(limit) in said
        holds(told, "refusal-says-why", f"the refusal gives neither the size nor the limit: {said!r}")

    def test_a_file_of_another_kind_is_refused(
        self, channel: Channel, far_end: FarEnd, tmp_path: Path
    ) -> None:
        stranger = sample_file(tmp_path, "setup.exe", "application/x-msdownload")
        self._refuses(channel, [stranger], "asset-kind")

    def test_too_many_files_are_refused(self, channel: Channel, far_end: FarEnd, tmp_path: Path) -> None:
        kind = self._kind(channel)
        files = [sample_file(tmp_path, f"{n}", kind) for n in range(channel.abilities.asset_max + 1)]
        self._refuses(channel, files, "asset-count")

    def test_a_file_that_is_too_large_is_refused(
        self, channel: Channel, far_end: FarEnd, tmp_path: Path
    ) -> None:
        if not channel.abilities.asset_max:
            pytest.skip("this channel declares asset_max = 0")
        large = sample_file(tmp_path, "large", self._kind(channel))
        self._refuses(channel, [replace(large, size=channel.abilities.asset_bytes + 1)], "asset-size")

    # --- one write, and what it proves ---

    def test_what_is_accepted_is_one_write(self, channel: Channel, far_end: FarEnd) -> None:
        verdict = self._send(channel, far_end, Behaviour.ACCEPT)
        wanted = Outcome.HANDED_OVER if channel.abilities.sending is Sending.PERSON else Outcome.ACCEPTED
        holds(verdict.outcome is wanted, "accepted", f"the far end accepted, the verdict is {verdict}")

    def test_an_acceptance_can_be_found_again(self, channel: Channel, far_end: FarEnd) -> None:
        abilities = channel.abilities
        if not (abilities.lookup or abilities.cancel or abilities.acceptance == "async"):
            pytest.skip("this channel declares neither lookup nor cancel nor async acceptance")
        self._accepted(channel, far_end)

    def test_refused_inside_a_200_is_not_accepted(self, channel: Channel, far_end: FarEnd) -> None:
        self._has_a_wire(channel)
        verdict = self._send(channel, far_end, Behaviour.REFUSE)
        refused = verdict.outcome in (Outcome.REFUSED, Outcome.LATER)
        holds(refused, "refused-inside-200", f"the far end said no, the verdict is {verdict}")
        holds(bool(verdict.reason), "refusal-says-why", "a person will ask what the far end said")

    @pytest.mark.parametrize("behaviour", _UNCLEAR)
    def test_an_answer_that_never_came_is_ambiguous(
        self, channel: Channel, far_end: FarEnd, behaviour: Behaviour
    ) -> None:
        self._has_a_wire(channel)
        verdict = self._send(channel, far_end, behaviour)
        ambiguous = verdict.outcome is Outcome.AMBIGUOUS
        holds(
            ambiguous,
            "no-answer-is-ambiguous",
            f"after {behaviour}, nobody can know, but the verdict is {verdict}",
        )

    def test_an_unreachable_far_end_proves_that_nothing_was_sent(
        self, channel: Channel, far_end: FarEnd
    ) -> None:
        verdict = self._send(channel, far_end, Behaviour.UNREACHABLE, writes=0)
        proven = verdict.outcome in (Outcome.NOT_SENT, Outcome.LATER)
        holds(proven, "unreachable-is-not-sent", f"nothing was written, but the verdict is {verdict}")

    def test_every_observation_has_a_verdict(self, channel: Channel) -> None:
        def judge(observation: Observation) -> None:
            verdict = channel.classify(observation)
            holds(isinstance(verdict, Verdict), "classify-total", f"{observation} gives {verdict!r}")
            forged = not observation.wrote and verdict.outcome in (*_SUCCESS, Outcome.AMBIGUOUS)
            holds(not forged, "nothing-written-nothing-sent", f"nothing was written, yet {verdict}")
            holds_to(check_verdict, verdict, observation)
            blind = observation.status is None and not observation.body and verdict.outcome in _SUCCESS
            holds(not blind, "no-answer-is-ambiguous", f"no answer was seen, yet {verdict}")

        for status, body in ((None, b""), *((200, body) for body in RUBBISH)):
            judge(Observation(wrote=True, status=status, body=body))
        settings(max_examples=self.examples, deadline=None, database=None)(given(observations())(judge))()

    # --- afterwards ---

    def test_a_lookup_sees_what_was_accepted_and_nothing_else(
        self, channel: Channel, far_end: FarEnd, window: Window
    ) -> None:
        if not channel.abilities.lookup:
            pytest.skip("this channel declares no lookup")
        ref = self._accepted(channel, far_end)
        found = [each.id for each in self._asked(channel, self._composed(channel), window)]
        holds(
            ref.id in found,
            "find-sees-accepted",
            f"the acceptance was called {ref.id}, find answers {found} for {spoken(window)}",
        )
        other = self._composed(channel, self.message("另一条消息", unit="u8x4n1"))
        strangers = self._asked(channel, other, window)
        holds(not strangers, "find-sees-no-other", f"a message that was never sent was found: {strangers}")

    def test_results_speak_of_the_targets_alone(self, channel: Channel, far_end: FarEnd) -> None:
        if channel.abilities.acceptance != "async":
            pytest.skip("this channel's acceptance is final")
        results = list(channel.results(self._accepted(channel, far_end)))
        keys, asked = {result.key for result in results}, {target.key for target in self.targets(channel)}
        holds(keys <= asked, "results-of-targets", f"results for {keys - asked}, which were not asked for")
        states = all(isinstance(result.state, TargetState) for result in results)
        holds(states, "results-of-targets", f"a state is none of TargetState: {results}")

    def test_a_cancel_says_what_became_of_it(self, channel: Channel, far_end: FarEnd) -> None:
        if not channel.abilities.cancel:
            pytest.skip("this channel declares no cancel")
        result = channel.cancel(self._accepted(channel, far_end))
        holds(
            result.cancelled or bool(result.reason),
            "cancel-says-why",
            f"not cancelled, and no reason: {result}",
        )

    # --- the steps that the cases share ---

    def _composed(self, channel: Channel, message: Message | None = None) -> Request:
        request = channel.compose(message or self.message(), self.targets(channel))
        holds(isinstance(request, Request), "ordinary-message", f"an ordinary message is refused: {request}")
        assert isinstance(request, Request)
        return request

    def _accepted(self, channel: Channel, far_end: FarEnd) -> Ref:
        """Send what is accepted; answers the reference that the acceptance carries."""
        verdict = self._send(channel, far_end, Behaviour.ACCEPT)
        named = verdict.ref is not None and bool(verdict.ref.id)
        holds(
            named,
            "accepted-with-ref",
            "lookup, cancel or async acceptance is declared, so an acceptance carries the Ref by which the "
            f"far end calls the message (the same that find answers); there is none in {verdict}",
        )
        assert verdict.ref is not None
        return verdict.ref

    def _asked(self, channel: Channel, request: Request, window: Window) -> Sequence[Ref]:
        """What a lookup answers that can be made, checked as the core checks it."""
        try:
            return asking.found(channel, request, window)
        except NotConnected as error:
            raise AssertionError(f"find-answers: it could be asked, yet find raised: {error}") from error
        except asking.ChannelFault as fault:
            raise AssertionError(f"find-type: {fault}") from fault.__cause__

    def _send(
        self, channel: Channel, far_end: FarEnd, behaviour: Behaviour, *, writes: int | None = 1
    ) -> Verdict:
        far_end.behave(behaviour)
        observation = self._observe(channel)
        arrived = len(far_end.writes)
        if behaviour is Behaviour.UNREACHABLE:
            holds(not observation.wrote, "unreachable-is-not-sent", f"nobody is there, but {observation}")
        holds(
            writes in (None, arrived),
            "one-transmit-one-write",
            f"{behaviour}: {arrived} writes arrived, not {writes}",
        )
        verdict = channel.classify(observation)
        holds_to(check_verdict, verdict, observation)
        told = " ".join((observation.fault, verdict.reason, *verdict.failed.values()))
        leaked = [secret for secret in secrets_in(channel) if secret.reveal() in told]
        holds(not leaked, "no-secret-in-fault", f"after {behaviour}, a fault or reason holds a secret")
        return verdict

    def _observe(self, channel: Channel) -> Observation:
        request = self._composed(channel)
        try:
            line = channel.connect(request)
        except NotConnected as error:
            fault = str(error.reason)
            holds_to(check_no_connection, error)
            return Observation(wrote=False, fault=fault)
        try:
            seen = channel.transmit(request, line)
        except Exception as error:
            raise AssertionError(
                f"transmit-never-raises: it raised {type(error).__name__}: {error}"
            ) from error
        finally:
            if line is not None:
                line.close()
        return holds_to(check_observation, seen)

    def _refuses(self, channel: Channel, assets: Sequence[Asset], rule: str) -> None:
        answer = channel.compose(replace(self.message(), assets=tuple(assets)), self.targets(channel))
        holds(isinstance(answer, Refusal), rule, f"beyond what is declared, but composed: {answer}")
        holds(bool(str(answer)), "refusal-says-why", "the refusal has no reason")

    def _kind(self, channel: Channel) -> str:
        return min(channel.abilities.asset_types, default="image/png")

    def _has_a_wire(self, channel: Channel) -> None:
        if channel.abilities.local:
            pytest.skip("this channel declares that its writes end on this machine")


def spoken(window: Window) -> str:
    """A window, as a failure tells of it."""
    return f"the window {window.since:%Y-%m-%d %H:%M:%S} to {window.until:%H:%M:%S} (lanmu_clock's time)"
