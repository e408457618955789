"""社群: the chat groups, how their mix stands, and the goal of each."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from lanmu.audience.views import CommunityView
from lanmu.i18n import _
from lanmu.interfaces.access import requires
from lanmu.interfaces.errors import Faults, Invalid, LanmuError
from lanmu.reports.service import MIX_WINDOW
from lanmu.schedule.occurrences import OccurrenceFilter, OccurrenceView
from lanmu.web.pages import choices
from lanmu.web.pages.acts import Errors, by_field, note, say, sentences, whole
from lanmu.web.pages.calendar import plan_again
from lanmu.web.pages.gauge import mix_of, shares_from
from lanmu.web.pages.happenings import each_alone
from lanmu.web.people import server

blueprint = Blueprint("communities", __name__)

_LATELY = timedelta(days=14)
_SHOWN = 12


@blueprint.get("/communities")
@requires("community.view")
def index() -> str:
    now = server().clock.now()
    house = server().library.taxonomy().shares
    coming: dict[int, list[OccurrenceView]] = {}
    for each in server().schedule.occurrences.between(now, now + MIX_WINDOW):
        if each.state in ("planned", "approved", "handed_over"):
            coming.setdefault(each.community_key, []).append(each)
    types = dict(choices.types())
    shown = []
    for community in server().audience.communities.find(active=None):
        own = coming.get(community.row, [])
        classes = [each.content_class for each in own if each.content_class]
        shown.append(
            {
                **_shown(community, types),
                "addresses": list(community.addresses),
                "next_at": own[0].due_at if own else None,
                "shares": shares_from(classes, dict(community.mix or house), list(house)),
                "count": len(classes),
            }
        )
    return render_template("communities/index.html", communities=shown)


@blueprint.get("/communities/<community>")
@requires("community.view")
def detail(community: str) -> str:
    return _page(server().audience.communities.get(community), {})


@blueprint.post("/communities/<community>/mix")
@requires("community.edit")
def mix(community: str) -> str | Response | tuple[str, int]:
    """Set the community's own goal, or take it back, and plan anew."""
    found = server().audience.communities.get(community)
    codes = [term.code for term in server().library.taxonomy().classes]
    try:
        wanted = None if request.form.get("reset") else _read(codes)
        server().audience.communities.set_mix(community, wanted, codes)
    except LanmuError as error:
        return _page(found, by_field(error, {"mix": "mix"})), error.status
    note("community.edit", community, {"mix": [dict(found.mix or {}), wanted or {}]})
    flash(sentences(say(_("The goal is stored.")), plan_again()), "success")
    return redirect(url_for("communities.detail", community=community) + "#mix", 303)


def _read(codes: list[str]) -> dict[str, int]:
    wanted: dict[str, int] = {}
    faults: list[LanmuError] = []
    for code in codes:
        try:
            wanted[code] = whole(f"mix-{code}", needed=True) or 0
        except Invalid as fault:
            faults.append(Invalid("mix", fault.fault, fault.way_out))
    if faults:
        raise Faults(faults[:1])
    return wanted


def _page(community: CommunityView, errors: Errors) -> str:
    now = server().clock.now()
    taxonomy = server().library.taxonomy()
    occurrences = server().schedule.occurrences
    wanted = OccurrenceFilter(community=community.id)
    coming = occurrences.between(now, now + _LATELY, wanted, _SHOWN)
    past = occurrences.between(now - _LATELY, now, wanted)
    sent = [each for each in past if each.push_id][-_SHOWN:]
    goal = {**dict.fromkeys(taxonomy.shares, 0), **(community.mix or taxonomy.shares)}
    columns = _columns_of(community.name)
    reports = server().reports
    return render_template(
        "communities/detail.html",
        community=_shown(community, dict(choices.types())),
        addresses=[
            {"channel": channel, "key": address.key, "sender": address.sender}
            for channel, address in community.addresses.items()
        ],
        mix=mix_of(
            reports.mix(sent=False, community=community.row),
            reports.mix(sent=True, community=community.row),
            list(taxonomy.shares),
        ),
        form={"mix": {code: request.form.get(f"mix-{code}", share) for code, share in goal.items()}},
        errors=errors,
        classes=choices.of_terms(taxonomy.classes),
        columns=columns,
        coming=each_alone(coming, now),
        sent=each_alone(sent[::-1], now),
    )


def _columns_of(name: str) -> list[dict[str, Any]]:
    """The columns that aim at a community, and whether their channel reaches it."""
    found = []
    reach = server().schedule.reach_of_each()
    for column in server().schedule.columns.everything():
        reached, unreached = reach.get(column.id, ([], []))
        if name in reached or name in unreached:
            found.append(
                {
                    "public_id": column.id,
                    "name": column.draft.name,
                    "classes": column.draft.classes,
                    "active": column.draft.active,
                    "reached": name in reached,
                    "channel": column.draft.channel,
                }
            )
    return found


def _shown(community: CommunityView, types: Mapping[str, str]) -> dict[str, Any]:
    names = ("name", "stage", "zone", "size", "executor", "tags", "shop", "daily_cap", "active")
    values = {name: getattr(community, name) for name in names}
    return {
        **values,
        "type": types.get(community.type, community.type),
        "public_id": community.id,
        "own_mix": community.mix is not None,
    }
