"""A far end in memory, a channel that keeps every rule of the contract, and many that break one each."""

import json
import random
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import lanmu
from lanmu.interfaces.channels import (
    Abilities,
    Asset,
    AssetRef,
    CancelResult,
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
    TargetState,
    Verdict,
    Window,
)
from lanmu.interfaces.secrets import Secret
from lanmu.testing.clock import FakeClock
from lanmu.testing.contracts import Behaviour
from lanmu.testing.fakes import refusal_of

NOW = FakeClock().now()


class Service:
    """A far end with a wire, in memory: it says no inside a 200, as WeCom does."""

    def __init__(self) -> None:
        self.behaviour = Behaviour.ACCEPT
        self.clock = FakeClock()
        self._writes: list[bytes] = []

    def behave(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour

    @property
    def writes(self) -> Sequence[bytes]:
        return self._writes

    def post(self, body: bytes) -> tuple[int, bytes]:
        if self.behaviour is not Behaviour.UNREACHABLE:
            self._writes.append(body)
        return self._answer({"errcode": 0, "msgid": f"m{len(self._writes)}"})

    def listed(self) -> tuple[int, bytes]:
        """What it has taken: the name of each, when it came and its bytes."""
        rows = [
            {"msgid": f"m{n}", "at": NOW.isoformat(), "body": body.decode()}
            for n, body in enumerate(self._writes, 1)
        ]
        return self._answer({"errcode": 0, "rows": rows})

    def stopped(self) -> tuple[int, bytes]:
        return self._answer({"errcode": 0})

    def _answer(self, answer: object) -> tuple[int, bytes]:
        match self.behaviour:
            case Behaviour.UNREACHABLE:
                raise ConnectionRefusedError("connection refused")
            case Behaviour.BROKEN:
                return 500, b"<html><h1>Internal"
            case Behaviour.DROP:
                raise ConnectionResetError("reset by peer")
            case Behaviour.SLOW:
                raise TimeoutError("no answer within the deadline")
            case Behaviour.GARBAGE:
                return 200, b"<html><h1>502 Bad"
            case Behaviour.REFUSE:
                return 200, b'{"errcode": 40003, "errmsg": "invalid user"}'
        return 200, json.dumps(answer).encode()


class Sound(lanmu.BaseChannel):
    """A channel that keeps every rule."""

    name = "sound.wire"
    title = "Sound"
    abilities = Abilities(
        lookup=True,
        settle=timedelta(minutes=1),
        acceptance="async",
        cancel=True,
        batch_max=5,
        text_bytes=300,
    )

    def __init__(self, service: Service) -> None:
        self.service = service
        self.secret = Secret("s3cr3t-of-the-corp")

    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        refusal = refusal_of(self.abilities, message)
        if refusal is not None:
            return refusal
        keys = tuple(target.key for target in targets)
        files = [asset.sha256 for asset in message.assets]
        body = {
            "unit": message.token,
            "text": message.text,
            "to": keys,
            "files": files,
            "options": dict(message.options),
        }
        return Request("send", json.dumps(body, sort_keys=True).encode(), keys, message.sender)

    def connect(self, request: Request) -> Line | None:
        if self.service.behaviour is Behaviour.UNREACHABLE:
            raise NotConnected("connection refused")
        return None

    def transmit(self, request: Request, line: Line | None) -> Observation:
        try:
            status, body = self.service.post(request.body)
        except ConnectionRefusedError as error:
            return Observation(wrote=False, fault=str(error))
        except OSError as error:
            return Observation(wrote=True, fault=str(error))
        return Observation(wrote=True, status=status, body=body)

    def classify(self, observation: Observation) -> Verdict:
        if not observation.wrote:
            return Verdict(Outcome.NOT_SENT, reason=observation.fault)
        try:
            answer = json.loads(observation.body)
            code = int(answer["errcode"])
        except (ValueError, TypeError, KeyError):
            return Verdict(Outcome.AMBIGUOUS, reason=observation.fault or "no answer that can be read")
        if code:
            return Verdict(Outcome.REFUSED, reason=str(answer.get("errmsg", "")), code=str(code))
        return Verdict(Outcome.ACCEPTED, ref=Ref(str(answer.get("msgid", ""))))

    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        return [
            Ref(row["msgid"])
            for row in self.asked(self.service.listed)["rows"]
            if row["body"].encode() == request.body
            and window.since <= datetime.fromisoformat(row["at"]) <= window.until
        ]

    def results(self, ref: Ref) -> Iterable[TargetResult]:
        rows = self.asked(self.service.listed)["rows"]
        return [
            TargetResult(key, TargetState.WAITING)
            for row in rows
            if row["msgid"] == ref.id
            for key in json.loads(row["body"])["to"]
        ]

    def cancel(self, ref: Ref) -> CancelResult:
        self.asked(self.service.stopped)
        return CancelResult(cancelled=True)

    def asked(self, question: Callable[[], tuple[int, bytes]]) -> dict[str, Any]:
        """An answer that says that it is one. Raises NotConnected for all else."""
        try:
            status, body = question()
            answer: dict[str, Any] = json.loads(body)
            code = answer["errcode"]
        except (OSError, ValueError, KeyError) as error:
            raise NotConnected(f"{type(error).__name__}: {error}") from error
        if status != 200 or code != 0:
            raise NotConnected(f"HTTP {status}, errcode {code}")
        return answer


class RollsDice(Sound):
    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        request = super().compose(message, targets)
        return (
            replace(request, meta={"nonce": str(random.random())})
            if isinstance(request, Request)
            else request
        )


class WritesWhileComposing(Sound):
    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        self.service.post(b"warming up")
        return super().compose(message, targets)


class LosesTargets(Sound):
    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        return super().compose(message, targets[:1])


class TellsItsSecret(Sound):
    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        request = super().compose(message, targets)
        meta = {"token": self.secret.reveal()}
        return replace(request, meta=meta) if isinstance(request, Request) else request


class CountsCharacters(Sound):
    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        if len(message.text) > self.abilities.text_bytes:
            return Refusal("Too long: 300 are allowed.")
        return super().compose(replace(message, text=""), targets)


class PromisesTooMuch(Sound):
    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        return (
            Refusal("Too long: 200 are allowed.")
            if len(message.text) > 200
            else super().compose(message, targets)
        )


class RefusesWithoutNumbers(Sound):
    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        answer = super().compose(message, targets)
        return Refusal("Too long.") if isinstance(answer, Refusal) else answer


class UploadsForever(Sound):
    """Says of an uploaded file, in a wall time of nobody's, until when it is known."""

    abilities = replace(Sound.abilities, asset_ttl=timedelta(days=3))

    def upload(self, asset: Asset) -> AssetRef:
        self.asked(self.service.stopped)
        return AssetRef(f"media-{asset.name}", self.until())

    def until(self) -> datetime:
        return datetime(2099, 1, 1)  # noqa: DTZ001  that is the fault


class UploadsSoundly(UploadsForever):
    def until(self) -> datetime:
        return NOW + timedelta(days=3)


class UploadsWithoutAName(UploadsSoundly):
    def upload(self, asset: Asset) -> AssetRef:
        return replace(super().upload(asset), ref="")


class SendsWhileUploading(UploadsSoundly):
    def upload(self, asset: Asset) -> AssetRef:
        self.service.post(asset.name.encode())
        return super().upload(asset)


class StumblesWhileUploading(UploadsSoundly):
    def upload(self, asset: Asset) -> AssetRef:
        self.service.stopped()
        return super().upload(asset)


class TellsTheTime(Sound):
    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        request = super().compose(message, targets)
        at = {"at": self.service.clock.now().isoformat()}
        return replace(request, meta=at) if isinstance(request, Request) else request


class CutsLongTexts(Sound):
    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        request = super().compose(message, targets)
        if isinstance(request, Refusal):
            return request
        return super().compose(replace(message, text=message.text[:50]), targets)


class TakesTheFirstFile(Sound):
    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        request = super().compose(message, targets)
        if isinstance(request, Refusal):
            return request
        return super().compose(replace(message, assets=message.assets[:1]), targets)


class TakesAnyFile(Sound):
    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        return super().compose(replace(message, assets=()), targets)


class TriesAgain(Sound):
    def transmit(self, request: Request, line: Line | None) -> Observation:
        seen = super().transmit(request, line)
        return seen if seen.status is not None else super().transmit(request, line)


class ConnectsWithText(Sound):
    def connect(self, request: Request) -> Any:
        return super().connect(request) or "a line"


class KeepsAShortSecret(Sound):
    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.secret = Secret("to")


class _SeenLine:
    def __init__(self, seen: Observation) -> None:
        self.seen = seen

    def close(self) -> None:
        pass


class WritesWhileConnecting(Sound):
    """Writes before the core has stored that it will: after a crash between, it is written again."""

    def connect(self, request: Request) -> Line | None:
        super().connect(request)
        return _SeenLine(Sound.transmit(self, request, None))

    def transmit(self, request: Request, line: Line | None) -> Observation:
        assert isinstance(line, _SeenLine)
        return line.seen


class RemembersTheLastMessage(Sound):
    """Two threads that compose and then write send the second message twice, and the first never."""

    body = b""

    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        request = super().compose(message, targets)
        self.body = request.body if isinstance(request, Request) else b""
        return request

    def transmit(self, request: Request, line: Line | None) -> Observation:
        return super().transmit(replace(request, body=self.body), line)


class RemembersTheLastAnswer(Sound):
    """Two threads that write and then read give both messages one reference."""

    seen = b""

    def transmit(self, request: Request, line: Line | None) -> Observation:
        observation = super().transmit(request, line)
        self.seen = observation.body
        return observation

    def classify(self, observation: Observation) -> Verdict:
        verdict = super().classify(observation)
        return super().classify(replace(observation, body=self.seen)) if verdict.ref else verdict


class CallsEverythingTheSame(Sound):
    def classify(self, observation: Observation) -> Verdict:
        verdict = super().classify(observation)
        return replace(verdict, ref=Ref("campaign")) if verdict.ref else verdict

    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        return [Ref("campaign") for _each in super().find(request, window)]

    def results(self, ref: Ref) -> Iterable[TargetResult]:
        return ()


class Raises(Sound):
    def transmit(self, request: Request, line: Line | None) -> Observation:
        status, body = self.service.post(request.body)
        return Observation(wrote=True, status=status, body=body)


class LooksAtTheStatusAlone(Sound):
    def classify(self, observation: Observation) -> Verdict:
        verdict = lanmu.BaseChannel.classify(self, observation)
        return replace(verdict, ref=Ref("m1")) if verdict.outcome is Outcome.ACCEPTED else verdict


class TakesATimeoutForSuccess(Sound):
    def classify(self, observation: Observation) -> Verdict:
        if observation.wrote and observation.status is None:
            return Verdict(Outcome.ACCEPTED, ref=Ref("m1"))
        return super().classify(observation)


class TakesATimeoutForFailure(Sound):
    def classify(self, observation: Observation) -> Verdict:
        if observation.wrote and observation.status is None:
            return Verdict(Outcome.NOT_SENT, reason="timeout")
        return super().classify(observation)


class TakesATimeoutByItsWordForFailure(Sound):
    """The far end of its tests names a timeout otherwise."""

    def classify(self, observation: Observation) -> Verdict:
        if observation.wrote and observation.fault == "timeout":
            return Verdict(Outcome.NOT_SENT, reason="timeout")
        return super().classify(observation)


class TakesAGatewaysTimeoutForLater(Sound):
    def classify(self, observation: Observation) -> Verdict:
        if observation.wrote and observation.status in (502, 504):
            return Verdict(Outcome.LATER, reason="the service is busy")
        return super().classify(observation)


class SaysItWroteNothing(Sound):
    def connect(self, request: Request) -> Line | None:
        return None

    def transmit(self, request: Request, line: Line | None) -> Observation:
        return replace(super().transmit(request, line), wrote=True)


class ClaimsWhatItNeverSaw(Sound):
    def classify(self, observation: Observation) -> Verdict:
        return super().classify(replace(observation, wrote=True))


class StumblesOverJson(Sound):
    def classify(self, observation: Observation) -> Verdict:
        if observation.wrote and observation.body.startswith(b"["):
            raise TypeError("list indices must be integers")
        return super().classify(observation)


class ForgetsTheReference(Sound):
    def classify(self, observation: Observation) -> Verdict:
        return replace(super().classify(observation), ref=None)


class FindsNothing(Sound):
    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        return ()


class FindsEverything(Sound):
    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        return [Ref(f"m{n}") for n, _body in enumerate(self.service.writes, 1)]


class TakesNoAnswerForNothing(Sound):
    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        try:
            return super().find(request, window)
        except NotConnected:
            return ()


class TakesARefusalForNothing(Sound):
    """Reads the rows of an answer without a look at whether it is one."""

    def asked(self, question: Callable[[], tuple[int, bytes]]) -> dict[str, Any]:
        try:
            return super().asked(question)
        except NotConnected as error:
            if "errcode 40003" in error.reason:
                return {"rows": []}
            raise


class TakesAGatewayForNothing(Sound):
    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        if self.service.behaviour is Behaviour.BROKEN:
            return ()
        return super().find(request, window)


class StumblesWhenAsking(Sound):
    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        try:
            return super().find(request, window)
        except NotConnected as error:
            raise ValueError("Expecting value: line 1 column 1") from error


class TellsItsSecretWhenAsking(Sound):
    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        try:
            return super().find(request, window)
        except NotConnected as error:
            raise NotConnected(f"{error.reason} ?key={self.secret.reveal()}") from error


class LooksForTheTextAlone(Sound):
    """Takes one batch of a push for another: one is lost, the other is sent again."""

    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        text = json.loads(request.body)["text"]
        return [
            Ref(row["msgid"])
            for row in self.asked(self.service.listed)["rows"]
            if json.loads(row["body"])["text"] == text
            and window.since <= datetime.fromisoformat(row["at"]) <= window.until
        ]


class FindsHalfAReference(Sound):
    """What `results` needs besides the id comes with an acceptance alone."""

    def classify(self, observation: Observation) -> Verdict:
        verdict = super().classify(observation)
        ref = verdict.ref and Ref(verdict.ref.id, {"kind": "group"})
        return replace(verdict, ref=ref)

    def results(self, ref: Ref) -> Iterable[TargetResult]:
        return [replace(each, reason=ref.detail["kind"]) for each in super().results(ref)]


class LooksAtAnyTime(Sound):
    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        return super().find(request, Window(NOW - timedelta(days=9), NOW + timedelta(days=9)))


class SendsWhatItDoesNotFind(Sound):
    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        found = super().find(request, window)
        if not found:
            self.service.post(request.body)
        return found


class TakesNoAnswerForDelivered(Sound):
    def results(self, ref: Ref) -> Iterable[TargetResult]:
        try:
            self.asked(self.service.stopped)
        except NotConnected:
            return [TargetResult("group-1", TargetState.DELIVERED)]
        return super().results(ref)


class TakesNoAnswerForNoResult(Sound):
    """With nothing to tell of anybody, a cancelled push would be taken for stopped everywhere."""

    def results(self, ref: Ref) -> Iterable[TargetResult]:
        try:
            self.asked(self.service.stopped)
        except NotConnected:
            return ()
        return super().results(ref)


class StumblesOverResults(Sound):
    def results(self, ref: Ref) -> Iterable[TargetResult]:
        _status, body = self.service.stopped()
        json.loads(body)
        return super().results(ref)


class CallsAWireLocal(Sound):
    """Declares that nothing can be lost on the way, and writes to another process."""

    abilities = replace(Sound.abilities, local=True)

    def transmit(self, request: Request, line: Line | None) -> Observation:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname()).close()
        return super().transmit(request, line)


class CancelsUnheard(Sound):
    def cancel(self, ref: Ref) -> CancelResult:
        try:
            return super().cancel(ref)
        except NotConnected:
            return CancelResult(cancelled=True)


class SettlesAtOnce(Sound):
    abilities = replace(Sound.abilities, settle=timedelta(0))


class MisspellsAnAbility(Sound):
    """Nobody would ask it for results."""

    abilities = replace(Sound.abilities, acceptance="asynch")  # type: ignore[arg-type]


class NeverWroteItsLookup(Sound):
    find = lanmu.BaseChannel.find


class SpeaksOfStrangers(Sound):
    def results(self, ref: Ref) -> Iterable[TargetResult]:
        return [TargetResult("somebody", TargetState.DELIVERED)]


class KeepsQuietAboutCancelling(Sound):
    def cancel(self, ref: Ref) -> CancelResult:
        return CancelResult(cancelled=False)


class SendsUnderAnyName(Sound):
    name = "Sound Wire!"


class ComposesText(Sound):
    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        request = super().compose(message, targets)
        text: Any = message.text
        return replace(request, body=text) if isinstance(request, Request) else request


class KeepsAnInstantInMeta(Sound):
    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        request = super().compose(message, targets)
        meta: Any = {"at": FakeClock().now()}
        return replace(request, meta=meta) if isinstance(request, Request) else request


class SeesText(Sound):
    def transmit(self, request: Request, line: Line | None) -> Observation:
        seen = super().transmit(request, line)
        text: Any = seen.body.decode()
        return replace(seen, body=text)

    def classify(self, observation: Observation) -> Verdict:
        body: Any = observation.body
        return super().classify(replace(observation, body=body.encode() if isinstance(body, str) else body))


class NamesWithText(Sound):
    def classify(self, observation: Observation) -> Verdict:
        verdict = super().classify(observation)
        ref: Any = verdict.ref.id if verdict.ref else None
        return replace(verdict, ref=ref)


class WaitsSeconds(Sound):
    def classify(self, observation: Observation) -> Verdict:
        wait: Any = 60
        return replace(super().classify(observation), retry_after=wait)


class WaitsSecondsForALine(Sound):
    def connect(self, request: Request) -> Line | None:
        wait: Any = 60
        if self.service.behaviour is Behaviour.UNREACHABLE:
            raise NotConnected("connection refused", retry_after=wait)
        return None


class TellsItsAddress(Sound):
    def connect(self, request: Request) -> Line | None:
        if self.service.behaviour is Behaviour.UNREACHABLE:
            raise NotConnected(f"cannot reach https://far.example/?key={self.secret.reveal()}")
        return None


class TellsItsAddressAfterwards(Sound):
    def classify(self, observation: Observation) -> Verdict:
        verdict = super().classify(observation)
        return replace(verdict, reason=verdict.reason and f"{verdict.reason}: {self.secret.reveal()}")


class AnswersNothing(Sound):
    def classify(self, observation: Observation) -> Any:
        return super().classify(observation) if observation.wrote else None


class DeafToQuestions(Service):
    """A far end that misbehaves when it is sent something, and never when it is asked."""

    def listed(self) -> tuple[int, bytes]:
        self.behaviour = Behaviour.ACCEPT
        return super().listed()
