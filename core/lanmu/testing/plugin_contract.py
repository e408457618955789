"""What every plugin must pass, as far as a program can check it (the list is plugins/README.md)."""

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from marshmallow import ValidationError

import lanmu
from lanmu.authoring import Plugin
from lanmu.i18n import Catalog, po_files
from lanmu.secret_settings import TELLING, below, named_secrets
from lanmu.soundness import TELL, Flaw, flaws, lax_tables, mounted
from lanmu.storage import Database
from lanmu.storage.migrate import differences
from lanmu.testing.host import FakeHost
from lanmu.testing.loading import chain_of, name_of
from lanmu.testing.rules import holds
from lanmu.validation import tables

if TYPE_CHECKING:
    import flask

OPEN_TO_PLUGINS = frozenset({"interfaces", "hookspecs", "storage", "i18n", "testing"})

_OF_PAGES = frozenset({"permission-named", "permission-known"})
_OF_SETTINGS = frozenset({"settings-strict"})


class PluginContract:
    """Subclass it and set `plugin`, and `settings` to a `[plugins.NAME]` table that is complete and right."""

    plugin: ClassVar[type[Plugin[Any]]]
    settings: ClassVar[Mapping[str, object]] = {}

    @pytest.fixture
    def loaded(self, lanmu_load: Callable[..., Plugin[Any]]) -> Plugin[Any]:
        return lanmu_load(self.plugin, self.settings)

    def test_its_settings_refuse_an_unknown_key(self) -> None:
        lax = [str(fault) for fault in lax_tables(name_of(self.plugin), self.plugin)]
        holds(not lax, "settings-strict", "\n".join(lax))
        try:
            self.plugin.settings_schema().load({**self.settings, "no_such_setting": 1})
            told = "nothing"
        except ValidationError as error:
            told = str(error.messages)
        holds("no_such_setting" in told, "settings-strict", f"of an unknown key is told: {told}")

    def test_its_settings_hide_their_secrets(self, loaded: Plugin[Any]) -> None:
        shown = repr(loaded.settings) + str(loaded.settings)
        found = [(way, secret.reveal()) for way, secret in named_secrets(loaded.settings)]
        leaked = [(way, len(secret)) for way, secret in found if secret in shown]
        short = ", ".join(way for way, length in leaked if length < TELLING)
        story = (
            f"{short}: what stands there may stand anywhere by chance; test with {TELLING} letters or more"
        )
        holds(not short, "secret-too-short", story)
        names = ", ".join(way for way, _length in leaked)
        holds(not leaked, "no-secret-in-repr", f"a secret setting is printed with the settings: {names}")

    def test_its_readme_tells_of_every_setting(self) -> None:
        # Beside the tests' folder: the package itself may be an installed wheel, which has no README.
        readme = Path(inspect.getfile(type(self))).resolve().parents[1] / "README.md"
        holds(readme.is_file(), "readme", f"there is no {readme}")
        text = readme.read_text(encoding="utf-8")
        silent = [
            below(place, key)
            for place, table, _strict in tables(self.plugin.settings_schema(), "")
            for key in (field.data_key or name for name, field in table.fields.items())
            if not re.search(rf"\b{re.escape(key)}\b", text)
        ]
        holds(not silent, "settings-documented", f"README.md does not speak of {', '.join(silent)}")

    def test_its_tables_are_its_own_and_migrated(self, loaded: Plugin[Any], lanmu_host: FakeHost) -> None:
        chain = chain_of(self.plugin)  # refuses a table without the plugin's name
        if chain is None:
            pytest.skip("this plugin has no tables")
        assert isinstance(lanmu_host.database, Database)
        found = differences(lanmu_host.database, chain)
        holds(not found, "migrations-agree", f"the migrations do not add up to the models: {found}")

    def test_its_hooks_exist_and_can_be_called(self, loaded: Plugin[Any]) -> None:
        lazy = [name for name in sorted(TELL) if inspect.isgeneratorfunction(getattr(loaded, name, None))]
        holds(not lazy, "no-yield-in-tell", f"{', '.join(lazy)} holds a yield, so it would never run")
        self._has_no(flaw for flaw in self._flaws(loaded) if flaw.rule not in _OF_PAGES | _OF_SETTINGS)

    def test_its_channels_carry_its_name(self, loaded: Plugin[Any]) -> None:
        if not hasattr(loaded, "lanmu_channels"):
            pytest.skip("this plugin offers no channel")
        name = name_of(self.plugin)
        names = [channel.name for channel in loaded.lanmu_channels()]
        foreign = [each for each in names if each != name and not each.startswith(f"{name}.")]
        holds(not foreign, "named-prefix", f"{foreign} must be {name} or {name}.something")
        holds(len(set(names)) == len(names), "named-once", f"one name twice: {names}")

    def test_every_view_names_a_permission(self, loaded: Plugin[Any]) -> None:
        if not hasattr(loaded, "lanmu_blueprints") and not hasattr(loaded, "lanmu_menu"):
            pytest.skip("this plugin has no pages")
        self._has_no(flaw for flaw in self._flaws(loaded) if flaw.rule in _OF_PAGES)

    def test_every_menu_entry_leads_to_a_page(self, loaded: Plugin[Any]) -> None:
        if not hasattr(loaded, "lanmu_menu"):
            pytest.skip("this plugin has no menu entry")
        app = self._app(loaded)
        lost = [
            item.endpoint
            for item in loaded.lanmu_menu()
            if app is None or item.endpoint not in app.view_functions
        ]
        holds(not lost, "menu-leads-somewhere", f"no view is named {lost}")

    def test_it_reaches_the_core_by_its_face_alone(self) -> None:
        wrong = sorted(set(self._imports_behind_the_face()))
        holds(not wrong, "imports", f"a plugin may import lanmu and {sorted(OPEN_TO_PLUGINS)}, not {wrong}")

    def test_every_text_has_its_translation(self) -> None:
        package = self._folder()
        if not po_files(package.name, "zh-CN"):
            pytest.skip("this plugin has no translations")
        catalog = Catalog((package.name,))
        texts = set(_texts(package))
        untold = sorted(text for text in texts if not catalog.knows("zh-CN", text))
        holds(not untold, "translated", f"no Chinese for {untold}")

    def _flaws(self, loaded: Plugin[Any]) -> Iterator[Flaw]:
        return flaws(name_of(self.plugin), loaded)

    def _has_no(self, found: Iterable[Flaw]) -> None:
        every = list(found)
        holds(not every, every[0].rule if every else "", "\n".join(str(flaw.fault) for flaw in every))

    def _imports_behind_the_face(self) -> Iterator[str]:
        own = self._folder().name
        for path in self._folder().rglob("*.py"):
            for module in _imported(path):
                top, _, rest = module.partition(".")
                behind = top == "lanmu" and rest and rest.partition(".")[0] not in OPEN_TO_PLUGINS
                if behind or (top.startswith("lanmu_") and top != own):
                    yield module

    def _folder(self) -> Path:
        package = sys.modules[self.plugin.__module__.partition(".")[0]]
        return Path(package.__file__ or "").parent

    def _app(self, loaded: Plugin[Any]) -> "flask.Flask | None":
        if not hasattr(loaded, "lanmu_blueprints"):
            return None
        return mounted(name_of(self.plugin), loaded.lanmu_blueprints())


def _texts(package: Path) -> Iterator[str]:
    """Every text that the package marks for translation."""
    from babel.messages.extract import extract_from_dir  # 0.1 s, and only for plugins with translations

    found = extract_from_dir(
        package,
        method_map=[("**.py", "python"), ("**.html", "jinja2")],
        options_map={"**.html": {"extensions": "jinja2.ext.i18n", "silent": "false"}},
    )
    for _path, _line, message, _comments, _context in found:
        yield from [message] if isinstance(message, str) else message


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module == "lanmu":
                yield from (f"lanmu.{name.name}" for name in node.names if name.name not in lanmu.__all__)
            else:
                yield node.module
