"""`lanmu plugin new`: what it makes passes its own contract and Lanmu's check as it is."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from lanmu import __version__

ROOT = Path(__file__).parents[2]
TABLES = {
    True: 'url = "https://api.example.com/send"\ntoken = "${ACME_CHAT_TOKEN}"\n',
    False: 'words = ["亲亲"]\n',
}


def _run(where: Path, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=where,
        env={**os.environ, "LANMU_LANG": "en", "PYTHONDONTWRITEBYTECODE": "1", **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )


def _install(plugin: Path, site: Path) -> None:
    """What pip leaves behind: the entry points of the distribution beside its package."""
    project = tomllib.loads((plugin / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = project["entry-points"]["lanmu.plugins"]
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[lanmu.plugins]\n{lines}")


@pytest.mark.parametrize("channel", [True, False], ids=["channel", "check"])
def test_a_new_plugin_passes_its_contract_and_the_check_as_it_is(lanmu, folder, channel):
    made = lanmu("plugin", "new", "acme_chat", *(["--channel"] if channel else []))
    assert made.exit_code == 0, made.output
    assert "lanmu plugin check acme_chat" in made.stdout
    plugin = folder / "lanmu-plugin-acme-chat"

    tested = _run(plugin, "-m", "pytest", "-q", "-p", "no:cacheprovider", PYTHONPATH=str(plugin))
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "failed" not in tested.stdout

    site = folder / "site"
    _install(plugin, site)
    with (folder / "config.toml").open("a", encoding="utf-8") as config:
        config.write(f"[plugins.acme_chat]\n{TABLES[channel]}")
    environ = {"PYTHONPATH": f"{site}:{plugin}", "ACME_CHAT_TOKEN": "only-for-tests"}
    checked = _run(folder, "-m", "lanmu.cli.main", "plugin", "check", "acme_chat", **environ)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.startswith("acme_chat runs.")
    assert ("Channels: acme_chat" in checked.stdout) is channel
    assert (TABLES[channel].splitlines()[0] in (plugin / "README.md").read_text(encoding="utf-8")) is True


def test_the_contract_of_a_new_channel_falls_with_the_channel(lanmu, folder):
    """Green is worth something: a channel that takes a refusal for an acceptance fails by the rule's name."""
    lanmu("plugin", "new", "acme_chat", "--channel")
    plugin = folder / "lanmu-plugin-acme-chat"
    code = plugin / "lanmu_acme_chat" / "channel.py"
    whole = code.read_text(encoding="utf-8")
    code.write_text(whole.replace("        if code:\n", "        if code < 0:\n"), encoding="utf-8")
    assert code.read_text(encoding="utf-8") != whole
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "refused_inside_a_200")
    tested = _run(plugin, *command, PYTHONPATH=str(plugin))
    assert tested.returncode == 1
    assert "refused-inside-200" in tested.stdout


@pytest.mark.parametrize("channel", [True, False], ids=["channel", "check"])
def test_what_is_made_is_clean_and_holds_no_slot(lanmu, folder, channel):
    lanmu("plugin", "new", "tidy", "--into", "sub", *(["--channel"] if channel else []))
    plugin = folder / "sub" / "lanmu-plugin-tidy"
    for path in plugin.rglob("*"):
        if path.is_file():
            assert "«" not in path.read_text(encoding="utf-8"), path
    (wanted,) = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]["dependencies"]
    assert Requirement(wanted).specifier.contains(__version__)
    rules = ["--select", "E,F,I,B,UP,S,PT,RUF,BLE", "--ignore", "S101,S105,RUF001,RUF012"]
    checked = _run(plugin, "-m", "ruff", "check", "--isolated", "--line-length", "110", *rules, ".")
    assert checked.returncode == 0, checked.stdout
    formatted = _run(plugin, "-m", "ruff", "format", "--isolated", "--line-length", "110", "--check", ".")
    assert formatted.returncode == 0, formatted.stdout


@pytest.mark.parametrize("name", ["Acme", "acme-chat", "1a", "a__b", "a_", "名字", "x" * 41, "a/b"])
def test_a_name_that_no_plugin_can_have_is_refused(lanmu, folder, name):
    told = lanmu("plugin", "new", name)
    assert told.exit_code == 2
    assert "acme_chat" in told.stderr
    assert "插件名" in lanmu("plugin", "new", name, lang="zh").stderr
    assert not list(folder.glob("lanmu-plugin-*"))


def test_nothing_is_written_over_and_no_name_is_taken_twice(lanmu, folder):
    assert lanmu("plugin", "new", "points").exit_code == 1
    (folder / "lanmu-plugin-tidy").mkdir()
    told = lanmu("plugin", "new", "tidy")
    assert told.exit_code == 1
    assert "is there already" in told.stderr
    assert json.dumps(os.listdir(folder / "lanmu-plugin-tidy")) == "[]"


def test_it_needs_no_config(lanmu, folder):
    (folder / "config.toml").unlink()
    assert lanmu("plugin", "new", "tidy", "--channel").exit_code == 0
