"""The console's pages, one module a room, and what all of them are given besides the frame."""

from typing import Any

from flask import Flask

from lanmu.library.taxonomy import Taxonomy
from lanmu.web.pages import (
    apidocs,
    audit,
    board,
    calendar,
    columns,
    communities,
    limits,
    material_writing,
    materials,
    points,
    push_acts,
    pushes,
    rehearsal,
    rhythms,
    settings,
    slots,
    today,
    versions,
    workdays,
)
from lanmu.web.pages.choices import channel_title
from lanmu.web.people import locale, person, server

_ROOMS = (
    apidocs,
    audit,
    board,
    calendar,
    columns,
    communities,
    material_writing,
    materials,
    limits,
    points,
    push_acts,
    pushes,
    rehearsal,
    rhythms,
    settings,
    slots,
    today,
    versions,
    workdays,
)


def install(app: Flask) -> None:
    """Mount the pages of every room."""
    for blueprint in dict.fromkeys(room.blueprint for room in _ROOMS):
        app.register_blueprint(blueprint)
    app.context_processor(_context)


def _context() -> dict[str, Any]:
    who = person()
    return {
        "allowed": lambda permission: who is not None and who.may(permission),
        "channel_title": channel_title,
        "titles": titles_of(server().library.taxonomy(), locale()) if who else {"class": {}},
    }


def titles_of(taxonomy: Taxonomy, language: str) -> dict[str, dict[str, str]]:
    """Axis → code → word, as the `titled` filter takes them."""
    axes = {
        "class": taxonomy.classes,
        "kind": taxonomy.kinds,
        "zone": taxonomy.zones,
        "genre": taxonomy.genres,
        "form": taxonomy.forms,
        "origin": taxonomy.origins,
    }
    return {axis: {term.code: term.title(language) for term in terms} for axis, terms in axes.items()}
