"""The plugin host: find, build, check and set aside; and call each plugin alone."""

import contextlib
import difflib
import importlib
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import pluggy
from marshmallow import ValidationError

from lanmu import hookspecs, secret_settings, soundness
from lanmu.authoring import AnyPlugin, Plugin
from lanmu.config import Config, settings_faults
from lanmu.i18n import Filled, _, told
from lanmu.interfaces.channels import Channel, Message
from lanmu.interfaces.errors import Faults, Invalid, LanmuError
from lanmu.interfaces.events import Objection
from lanmu.interfaces.host import Host
from lanmu.plugin_faults import failure, mistakes, safe
from lanmu.storage.migrate import Chain, plugin_chain

GROUP = "lanmu.plugins"
_OURS = "lanmu"

log = logging.getLogger(__name__)

Offer = TypeVar("Offer")


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """How a plugin fares. `hooks` are those that it answers.

    `reason` says why it was set aside, `where` at which places in its own code that came about.
    """

    name: str
    distribution: str
    version: str
    state: str
    reason: str = ""
    hooks: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    where: tuple[str, ...] = ()


@dataclass(slots=True)
class _Loaded:
    """A plugin that runs. `hooks` calls it and nobody else."""

    name: str
    plugin: AnyPlugin
    hooks: pluggy.PluginManager
    package: str
    distribution: str
    version: str
    channels: list[str] = field(default_factory=list)


class Plugins:
    """The plugins that run, and those that were set aside with the reason.

    Each is called alone: pluggy ends a call for all when one raises, and a stranger's mistake must not
    take the others' answers with it. Any thread may call them, and find that one is to be set aside.
    """

    def __init__(self, config: Config, host_for: Callable[[str], Host]) -> None:
        self._host_for = host_for
        self._setting_aside = threading.Lock()
        # Never changed, but replaced: another thread may be going through it just now.
        self._loaded: Mapping[str, _Loaded] = {}
        self._aside: dict[str, PluginStatus] = {}
        self.channels: dict[str, Channel] = {}
        self._config = config
        settings = config.plugins
        found, twins = _entry_points()
        self._packages = [found[name].module.partition(".")[0] for name in settings if name in found]
        for name in settings:
            if name in found:
                self._load(found[name])
            else:
                self._aside[name] = PluginStatus(name, "", "", "missing", told(_not_installed(name, found)))
        self._off = {
            name: PluginStatus(name, _distribution(point), _version(point), "off")
            for name, point in found.items()
            if name not in settings
        }
        self._twins = [_of_twin(found[twin.name], twin) for twin in twins]

    def _load(self, point: metadata.EntryPoint) -> None:
        name = point.name
        try:
            made, loaded = _with_settings(point, self._config)
            plugin: AnyPlugin = made(loaded, self._host_for(name))
            soundness.refuse_hooks(name, plugin)
            hooks = pluggy.PluginManager(hookspecs.PROJECT)
            hooks.add_hookspecs(hookspecs)
            hooks.register(plugin, name)
            hooks.check_pending()
        except mistakes() as error:  # whatever it does must not stop the server
            self.set_aside(name, error, point)
            return
        package = made.__module__.partition(".")[0]
        running = _Loaded(name, plugin, hooks, package, _distribution(point), _version(point))
        self._loaded = {**self._loaded, name: running}

    def set_aside(self, name: str, error: BaseException, point: metadata.EntryPoint | None = None) -> None:
        """Take a plugin out of the running server and remember why; the first reason stands."""
        loaded = self._loaded.get(name)
        reason = told(error) if isinstance(error, LanmuError) else failure(error)
        package = loaded.package if loaded else (point.module if point else "")
        where = soundness.own_frames(error, package) if package else ()
        status = PluginStatus(
            name,
            loaded.distribution if loaded else _distribution(point),
            loaded.version if loaded else _version(point),
            "set_aside",
            reason,
            where=where,
        )
        with self._setting_aside:
            if name in self._aside:
                return
            self._aside[name] = status
            self._loaded = {other: each for other, each in self._loaded.items() if other != name}
        for channel in loaded.channels if loaded else ():
            self.channels.pop(channel, None)
        told_where = {"where": where[-1]} if where else {}
        log.warning("plugin set aside", extra={"plugin": name, "reason": reason, **told_where})
        log.debug("why the plugin was set aside", extra={"plugin": name}, exc_info=error)

    def collect_channels(self) -> None:
        """Ask for the channels. A plugin that offers another's is set aside."""
        claimed: dict[str, str] = {}
        for plugin, offered in self.offers("lanmu_channels"):
            if plugin not in self._loaded:  # set aside for a channel before this one
                continue
            channel: Channel = offered
            if first := claimed.get(channel.name):
                self.set_aside(plugin, self._claimed_twice(channel.name, first, plugin))
                continue
            claimed[channel.name] = plugin
            self.channels[channel.name] = channel
            self._loaded[plugin].channels.append(channel.name)

    def _claimed_twice(self, channel: str, first: str, second: str) -> Invalid:
        """Why the later of two claims to a channel's name is refused."""
        if first == second:
            fault = _("offers two channels called %(channel)s.")
            return Invalid(f"plugins.{first}.lanmu_channels", fault, channel=channel)
        return Invalid(
            f"plugins.{second}.lanmu_channels",
            _("its channel %(channel)s is already the plugin %(first)s's (%(one)s; this is %(other)s)."),
            _("Switch one of them off in config.toml."),
            channel=channel,
            first=first,
            one=self._loaded[first].distribution,
            other=self._loaded[second].distribution,
        )

    def chains(self) -> list[Chain]:
        """The migrations of every plugin with tables; one whose tables are wrong is set aside."""
        found = []
        for name, loaded in self._loaded.items():
            plugin = loaded.plugin
            if plugin.migrations is None or plugin.models is None:
                continue
            folder = Path(str(importlib.import_module(loaded.package).__file__)).parent / plugin.migrations
            try:
                found.append(plugin_chain(name, folder, plugin.models))
            except mistakes() as error:  # see the class
                self.set_aside(name, error)
        return found

    def offers(self, hook: str) -> list[tuple[str, Any]]:
        """What every plugin offers, with its name; all of it is of the kind that the hook asks for.

        One that fails, or offers something else, is set aside; the others' offers stand.
        """
        answers: list[tuple[str, Any]] = []
        for name, loaded in self._loaded.items():
            try:
                offered = _answers(loaded, hook)
                for each in offered:
                    if fault := soundness.why_no_offer(name, hook, each):
                        raise fault
            except mistakes() as error:  # see the class
                self.set_aside(name, error)
            else:
                answers.extend((name, each) for each in offered)
        return answers

    def tell(self, hook: str, **heard: object) -> None:
        """Let every plugin hear of something; an exception is logged and goes no further."""
        for name, loaded in self._loaded.items():
            try:
                _answers(loaded, hook, **heard)
            except mistakes():
                log.exception("plugin failed to hear", extra={"plugin": name, "hook": hook})

    def objections(self, message: Message, channel: str) -> list[Objection]:
        """Every plugin's objections to a message; raising counts as one."""
        found: list[Objection] = []
        for name, loaded in self._loaded.items():
            try:
                said = _answers(loaded, "lanmu_objections", message=message, channel=channel)
                found.extend(_objection(name, each) for each in said)
            except mistakes() as error:
                log.exception("plugin failed when asked", extra={"plugin": name})
                found.append(Objection(f"{name}: {failure(error)}"))
        return found

    def packages(self) -> list[str]:
        """The import packages of the plugins: also of one set aside, whose reason may be in its own words."""
        return [package for package in self._packages if package in sys.modules]

    def names(self) -> set[str]:
        """All that are installed or asked for, running or not."""
        return {*self._loaded, *self._aside, *self._off}

    def statuses(self) -> list[PluginStatus]:
        """All that are installed or asked for: running, set aside, missing or off."""
        running = [
            PluginStatus(
                loaded.name,
                loaded.distribution,
                loaded.version,
                "running",
                hooks=tuple(
                    sorted(caller.name for caller in loaded.hooks.get_hookcallers(loaded.plugin) or ())
                ),
                channels=tuple(loaded.channels),
            )
            for loaded in self._loaded.values()
        ]
        return [*running, *self._aside.values(), *self._off.values(), *self._twins]

    def flaws(self, name: str) -> list[soundness.Flaw]:
        """What is unsound about a plugin that runs."""
        return list(soundness.flaws(name, self._loaded[name].plugin))


def _answers(loaded: _Loaded, hook: str, **arguments: object) -> list[Any]:
    """What one plugin answers to a hook, each of its answers by itself."""
    flat: list[Any] = []
    for answer in getattr(loaded.hooks.hook, hook)(**arguments):
        # Read the answer here, inside the caller's guard: a generator only runs when it is read.
        many = isinstance(answer, Iterable) and not isinstance(answer, (str, bytes))
        flat.extend(answer if many else [answer])
    return flat


def settings_in_need(config: Config) -> list[LanmuError]:
    """What is wrong with the plugins' tables of config.toml, found without starting a plugin."""
    points, _twins = _entry_points()
    found: list[LanmuError] = []
    for name in config.plugins:
        if name not in points:
            found.append(_not_installed(name, points))
            continue
        try:
            _with_settings(points[name], config)
        except Faults as error:
            found.extend(error.faults)
        except mistakes() as error:  # a stranger's import may fail in any way
            fault = error if isinstance(error, LanmuError) else None
            found.append(fault or Invalid(f"plugins.{name}", failure(error)))
    return found


def secret_places(config: Config) -> secret_settings.Places:
    """Where in config.toml the plugins' secrets stand, as far as their settings can be read."""
    points, _twins = _entry_points()
    found = {}
    for name, table in config.plugins.items():
        with contextlib.suppress(*mistakes()):  # of one that fails, nobody can say
            _made, load = _settings(points[name])
            found[name] = secret_settings.places(table, f"plugins.{name}", load)
    return found


def _with_settings(point: metadata.EntryPoint, config: Config) -> tuple[type[AnyPlugin], Any]:
    """A plugin's class and its checked settings. Raises Faults with all that is wrong with its table."""
    table, place = config.plugins[point.name], f"plugins.{point.name}"
    unfilled = list(config.unfilled.get(point.name, ()))
    made, load = _settings(point)
    try:
        loaded = load(table)
    except Faults as error:
        told = {fault.place for fault in unfilled}  # what could not be put in is wrong in its eyes too
        raise Faults([*unfilled, *(each for each in error.faults if each.place not in told)]) from error
    if unfilled:
        raise Faults(unfilled)
    if config.exposed and (exposed := secret_settings.places(table, place, load) & config.exposed):
        fault = _("holds a secret, and others on this machine can read config.toml.")
        way_out = _("Run chmod 600 on it, or write ${NAME} and set NAME in the environment.")
        raise Faults([Invalid(each, fault, way_out) for each in sorted(exposed)])
    return made, loaded


def _settings(point: metadata.EntryPoint) -> tuple[type[AnyPlugin], Callable[[Mapping[str, Any]], Any]]:
    """A plugin's class, and what makes its settings of a table or raises Faults."""
    made = point.load()
    if not (isinstance(made, type) and issubclass(made, Plugin)):
        fault = _("its entry point %(point)s is not a lanmu.Plugin.")
        way_out = _('It names the class itself: %(name)s = "lanmu_%(name)s:TheClass".')
        raise Invalid(f"plugins.{point.name}", fault, way_out, point=point.value, name=point.name)

    def load(table: Mapping[str, Any]) -> Any:
        schema = made.settings_schema()
        try:
            return schema.load(dict(table))
        except ValidationError as error:
            raise settings_faults(point.name, error, schema) from error

    return made, load


def _not_installed(name: str, installed: Iterable[str]) -> Invalid:
    known = sorted(installed)
    near = difflib.get_close_matches(name, known, n=1)
    return Invalid(
        f"plugins.{name}",
        _("no installed plugin has this name."),
        _("Did you mean %(near)s?") if near else _("Installed: %(known)s."),
        near="".join(near),
        known=", ".join(known) or "–",
    )


def _of_twin(first: metadata.EntryPoint, twin: metadata.EntryPoint) -> PluginStatus:
    fault = Invalid(
        f"plugins.{twin.name}",
        _("is the name of a plugin of %(first)s already, so that of %(twin)s does not run."),
        _("Uninstall one of the two."),
        first=_distribution(first) or first.value,
        twin=_distribution(twin) or twin.value,
    )
    return PluginStatus(twin.name, _distribution(twin), _version(twin), "set_aside", told(fault))


def _objection(plugin: str, said: object) -> Objection:
    """What a plugin said when it was asked; any answer objects, also one that is no Objection."""
    reason = getattr(said, "reason", None) if isinstance(said, Objection) else None
    if isinstance(said, Objection) and isinstance(reason, str):
        return Objection(safe(reason), said.ends is True)
    log.error("plugin answers no Objection", extra={"plugin": plugin, "answer": type(said).__name__})
    text = _("The plugin %(plugin)s answers lanmu_objections with a %(kind)s, not with Objections. %(said)s")
    kind = type(said).__name__
    return Objection(Filled(text, plugin=plugin, kind=kind, said=safe(str(said)) if kind == "str" else ""))


def _entry_points() -> tuple[dict[str, metadata.EntryPoint], list[metadata.EntryPoint]]:
    """Every installed plugin by name, and those whose name was taken.

    Ours come first: a stranger cannot displace one by naming his alike.
    """
    points = sorted(
        metadata.entry_points(group=GROUP),
        key=lambda point: (_distribution(point) != _OURS, _distribution(point)),
    )
    found: dict[str, metadata.EntryPoint] = {}
    twins = []
    for point in points:
        if point.name in found:
            twins.append(point)
            log.warning(
                "two plugins of one name", extra={"plugin": point.name, "ignored": _distribution(point)}
            )
        else:
            found[point.name] = point
    return found, twins


def _distribution(point: metadata.EntryPoint | None) -> str:
    return point.dist.name if point is not None and point.dist else ""


def _version(point: metadata.EntryPoint | None) -> str:
    return point.dist.version if point is not None and point.dist else ""
