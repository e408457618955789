"""A wheel of ours and a stranger's plugin, installed into a fresh environment elsewhere, send a message."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ECHO = ROOT / "docs" / "examples" / "lanmu-plugin-echo"
CONFIG = """
[server]
port = 8699
data_dir = "data"

[library]
folder = ""

[plugins.echo]
file = "echo.jsonl"

[plugins.personal_wechat_export]

[plugins.nobody_wrote_this]
"""


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def _wheel(source: Path, into: Path) -> Path:
    _pip("wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(into), str(source))
    (wheel,) = into.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def lanmu_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _wheel(ROOT, tmp_path_factory.mktemp("lanmu-wheel"))


@pytest.fixture(scope="session")
def elsewhere(lanmu_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with our wheel and the stranger's beside it.

    The libraries of others are lent by this run's own environment, so that nothing is fetched: its folder is
    named in a .pth file, which comes after the new environment's own and whose own .pth files (an editable
    Lanmu among them) do not count.
    """
    folder = tmp_path_factory.mktemp("elsewhere")
    copy = folder / "lanmu-plugin-echo"
    shutil.copytree(ECHO, copy, ignore=shutil.ignore_patterns("__pycache__"))
    echo = _wheel(copy, folder / "wheels")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    _pip(
        "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(lanmu_wheel), str(echo)
    )
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "lent.pth").write_text("\n".join(sorted(lent)), encoding="utf-8")
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    return folder


def _run(elsewhere: Path, *command: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [str(elsewhere / "venv" / "bin" / command[0]), *command[1:]],
        cwd=elsewhere,
        env={**clean, "LANMU_LANG": "en"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_wheel_holds_packages_and_their_data_and_no_tests(lanmu_wheel: Path) -> None:
    names = zipfile.ZipFile(lanmu_wheel).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"lanmu", *(p.name for p in (ROOT / "plugins").glob("*/lanmu_*") if p.is_dir())}
    assert not [name for name in names if "/tests/" in name or name.endswith(".pth")]
    for wanted in (
        "lanmu/starter/config.toml",
        "lanmu/cli/new_plugin_files/channel/channel.py.txt",
        "lanmu/web/templates/base.html",
        "lanmu_personal_wechat_export/migrations/0001_packs.py",
        "lanmu_personal_wechat_export/templates/personal_wechat_export/pack.html",
        "lanmu_personal_wechat_export/static/pack.js",
        "lanmu_personal_wechat_export/translations/zh_CN/messages.po",
    ):
        assert wanted in names


def test_the_new_environment_uses_the_wheel_and_not_this_checkout(elsewhere: Path) -> None:
    done = _run(elsewhere, "python", "-c", "import lanmu, lanmu_echo; print(lanmu.__file__)")
    assert Path(done.stdout.strip()).is_relative_to(elsewhere), done.stderr


def test_a_strangers_plugin_is_listed_beside_ours(elsewhere: Path) -> None:
    done = _run(elsewhere, "lanmu", "plugin", "list", "--json")
    assert done.returncode == 0, done.stderr
    found = {plugin["name"]: plugin for plugin in json.loads(done.stdout)}
    assert found["echo"]["state"] == "running", found["echo"]
    assert found["echo"]["distribution"] == "lanmu-plugin-echo"
    assert found["echo"]["channels"] == ["echo"]
    assert found["personal_wechat_export"]["state"] == "running", found["personal_wechat_export"]
    assert found["nobody_wrote_this"]["state"] == "missing"
    assert found["wecom"]["state"] == "off"


def test_a_strangers_plugin_passes_its_check(elsewhere: Path) -> None:
    done = _run(elsewhere, "lanmu", "plugin", "check", "echo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert _run(elsewhere, "lanmu", "plugin", "check", "nobody_wrote_this").returncode != 0


def test_a_message_goes_out_through_the_strangers_channel_once(elsewhere: Path) -> None:
    done = _run(elsewhere, "lanmu", "push", "test", "echo", "--to", "somebody", "--text", "你好，栏目")
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (elsewhere / "echo.jsonl").read_text(encoding="utf-8").splitlines()
    sent = json.loads(line)
    assert sent["to"] == ["somebody"]
    assert "你好，栏目" in sent["text"]


def test_the_strangers_own_tests_pass_with_the_kit_from_the_wheel(elsewhere: Path) -> None:
    command = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(elsewhere / "lanmu-plugin-echo")]
    done = _run(elsewhere, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
