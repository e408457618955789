"""The contracts pass a sound channel, and fail each broken one with the name of the rule that it breaks."""

import importlib
import inspect
import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint
from flask.views import MethodView
from marshmallow import Schema, fields

import lanmu
from lanmu.interfaces.access import requires
from lanmu.interfaces.channels import (
    Abilities,
    CancelResult,
    Channel,
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
from lanmu.testing.contracts import Behaviour, ChannelContract
from lanmu.testing.doubt_contract import DoubtContract
from lanmu.testing.fakes import refusal_of
from lanmu.testing.plugin_contract import PluginContract

NOW = FakeClock().now()


class Service:
    """A far end with a wire, in memory: it says no inside a 200, as WeCom does."""

    def __init__(self) -> None:
        self.behaviour = Behaviour.ACCEPT
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
        body = {"unit": message.token, "text": message.text, "to": keys, "options": dict(message.options)}
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
        body = json.loads(self.service.writes[int(ref.id[1:]) - 1])
        return [TargetResult(key, TargetState.WAITING) for key in body["to"]]

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


class TakesAnyFile(Sound):
    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        return super().compose(replace(message, assets=()), targets)


class TriesAgain(Sound):
    def transmit(self, request: Request, line: Line | None) -> Observation:
        seen = super().transmit(request, line)
        return seen if seen.status is not None else super().transmit(request, line)


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


class LooksAtAnyTime(Sound):
    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        return super().find(request, Window(NOW - timedelta(days=9), NOW + timedelta(days=9)))


class CancelsUnheard(Sound):
    def cancel(self, ref: Ref) -> CancelResult:
        try:
            return super().cancel(ref)
        except NotConnected:
            return CancelResult(cancelled=True)


class SettlesAtOnce(Sound):
    abilities = replace(Sound.abilities, settle=timedelta(0))


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


class QuickContract(DoubtContract):
    examples = 50


class DeafToQuestions(Service):
    """A far end that misbehaves when it is sent something, and never when it is asked."""

    def listed(self) -> tuple[int, bytes]:
        self.behaviour = Behaviour.ACCEPT
        return super().listed()


def broken_rules(
    make: Callable[[Service], Channel],
    tmp_path: Path,
    contract: ChannelContract | None = None,
    served: type[Service] = Service,
) -> set[str]:
    """Every rule of the contract that a channel breaks, case by case, each with a far end of its own."""
    rules = set()
    clock = FakeClock()
    window = Window(clock.now() - timedelta(hours=1), clock.now() + timedelta(hours=1))
    contract = contract or QuickContract()
    for name, case in inspect.getmembers(contract, inspect.ismethod):
        if not name.startswith("test_"):
            continue
        marks = [m for m in getattr(case, "pytestmark", ()) if m.name == "parametrize"]
        for value in marks[0].args[1] if marks else [None]:
            service = served()
            known: dict[str, Any] = {"channel": make(service), "far_end": service, "window": window}
            known["tmp_path"] = tmp_path
            if marks:
                known[marks[0].args[0]] = value
            wanted = {key: known[key] for key in inspect.signature(case).parameters}
            try:
                case(**wanted)
            except pytest.skip.Exception:
                continue
            except AssertionError as error:
                rules.add(str(error).partition(":")[0])
            except Exception as error:  # noqa: BLE001  a channel that raises breaks the case as well
                rules.add(type(error).__name__)
    return rules


def test_a_sound_channel_passes(tmp_path: Path) -> None:
    assert broken_rules(Sound, tmp_path) == set()


@pytest.mark.parametrize(
    ("channel", "rule"),
    [
        (RollsDice, "compose-deterministic"),
        (WritesWhileComposing, "compose-pure"),
        (LosesTargets, "request-targets"),
        (TellsItsSecret, "no-secret-in-request"),
        (CountsCharacters, "limit-kept"),
        (PromisesTooMuch, "limit-is-true"),
        (RefusesWithoutNumbers, "refusal-says-why"),
        (TakesAnyFile, "asset-kind"),
        (TakesAnyFile, "asset-count"),
        (TakesAnyFile, "asset-size"),
        (TriesAgain, "one-transmit-one-write"),
        (Raises, "transmit-never-raises"),
        (LooksAtTheStatusAlone, "refused-inside-200"),
        (LooksAtTheStatusAlone, "no-answer-is-ambiguous"),
        (TakesATimeoutForSuccess, "no-answer-is-ambiguous"),
        (TakesATimeoutForFailure, "no-answer-is-ambiguous"),
        (SaysItWroteNothing, "unreachable-is-not-sent"),
        (ClaimsWhatItNeverSaw, "nothing-written-nothing-sent"),
        (StumblesOverJson, "TypeError"),
        (ForgetsTheReference, "accepted-with-ref"),
        (FindsNothing, "find-sees-accepted"),
        (FindsEverything, "find-sees-no-other"),
        (TakesNoAnswerForNothing, "find-says-it-cannot-ask"),
        (TakesARefusalForNothing, "find-says-it-cannot-ask"),
        (TakesAGatewayForNothing, "find-says-it-cannot-ask"),
        (StumblesWhenAsking, "find-says-it-cannot-ask"),
        (TellsItsSecretWhenAsking, "no-secret-in-fault"),
        (LooksAtAnyTime, "find-keeps-its-window"),
        (CancelsUnheard, "cancel-says-it-cannot-ask"),
        (SettlesAtOnce, "settle-declared"),
        (NeverWroteItsLookup, "declared-is-written"),
        (SpeaksOfStrangers, "results-of-targets"),
        (KeepsQuietAboutCancelling, "cancel-says-why"),
        (SendsUnderAnyName, "name"),
        (ComposesText, "compose-bytes"),
        (KeepsAnInstantInMeta, "compose-meta"),
        (SeesText, "observation-type"),
        (NamesWithText, "verdict-ref"),
        (WaitsSeconds, "retry-after"),
        (WaitsSecondsForALine, "retry-after"),
        (TellsItsAddress, "no-secret-in-fault"),
        (TellsItsAddressAfterwards, "no-secret-in-fault"),
        (AnswersNothing, "classify-total"),
    ],
)
def test_a_broken_channel_fails_with_the_name_of_the_rule(
    channel: Callable[[Service], Channel], rule: str, tmp_path: Path
) -> None:
    assert rule in broken_rules(channel, tmp_path)


@pytest.mark.parametrize(
    "abilities",
    [{"lookup": True, "settle": timedelta(minutes=1)}, {"cancel": True}, {"idempotency": timedelta(hours=1)}],
)
def test_who_declares_what_settles_doubts_takes_the_contract_that_tries_it(
    tmp_path: Path, abilities: dict[str, Any]
) -> None:
    declares = type("Declares", (Sound,), {"abilities": Abilities(batch_max=5, text_bytes=300, **abilities)})
    easy = type("Easy", (ChannelContract,), {"examples": 5})()
    assert broken_rules(declares, tmp_path, easy) == {"doubt-contract"}


def test_a_far_end_that_answers_questions_as_if_nothing_were_wrong_is_told_so(tmp_path: Path) -> None:
    assert broken_rules(Sound, tmp_path, served=DeafToQuestions) == {"far-end-answers"}


@dataclass(frozen=True)
class LooseSettings:
    key: str = ""


class LooseSchema(Schema):
    key = fields.String()

    class Meta:
        unknown = "include"


class Loose(lanmu.Plugin[LooseSettings]):
    """Takes any setting, hears a push without ever running, and offers a channel under a stranger's name."""

    settings_schema = LooseSchema

    @lanmu.hookimpl
    def lanmu_pushed(self, receipt: object) -> Iterable[None]:
        yield None

    @lanmu.hookimpl
    def lanmu_channels(self) -> Iterable[Channel]:
        return [Sound(Service())]


class LooseContract(PluginContract):
    plugin = Loose


def test_a_loose_plugin_fails_with_the_names_of_the_rules(lanmu_host: Any, lanmu_load: Any) -> None:
    contract, loose = LooseContract(), Loose(LooseSettings(), lanmu_host)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        contract.test_its_settings_refuse_an_unknown_key()
    with pytest.raises(AssertionError, match="no-yield-in-tell"):
        contract.test_its_hooks_exist_and_can_be_called(loose)
    with pytest.raises(AssertionError, match="named-prefix"):
        contract.test_its_channels_carry_its_name(loose)


def test_a_misspelt_hook_is_found(lanmu_host: Any) -> None:
    class Misspelt(lanmu.Plugin[LooseSettings]):
        @lanmu.hookimpl
        def lanmu_chanels(self) -> Iterable[Channel]:
            return []

    class Contract(PluginContract):
        plugin = Misspelt

    with pytest.raises(Exception, match="lanmu_chanels"):
        Contract().test_its_hooks_exist_and_can_be_called(Misspelt(LooseSettings(), lanmu_host))


class _ByMethod(MethodView):
    @requires("content.view")
    def get(self) -> str:
        return ""

    def post(self) -> str:
        return ""


class _Unheard(MethodView):
    @requires("content.veiw")
    def get(self) -> str:
        return ""


@pytest.mark.parametrize(
    ("view", "rule"), [(_ByMethod, r"permission-named.*\(POST\)"), (_Unheard, "permission-known.*veiw")]
)
def test_every_method_of_a_view_needs_a_permission_that_there_is(
    lanmu_host: Any, view: type[MethodView], rule: str
) -> None:
    class Paged(lanmu.Plugin[LooseSettings]):
        @lanmu.hookimpl
        def lanmu_blueprints(self) -> Iterable[Blueprint]:
            pages = Blueprint("paged", "stranger")
            pages.add_url_rule("/", view_func=view.as_view("both"))
            return [pages]

    class Contract(PluginContract):
        plugin = Paged

    with pytest.raises(AssertionError, match=rule):
        Contract().test_every_view_names_a_permission(Paged(LooseSettings(), lanmu_host))


def test_a_brand_may_be_translated_as_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lanmu_branded"
    (package / "translations" / "zh_CN").mkdir(parents=True)
    (package / "__init__.py").write_text(
        "import lanmu\nfrom lanmu.i18n import _\n\nTITLE = _('DingTalk')\nMORE = _('More')\n\n\n"
        "class BrandedPlugin(lanmu.Plugin):\n    pass\n"
    )
    catalog = package / "translations" / "zh_CN" / "messages.po"
    catalog.write_text('msgid ""\nmsgstr ""\n\nmsgid "DingTalk"\nmsgstr "DingTalk"\n')
    monkeypatch.syspath_prepend(str(tmp_path))

    class Contract(PluginContract):
        plugin = importlib.import_module("lanmu_branded").BrandedPlugin

    with pytest.raises(AssertionError, match=r"translated: no Chinese for \['More'\]"):
        Contract().test_every_text_has_its_translation()
    with catalog.open("a") as file:
        file.write('\nmsgid "More"\nmsgstr "更多"\n')
    Contract().test_every_text_has_its_translation()
