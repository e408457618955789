"""The plugin host: find, build, check and set aside; and call each plugin alone."""

import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import pluggy
from marshmallow import ValidationError

from lanmu import hookspecs
from lanmu.authoring import AnyPlugin, Plugin
from lanmu.config import settings_faults
from lanmu.i18n import _, told
from lanmu.interfaces.channels import Channel, Message
from lanmu.interfaces.errors import Conflict, Faults, Invalid, LanmuError
from lanmu.interfaces.events import Objection
from lanmu.interfaces.host import Host
from lanmu.storage.migrate import Chain, plugin_chain

GROUP = "lanmu.plugins"
_OURS = "lanmu"

log = logging.getLogger(__name__)

Offer = TypeVar("Offer")


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """How a plugin fares. `reason` says why it was set aside; `hooks` are those that it answers."""

    name: str
    distribution: str
    version: str
    state: str
    reason: str = ""
    hooks: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


@dataclass(slots=True)
class _Loaded:
    name: str
    plugin: AnyPlugin
    package: str
    distribution: str
    version: str
    channels: list[str] = field(default_factory=list)


class Plugins:
    """The plugins that run, and those that were set aside with the reason.

    Each is called alone: pluggy ends a call for all when one raises, and a stranger's mistake must not
    take the others' answers with it.
    """

    def __init__(self, settings: Mapping[str, Mapping[str, Any]], host_for: Callable[[str], Host]) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._host_for = host_for
        self._loaded: dict[str, _Loaded] = {}
        self._aside: dict[str, PluginStatus] = {}
        self.channels: dict[str, Channel] = {}
        found = _entry_points()
        self._packages = [found[name].module.partition(".")[0] for name in settings if name in found]
        for name in settings:
            if name in found:
                self._load(found[name], dict(settings[name]))
            else:
                self._aside[name] = PluginStatus(name, "", "", "missing", told(_not_installed(name)))
        self._off = {
            name: PluginStatus(name, _distribution(point), _version(point), "off")
            for name, point in found.items()
            if name not in settings
        }

    def _load(self, point: metadata.EntryPoint, table: dict[str, Any]) -> None:
        name = point.name
        try:
            made, loaded = _with_settings(point, table)
            plugin: AnyPlugin = made(loaded, self._host_for(name))
            self._manager.register(plugin, name)
            self._manager.check_pending()
            _refuse_generators_that_tell(plugin, name)
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever it does must not stop the server
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            self.set_aside(name, error, point)
            return
        self._loaded[name] = _Loaded(
            name, plugin, made.__module__.partition(".")[0], _distribution(point), _version(point)
        )

    def set_aside(self, name: str, error: BaseException, point: metadata.EntryPoint | None = None) -> None:
        """Take a plugin out of the running server and remember why."""
        loaded = self._loaded.pop(name, None)
        if loaded:
            self._manager.unregister(name=name)
            for channel in loaded.channels:
                self.channels.pop(channel, None)
        reason = told(error) if isinstance(error, LanmuError) else f"{type(error).__name__}: {error}"
        self._aside[name] = PluginStatus(
            name,
            loaded.distribution if loaded else _distribution(point),
            loaded.version if loaded else _version(point),
            "set_aside",
            reason,
        )
        log.warning("plugin set aside", extra={"plugin": name, "reason": reason})

    def collect_channels(self) -> None:
        """Ask for the channels. Raises Conflict where two plugins claim one name: neither may win."""
        claimed: dict[str, str] = {}
        for plugin, offered in self.offers("lanmu_channels"):
            if plugin not in self._loaded:  # set aside for a channel before this one
                continue
            if not isinstance(getattr(offered, "name", None), str):
                fault = Invalid(
                    f"plugins.{plugin}", _("offers a channel without a name: %(it)r."), it=offered
                )
                self.set_aside(plugin, fault)
                continue
            channel: Channel = offered
            if channel.name != plugin and not channel.name.startswith(f"{plugin}."):
                self.set_aside(
                    plugin,
                    Invalid(
                        f"plugins.{plugin}",
                        _("its channel %(channel)s must be called %(plugin)s or %(plugin)s.something."),
                        channel=channel.name,
                        plugin=plugin,
                    ),
                )
                continue
            if channel.name in claimed:
                raise Conflict(
                    channel.name,
                    _("is claimed by the plugins %(first)s and %(second)s."),
                    _("Switch one of them off in config.toml."),
                    first=claimed[channel.name],
                    second=plugin,
                )
            claimed[channel.name] = plugin
            self.channels[channel.name] = channel
            self._loaded[plugin].channels.append(channel.name)

    def chains(self) -> list[Chain]:
        """The migrations of every plugin with tables; one whose tables are wrong is set aside."""
        found = []
        for name, loaded in list(self._loaded.items()):
            plugin = loaded.plugin
            if plugin.migrations is None or plugin.models is None:
                continue
            folder = Path(str(importlib.import_module(loaded.package).__file__)).parent / plugin.migrations
            try:
                found.append(plugin_chain(name, folder, plugin.models))
            except Exception as error:  # noqa: BLE001  see the class
                self.set_aside(name, error)
        return found

    def offers(self, hook: str) -> list[tuple[str, Any]]:
        """What every plugin offers, with its name. One that fails is set aside; the others' offers stand."""
        answers: list[tuple[str, Any]] = []
        for name in list(self._loaded):
            try:
                answers.extend((name, offered) for offered in self._call_one(name, hook))
            except Exception as error:  # noqa: BLE001  see the class
                self.set_aside(name, error)
        return answers

    def tell(self, hook: str, **heard: object) -> None:
        """Let every plugin hear of something; an exception is logged and goes no further."""
        for name in list(self._loaded):
            try:
                self._call_one(name, hook, **heard)
            except Exception:
                log.exception("plugin failed to hear", extra={"plugin": name, "hook": hook})

    def objections(self, message: Message, channel: str) -> list[Objection]:
        """Every plugin's objections to a message; raising counts as one."""
        found: list[Objection] = []
        for name in list(self._loaded):
            try:
                found.extend(self._call_one(name, "lanmu_objections", message=message, channel=channel))
            except Exception as error:
                log.exception("plugin failed when asked", extra={"plugin": name})
                found.append(Objection(f"{name}: {type(error).__name__}: {error}"))
        return found

    def _call_one(self, name: str, hook: str, **arguments: object) -> list[Any]:
        others = [loaded.plugin for other, loaded in self._loaded.items() if other != name]
        caller = self._manager.subset_hook_caller(hook, others)
        flat: list[Any] = []
        for answer in caller(**arguments):
            # Read the answer here, inside the caller's guard: a generator only runs when it is read.
            flat.extend(answer if isinstance(answer, Iterable) else [answer])
        return flat

    def packages(self) -> list[str]:
        """The import packages of the plugins: also of one set aside, whose reason may be in its own words."""
        return [package for package in self._packages if package in sys.modules]

    def statuses(self) -> list[PluginStatus]:
        """All that are installed or asked for: running, set aside, missing or off."""
        running = [
            PluginStatus(
                loaded.name,
                loaded.distribution,
                loaded.version,
                "running",
                hooks=tuple(
                    sorted(caller.name for caller in self._manager.get_hookcallers(loaded.plugin) or ())
                ),
                channels=tuple(loaded.channels),
            )
            for loaded in self._loaded.values()
        ]
        return [*running, *self._aside.values(), *self._off.values()]


def settings_in_need(settings: Mapping[str, Mapping[str, Any]]) -> list[LanmuError]:
    """What is wrong with the plugins' tables of config.toml, found without starting a plugin."""
    points = _entry_points()
    found: list[LanmuError] = []
    for name, table in settings.items():
        if name not in points:
            found.append(_not_installed(name))
            continue
        try:
            _with_settings(points[name], dict(table))
        except Faults as error:
            found.extend(error.faults)
        except Exception as error:  # noqa: BLE001  a stranger's import may fail in any way
            fault = error if isinstance(error, LanmuError) else None
            found.append(fault or Invalid(f"plugins.{name}", f"{type(error).__name__}: {error}"))
    return found


def _with_settings(point: metadata.EntryPoint, table: dict[str, Any]) -> tuple[type[AnyPlugin], Any]:
    """A plugin's class and its checked settings."""
    made = point.load()
    if not (isinstance(made, type) and issubclass(made, Plugin)):
        fault = _("its entry point %(point)s is not a lanmu.Plugin.")
        raise Invalid(f"plugins.{point.name}", fault, point=point.value)
    schema = made.settings_schema()
    try:
        return made, schema.load(table)
    except ValidationError as error:
        raise settings_faults(point.name, error, schema) from error


def _not_installed(name: str) -> Invalid:
    return Invalid(f"plugins.{name}", _("no installed plugin has this name."))


def _entry_points() -> dict[str, metadata.EntryPoint]:
    """Every installed plugin by name. Ours come first: a stranger cannot displace one by naming his alike."""
    points = sorted(
        metadata.entry_points(group=GROUP),
        key=lambda point: (_distribution(point) != _OURS, _distribution(point)),
    )
    found: dict[str, metadata.EntryPoint] = {}
    for point in points:
        if point.name in found:
            log.warning(
                "two plugins of one name", extra={"plugin": point.name, "ignored": _distribution(point)}
            )
        else:
            found[point.name] = point
    return found


def _distribution(point: metadata.EntryPoint | None) -> str:
    return point.dist.name if point is not None and point.dist else ""


def _version(point: metadata.EntryPoint | None) -> str:
    return point.dist.version if point is not None and point.dist else ""


def _refuse_generators_that_tell(plugin: AnyPlugin, name: str) -> None:
    """A tell hook written with `yield` would never run: nobody reads what it answers."""
    for hook in ("lanmu_pushed", "lanmu_member_event", "lanmu_material_approved"):
        if inspect.isgeneratorfunction(getattr(plugin, hook, None)):
            raise Invalid(
                f"plugins.{name}.{hook}", _("must not yield: it is told, not asked, and would never run.")
            )
