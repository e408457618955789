"""Whether a plugin is sound in shape: its hooks, what it offers, the permissions of its pages.

`lanmu plugin check` tells every flaw found here, and the contract kit fails a plugin for the same. The host
refuses on its own what it could not run with: a hook that does not exist, an offer that is no channel.
"""

import difflib
import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanmu import hookspecs
from lanmu.authoring import AnyPlugin, BaseChannel
from lanmu.i18n import _
from lanmu.interfaces.access import PUBLIC, SIGNED
from lanmu.interfaces.channels import Abilities, Rate, Sending
from lanmu.interfaces.errors import Invalid, LanmuError
from lanmu.interfaces.host import MenuItem
from lanmu.misreadings import misreadings
from lanmu.plugin_faults import failure
from lanmu.staff.roles import EVERY_PERMISSION
from lanmu.validation import tables

if TYPE_CHECKING:
    import click
    import flask

_MARK = f"{hookspecs.PROJECT}_impl"

HOOKS: dict[str, Callable[..., Any]] = {
    name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, f"{hookspecs.PROJECT}_spec")
}
TELL = frozenset(name for name, spec in HOOKS.items() if "Verb: tell." in (spec.__doc__ or ""))
OFFER = frozenset(name for name, spec in HOOKS.items() if "Verb: offer." in (spec.__doc__ or ""))

_NEEDS = {
    "lanmu_channels": ("upload", "compose", "connect", "transmit", "classify", "find", "results", "cancel"),
    "lanmu_rewriters": ("name", "title", "label", "propose"),
    "lanmu_checks": ("name", "title", "check"),
    "lanmu_points_rules": ("name", "title", "propose"),
    "lanmu_services": ("title", "url", "start", "stop"),
}
"""What is asked of each thing that a hook offers."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """A rule that a plugin breaks, and the fault with its place and way out."""

    rule: str
    fault: LanmuError


def refuse_hooks(name: str, plugin: AnyPlugin) -> None:
    """Raises Invalid for a hook that could not be called: unknown, of unknown arguments, or never run."""
    for hook, function in _hooks(plugin):
        place = f"plugins.{name}.{hook}"
        if hook not in HOOKS:
            near = difflib.get_close_matches(hook, HOOKS, n=1)
            raise Invalid(
                place,
                _("is no hook of this version of Lanmu."),
                _("Did you mean %(near)s?") if near else _("Known hooks: %(known)s."),
                near="".join(near),
                known=", ".join(HOOKS),
            )
        passed = inspect.signature(HOOKS[hook]).parameters
        for argument, kind in _arguments(function).items():
            if argument not in passed and kind.default is kind.empty:
                raise Invalid(
                    place,
                    _("asks for %(argument)s, which this hook does not pass."),
                    _("It passes: %(passed)s."),
                    argument=argument,
                    passed=", ".join(passed) or "–",
                )
        if hook in TELL and inspect.isgeneratorfunction(function):
            raise Invalid(place, _("must not yield: it is told, not asked, and would never run."))


def why_no_channel(plugin: str, offered: object) -> Invalid | None:
    """What keeps an offer from being a channel; None where it is one."""
    place = f"plugins.{plugin}.lanmu_channels"
    if isinstance(offered, type):
        way_out = _("Offer an object of it: %(kind)s(…).")
        return Invalid(place, _("offers the class %(kind)s."), way_out, kind=offered.__name__)
    kind = type(offered).__name__
    name = getattr(offered, "name", None)
    if not isinstance(name, str) or not name:
        return Invalid(
            place, _("offers a %(kind)s without a name."), _("A channel's name is a text."), kind=kind
        )
    if name != plugin and not name.startswith(f"{plugin}."):
        fault = _("its channel %(channel)s must be called %(plugin)s or %(plugin)s.something.")
        return Invalid(place, fault, channel=name, plugin=plugin)
    place = f"{place}: {name}"
    abilities = getattr(offered, "abilities", None)
    if not isinstance(abilities, Abilities):
        fault = _("its abilities are a %(kind)s.")
        way_out = _("Declare them with lanmu.interfaces.channels.Abilities(…).")
        return Invalid(place, fault, way_out, kind=type(abilities).__name__)
    if wrong := _wrong_ability(abilities):
        fault = _("its abilities declare %(ability)s of a kind that it cannot be.")
        way_out = _("lanmu.interfaces.channels.Abilities tells what each is: a tuple, a timedelta, a number.")
        return Invalid(place, fault, way_out, ability=wrong)
    missing = [each for each in _NEEDS["lanmu_channels"] if not callable(getattr(offered, each, None))]
    if not isinstance(getattr(offered, "title", None), str):
        missing.append("title")
    if missing:
        fault = _("lacks %(missing)s.")
        way_out = _("lanmu.BaseChannel has all but compose and transmit.")
        return Invalid(place, fault, way_out, missing=", ".join(missing))
    return broken_promise(place, offered, abilities)


def broken_promise(place: str, channel: object, abilities: Abilities) -> Invalid | None:
    """What a channel declares and cannot keep; None where it keeps all that can be seen from here.

    A lookup without a settle time would be believed before the far end lists what it has taken, and one that
    nobody wrote has looked at nothing: either way a message would be sent twice.
    """
    for ability, (method, declares) in _PROMISES.items():
        own = getattr(getattr(channel, method, None), "__func__", None)
        if declares(abilities) and own is getattr(BaseChannel, method):
            fault = _("declares %(ability)s, and %(method)s is that of lanmu.BaseChannel.")
            way_out = _("Write %(method)s, or do not declare it.")
            return Invalid(place, fault, way_out, ability=ability, method=method)
    if abilities.lookup and not abilities.local and not abilities.settle:
        fault = _("declares lookup without settle: how long after a write its lookup may still miss it.")
        way_out = _("Declare the longest that its far end takes until it lists a message, and rather more.")
        return Invalid(place, fault, way_out)
    return None


_PROMISES: dict[str, tuple[str, Callable[[Abilities], bool]]] = {
    "lookup": ("find", lambda abilities: abilities.lookup),
    'acceptance="async"': ("results", lambda abilities: abilities.acceptance == "async"),
    "cancel": ("cancel", lambda abilities: abilities.cancel),
    "asset_ttl": ("upload", lambda abilities: abilities.asset_ttl is not None),
}
"""What is declared, and the method that keeps it."""


def _wrong_ability(abilities: Abilities) -> str:
    """The first ability whose value is of a wrong kind, "" where all are right."""
    a = abilities
    spans = {"idempotency": a.idempotency, "asset_ttl": a.asset_ttl}
    counts = {name: getattr(a, name) for name in ("batch_max", "text_bytes", "asset_max", "asset_bytes")}
    limits = {"limits": a.limits, "silent_limits": a.silent_limits}
    sound = {
        **{name: value is None or isinstance(value, timedelta) for name, value in spans.items()},
        **{name: isinstance(value, int) and value >= 0 for name, value in counts.items()},
        **{name: isinstance(value, tuple) and all(map(_is_rate, value)) for name, value in limits.items()},
        "batch_max": isinstance(a.batch_max, int) and a.batch_max > 0,
        "settle": isinstance(a.settle, timedelta) and a.settle >= timedelta(0),
        "sandbox": isinstance(a.sandbox, bool),
        "lookup": isinstance(a.lookup, bool),
        "cancel": isinstance(a.cancel, bool),
        "local": isinstance(a.local, bool),
        "sending": isinstance(a.sending, Sending),
        "asset_types": isinstance(a.asset_types, frozenset),
        "acceptance": a.acceptance in ("final", "async"),
    }
    return next((name for name, right in sound.items() if not right), "")


def _is_rate(value: object) -> bool:
    return (
        isinstance(value, Rate)
        and isinstance(value.calls, int)
        and isinstance(value.per, timedelta)
        and value.calls > 0
        and value.per >= timedelta(seconds=1)
        and value.scope in ("channel", "target")
    )


def flaws(name: str, plugin: AnyPlugin) -> Iterator[Flaw]:
    """Everything unsound that can be seen of a built plugin; each offer is asked for once."""
    marked = dict(_hooks(plugin))
    if not marked:
        fault = _("answers no hook.")
        way_out = _("Mark its methods with @lanmu.hookimpl.")
        yield Flaw("has-hooks", Invalid(f"plugins.{name}", fault, way_out))
    for lax in lax_tables(name, type(plugin)):
        yield Flaw("settings-strict", lax)
    yield from _unmarked(name, plugin, marked)
    try:
        refuse_hooks(name, plugin)
    except Invalid as error:
        yield Flaw("hooks-exist", error)
    for hook, function in marked.items():
        place = f"plugins.{name}.{hook}"
        defaults = [each for each, kind in _arguments(function).items() if kind.default is not kind.empty]
        if defaults:
            fault = _("gives %(argument)s a default, so it is never passed.")
            way_out = _("Take the default away.")
            yield Flaw("no-defaults", Invalid(place, fault, way_out, argument=", ".join(defaults)))
        if hook in OFFER:
            yield from _offer(name, plugin, hook)


def _hooks(plugin: AnyPlugin) -> list[tuple[str, Callable[..., Any]]]:
    """The plugin's methods that are marked as hooks, by the name of the hook that they answer."""
    found = []
    for attribute in dir(type(plugin)):
        function = inspect.getattr_static(type(plugin), attribute)
        options = getattr(function, _MARK, None)
        if options is not None:
            found.append(((options.get("specname") or attribute), function))
    return found


def lax_tables(name: str, plugin: type[AnyPlugin]) -> Iterator[Invalid]:
    """The tables of a plugin's settings in which a misspelt key would go unnoticed."""
    for place, schema, strict in tables(plugin.settings_schema(), f"plugins.{name}"):
        if not strict:
            fault = _("takes any key, so a misspelt one goes unnoticed. Known there: %(known)s.")
            way_out = _("Leave Meta.unknown, and unknown=… of fields.Nested, at marshmallow's RAISE.")
            yield Invalid(place, fault, way_out, known=", ".join(schema.fields) or "–")


def _unmarked(name: str, plugin: AnyPlugin, marked: Iterable[str]) -> Iterator[Flaw]:
    taken = {*marked}
    for attribute in dir(type(plugin)):
        if attribute in HOOKS and attribute not in taken:
            fault = _("is a hook's name, and the method is not marked as one: it is never called.")
            way_out = _("Put @lanmu.hookimpl above it.")
            yield Flaw("hookimpl", Invalid(f"plugins.{name}.{attribute}", fault, way_out))


def _arguments(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    parameters = list(inspect.signature(getattr(function, "__func__", function)).parameters.values())
    named = [each for each in parameters[1:] if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    return {each.name: each for each in named}


def _offer(name: str, plugin: AnyPlugin, hook: str) -> Iterator[Flaw]:
    place = f"plugins.{name}.{hook}"
    try:
        answer = getattr(plugin, hook)()
        if answer is None or isinstance(answer, (str, bytes)) or not isinstance(answer, Iterable):
            fault = _("answers %(kind)s, and should answer a list.")
            kind = "None" if answer is None else type(answer).__name__
            yield Flaw("offers-a-list", Invalid(place, fault, _("Return […], or yield."), kind=kind))
            return
        offered = list(answer)
    except (Exception, SystemExit) as error:  # noqa: BLE001  told to its author instead
        where = " ".join(own_frames(error, type(plugin).__module__))
        yield Flaw("offers", Invalid(place, _("raises %(error)s"), where, error=failure(error)))
        return
    for each in offered:
        if hook == "lanmu_channels" and getattr(each, "title", None) == "":
            fault = _("its channel %(channel)s has no title, which is its name for people.")
            yield Flaw("name", Invalid(place, fault, channel=getattr(each, "name", "")))
        if wrong := why_no_offer(name, hook, each):
            yield Flaw("offers-objects", wrong)
        elif hook == "lanmu_channels":
            yield from (Flaw(*found) for found in misreadings(f"{place}: {each.name}", each))
    if hook == "lanmu_blueprints":
        yield from _pages(name, place, offered)
    if hook == "lanmu_menu":
        yield from _menu(place, offered)


def why_no_offer(name: str, hook: str, offered: object) -> Invalid | None:
    """What keeps an offer from being of the kind that its hook asks for; None where it is."""
    if hook == "lanmu_channels":
        return why_no_channel(name, offered)
    place = f"plugins.{name}.{hook}"
    wanted = {"lanmu_menu": lambda: MenuItem, "lanmu_commands": _command, "lanmu_blueprints": _blueprint}
    if hook in wanted:
        kind = wanted[hook]()
        if not isinstance(offered, kind):
            fault = _("offers a %(kind)s, which is no %(wanted)s.")
            return Invalid(place, fault, kind=_kind(offered), wanted=kind.__name__)
        return None
    missing = [each for each in _NEEDS[hook] if not hasattr(offered, each)]
    if isinstance(offered, type) or missing:
        fault = _("offers a %(kind)s, which lacks %(missing)s.")
        return Invalid(place, fault, kind=_kind(offered), missing=", ".join(missing) or "__init__()")
    return None


def _kind(offered: object) -> str:
    return offered.__name__ if isinstance(offered, type) else type(offered).__name__


def _command() -> type["click.Command"]:
    import click  # the server runs without a command line

    return click.Command


def _blueprint() -> type["flask.Blueprint"]:
    import flask  # plugins without pages need no web

    return flask.Blueprint


def _pages(name: str, place: str, blueprints: list[Any]) -> Iterator[Flaw]:
    app = mounted(name, [each for each in blueprints if isinstance(each, _blueprint())])
    for endpoint, _view in sorted(app.view_functions.items()):
        for view, permission in permissions(app, endpoint):
            if permission is None:
                fault = _("the view %(view)s names no permission, so nobody may open it.")
                way_out = _("Put @lanmu.interfaces.access.requires(…) under its route.")
                yield Flaw("permission-named", Invalid(place, fault, way_out, view=view))
            elif unknown := _unknown_permission(place, view, permission):
                yield Flaw("permission-known", unknown)


def mounted(name: str, blueprints: Iterable["flask.Blueprint"]) -> "flask.Flask":
    """An app with these pages and nothing else."""
    import flask  # plugins without pages need no web

    app = flask.Flask("lanmu_soundness", static_folder=None)
    for blueprint in blueprints:
        app.register_blueprint(blueprint, url_prefix=f"/p/{name}")
    return app


def permissions(app: "flask.Flask", endpoint: str) -> Iterator[tuple[str, str | None]]:
    """What a view needs, and each method of a MethodView on its own; a static folder needs nothing."""
    if endpoint.endswith("static"):
        return
    view = app.view_functions[endpoint]
    handlers = getattr(view, "view_class", None)
    if handlers is None:
        yield endpoint, getattr(view, "lanmu_permission", None)
        return
    for method in sorted(set(getattr(view, "methods", None) or {"GET"}) - {"HEAD", "OPTIONS"}):
        handler = getattr(handlers, method.lower(), None)
        yield f"{endpoint} ({method})", getattr(handler, "lanmu_permission", None)


def _menu(place: str, items: list[Any]) -> Iterator[Flaw]:
    for item in items:
        if isinstance(item, MenuItem) and (fault := _unknown_permission(place, item.label, item.permission)):
            yield Flaw("permission-known", fault)


def _unknown_permission(place: str, what: str, permission: object) -> Invalid | None:
    if permission in (PUBLIC, SIGNED, *EVERY_PERMISSION):  # the open ones everybody has
        return None
    near = difflib.get_close_matches(str(permission), EVERY_PERMISSION, n=1)
    return Invalid(
        place,
        _("%(what)s needs the permission %(permission)s, which nobody can have."),
        _("Did you mean %(near)s?") if near else _("Known here: %(known)s."),
        what=what,
        permission=permission,
        near="".join(near),
        known=", ".join(EVERY_PERMISSION),
    )


def own_frames(error: BaseException, module: str) -> tuple[str, ...]:
    """Where in a plugin's own code an exception came by, outermost first: `file:line function`."""
    package = module.partition(".")[0]
    found = []
    each: BaseException | None = error
    while each is not None:
        for frame, line in traceback.walk_tb(each.__traceback__):
            if str(frame.f_globals.get("__name__", "")).partition(".")[0] == package:
                found.append(f"{_short(frame.f_code.co_filename)}:{line} {frame.f_code.co_name}")
        if isinstance(each, SyntaxError) and each.filename:
            found.append(f"{_short(each.filename)}:{each.lineno}")
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    return tuple(dict.fromkeys(found))


def _short(file: str) -> str:
    """The package's folder and what is below it: enough to find the file, and no path of a machine."""
    path = Path(file)
    for parent in reversed(path.parents):
        if parent.name.startswith("lanmu_"):
            return str(path.relative_to(parent.parent))
    return str(Path(*path.parts[-2:]))
