"""审计日志: who did what to which thing, told in words; refusals included."""

import re
from collections.abc import Iterable, Mapping

from flask import Blueprint, render_template
from sqlalchemy import func, select

from lanmu.audience.models import Community, Member
from lanmu.delivery.models import Push
from lanmu.i18n import _
from lanmu.interfaces.access import requires
from lanmu.library.models import Material
from lanmu.schedule.models import Column, Occurrence
from lanmu.web.pages import audit_words, push_shown
from lanmu.web.pages.acts import say
from lanmu.web.pages.limits import name_of
from lanmu.web.people import server
from lanmu.web.show import page_of

blueprint = Blueprint("audit", __name__)

SHOWN = 200

_SLOT = Column.name + " · " + Community.name + " · " + func.replace(Occurrence.local_time, "T", " ")

_NAMED = {
    "mat": (Material.public_id, select(Material.public_id, Material.title)),
    "psh": (Push.public_id, select(Push.public_id, Push.title)),
    "col": (Column.public_id, select(Column.public_id, Column.name)),
    "com": (Community.public_id, select(Community.public_id, Community.name)),
    "mem": (Member.public_id, select(Member.public_id, Member.name)),
    "occ": (
        Occurrence.public_id,
        select(Occurrence.public_id, _SLOT)
        .join(Column, Column.id == Occurrence.column_id)
        .join(Community, Community.id == Occurrence.community_id),
    ),
}
"""Where the name of an object stands, by the prefix of its id: the id's column, and both asked for."""


_ID = re.compile(r"\b(?:" + "|".join(_NAMED) + r")_[0-9a-z]+")


@blueprint.get("/settings/audit")
@requires("audit.view")
def log() -> str:
    lines = server().audit.latest(SHOWN)
    names = _names(line.object for line in lines)
    people = push_shown.names()
    limits = {limit.code: name_of(limit) for limit in server().limits.everything()}
    return render_template(
        "audit.html",
        lines=[
            {
                "at": line.at,
                "actor": _actor(line.actor, people),
                "code": line.action,
                "action": audit_words.action(line.action),
                "object": line.object,
                "on": limits.get(line.object) or _on(line.object, names),
                "permission": audit_words.permission(line.permission) if line.permission else "",
                "details": audit_words.details(line.detail),
                "allowed": line.allowed,
            }
            for line in lines
        ],
    )


def _actor(actor: str, people: Mapping[str, str]) -> str:
    """Who it was, by name; whoever works on the server itself has none."""
    if actor == "cli":
        return say(_("On the server (command line)"))
    who, slash, token = actor.partition("/")
    return f"{people.get(who, who)}{slash}{token}"


def _on(stored: str, names: Mapping[str, str]) -> str:
    """The object by its name, of a push's batch also its number; what has none by the page it is done on."""
    found = _ID.search(stored)
    name = names.get(found[0]) if found else None
    if name is None:
        return (page_of(stored) or stored) if stored.startswith("/") else stored
    number = stored.rpartition("/")[2]
    return f"{name} · {say(_('Batch %(n)s'), n=number)}" if number.isdigit() else name


def _names(objects: Iterable[str]) -> dict[str, str]:
    """What people call the objects of the ids in these texts, one query for each kind."""
    wanted: dict[str, set[str]] = {}
    for stored in objects:
        if found := _ID.search(stored):
            wanted.setdefault(found[0].partition("_")[0], set()).add(found[0])
    named: dict[str, str] = {}
    with server().database.read() as session:
        for prefix, ids in wanted.items():
            key, both = _NAMED[prefix]
            rows = session.execute(both.where(key.in_(ids)))
            named |= {str(row[0]): str(row[1]) for row in rows}
    return named
