"""The page of hooks is current, and every hook has a user."""

import ast
import runpy
from pathlib import Path

import pluggy

from lanmu import hookspecs

ROOT = Path(__file__).parents[2]
HOOK_PAGES = runpy.run_path(str(ROOT / "tools" / "hook_pages.py"))

# Told to plugins, with no listener among ours yet: the ledger's rules hear member events through the core.
WITHOUT_A_USER = {"lanmu_objections", "lanmu_pushed", "lanmu_member_event", "lanmu_material_approved"}


def _hooks() -> set[str]:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return {name for name in dir(manager.hook) if name.startswith("lanmu_")}


def test_the_page_of_hooks_is_current() -> None:
    page = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    assert page == HOOK_PAGES["page"](), "run python tools/hook_pages.py"


def test_every_hook_has_a_section_with_its_signature() -> None:
    page = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    for hook in _hooks():
        assert f"## {hook}\n\n```python\ndef {hook}(self" in page


def test_every_hook_has_a_user_among_the_plugins() -> None:
    used = set()
    for folder in (ROOT / "plugins", ROOT / "docs" / "examples"):
        for path in folder.glob("*/lanmu_*/**/*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            used |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert _hooks() - used == WITHOUT_A_USER - used, "a hook ships with a plugin that uses it"
