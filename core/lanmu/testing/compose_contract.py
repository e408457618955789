"""What every channel must pass before anything is written: what it says of itself, and what it composes."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lanmu.delivery.sending.answers import check_composed
from lanmu.interfaces.channels import Asset, Channel, Message, Refusal, Request, Target, Window
from lanmu.soundness import broken_promise, why_no_channel
from lanmu.testing.clock import FakeClock
from lanmu.testing.far_end import FarEnd
from lanmu.testing.files import sample_file
from lanmu.testing.rules import hides, holds, holds_to


class ComposeContract:
    """The cases, and what a channel's author may override for all of the contract."""

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
        unsound = why_no_channel(channel.name.partition(".")[0], channel)
        holds(unsound is None, "channel-sound", f"its plugin would be set aside: {unsound}")
        doubtful = abilities.lookup or abilities.cancel or abilities.idempotency is not None
        holds(
            self.tries_doubts or not doubtful,
            "doubt-contract",
            "lookup, cancel or idempotency is declared, and a message is sent twice where it does not hold: "
            "take lanmu.testing.doubt_contract.DoubtContract for this channel",
        )

    # --- compose ---

    def test_the_same_message_is_the_same_bytes(
        self, channel: Channel, far_end: FarEnd, lanmu_clock: FakeClock
    ) -> None:
        forward = {"a": "1", "b": "2", "c": "3"}
        backward = dict(reversed(forward.items()))
        targets = self.targets(channel)
        first = channel.compose(replace(self.message(), options=forward), targets)
        lanmu_clock.advance(timedelta(days=1))
        second = channel.compose(replace(self.message(), options=backward), targets)
        holds(first == second, "compose-deterministic", f"twice the same message, but {first} and {second}")
        holds(not far_end.writes, "compose-pure", "compose wrote to the far end")

    def test_a_request_can_be_stored(self, channel: Channel, far_end: FarEnd) -> None:
        targets = self.targets(channel)
        holds_to(check_composed, channel.compose(self.message(), targets), targets)

    def test_a_request_holds_no_secret(self, channel: Channel, far_end: FarEnd) -> None:
        request = self._composed(channel)
        rest = repr((request.call, request.targets, request.sender, dict(request.meta)))
        shown = request.body.decode("utf-8", "replace") + rest
        hides(
            channel, shown, "no-secret-in-request", "a request is stored and shown, and a secret stands in it"
        )

    def test_a_text_goes_out_whole(self, channel: Channel, far_end: FarEnd) -> None:
        begun = "a" * (channel.abilities.text_bytes - 1)
        one, other = (self._composed(channel, self.message(begun + last)) for last in "bc")
        holds(one != other, "text-whole", "two texts that differ in their last letter are the same request")

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

    def test_every_file_goes_out_or_is_refused(
        self, channel: Channel, far_end: FarEnd, tmp_path: Path
    ) -> None:
        abilities = channel.abilities
        if not abilities.asset_max:
            pytest.skip("this channel declares asset_max = 0")
        ahead = "" if abilities.asset_ttl is None else "uploaded-"
        files = [
            replace(sample_file(tmp_path, name, self._kind(channel)), ref=ahead and ahead + name)
            for name in ("one", "other")[: abilities.asset_max]
        ]
        fewer = channel.compose(self.message(), self.targets(channel))
        for count in range(1, len(files) + 1):
            message = replace(self.message(), assets=tuple(files[:count]))
            answer = channel.compose(message, self.targets(channel))
            kept = isinstance(answer, Refusal) or answer != fewer
            holds(kept, "asset-kept", f"with {count} files the request is the same as with {count - 1}")
            fewer = answer

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

    # --- the steps that the cases share ---

    def _composed(self, channel: Channel, message: Message | None = None) -> Request:
        request = channel.compose(message or self.message(), self.targets(channel))
        holds(isinstance(request, Request), "ordinary-message", f"an ordinary message is refused: {request}")
        assert isinstance(request, Request)
        return request

    def _refuses(self, channel: Channel, assets: Sequence[Asset], rule: str) -> None:
        answer = channel.compose(replace(self.message(), assets=tuple(assets)), self.targets(channel))
        holds(isinstance(answer, Refusal), rule, f"beyond what is declared, but composed: {answer}")
        holds(bool(str(answer)), "refusal-says-why", "the refusal has no reason")

    def _kind(self, channel: Channel) -> str:
        """A kind that the channel takes; PNG if it does, for which there is a true sample."""
        kinds = channel.abilities.asset_types or {"image/png"}
        return "image/png" if "image/png" in kinds else min(kinds)
