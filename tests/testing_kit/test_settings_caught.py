"""What a plugin's contract says of its settings: which secret is printed, and what no README tells."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from marshmallow import EXCLUDE, Schema, fields, post_load, pre_load

import lanmu
from lanmu.interfaces.secrets import Secret
from lanmu.testing.plugin_contract import PluginContract


@dataclass(frozen=True)
class HookSettings:
    hooks: dict[str, Secret]
    shown: str


class _Shop(Schema):
    city = fields.String()
    opened = fields.String(data_key="open")


class _Hook(Schema):
    url = fields.String()
    shops = fields.List(fields.Nested(_Shop))
    below = fields.Nested(lambda: _Hook())


class HookSchema(Schema):
    hooks = fields.Dict(keys=fields.String(), values=fields.String())
    rings = fields.Dict(keys=fields.String(), values=fields.Nested(_Hook))
    shown = fields.String()

    @post_load
    def settings(self, data: dict[str, Any], **_kwargs: object) -> HookSettings:
        hooks = {name: Secret(value) for name, value in data["hooks"].items()}
        return HookSettings(hooks, data["shown"])


class HookPlugin(lanmu.Plugin[HookSettings]):
    settings_schema: ClassVar[type[Schema]] = HookSchema


class HookContract(PluginContract):
    plugin = HookPlugin


Load = Callable[..., lanmu.Plugin[Any]]


def _loaded(lanmu_load: Load, secret: str, shown: str) -> lanmu.Plugin[Any]:
    return lanmu_load(HookPlugin, {"hooks": {"ops": secret}, "shown": shown})


def test_a_secret_that_is_printed_is_named(lanmu_load: Load) -> None:
    with pytest.raises(AssertionError, match=r"^no-secret-in-repr: .*hooks\.ops") as told:
        HookContract().test_its_settings_hide_their_secrets(_loaded(lanmu_load, "geheim-long", "geheim-long"))
    assert "geheim" not in str(told.value)


def test_a_secret_so_short_that_it_stands_anywhere_is_told_as_that(lanmu_load: Load) -> None:
    with pytest.raises(AssertionError, match=r"^secret-too-short: .*hooks\.ops.*8") as told:
        HookContract().test_its_settings_hide_their_secrets(_loaded(lanmu_load, "s", ""))
    assert "printed" not in str(told.value)


def test_a_long_secret_that_is_hidden_passes(lanmu_load: Load) -> None:
    HookContract().test_its_settings_hide_their_secrets(_loaded(lanmu_load, "geheim-long", "s"))


def _contract_beside(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, readme: str) -> PluginContract:
    """The contract as a test in a folder whose README says this."""
    (tmp_path / "tests").mkdir(exist_ok=True)
    (tmp_path / "README.md").write_text(readme)
    test = tmp_path / "tests" / "test_hook.py"
    test.write_text("")
    monkeypatch.setattr("lanmu.testing.plugin_contract.inspect.getfile", lambda _kind: str(test))
    return HookContract()


def test_a_setting_within_a_setting_is_missed_in_the_readme(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = _contract_beside(tmp_path, monkeypatch, "`hooks`, `rings`, `below`, `shops` and `shown`")
    with pytest.raises(AssertionError) as told:
        contract.test_its_readme_tells_of_every_setting()
    assert str(told.value) == (
        "settings-documented: README.md does not speak of "
        "rings.NAME.url, rings.NAME.shops.city, rings.NAME.shops.open"
    )
    contract = _contract_beside(
        tmp_path, monkeypatch, "hooks, rings, url, below, shops, city, open and shown"
    )
    contract.test_its_readme_tells_of_every_setting()


class LooseHookSchema(Schema):
    rings = fields.Dict(keys=fields.String(), values=fields.Nested(_Hook, unknown=EXCLUDE))


def test_a_table_within_the_settings_that_takes_any_key_is_named() -> None:
    class LoosePlugin(HookPlugin):
        settings_schema = LooseHookSchema

    class Loose(HookContract):
        plugin = LoosePlugin

    HookContract().test_its_settings_refuse_an_unknown_key()
    with pytest.raises(AssertionError, match=r"^settings-strict: .*\.rings\.NAME: takes any key") as told:
        Loose().test_its_settings_refuse_an_unknown_key()
    assert "rings.NAME.shops" not in str(told.value)


class SweepingSchema(Schema):
    @pre_load
    def sweep(self, data: dict[str, Any], **_kwargs: object) -> dict[str, Any]:
        return {}


def test_a_schema_that_sweeps_unknown_keys_away_is_told_so() -> None:
    class SweepingPlugin(HookPlugin):
        settings_schema = SweepingSchema

    class Sweeping(HookContract):
        plugin = SweepingPlugin

    with pytest.raises(AssertionError, match="settings-strict: of an unknown key is told: nothing"):
        Sweeping().test_its_settings_refuse_an_unknown_key()
