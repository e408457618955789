"""A channel that raises, or answers what it must not, costs its own unit its turn and nothing else."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from lanmu.delivery.sending import asking
from lanmu.delivery.sending.answers import check_verdict
from lanmu.i18n import Filled
from lanmu.interfaces.channels import (
    Abilities,
    Asset,
    AssetRef,
    Line,
    Message,
    NotConnected,
    Observation,
    Outcome,
    Ref,
    Refusal,
    Request,
    Target,
    TargetResult,
    Verdict,
    Window,
)
from lanmu.interfaces.secrets import Secret
from lanmu.testing.fakes import FakeChannel

from .conftest import Room

SECRET = "k3y-of-the-corp/0042"


class Wrong(FakeChannel):
    """A channel that does as it should, but for what a test puts in."""

    def __init__(self, **changed: Callable[..., Any]) -> None:
        super().__init__("wrong.one")
        self._changed = changed

    def _maybe(self, call: str, answer: Any) -> Any:
        return self._changed[call](answer) if call in self._changed else answer

    def compose(self, message: Message, targets: Sequence[Target]) -> Any:
        return self._maybe("compose", super().compose(message, targets))

    def connect(self, request: Request) -> Any:
        return self._maybe("connect", super().connect(request))

    def transmit(self, request: Request, line: Line | None) -> Any:
        return self._maybe("transmit", super().transmit(request, line))

    def classify(self, observation: Observation) -> Any:
        return self._maybe("classify", super().classify(observation))


def raises(error: BaseException) -> Callable[[Any], Any]:
    def do(_answer: Any) -> Any:
        raise error

    return do


def becomes(**fields: Any) -> Callable[[Any], Any]:
    return lambda answer: replace(answer, **fields)


class _Unsayable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


class _NoError(BaseException):
    """What a library raises to unwind itself, as trio does."""

    def __str__(self) -> str:
        raise GeneratorExit


NO_ERRORS = (KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(), _NoError())
"""What is not even an Exception, and what code that is not ours raises all the same."""


class _NoLine:
    pass


class _LineThatWillNotClose:
    def __init__(self, error: BaseException) -> None:
        self._error = error

    def close(self) -> None:
        raise self._error


def send_both(room: Room, wrong: FakeChannel) -> tuple[Any, str]:
    """A push by each channel, sent in one batch; the wrong one's unit and the good one's state."""
    room.channels[wrong.name] = wrong
    bad = room.send("b1", channel=wrong.name)
    good = room.send("g1", "g2")
    room.run()
    assert room.channel.sends() == {"g1": 1, "g2": 1}
    return room.unit(bad), room.push(good).state


BEFORE: dict[str, tuple[dict[str, Callable[..., Any]], str]] = {
    "compose raises": ({"compose": raises(TypeError("no such thing"))}, "TypeError: no such thing"),
    "compose exits": ({"compose": raises(SystemExit(2))}, "SystemExit"),
    "compose raises what cannot be told": ({"compose": raises(_Unsayable())}, "_Unsayable"),
    "compose answers nothing": ({"compose": lambda _a: None}, "compose()"),
    "a body of text": ({"compose": becomes(body="text")}, "Request.body must be bytes, not str"),
    "a body that is a dict": ({"compose": becomes(body={"a": 1})}, "Request.body must be bytes, not dict"),
    "meta with a set": ({"compose": becomes(meta={"a": {1, 2}})}, "Request.meta['a'] must be str, not set"),
    "meta that is a list": ({"compose": becomes(meta=["a"])}, "Request.meta must be Mapping, not list"),
    "meta with half a letter": ({"compose": becomes(meta={"a": "\ud800"})}, "Request.meta must be UTF-8"),
    "no targets": ({"compose": becomes(targets=())}, "Request.targets"),
    "a call that is no text": ({"compose": becomes(call=7)}, "Request.call must be str, not int"),
    "a call without end": ({"compose": becomes(call="x" * 61)}, "Request.call"),
    "a sender that is None": ({"compose": becomes(sender=None)}, "Request.sender must be str"),
    "a refusal without a reason": ({"compose": lambda _a: Refusal("")}, "Refusal.reason"),
    "connect raises": ({"connect": raises(KeyError("token"))}, "KeyError: 'token'"),
    "a line that is none": ({"connect": lambda _a: _NoLine()}, "connect()"),
    "a wait in seconds": (
        {"connect": raises(NotConnected("busy", retry_after=60))},  # type: ignore[arg-type]
        "NotConnected.retry_after must be timedelta | None, not int",
    ),
}

AFTER: dict[str, tuple[dict[str, Callable[..., Any]], str]] = {
    "transmit raises": ({"transmit": raises(ValueError("oh"))}, "ValueError: oh"),
    "transmit exits": ({"transmit": raises(SystemExit(1))}, "SystemExit"),
    "transmit answers nothing": ({"transmit": lambda _a: None}, "transmit() must be Observation"),
    "a body of text": ({"transmit": becomes(body="text")}, "Observation.body must be bytes, not str"),
    "a status of text": ({"transmit": becomes(status="200")}, "Observation.status"),
    "wrote is None": ({"transmit": becomes(wrote=None)}, "Observation.wrote must be bool"),
    "classify raises": ({"classify": raises(KeyError("errcode"))}, "KeyError: 'errcode'"),
    "classify answers nothing": ({"classify": lambda _a: None}, "classify() must be Verdict, not NoneType"),
    "an outcome of text": ({"classify": becomes(outcome="accepted")}, "Verdict.outcome must be Outcome"),
    "a reference of text": ({"classify": becomes(ref="abc")}, "Verdict.ref must be Ref, not str"),
    "a reference to a number": ({"classify": becomes(ref=Ref(7))}, "Verdict.ref.id must be str"),  # type: ignore[arg-type]
    "a reference without end": ({"classify": becomes(ref=Ref("x" * 201))}, "Verdict.ref.id"),
    "a reference's odd detail": (
        {"classify": becomes(ref=Ref("x", {"at": datetime.now(UTC)}))},  # type: ignore[dict-item]
        "Verdict.ref.detail['at'] must be str, not datetime",
    ),
    "a wait in seconds": ({"classify": becomes(retry_after=60)}, "Verdict.retry_after"),
    "a wait without end": ({"classify": becomes(retry_after=timedelta.max)}, "Verdict.retry_after"),
    "an error code as a number": ({"classify": becomes(code=40003)}, "Verdict.code must be str, not int"),
    "refused targets in a list": ({"classify": becomes(failed=["b1"])}, "Verdict.failed"),
    "a scope of its own": ({"classify": becomes(scope="shop")}, "Verdict.scope"),
    "a trip of its own": ({"classify": becomes(trips="all")}, "Verdict.trips"),
}


for _call in ("compose", "connect"):
    BEFORE |= {
        f"{_call} raises {type(e).__name__}": ({_call: raises(e)}, type(e).__name__) for e in NO_ERRORS
    }
for _call in ("transmit", "classify"):
    AFTER |= {f"{_call} raises {type(e).__name__}": ({_call: raises(e)}, type(e).__name__) for e in NO_ERRORS}


@pytest.mark.parametrize("case", BEFORE)
def test_a_mistake_before_the_intent_holds_its_own_unit_alone(room: Room, case: str) -> None:
    changed, told = BEFORE[case]
    unit, good = send_both(room, Wrong(**changed))
    assert (unit.state, unit.code, good) == ("held", "channel_error", "finished")
    assert told in unit.reason
    assert "wrong.one" in unit.reason
    assert room.channels["wrong.one"].writes == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("case", AFTER)
def test_a_mistake_after_the_write_leaves_its_own_unit_in_doubt_alone(room: Room, case: str) -> None:
    changed, told = AFTER[case]
    unit, good = send_both(room, Wrong(**changed))
    assert (unit.state, unit.code, good) == ("unknown", "channel_error", "finished")
    assert told in unit.reason
    assert "wrong.one" in unit.reason


@pytest.mark.parametrize(("step", "pushes"), [("connect", 1), ("transmit", 3)])
def test_a_batch_is_written_to_its_end_though_its_plugin_is_set_aside_in_the_middle(
    room: Room, step: str, pushes: int
) -> None:
    """A page may find that out at any moment; whoever is being written to then must not be left in doubt."""

    def set_aside(answer: Any) -> Any:
        room.channels.pop("wrong.one", None)
        return answer

    leaving = Wrong(**{step: set_aside})
    room.channels["wrong.one"] = leaving
    sent = [room.send(f"b{number}", channel="wrong.one") for number in range(pushes)]
    room.run()
    assert [room.states(push) for push in sent] == [["accepted"]] * pushes
    assert len(leaving.writes) == pushes


def test_a_mistake_in_reading_that_nothing_was_written_is_tried_again(room: Room) -> None:
    wrong = Wrong(
        transmit=lambda _seen: Observation(wrote=False, fault="refused"), classify=lambda _verdict: None
    )
    unit, good = send_both(room, wrong)
    assert (unit.state, good) == ("retry_wait", "finished")


def test_nothing_written_is_never_taken_for_accepted(room: Room) -> None:
    wrong = Wrong(
        transmit=lambda _seen: Observation(wrote=False),
        classify=lambda _verdict: Verdict(Outcome.ACCEPTED, ref=Ref("r")),
    )
    unit, _good = send_both(room, wrong)
    assert unit.state == "retry_wait"


@pytest.mark.parametrize("error", [OSError("already gone"), SystemExit(1)], ids=repr)
def test_a_line_that_will_not_close_changes_nothing(room: Room, error: BaseException) -> None:
    unit, good = send_both(room, Wrong(connect=lambda _line: _LineThatWillNotClose(error)))
    assert (unit.state, good) == ("accepted", "finished")


def test_a_text_that_no_database_takes_is_made_one_that_it_takes(room: Room) -> None:
    odd = "\x1eline\x00 \ud800 end"
    wrong = Wrong(
        transmit=becomes(body=b"\x00\xff\x1e"),
        classify=lambda _v: Verdict(Outcome.REFUSED, reason=odd, code="x" * 50, failed={"b1": odd}),
    )
    unit, good = send_both(room, wrong)
    assert (unit.state, good) == ("failed", "finished")
    assert unit.reason == " line\N{REPLACEMENT CHARACTER} ? end"
    assert unit.code == "x" * 32


@pytest.mark.parametrize(
    "changed",
    [
        {"compose": raises(OSError(f"https://far.example/send?access_token={SECRET}&v=1"))},
        {"connect": raises(NotConnected(f"cannot reach https://far.example/?key={SECRET}"))},
        {"connect": raises(RuntimeError(f"token {SECRET} is stale"))},
        {"transmit": becomes(wrote=True, status=None, body=b"", fault=f"GET /?secret={SECRET}: reset")},
        {"transmit": raises(RuntimeError(SECRET))},
        {"transmit": becomes(body=json.dumps({"errcode": 1, "echo": SECRET}).encode())},
        {"classify": lambda _v: Verdict(Outcome.REFUSED, reason=f"bad {SECRET}", failed={"b1": SECRET})},
        {"classify": lambda _v: Verdict(Outcome.AMBIGUOUS, reason=Filled("%(why)s!", why=SECRET))},
    ],
    ids=[
        *("an address raised", "an address of connect", "a value raised", "a fault", "a value in transmit"),
        *("an answer", "a verdict", "a verdict with slots"),
    ],
)
def test_no_secret_reaches_the_database(room: Room, changed: dict[str, Callable[..., Any]]) -> None:
    living = Secret(SECRET)
    wrong = Wrong(**changed)
    unit, _good = send_both(room, wrong)
    stored = [unit.reason, *map(str, _everything_stored(room))]
    assert not [text for text in stored if living.reveal() in text]


def test_what_looks_secret_is_kept_out_although_nobody_named_it(room: Room) -> None:
    url = "https://far.example/send?access_token=UNNAMED1&a=1 key=UNNAMED2 corpsecret=UNNAMED3"
    unit, _good = send_both(room, Wrong(connect=raises(OSError(url))))
    assert "UNNAMED" not in unit.reason
    assert "access_token=***&a=1" in unit.reason


def _everything_stored(room: Room) -> Iterable[object]:
    """Every text that sending has left behind."""
    queries = (
        "SELECT evidence FROM attempt",
        "SELECT reason FROM unit",
        "SELECT reason FROM target",
        "SELECT held_reason FROM push",
    )
    with room.database.read() as session:
        for query in queries:
            yield from (value for value in session.execute(text(query)).scalars() if value)


# --- what is asked besides the sending ---


class Asked(FakeChannel):
    """Answers everything else with what it is given."""

    def __init__(self, answer: Any) -> None:
        super().__init__("asked.one", abilities=Abilities(acceptance="async", asset_ttl=timedelta(days=1)))
        self._answer = answer

    def _given(self) -> Any:
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer

    def upload(self, asset: Asset) -> Any:
        return self._given()

    def find(self, request: Request, window: Window) -> Any:
        return self._given()

    def results(self, ref: Ref) -> Any:
        return self._given()

    def cancel(self, ref: Ref) -> Any:
        return self._given()


_NOW = datetime(2026, 11, 23, tzinfo=UTC)
_CALLS: dict[str, Callable[[FakeChannel], object]] = {
    "upload": lambda channel: asking.uploaded(channel, Asset("a", "image/png", "ab" * 32, 1, Path("a"))),
    "find": lambda channel: asking.found(channel, Request("send", b"", ()), Window(_NOW, _NOW)),
    "results": lambda channel: asking.results(channel, Ref("r")),
    "cancel": lambda channel: asking.cancelled(channel, Ref("r")),
}


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        *((call, answer) for call in _CALLS for answer in (None, "text", ["text"], 7, KeyError("x"))),
        ("upload", AssetRef("r", datetime(2026, 11, 23))),  # noqa: DTZ001  the mistake
        ("find", [Ref(7)]),  # type: ignore[arg-type]
        ("results", [TargetResult("g1", "delivered")]),  # type: ignore[arg-type]
    ],
)
def test_any_other_wrong_answer_is_a_fault_of_the_channel(call: str, answer: Any) -> None:
    with pytest.raises(asking.ChannelFault, match=f"asked.one.* in {call}"):
        _CALLS[call](Asked(answer))


@pytest.mark.parametrize("error", NO_ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("call", _CALLS)
def test_what_is_not_even_an_error_is_a_fault_of_the_channel_in_a_worker(
    room: Room, call: str, error: BaseException
) -> None:
    answer = room.pool.submit(_CALLS[call], Asked(error))
    with pytest.raises(asking.ChannelFault, match=f"asked.one.* in {call}.*{type(error).__name__}"):
        answer.result()


@pytest.mark.parametrize("call", _CALLS)
def test_whoever_stops_a_command_is_not_taken_for_a_channel_that_makes_a_mistake(call: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        _CALLS[call](Asked(KeyboardInterrupt()))


@pytest.mark.parametrize("call", _CALLS)
def test_a_far_end_that_cannot_be_asked_stays_that_and_tells_no_secret(call: str) -> None:
    with pytest.raises(NotConnected) as raised:
        _CALLS[call](Asked(NotConnected("GET /?access_token=ABC", config=True)))
    assert raised.value.reason == str(raised.value) == "GET /?access_token=***"
    assert raised.value.config


def test_wrong_results_leave_the_others_results_to_be_asked(room: Room) -> None:
    wrong = Asked(["delivered"])
    room.channels[wrong.name] = wrong
    room.channel.abilities = replace(room.channel.abilities, acceptance="async")
    bad, good = room.send("b1", channel=wrong.name), room.send("g1")
    room.run()
    room.clock.advance(timedelta(seconds=10))
    assert room.results.poll() == 2
    assert (room.states(bad), room.states(good)) == (["accepted"], ["accepted"])


def test_checking_a_message_costs_a_few_microseconds() -> None:
    channel = FakeChannel()
    targets = [Target("g1")]
    message = Message("psh_1", "tok", "t", "x", options={})
    request = asking.composed(channel, message, targets)
    assert isinstance(request, Request)
    seen = Observation(wrote=True, status=200, body=b'{"does": "accept", "ref": "ref-1"}')

    def plainly() -> None:
        channel.compose(message, targets)
        channel.classify(seen)

    def asked() -> None:
        asking.composed(channel, message, targets)
        check_verdict(channel.classify(seen), seen)

    def took(work: Callable[[], None]) -> float:
        best = float("inf")
        for _turn in range(5):
            begun = time.perf_counter()
            for _each in range(300):
                work()
            best = min(best, time.perf_counter() - begun)
        return best / 300

    assert took(asked) - took(plainly) < 100e-6
