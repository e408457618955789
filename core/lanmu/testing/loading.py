"""Building a plugin for a test as the server builds it: settings, tables, then the object."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lanmu.authoring import Plugin
from lanmu.storage import Database
from lanmu.storage.migrate import Chain, plugin_chain, upgrade
from lanmu.testing.host import FakeHost


def name_of(plugin: type[Plugin[Any]]) -> str:
    """A plugin's name by the house's rule: the package `lanmu_NAME` holds the plugin NAME."""
    return plugin.__module__.partition(".")[0].removeprefix("lanmu_")


def chain_of(plugin: type[Plugin[Any]], name: str = "") -> Chain | None:
    """The plugin's migrations, None where it has no tables."""
    if plugin.migrations is None or plugin.models is None:
        return None
    package = sys.modules[plugin.__module__.partition(".")[0]]
    folder = Path(package.__file__ or "").parent / plugin.migrations
    return plugin_chain(name or name_of(plugin), folder, plugin.models)


def build(
    plugin: type[Plugin[Any]], settings: Mapping[str, object], host: FakeHost, *, name: str = ""
) -> Plugin[Any]:
    """The plugin with these settings, its tables made. Raises ValidationError where they are bad."""
    host.name = name or name_of(plugin)
    loaded = plugin.settings_schema().load(settings)
    chain = chain_of(plugin, host.name)
    if chain is not None:
        assert isinstance(host.database, Database)
        upgrade(host.database, chain)
    return plugin(loaded, host)
