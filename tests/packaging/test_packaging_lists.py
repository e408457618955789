"""pyproject.toml names every built-in plugin in all of its lists; a folder left out of one is not shipped."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PLUGINS = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/lanmu_*"))


def _contract(name: str, key: str) -> list[str]:
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    (found,) = [contract for contract in contracts if contract["name"] == name]
    values: list[str] = found[key]
    return values


def _lists() -> dict[str, list[str]]:
    packages = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return {
        "project.entry-points": sorted(PYPROJECT["project"]["entry-points"]["lanmu.plugins"]),
        "tool.hatch…packages": [path.split("/")[1] for path in packages if path.startswith("plugins/")],
        "tool.mypy.mypy_path": [
            path.split("/")[1]
            for path in PYPROJECT["tool"]["mypy"]["mypy_path"]
            if path.startswith("plugins/")
        ],
        "tool.importlinter.root_packages": [
            name.removeprefix("lanmu_")
            for name in PYPROJECT["tool"]["importlinter"]["root_packages"]
            if name != "lanmu"
        ],
        "the core knows no plugin": [
            name.removeprefix("lanmu_") for name in _contract("The core knows no plugin", "forbidden_modules")
        ],
        "plugins know nothing of one another": [
            name.removeprefix("lanmu_")
            for name in _contract("Plugins know nothing of one another", "modules")
        ],
    }


@pytest.mark.parametrize("where", _lists())
def test_the_list_holds_every_plugin_folder(where: str) -> None:
    assert _lists()[where] == PLUGINS


def test_a_plugins_package_is_named_for_its_folder() -> None:
    for plugin in PLUGINS:
        assert (ROOT / "plugins" / plugin / f"lanmu_{plugin}" / "__init__.py").is_file()
        assert (ROOT / "plugins" / plugin / "README.md").is_file()


def test_no_two_test_modules_share_a_name() -> None:
    seen: dict[str, Path] = {}
    for path in [*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("plugins/*/tests/test_*.py")]:
        assert path.name not in seen, f"{path} and {seen[path.name]}"
        seen[path.name] = path


def test_the_rooms_behind_the_face_are_all_protected() -> None:
    """A new room of the core must not become reachable for plugins by being forgotten in the contract."""
    name = "Plugins reach the core by its face, its interfaces and its tests' kit alone"
    protected = {module.removeprefix("lanmu.") for module in _contract(name, "protected_modules")}
    core = ROOT / "core" / "lanmu"
    rooms = {path.name for path in core.iterdir() if (path / "__init__.py").is_file()}
    assert rooms - protected == {"interfaces", "storage", "testing"}
