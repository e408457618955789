"""审计日志: who did what to which thing, told in words; refusals included."""

from collections.abc import Iterable

from flask import Blueprint, render_template
from sqlalchemy import select

from lanmu.audience.models import Community, Member
from lanmu.delivery.models import Push
from lanmu.i18n import _
from lanmu.interfaces.access import requires
from lanmu.library.models import Material
from lanmu.schedule.models import Column
from lanmu.web.people import server, translate

blueprint = Blueprint("audit", __name__)

SHOWN = 200

ACTIONS = {
    "calendar.plan": _("Planned all columns anew"),
    "board.trust_clock": _("Trusted the clock again"),
    "clock.trust": _("Trusted the clock again"),
    "columns.approve": _("Approved a slot"),
    "columns.approve_all": _("Approved a column's slots"),
    "columns.create": _("Made a column"),
    "columns.replan": _("Planned a column anew"),
    "columns.restore": _("Took a slot back in"),
    "columns.save": _("Changed a column"),
    "columns.skip": _("Skipped a slot"),
    "communities.mix": _("Changed a community's mix"),
    "community.edit": _("Changed a community"),
    "community.import": _("Imported communities"),
    "coupon.use": _("Redeemed a coupon"),
    "instance.release": _("Let a frozen copy send again"),
    "login": _("Signed in"),
    "material.create": _("Wrote a material"),
    "material.edit": _("Changed a material"),
    "material.submit": _("Handed a material in for review"),
    "materials.accept": _("Took over a proposed text"),
    "materials.approve_version": _("Decided on an experiment's version"),
    "materials.create": _("Wrote a material"),
    "materials.decide": _("Reviewed a material"),
    "materials.restore": _("Put a material back into use"),
    "materials.retire": _("Retired a material"),
    "materials.rewrite": _("Had texts proposed"),
    "materials.save": _("Changed a material"),
    "materials.submit": _("Handed a material in for review"),
    "materials.switch_test": _("Started or ended an experiment"),
    "member.create": _("Added a member"),
    "member.edit": _("Changed a member"),
    "password.change": _("Changed the password"),
    "points.adjust": _("Adjusted points by hand"),
    "points.offer": _("Made an offer"),
    "points.offer_switch": _("Switched an offer on or off"),
    "points.rule": _("Changed a points rule"),
    "limits.change": _("Changed a limit"),
    "push.cancel": _("Cancelled a push"),
    "push.decide": _("Decided on a batch of unknown outcome"),
    "push.pause": _("Paused a push"),
    "push.resume": _("Let a push go on"),
    "pushes.again": _("Sent a batch of unknown outcome once more"),
    "pushes.approve": _("Approved a changed push"),
    "pushes.cancel": _("Cancelled a push"),
    "pushes.change": _("Changed a push"),
    "pushes.clone": _("Pushed anew to who was missed"),
    "pushes.pause": _("Paused a push"),
    "pushes.release": _("Let a push go on"),
    "pushes.resolve": _("Decided on a batch of unknown outcome"),
    "pushes.resume": _("Let a push go on"),
    "pushes.send_test": _("Sent a test"),
    "pushes.send_back": _("Sent a changed push back"),
    "pushes.submit": _("Submitted a push for approval"),
    "session.language": _("Changed the language"),
    "session.logout": _("Signed out"),
    "session.password": _("Changed the password"),
    "staff.create": _("Added a member of staff"),
    "staff.reset_password": _("Reset a password"),
    "token.create": _("Made an API token"),
    "token.revoke": _("Revoked an API token"),
}
"""What was done, by the code that is stored; one that is not here is shown as it is."""

_NAMED = {
    "mat": (Material.public_id, Material.title),
    "psh": (Push.public_id, Push.title),
    "col": (Column.public_id, Column.name),
    "com": (Community.public_id, Community.name),
    "mem": (Member.public_id, Member.name),
}
"""Where the name of an object stands, by the prefix of its id."""


@blueprint.get("/settings/audit")
@requires("audit.view")
def log() -> str:
    lines = server().audit.latest(SHOWN)
    names = _names(line.object for line in lines)
    return render_template("audit.html", lines=lines, words=_word, names=names)


def _word(action: str) -> str:
    """An action in words; a refusal is stored as method and page."""
    method, _space, page = action.rpartition(" ")
    known = ACTIONS.get(page if method else action)
    return translate(known) if known else action


def _names(objects: Iterable[str]) -> dict[str, str]:
    """What people call the objects of these ids, one query for each kind; others are left out."""
    wanted: dict[str, dict[str, str]] = {}
    for stored in objects:
        public_id = stored.partition("/")[0]
        wanted.setdefault(public_id.partition("_")[0], {})[stored] = public_id
    found: dict[str, str] = {}
    with server().database.read() as session:
        for prefix, ids in wanted.items():
            if prefix in _NAMED:
                key, name = _NAMED[prefix]
                rows = session.execute(select(key, name).where(key.in_(set(ids.values()))))
                named = {str(row[0]): str(row[1]) for row in rows}
                found |= {stored: named[of] for stored, of in ids.items() if of in named}
    return found
