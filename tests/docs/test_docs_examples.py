"""What the manual shows is what the files hold, and every TOML in it loads."""

import importlib
import re
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ECHO = ROOT / "docs" / "examples" / "lanmu-plugin-echo"
PAGES = sorted(
    path
    for folder in (ROOT / "docs", ROOT / "plugins")
    for path in folder.rglob("*.md")
    if "node_modules" not in path.parts
)
_BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def _blocks(page: Path) -> list[tuple[str, str, str]]:
    return [(kind, file, code) for kind, file, code in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def test_the_tutorial_shows_the_example_as_it_is() -> None:
    shown = [(file, code) for _kind, file, code in _blocks(ROOT / "docs" / "writing-a-plugin.md") if file]
    assert {file for file, _code in shown} == {
        "pyproject.toml",
        "lanmu_echo/__init__.py",
        "tests/test_echo.py",
    }
    for file, code in shown:
        assert code in (ECHO / file).read_text(encoding="utf-8"), f"{file} says otherwise:\n{code}"


def test_the_tutorial_shows_every_class_of_the_example() -> None:
    page = (ROOT / "docs" / "writing-a-plugin.md").read_text(encoding="utf-8")
    for file in ("lanmu_echo/__init__.py", "tests/test_echo.py"):
        for name in re.findall(r"^class (\w+)", (ECHO / file).read_text(encoding="utf-8"), re.MULTILINE):
            assert f"class {name}" in page


def test_the_example_stays_under_sixty_lines() -> None:
    assert len((ECHO / "lanmu_echo" / "__init__.py").read_text(encoding="utf-8").splitlines()) < 60


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_toml_block_loads(page: Path) -> None:
    for kind, _file, code in _blocks(page):
        if kind == "toml":
            tomllib.loads(code)


def _plugins_with_settings() -> list[tuple[str, str]]:
    return [
        (name, code)
        for page in PAGES
        for kind, _file, code in _blocks(page)
        if kind == "toml"
        for name in re.findall(r"^\[plugins\.(\w+)\]", code, re.MULTILINE)
    ]


@pytest.mark.parametrize(("name", "code"), _plugins_with_settings())
def test_every_plugin_table_in_the_docs_passes_its_schema(
    name: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "echo":
        monkeypatch.syspath_prepend(str(ECHO))
        plugin = importlib.import_module("lanmu_echo").EchoPlugin
    else:
        found = [point for point in entry_points(group="lanmu.plugins") if point.name == name]
        assert found, f"no plugin is named {name}"
        plugin = found[0].load()
    plugin.settings_schema().load(tomllib.loads(code)["plugins"][name])
