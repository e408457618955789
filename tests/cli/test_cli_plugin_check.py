"""`lanmu plugin check` finds an author's mistakes, says where and what to do, and fails."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from flask import Blueprint
from flask.views import MethodView
from marshmallow import EXCLUDE, INCLUDE, Schema, fields

import lanmu as lanmu_face
from lanmu import hookimpl
from lanmu.authoring import BaseChannel
from lanmu.interfaces.access import requires
from lanmu.interfaces.channels import Abilities, Observation, Outcome, Verdict
from lanmu.interfaces.host import MenuItem
from lanmu.plugins import GROUP


@dataclass(frozen=True)
class _Point:
    name: str
    target: Any
    distribution: str = "lanmu-plugin-odd"

    value = "lanmu_odd:OddPlugin"
    module = "lanmu_odd"

    @property
    def dist(self) -> SimpleNamespace:
        return SimpleNamespace(name=self.distribution, version="1.2")

    def load(self) -> Any:
        return self.target


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Callable[..., None]:
    """Have these plugins, by the name `odd`, installed and switched on."""

    def installed(*targets: Any) -> None:
        points = [_Point("odd", target, f"dist-{number}") for number, target in enumerate(targets, 1)]
        real = metadata.entry_points
        monkeypatch.setattr(
            metadata, "entry_points", lambda **w: points if w.get("group") == GROUP else real(**w)
        )
        (folder / "config.toml").write_text("[plugins.odd]\n", encoding="utf-8")

    return installed


class _Sound(BaseChannel):
    name = "odd.one"
    title = "Odd"


def _plugin(**hooks: Any) -> type[lanmu_face.Plugin[Any]]:
    return type("OddPlugin", (lanmu_face.Plugin,), {name: hookimpl(hook) for name, hook in hooks.items()})


class _Limits(Schema):
    per_day = fields.Integer()


class _Loose(Schema):
    room = fields.String()

    class Meta:
        unknown = INCLUDE


class _LooseWithin(Schema):
    rooms = fields.Dict(values=fields.List(fields.Nested(_Limits, unknown=EXCLUDE)), data_key="room")


class _Strict(Schema):
    limits = fields.Nested(_Limits)
    rooms = fields.Dict(keys=fields.String(), values=fields.Nested(_Limits))


def _with_settings(schema: type[Schema]) -> type[lanmu_face.Plugin[Any]]:
    made = _plugin(lanmu_channels=_offers(_Sound()))
    made.settings_schema = schema
    return made


def _offers(*things: Any) -> Callable[[Any], Iterable[Any]]:
    return lambda self: list(things)


def _clean(seen: Observation) -> Outcome:
    return Outcome.AMBIGUOUS if seen.wrote else Outcome.NOT_SENT


def _reads(classify: Callable[[Observation], Any]) -> type[lanmu_face.Plugin[Any]]:
    """A plugin whose channel reads so what was seen of a write."""
    channel = type("C", (_Sound,), {"classify": lambda self, seen: classify(seen)})()
    return _plugin(lanmu_channels=_offers(channel))


def _unmarked() -> type[lanmu_face.Plugin[Any]]:
    made = _plugin(lanmu_menu=_offers())
    made.lanmu_channels = _offers(_Sound())  # type: ignore[attr-defined]
    return made


def _pages(permission: str | None, *, by_method: bool = False) -> Blueprint:
    pages = Blueprint("odd", "lanmu_odd")
    mark = requires(permission) if permission else lambda view: view
    if by_method:

        class Both(MethodView):
            @requires("content.view")
            def get(self) -> str:
                return ""

            @mark
            def post(self) -> str:
                return ""

        pages.add_url_rule("/", view_func=Both.as_view("both"))
    else:
        pages.add_url_rule("/", "open", mark(lambda: ""))
    return pages


def _raises(self: Any) -> Any:
    raise ImportError("No module named 'left_pad'")


def _with_default(self: Any, message: Any = None, channel: str = "") -> Any:
    return []


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        (_plugin(), ("answers no hook", "@lanmu.hookimpl", "[has-hooks]")),
        (_unmarked(), ("odd.lanmu_channels", "never called", "[hookimpl]")),
        (_plugin(lanmu_channels=lambda self: None), ("answers None", "Return […]", "[offers-a-list]")),
        (_plugin(lanmu_channels=lambda self: "odd"), ("odd.lanmu_channels",)),
        (_plugin(lanmu_channels=_offers(_Sound)), ("the class _Sound", "_Sound(…)")),
        (
            _plugin(lanmu_channels=_offers(SimpleNamespace(name="odd", abilities=Abilities()))),
            ("lacks", "compose", "title"),
        ),
        (
            _plugin(lanmu_channels=_offers(type("C", (_Sound,), {"abilities": {"local": True}})())),
            ("abilities are a dict", "Abilities(…)"),
        ),
        (_plugin(lanmu_channels=_offers(type("C", (_Sound,), {"title": ""})())), ("no title", "[name]")),
        (
            _plugin(lanmu_channels=_offers(type("C", (_Sound,), {"abilities": Abilities(lookup=True)})())),
            ("declares lookup", "find is that of lanmu.BaseChannel", "Write find"),
        ),
        (_plugin(lanmu_objections=_with_default), ("message, channel", "default", "[no-defaults]")),
        (
            _plugin(lanmu_blueprints=_offers(_pages(None))),
            ("odd.open", "no permission", "[permission-named]"),
        ),
        (
            _plugin(lanmu_blueprints=_offers(_pages(None, by_method=True))),
            ("odd.both (POST)", "no permission", "[permission-named]"),
        ),
        (
            _plugin(lanmu_blueprints=_offers(_pages("content.veiw"))),
            ("content.veiw", "Did you mean content.view?", "[permission-known]"),
        ),
        (
            _plugin(lanmu_menu=_offers(MenuItem("Odd", "odd.open", "odd.view", "more"))),
            ("odd.view", "[permission-known]"),
        ),
        (
            _reads(lambda seen: Verdict(Outcome.ACCEPTED if seen.status == 200 else Outcome.NOT_SENT)),
            ("odd.one", "Observation(wrote=True", "as not_sent", "AMBIGUOUS", "[no-answer-is-ambiguous]"),
        ),
        (
            _reads(lambda seen: Verdict(Outcome.LATER if seen.status == 504 else _clean(seen))),
            ("status=504", "as later", "[gateway-is-ambiguous]"),
        ),
        (
            _reads(lambda seen: Verdict(Outcome.AMBIGUOUS)),
            ("wrote=False", "as ambiguous", "NOT_SENT", "[nothing-written-nothing-sent]"),
        ),
        (_reads(lambda seen: _raises(seen)), ("ImportError", "[classify-total]")),
        (_reads(lambda seen: None), ("must be Verdict", "[classify-total]")),
        (_plugin(lanmu_commands=_raises), ("left_pad", "odd.lanmu_commands", "[offers]")),
        (_plugin(lanmu_commands=_offers(lambda: None)), ("no Command", "[offers-objects]")),
        (_plugin(lanmu_checks=_offers(object())), ("lacks", "check", "[offers-objects]")),
        (_with_settings(_Loose), ("plugins.odd: takes any key", "Meta.unknown", "[settings-strict]")),
        (_with_settings(_LooseWithin), ("plugins.odd.room.NAME: takes any key", "[settings-strict]")),
        (_plugin(lanmu_chanels=_offers()), ("Did you mean lanmu_channels?",)),
    ],
    ids=[
        *(
            "no hooks",
            "not marked",
            "none",
            "text",
            "a class",
            "no channel",
            "abilities",
            "no title",
            "no find",
        ),
        *("defaults", "open page", "open method", "unknown permission", "menu"),
        *("a timeout", "a gateway", "nothing written", "classify raises", "classify answers none"),
        *("raises", "no command"),
        *("no check", "any setting", "any setting within", "misspelt"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_way_out(lanmu, install, plugin, words):
    install(plugin)
    told = lanmu("plugin", "check", "odd")
    assert told.exit_code == 1, told.output
    for word in ("odd", *words):
        assert word in told.stderr
    assert "runs." not in told.stdout
    assert " at 0x" not in told.stderr


def test_a_sound_plugin_runs(lanmu, install):
    pages = _pages("content.view", by_method=False)
    install(
        _plugin(
            lanmu_channels=_offers(_Sound()),
            lanmu_blueprints=_offers(pages),
            lanmu_commands=_offers(click.Command("hello")),
        )
    )
    told = lanmu("plugin", "check", "odd")
    assert (told.exit_code, told.stderr) == (0, "")
    assert "odd runs." in told.stdout


@pytest.mark.parametrize(
    ("slip", "told"),
    [
        ("limits.perday = 3", "plugins.odd.limits.perday: is not known here. Did you mean per_day?"),
        (
            "rooms.front.perday = 3",
            "plugins.odd.rooms.front.perday: is not known here. Did you mean per_day?",
        ),
        ("limit.per_day = 3", "plugins.odd.limit: is not known here. Did you mean limits?"),
    ],
)
def test_a_slip_within_a_plugins_table_is_told_with_its_place_and_the_right_name(
    lanmu, install, folder, slip, told
):
    install(_with_settings(_Strict))
    assert lanmu("plugin", "check", "odd").exit_code == 0
    (folder / "config.toml").write_text(f"[plugins.odd]\n{slip}\n", encoding="utf-8")
    assert told in lanmu("plugin", "check", "odd").stderr
    assert lanmu("config", "check").stderr.strip() == told


def test_the_place_in_the_authors_code_is_told(lanmu, install):
    scope: dict[str, Any] = {"__name__": "lanmu_odd.prices"}
    exec(compile("def pick(*_):\n    return {}['price']\n", "/x/lanmu_odd/prices.py", "exec"), scope)
    install(type("OddPlugin", (lanmu_face.Plugin,), {"__init__": scope["pick"]}))
    told = lanmu("plugin", "check", "odd")
    assert told.exit_code == 1
    assert "lanmu_odd/prices.py:2 pick" in told.stderr


def test_two_plugins_of_one_name_are_both_shown(lanmu, install):
    install(_plugin(lanmu_channels=_offers(_Sound())), _plugin())
    listed = lanmu("plugin", "list")
    assert "dist-1" in listed.stdout
    assert "dist-2" in listed.stdout
    assert "Uninstall one of the two." in listed.stdout
    states = [(each["distribution"], each["state"]) for each in _json(lanmu)]
    assert states == [("dist-1", "running"), ("dist-2", "set_aside")]
    told = lanmu("plugin", "check", "odd")
    assert told.exit_code == 1
    assert "dist-1" in told.stderr
    assert "dist-2" in told.stderr


def test_a_slip_of_the_name_is_told_the_right_one(lanmu, install):
    install(_plugin())
    told = lanmu("plugin", "check", "od")
    assert "Did you mean odd?" in told.stderr


def test_the_plugins_that_ship_are_sound(lanmu, folder):
    with (folder / "config.toml").open("a", encoding="utf-8") as config:
        config.write('[plugins.llm_copy]\n[plugins.wecom]\nbase_url = "http://127.0.0.1:1"\n')
    for name in ("points", "personal_wechat_export", "llm_copy", "wecom"):
        assert lanmu("plugin", "check", name).exit_code == 0


def _json(lanmu: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(lanmu("plugin", "list", "--json").stdout)
    return found
