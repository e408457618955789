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

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings

from lanmu.delivery.sending import asking
from lanmu.delivery.sending.answers import (
    check_asset_ref,
    check_line,
    check_no_connection,
    check_observation,
    check_verdict,
)
from lanmu.interfaces.channels import (
    Asset,
    Channel,
    Line,
    NotConnected,
    Observation,
    Outcome,
    Ref,
    Request,
    Sending,
    TargetState,
    Verdict,
    Window,
)
from lanmu.misreadings import EXAMPLES, misreading
from lanmu.storage.away import AWAY
from lanmu.testing.compose_contract import ComposeContract
from lanmu.testing.far_end import Behaviour, FarEnd
from lanmu.testing.files import sample_file
from lanmu.testing.rules import hides, holds, holds_to
from lanmu.testing.seen import RUBBISH, observations

__all__ = ["UNASKED", "Behaviour", "ChannelContract", "FarEnd"]

Answer = TypeVar("Answer")

_UNCLEAR = (Behaviour.DROP, Behaviour.SLOW, Behaviour.GARBAGE, Behaviour.BROKEN)
UNASKED = (Behaviour.REFUSE, *_UNCLEAR, Behaviour.UNREACHABLE)
"""What a far end does that has answered no question."""


class ChannelContract(ComposeContract):
    """The cases. Override `message`, `targets` or `window` where a channel needs others."""

    examples = 200
    """How many made-up observations `classify` is shown."""

    # --- files ahead of the message ---

    def test_a_file_is_handed_over_ahead(self, channel: Channel, far_end: FarEnd, tmp_path: Path) -> None:
        file = self._file_ahead(channel, tmp_path)
        with self._sends_nothing(far_end, "upload"):
            known = holds_to(check_asset_ref, channel.upload(file))
        holds(bool(known.ref), "upload-named", f"the far end calls a file by nothing: {known}")

    def test_a_file_that_cannot_be_handed_over_is_told_so(
        self, channel: Channel, far_end: FarEnd, tmp_path: Path
    ) -> None:
        file = self._file_ahead(channel, tmp_path)
        far_end.behave(Behaviour.UNREACHABLE)
        self._in_vain(channel, far_end, Behaviour.UNREACHABLE, "upload", lambda: channel.upload(file))

    # --- one write, and what it proves ---

    def test_what_is_accepted_is_one_write(self, channel: Channel, far_end: FarEnd) -> None:
        verdict = self._send(channel, far_end, Behaviour.ACCEPT)
        wanted = Outcome.HANDED_OVER if channel.abilities.sending is Sending.PERSON else Outcome.ACCEPTED
        holds(verdict.outcome is wanted, "accepted", f"the far end accepted, the verdict is {verdict}")

    def test_two_messages_at_once_are_kept_apart(self, channel: Channel, far_end: FarEnd) -> None:
        far_end.behave(Behaviour.ACCEPT)
        messages = (self.message(), self.message("另一条消息", unit="u8x4n1"))
        requests = [self._composed(channel, message) for message in messages]
        lines = [self._connected(channel, far_end, request) for request in requests]
        seen = [self._transmitted(channel, *each) for each in zip(requests, lines, strict=True)]
        verdicts = [channel.classify(each) for each in seen]
        arrived = list(far_end.writes)
        holds(len(arrived) == 2, "one-transmit-one-write", f"two messages, but {len(arrived)} writes arrived")
        told = "one object serves many threads, so keep nothing on self from one call to the next"
        holds(len(set(arrived)) == 2, "keeps-calls-apart", f"of two messages one arrived twice: {told}")
        if self._is_named(channel):
            names = {verdict.ref.id for verdict in verdicts if verdict.ref is not None}
            holds(len(names) == 2, "ref-names-one", f"two messages are called {sorted(names)}: {told}")

    def test_an_acceptance_can_be_found_again(self, channel: Channel, far_end: FarEnd) -> None:
        if not self._is_named(channel):
            pytest.skip("this channel declares neither lookup nor cancel nor async acceptance")
        self._accepted(channel, far_end)

    def test_what_is_declared_local_opens_no_line(
        self, channel: Channel, far_end: FarEnd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not channel.abilities.local:
            pytest.skip("this channel declares a wire")
        opened = []
        connect = socket.socket.connect

        def noted(line: socket.socket, address: Any) -> None:
            if line.family in (socket.AF_INET, socket.AF_INET6):
                opened.append(address)
            connect(line, address)

        monkeypatch.setattr(socket.socket, "connect", noted)
        self._send(channel, far_end, Behaviour.ACCEPT)
        holds(not opened, "local-is-local", f"no answer can be lost, it is declared, yet it calls {opened}")

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
            if rule := misreading(observation, verdict, local=channel.abilities.local):
                raise AssertionError(f"{rule}: {observation} is read as {verdict}")
            holds_to(check_verdict, verdict, observation)

        for example in EXAMPLES:
            judge(example)
        for body in RUBBISH:
            judge(Observation(wrote=True, status=200, body=body))
        settings(max_examples=self.examples, deadline=None, database=None)(given(observations())(judge))()

    # --- afterwards ---

    def test_a_lookup_sees_what_was_accepted_and_nothing_else(
        self, channel: Channel, far_end: FarEnd, window: Window
    ) -> None:
        if not channel.abilities.lookup:
            pytest.skip("this channel declares no lookup")
        ref = self._accepted(channel, far_end)
        found = [each.id for each in self._asked(channel, far_end, self._composed(channel), window)]
        holds(
            ref.id in found,
            "find-sees-accepted",
            f"the acceptance was called {ref.id}, find answers {found} for {spoken(window)}",
        )
        other = self._composed(channel, self.message("另一条消息", unit="u8x4n1"))
        strangers = self._asked(channel, far_end, other, window)
        holds(not strangers, "find-sees-no-other", f"a message that was never sent was found: {strangers}")

    def test_results_speak_of_the_targets_alone(self, channel: Channel, far_end: FarEnd) -> None:
        if channel.abilities.acceptance != "async":
            pytest.skip("this channel's acceptance is final")
        ref = self._accepted(channel, far_end)
        with self._sends_nothing(far_end, "results"):
            results = list(channel.results(ref))
        keys, asked = {result.key for result in results}, {target.key for target in self.targets(channel)}
        holds(keys <= asked, "results-of-targets", f"results for {keys - asked}, which were not asked for")
        states = all(isinstance(result.state, TargetState) for result in results)
        holds(states, "results-of-targets", f"a state is none of TargetState: {results}")

    @pytest.mark.parametrize("behaviour", UNASKED)
    def test_results_that_cannot_be_asked_for_are_not_made_up(
        self, channel: Channel, far_end: FarEnd, behaviour: Behaviour
    ) -> None:
        if channel.abilities.acceptance != "async":
            pytest.skip("this channel's acceptance is final")
        self._can_do(channel, behaviour)
        ref = self._accepted(channel, far_end)
        known = {result.key: result.state for result in channel.results(ref)}
        far_end.behave(behaviour)
        said = self._in_vain(channel, far_end, behaviour, "results", lambda: list(channel.results(ref)))
        made_up = said is not None and {result.key: result.state for result in said} != known
        holds(
            not made_up,
            "results-says-it-cannot-ask",
            f"{known} was known, the far end met the question with {behaviour}, and results answers {said}. "
            "Raise NotConnected",
        )

    def test_a_cancel_says_what_became_of_it(self, channel: Channel, far_end: FarEnd) -> None:
        if not channel.abilities.cancel:
            pytest.skip("this channel declares no cancel")
        ref = self._accepted(channel, far_end)
        with self._sends_nothing(far_end, "cancel"):
            result = channel.cancel(ref)
        holds(
            result.cancelled or bool(result.reason),
            "cancel-says-why",
            f"not cancelled, and no reason: {result}",
        )

    # --- the steps that the cases share ---

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

    def _asked(self, channel: Channel, far_end: FarEnd, request: Request, window: Window) -> Sequence[Ref]:
        """What a lookup answers that can be made, checked as the core checks it."""
        try:
            with self._sends_nothing(far_end, "find"):
                return asking.found(channel, request, window)
        except NotConnected as error:
            raise AssertionError(f"find-answers: it could be asked, yet find raised: {error}") from error
        except asking.ChannelFault as fault:
            raise AssertionError(f"find-type: {fault}") from fault.__cause__

    def _in_vain(
        self, channel: Channel, far_end: FarEnd, behaviour: Behaviour, call: str, ask: Callable[[], Answer]
    ) -> Answer | None:
        """What a question answers that the far end did not; None where the channel says so, as it should."""
        with self._sends_nothing(far_end, call):
            try:
                return ask()
            except NotConnected as error:
                told = f"after {behaviour}, the reason of {call} holds a secret"
                hides(channel, str(error.reason), "no-secret-in-fault", told)
                holds_to(check_no_connection, error)
                holds(bool(error.reason), "cannot-ask-says-why", f"after {behaviour}, {call} gives no reason")
            except AWAY:  # the core's own database, of which no channel needs to know: it tells the two apart
                pass
            except Exception as error:
                raise AssertionError(
                    f"{call}-says-it-cannot-ask: after {behaviour} it raised {type(error).__name__}, which "
                    f"an operator is shown as the plugin's mistake, and not NotConnected: {error}"
                ) from error
        return None

    @contextmanager
    def _sends_nothing(self, far_end: FarEnd, call: str) -> Iterator[None]:
        """Fails where a call that is no `transmit` has written, however it ended."""
        before = len(far_end.writes)
        try:
            yield
        finally:
            more = len(far_end.writes) - before
            holds(more <= 0, f"{call}-sends-nothing", f"{call} wrote {more} messages, and only transmit may")

    def _send(
        self, channel: Channel, far_end: FarEnd, behaviour: Behaviour, *, writes: int | None = 1
    ) -> Verdict:
        far_end.behave(behaviour)
        observation = self._observe(channel, far_end)
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
        hides(channel, told, "no-secret-in-fault", f"after {behaviour}, a fault or reason holds a secret")
        return verdict

    def _observe(self, channel: Channel, far_end: FarEnd) -> Observation:
        request = self._composed(channel)
        try:
            line = self._connected(channel, far_end, request)
        except NotConnected as error:
            fault = str(error.reason)
            holds_to(check_no_connection, error)
            return Observation(wrote=False, fault=fault)
        return self._transmitted(channel, request, line)

    def _connected(self, channel: Channel, far_end: FarEnd, request: Request) -> Line | None:
        with self._sends_nothing(far_end, "connect"):
            return holds_to(check_line, channel.connect(request))

    def _transmitted(self, channel: Channel, request: Request, line: Line | None) -> Observation:
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

    def _is_named(self, channel: Channel) -> bool:
        """Whether an acceptance has to carry the name by which the far end calls the message."""
        abilities = channel.abilities
        return abilities.lookup or abilities.cancel or abilities.acceptance == "async"

    def _can_do(self, channel: Channel, behaviour: Behaviour) -> None:
        if behaviour is not Behaviour.UNREACHABLE:
            self._has_a_wire(channel)

    def _file_ahead(self, channel: Channel, folder: Path) -> Asset:
        if channel.abilities.asset_ttl is None:
            pytest.skip("this channel declares no asset_ttl")
        return sample_file(folder, "ahead.png", self._kind(channel))

    def _has_a_wire(self, channel: Channel) -> None:
        if channel.abilities.local:
            pytest.skip("this channel declares that its writes end on this machine")


def spoken(window: Window) -> str:
    """A window, as a failure tells of it."""
    return f"the window {window.since:%Y-%m-%d %H:%M:%S} to {window.until:%H:%M:%S} (lanmu_clock's time)"
