"""The contracts pass a sound channel, and fail each broken one with the name of the rule that it breaks."""

import importlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint
from flask.views import MethodView
from marshmallow import Schema, fields
from tests.testing_kit import broken_channels as broken
from tests.testing_kit.broken_channels import NOW, DeafToQuestions, Service, Sound

import lanmu
from lanmu.interfaces.access import requires
from lanmu.interfaces.channels import (
    Abilities,
    Channel,
    Window,
)
from lanmu.interfaces.host import MenuItem
from lanmu.testing.contracts import ChannelContract
from lanmu.testing.doubt_contract import DoubtContract
from lanmu.testing.plugin_contract import PluginContract


class QuickContract(DoubtContract):
    examples = 50


def broken_rules(
    make: Callable[[Service], Channel],
    tmp_path: Path,
    contract: ChannelContract | None = None,
    served: type[Service] = Service,
) -> set[str]:
    """Every rule of the contract that a channel breaks, case by case, each with a far end of its own."""
    rules = set()
    window = Window(NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    contract = contract or QuickContract()
    for name, case in inspect.getmembers(contract, inspect.ismethod):
        if not name.startswith("test_"):
            continue
        marks = [m for m in getattr(case, "pytestmark", ()) if m.name == "parametrize"]
        for value in marks[0].args[1] if marks else [None]:
            service = served()
            known: dict[str, Any] = {"channel": make(service), "far_end": service, "window": window}
            known |= {"tmp_path": tmp_path, "lanmu_clock": service.clock}
            if marks:
                known[marks[0].args[0]] = value
            try:
                with pytest.MonkeyPatch.context() as known["monkeypatch"]:
                    case(**{key: known[key] for key in inspect.signature(case).parameters})
            except pytest.skip.Exception:
                continue
            except AssertionError as error:
                rules.add(str(error).partition(":")[0])
            except Exception as error:  # noqa: BLE001  a channel that raises breaks the case as well
                rules.add(type(error).__name__)
    return rules


@pytest.mark.parametrize("channel", [Sound, broken.UploadsSoundly])
def test_a_sound_channel_passes(channel: Callable[[Service], Channel], tmp_path: Path) -> None:
    assert broken_rules(channel, tmp_path) == set()


@pytest.mark.parametrize(
    ("channel", "rule"),
    [
        (broken.RollsDice, "compose-deterministic"),
        (broken.TellsTheTime, "compose-deterministic"),
        (broken.WritesWhileComposing, "compose-pure"),
        (broken.LosesTargets, "request-targets"),
        (broken.TellsItsSecret, "no-secret-in-request"),
        (broken.CountsCharacters, "limit-kept"),
        (broken.PromisesTooMuch, "limit-is-true"),
        (broken.RefusesWithoutNumbers, "refusal-says-why"),
        (broken.CutsLongTexts, "text-whole"),
        (broken.TakesTheFirstFile, "asset-kept"),
        (broken.UploadsForever, "upload-type"),
        (broken.UploadsWithoutAName, "upload-named"),
        (broken.SendsWhileUploading, "upload-sends-nothing"),
        (broken.StumblesWhileUploading, "upload-says-it-cannot-ask"),
        (broken.TakesAnyFile, "asset-kind"),
        (broken.TakesAnyFile, "asset-count"),
        (broken.TakesAnyFile, "asset-size"),
        (broken.TriesAgain, "one-transmit-one-write"),
        (broken.KeepsAShortSecret, "secret-too-short"),
        (broken.ConnectsWithText, "connect-type"),
        (broken.WritesWhileConnecting, "connect-sends-nothing"),
        (broken.RemembersTheLastMessage, "keeps-calls-apart"),
        (broken.RemembersTheLastAnswer, "ref-names-one"),
        (broken.CallsEverythingTheSame, "ref-names-one"),
        (broken.CallsAWireLocal, "local-is-local"),
        (broken.Raises, "transmit-never-raises"),
        (broken.LooksAtTheStatusAlone, "refused-inside-200"),
        (broken.LooksAtTheStatusAlone, "no-answer-is-ambiguous"),
        (broken.TakesATimeoutForSuccess, "no-answer-is-ambiguous"),
        (broken.TakesATimeoutForFailure, "no-answer-is-ambiguous"),
        (broken.TakesATimeoutByItsWordForFailure, "no-answer-is-ambiguous"),
        (broken.TakesAGatewaysTimeoutForLater, "gateway-is-ambiguous"),
        (broken.SaysItWroteNothing, "unreachable-is-not-sent"),
        (broken.ClaimsWhatItNeverSaw, "nothing-written-nothing-sent"),
        (broken.StumblesOverJson, "TypeError"),
        (broken.ForgetsTheReference, "accepted-with-ref"),
        (broken.FindsNothing, "find-sees-accepted"),
        (broken.FindsEverything, "find-sees-no-other"),
        (broken.TakesNoAnswerForNothing, "find-says-it-cannot-ask"),
        (broken.TakesARefusalForNothing, "find-says-it-cannot-ask"),
        (broken.TakesAGatewayForNothing, "find-says-it-cannot-ask"),
        (broken.StumblesWhenAsking, "find-says-it-cannot-ask"),
        (broken.TellsItsSecretWhenAsking, "no-secret-in-fault"),
        (broken.LooksForTheTextAlone, "find-sees-no-other"),
        (broken.FindsHalfAReference, "find-serves-the-rest"),
        (broken.LooksAtAnyTime, "find-keeps-its-window"),
        (broken.SendsWhatItDoesNotFind, "find-sends-nothing"),
        (broken.TakesNoAnswerForDelivered, "results-says-it-cannot-ask"),
        (broken.TakesNoAnswerForNoResult, "results-says-it-cannot-ask"),
        (broken.StumblesOverResults, "results-says-it-cannot-ask"),
        (broken.CancelsUnheard, "cancel-says-it-cannot-ask"),
        (broken.SettlesAtOnce, "settle-declared"),
        (broken.MisspellsAnAbility, "channel-sound"),
        (broken.NeverWroteItsLookup, "declared-is-written"),
        (broken.SpeaksOfStrangers, "results-of-targets"),
        (broken.KeepsQuietAboutCancelling, "cancel-says-why"),
        (broken.SendsUnderAnyName, "name"),
        (broken.ComposesText, "compose-bytes"),
        (broken.KeepsAnInstantInMeta, "compose-meta"),
        (broken.SeesText, "observation-type"),
        (broken.NamesWithText, "verdict-ref"),
        (broken.WaitsSeconds, "retry-after"),
        (broken.WaitsSecondsForALine, "retry-after"),
        (broken.TellsItsAddress, "no-secret-in-fault"),
        (broken.TellsItsAddressAfterwards, "no-secret-in-fault"),
        (broken.AnswersNothing, "classify-total"),
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
    with pytest.raises(AssertionError, match=r"^settings-strict: .*takes any key"):
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


def test_a_menu_entry_that_nobody_may_see_is_found(lanmu_host: Any) -> None:
    class Listed(lanmu.Plugin[LooseSettings]):
        @lanmu.hookimpl
        def lanmu_blueprints(self) -> Iterable[Blueprint]:
            pages = Blueprint("listed", "stranger")
            pages.add_url_rule("/", "open", requires("content.view")(lambda: ""))
            return [pages]

        @lanmu.hookimpl
        def lanmu_menu(self) -> Iterable[MenuItem]:
            return [MenuItem("Listed", "listed.open", "content.veiw", "more")]

    class Contract(PluginContract):
        plugin = Listed

    with pytest.raises(AssertionError, match=r"permission-known: .*content\.veiw"):
        Contract().test_every_view_names_a_permission(Listed(LooseSettings(), lanmu_host))


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


def _package(folder: Path, name: str, code: str, monkeypatch: pytest.MonkeyPatch) -> type[PluginContract]:
    """The contract of a plugin whose package says this."""
    package = folder / f"lanmu_{name}"
    package.mkdir()
    (package / "__init__.py").write_text(f"{code}\nimport lanmu\n\n\nclass P(lanmu.Plugin):\n    pass\n")
    monkeypatch.syspath_prepend(str(folder))

    class Contract(PluginContract):
        plugin = importlib.import_module(f"lanmu_{name}").P

    return Contract


def test_a_plugin_that_reaches_behind_the_face_is_told_what_it_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "from lanmu import BaseChannel, hookimpl, i18n, secret_settings\n"
        "from lanmu.interfaces.channels import Target\n"
        "import lanmu.config\n"
        "from lanmu.delivery.states import UnitState"
    )
    contract = _package(tmp_path, "nosy", code, monkeypatch)()
    with pytest.raises(AssertionError, match=r"^imports:") as told:
        contract.test_it_reaches_the_core_by_its_face_alone()
    wrong = "['lanmu.config', 'lanmu.delivery.states', 'lanmu.secret_settings']"
    assert str(told.value).endswith(f"not {wrong}")
