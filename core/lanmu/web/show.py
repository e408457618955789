"""What every page is given: who reads it, the menu, the time and zone, and files by their content's hash."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask, current_app, request, url_for

from lanmu import __version__
from lanmu.i18n import _
from lanmu.interfaces.host import MenuItem
from lanmu.web.pages import formats
from lanmu.web.people import locale, person, server, translate


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the menu."""

    label: str
    url: str
    icon: str
    active: bool
    count: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """A block of the menu with its title, empty for the first."""

    title: str
    entries: tuple[Entry, ...]


_GROUPS: tuple[tuple[str, str], ...] = (
    ("home", ""),
    ("content", _("Content")),
    ("delivery", _("Delivery")),
    ("people", _("Communities and members")),
    ("settings", _("Settings")),
)

MENU: tuple[MenuItem, ...] = (
    MenuItem(_("Board"), "board.index", "push.view", "home", "layout-dashboard"),
    MenuItem(_("Calendar"), "calendar.week", "schedule.view", "home", "calendar-week"),
    MenuItem(_("Rehearsal"), "rehearsal.index", "schedule.view", "home", "player-play"),
    MenuItem(_("Materials"), "materials.index", "content.view", "content", "books"),
    MenuItem(_("Columns"), "columns.index", "schedule.view", "content", "layout-columns"),
    MenuItem(_("Review"), "materials.review", "content.view", "content", "checkup-list"),
    MenuItem(_("Pushes"), "pushes.index", "push.view", "delivery", "send"),
    MenuItem(_("Communities"), "communities.index", "community.view", "people", "users-group"),
    MenuItem(_("Points"), "points.index", "points.view", "people", "coin"),
    MenuItem(_("Frequency and quota"), "limits.index", "push.view", "settings", "adjustments"),
    MenuItem(_("Workday calendar"), "workdays.index", "schedule.view", "settings", "calendar-event"),
    MenuItem(_("Plugins"), "settings.plugins", "plugin.view", "settings", "plug"),
    MenuItem(_("Audit log"), "audit.log", "audit.view", "settings", "shield-check"),
)


_COUNTS: dict[str, Callable[[], int]] = {
    "materials.review": lambda: server().library.materials.count("in_review"),
    "pushes.index": lambda: server().delivery.undecided(),
}
"""What the menu counts at an entry: only what waits for whoever reads it, and only what is cheap to count."""


def install(app: Flask) -> None:
    """Give every template of the app its context and filters."""
    formats.install(app.jinja_env)
    hashes: dict[str, str] = {}
    static = Path(app.static_folder or "")

    def static_file(name: str) -> str:
        if name not in hashes:
            path = static / name
            hashes[name] = hashlib.sha256(path.read_bytes()).hexdigest()[:10] if path.is_file() else ""
        return url_for("static", filename=name, v=hashes[name])

    app.jinja_env.globals["static_file"] = static_file
    app.jinja_env.globals["csrf_token"] = lambda: who.csrf if (who := person()) else ""
    app.context_processor(lambda: _context(app))


def _context(app: Flask) -> dict[str, Any]:
    config = server().config.server
    whole = person() is not None and not request.headers.get("HX-Request")
    return {
        "locale": locale(),
        "staff": person(),
        "shop_name": config.shop_name,
        "tz": config.zone,
        "now": server().clock.now(),
        "here": request.full_path.rstrip("?"),
        "version": __version__,
        # A part of a page carries no menu, and the counts in it are not to be paid for nothing.
        "home": server().home.state() if whole else None,
        "menu": _menu(app) if whole else (),
    }


def page_of(path: str) -> str:
    """What the menu calls the page that a path of the console or the API lies under, or ""."""
    path = path.removeprefix("/api/v1")
    labels = {
        url_for(item.endpoint, **dict[str, Any](item.params or {})).rstrip("/"): item.label
        for item in _offered()
        if item.endpoint in current_app.view_functions
    }
    while path and path not in labels:
        path = path.rpartition("/")[0]
    return translate(labels[path]) if path else ""


def _offered() -> list[MenuItem]:
    return [*MENU, *(item for _plugin, item in server().plugins.offers("lanmu_menu"))]


def _menu(app: Flask) -> list[Group]:
    who = person()
    offered = _offered()
    groups = []
    for key, title in _GROUPS:
        entries = tuple(
            Entry(
                translate(item.label),
                url_for(item.endpoint, **dict[str, Any](item.params or {})),
                item.icon,
                request.endpoint == item.endpoint or _under(item.endpoint),
                _COUNTS[item.endpoint]() if item.endpoint in _COUNTS else 0,
            )
            for item in offered
            if item.group == key
            and who is not None
            and who.may(item.permission)
            and item.endpoint in app.view_functions
        )
        if entries:
            groups.append(Group(translate(title) if title else "", entries))
    return groups


def _under(endpoint: str) -> bool:
    """Whether this page belongs to the menu entry of its room (a detail page to its list)."""
    here = request.endpoint or ""
    return (
        endpoint.endswith(".index")
        and here.partition(".")[0] == endpoint.partition(".")[0]
        and here not in {item.endpoint for item in MENU}
    )
