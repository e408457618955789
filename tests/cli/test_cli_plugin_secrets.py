"""A plugin's secrets are known by what its schema wraps into Secret, whatever their keys are called."""

import base64
import json
import tarfile
import tomllib
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from secrets import token_urlsafe
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from marshmallow import Schema, fields, post_load

import lanmu as lanmu_package
from lanmu.config import load, parse
from lanmu.interfaces.errors import LanmuError
from lanmu.interfaces.secrets import Secret
from lanmu.plugins import GROUP, secret_places, settings_in_need
from lanmu.secret_settings import is_secret, without_secrets

HOOK = "https://open.example.com/hook/6f1c-2b7d"
TABLE = f"""
[plugins.bell]
hook = "{HOOK}"
seal = "geheim-seal"
pin = 4711
room = "front"

[plugins.bell.rings]
night = "geheim-night"
day = "https://ring.example.com/geheim-day/now"
"""


@dataclass(frozen=True)
class BellSettings:
    hook: Secret
    room: str = ""
    seal: Secret = field(default_factory=lambda: Secret(""))
    pin: Secret = field(default_factory=lambda: Secret(""))
    rings: dict[str, Secret] = field(default_factory=dict)
    made: tuple[Secret, ...] = ()


class BellSchema(Schema):
    lock = fields.String()
    note = fields.String()
    user = fields.String()
    word = fields.String()
    stand_in = fields.Boolean()
    nonce = fields.Boolean()
    hook = fields.String(required=True)
    room = fields.String()
    seal = fields.String()
    pin = fields.Integer()
    rings = fields.Dict(keys=fields.String(), values=fields.String())

    @post_load
    def make(self, data: dict[str, Any], **_kwargs: object) -> BellSettings:
        rings = {name: Secret(_last(value)) for name, value in data.get("rings", {}).items()}
        secret = {name: Secret(str(data[name])) for name in ("hook", "seal", "pin") if name in data}
        made = []
        if "lock" in data:  # as a key file comes: wrapped up
            made.append(Secret(json.loads(base64.b64decode(data["lock"]))["key"]))
        if "word" in data:
            made.append(Secret(f"{data['user']}:{data['word']}"))
        if data.get("stand_in"):
            made.append(Secret("of-the-sandbox"))
        if data.get("nonce"):
            made.append(Secret(token_urlsafe(16)))
        return BellSettings(**secret, room=data.get("room", ""), rings=rings, made=tuple(made))


def _last(address: str) -> str:
    return urlsplit(address).path.split("/")[1] if "://" in address else address


class BellPlugin(lanmu_package.Plugin[BellSettings]):
    settings_schema = BellSchema


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin `bell` is installed, and nothing else."""
    every = metadata.entry_points
    dist = SimpleNamespace(name="bell", version="1")
    point = SimpleNamespace(
        name="bell", value="stranger:Bell", module="stranger", dist=dist, load=lambda: BellPlugin
    )

    def found(**wanted: str) -> Any:
        return [point] if wanted.get("group") == GROUP else every(**wanted)

    monkeypatch.setattr(metadata, "entry_points", found)


def _write(folder: Path, text: str, mode: int = 0o600) -> Path:
    (folder / "config.toml").write_text(text, encoding="utf-8")
    (folder / "config.toml").chmod(mode)
    return folder / "config.toml"


def _kept(file: Path) -> str:
    with tarfile.open(file) as tar:
        kept = tar.extractfile("config.toml")
        assert kept is not None
        return kept.read().decode()


def test_a_backup_leaves_out_the_secrets_of_plugins(lanmu, folder):
    _write(folder, f'[server]\nshop_name = "front"\n{TABLE}')
    told = lanmu("backup", "kept.tar.gz")
    assert told.exit_code == 0
    kept = _kept(folder / "kept.tar.gz")
    for secret in (HOOK, "geheim", "4711"):
        assert secret not in kept
    assert kept.count('"front"') == 2
    left_out = "plugins.bell.hook, plugins.bell.seal, plugins.bell.pin, plugins.bell.rings.night, "
    assert f"Empty in it: {left_out}plugins.bell.rings.day." in told.stdout.splitlines()
    restored = lanmu("restore", "kept.tar.gz", "--into", "copy", lang="zh")
    assert "其中留空的项：plugins.bell.hook、plugins.bell.seal、" in restored.stdout


@pytest.mark.parametrize("table", ["hook = 1", 'hook = ""\nrang = "x"', 'room = "geheim"'])
def test_a_backup_leaves_out_every_text_of_a_plugin_whose_settings_cannot_be_read(lanmu, folder, table):
    _write(folder, f'[plugins.bell]\n{table}\ntone = "geheim"\n[plugins.gone]\nhook = "geheim"\nroom = 7\n')
    lanmu("backup", "kept.tar.gz")
    kept = _kept(folder / "kept.tar.gz")
    assert "geheim" not in kept
    assert "room = 7" in kept


def test_show_masks_what_a_plugin_holds_secret(lanmu, folder, monkeypatch):
    monkeypatch.setenv("SEAL", "geheim-seal")
    _write(folder, TABLE.replace('"geheim-seal"', '"${SEAL}"'))
    shown = json.loads(lanmu("config", "show").stdout)["plugins"]["bell"]
    assert shown == {
        "hook": "***",
        "seal": "***",
        "pin": "***",
        "room": "front",
        "rings": {"night": "***", "day": "***"},
    }


def test_the_sandboxs_own_secrets_hide_no_setting_of_its_table(monkeypatch):
    monkeypatch.undo()
    text = '[plugins.wecom]\nbase_url = "http://127.0.0.1:8641"\nsandbox = true\nrobot_pictures = "refuse"\n'
    assert secret_places(parse(tomllib.loads(text), None, {})) == {"wecom": frozenset()}


def test_of_a_list_the_secret_alone_goes():
    text = '[server]\nallowed_hosts = ["https://a.example/?key=geheim", "b.example"]\n'
    assert _without(text) == '[server]\nallowed_hosts = ["", "b.example"]\n'


def test_how_many_tokens_a_day_are_spent_is_no_secret():
    known = {"bell": frozenset[str]()}
    assert not is_secret("plugins.bell.daily_tokens", 500, known)
    assert is_secret("plugins.bell.token", "x", known)


def test_a_plugins_secret_in_a_file_that_others_can_read_is_a_fault(lanmu, folder):
    _write(folder, f'[plugins.bell]\nhook = "{HOOK}"\n', 0o644)
    told = lanmu("config", "check")
    assert told.exit_code == 2
    assert told.stderr.startswith("plugins.bell.hook: holds a secret, and others on this machine can read")
    assert "chmod 600" in told.stderr
    assert HOOK not in told.stderr
    assert "chmod 600" in lanmu("config", "check", lang="zh").stderr
    _write(folder, f'[plugins.bell]\nhook = "{HOOK}"\n', 0o600)
    assert lanmu("config", "check").exit_code == 0


def test_a_plugin_whose_secret_others_can_read_is_set_aside_and_the_rest_runs(lanmu, folder):
    _write(folder, f'[plugins.bell]\nhook = "{HOOK}"\n', 0o644)
    told = lanmu("plugin", "list")
    assert told.exit_code == 0
    assert "Set aside" in told.stdout
    assert "chmod 600" in " ".join(told.stdout.split())


def test_a_secret_from_elsewhere_may_be_named_in_a_file_that_all_read(lanmu, folder, monkeypatch):
    monkeypatch.setenv("HOOK", HOOK)
    _write(folder, '[plugins.bell]\nhook = "${HOOK}"\n', 0o644)
    assert lanmu("config", "check").exit_code == 0


def _without(text: str) -> str:
    return without_secrets(text, secret_places(parse(tomllib.loads(text), None, {})))[0]


def test_only_the_secret_goes_and_not_the_same_word_elsewhere():
    text = '[server]\nshop_name = "bell"\n[plugins.bell] # "bell"\nhook = "bell"\nroom = "a bell"\n'
    assert _without(text) == (
        '[server]\nshop_name = "bell"\n[plugins.bell] # ""\nhook = ""\nroom = "a bell"\n'
    )


@pytest.mark.parametrize(
    "written",
    ["'''\ngeheim'''", '"""geheim"""', "'geheim'", '"geheim" # or "geheim"', '" geheim"'],
)
def test_a_secret_goes_however_it_is_written(written: str):
    left = _without(f"[plugins.bell]\nhook = {written}\nroom = '5'\n")
    assert "geheim" not in left
    assert "room = '5'" in left


def _places(text: str) -> set[str]:
    known = secret_places(parse(tomllib.loads(f"[plugins.bell]\nhook = ''\n{text}"), None, {}))
    return {place.removeprefix("plugins.bell.") for place in known["bell"]}


def test_a_secret_is_found_where_a_schema_unwraps_it():
    lock = base64.b64encode(b'{"key": "geheim-in-base64"}').decode()
    assert _places(f'lock = "{lock}"\nnote = "nothing else"') == {"lock"}


def test_a_short_secret_is_found_where_a_schema_puts_it_together():
    assert _places('user = "bell"\nword = "kurz"\nnote = "nothing else"') == {"user", "word"}


def test_what_a_plugin_holds_secret_without_being_told_hides_no_setting():
    assert _places('stand_in = true\nnote = "nothing else"\nroom = "front"') == set()


def test_what_a_plugin_makes_up_anew_each_time_hides_no_setting():
    assert _places('nonce = true\nnote = "nothing else"\nroom = "front"') == set()


def test_a_secret_is_found_where_a_schema_unwraps_it_beside_one_that_is_made_up():
    lock = base64.b64encode(b'{"key": "geheim-in-base64"}').decode()
    assert _places(f'nonce = true\nlock = "{lock}"\nnote = "nothing else"') == {"lock"}


def test_where_a_secret_cannot_be_taken_out_no_setting_is_kept():
    assert _without('[plugins.bell]\nhook = "\\u0067eheim"\n') == ""


def test_a_plugin_finds_its_variable_missing_and_its_other_faults_at_once(tmp_path: Path):
    loaded = load(_write(tmp_path, '[plugins.bell]\nhook = "${HOOK}"\nroom = 5\n'), {})
    told = [str(fault) for fault in settings_in_need(loaded)]
    assert len(told) == 2
    assert told[0].startswith("plugins.bell.hook: asks for the environment variable HOOK")
    assert told[1].startswith("plugins.bell.room: ")
    assert all(isinstance(fault, LanmuError) for fault in loaded.unfilled["bell"])
