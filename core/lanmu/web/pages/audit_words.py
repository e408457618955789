"""The audit log in words: what was done, by which right, and what it was before and is now."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from lanmu.i18n import _
from lanmu.schedule.columns import ColumnDraft, SlotDraft
from lanmu.web.pages.acts import say
from lanmu.web.pages.choices import channel_title, types
from lanmu.web.pages.words import WORDS, word
from lanmu.web.people import locale, server, translate

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
    "columns.set_up": _("Set up the columns of a template"),
    "columns.skip": _("Skipped a slot"),
    "columns.use": _("Chose the material of a slot"),
    "communities.mix": _("Changed a community's mix"),
    "community.edit": _("Changed a community"),
    "community.import": _("Imported communities"),
    "coupon.use": _("Redeemed a coupon"),
    "event.check_in": _("Reported a check-in"),
    "event.message": _("Reported a message"),
    "event.purchase": _("Reported an order"),
    "event.return": _("Took back the points of a returned order"),
    "holidays.import": _("Read in holidays"),
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
    "points.cancel": _("Cancelled a coupon and gave its points back"),
    "points.freeze": _("Froze a member's points, or unfroze them"),
    "points.offer": _("Made an offer"),
    "points.offer_switch": _("Switched an offer on or off"),
    "points.rule": _("Changed a points rule"),
    "limits.change": _("Changed a limit"),
    "push.cancel": _("Cancelled a push"),
    "push.decide": _("Decided on a batch of unknown outcome"),
    "push.look_again": _("Had the channel asked again about what is in doubt"),
    "push.pause": _("Paused a push"),
    "push.again": _("Sent a batch of unknown outcome once more"),
    "push.release": _("Let a push go on"),
    "push.resume": _("Let a push go on"),
    "pushes.again": _("Sent a batch of unknown outcome once more"),
    "pushes.approve": _("Approved a changed push"),
    "pushes.cancel": _("Cancelled a push"),
    "pushes.change": _("Changed a push"),
    "pushes.clone": _("Pushed anew to who was missed"),
    "pushes.look_again": _("Had the channel asked again about what is in doubt"),
    "pushes.look_again_at": _("Had the channel asked again about what is in doubt"),
    "pushes.pause": _("Paused a push"),
    "pushes.release": _("Let a push go on"),
    "pushes.resolve": _("Decided on a batch of unknown outcome"),
    "pushes.resume": _("Let a push go on"),
    "pushes.send_test": _("Sent a test"),
    "pushes.send_back": _("Sent a changed push back"),
    "pushes.submit": _("Submitted a push for approval"),
    "rehearsal.begin": _("Rehearsed the columns"),
    "session.language": _("Changed the language"),
    "session.logout": _("Signed out"),
    "session.password": _("Changed the password"),
    "staff.close": _("Closed an account"),
    "staff.create": _("Added a member of staff"),
    "staff.reopen": _("Opened a closed account again"),
    "staff.reset_password": _("Reset a password"),
    "staff.roles": _("Changed somebody's roles"),
    "token.create": _("Made an API token"),
    "token.revoke": _("Revoked an API token"),
}
"""What was done, by the code that is stored; one that is not here is shown as it is."""

_FIELDS = {
    "most": _("At most"),
    "enabled": _("Switched on"),
    "checked_on": _("Checked on"),
    "name": _("Name"),
    "goal": _("Goal"),
    "owner": _("Owner"),
    "channel": _("Channel"),
    "slots": _("Slots"),
    "classes": _("Classes"),
    "tags": _("Community tags"),
    "types": _("Community types"),
    "stages": _("Community stages"),
    "pool_tags": _("Pool: tags"),
    "pool_kinds": _("Pool: kinds"),
    "pool_zones": _("Pool: shelves"),
    "zone": _("Time zone"),
    "cooldown_days": _("No repeat for (days)"),
    "approval": _("Approval"),
    "late_policy": _("When late"),
    "priority": _("Priority"),
    "active": _("The column is on"),
    "due_at": _("Goes out at"),
    "revision": _("Revision"),
    "answer": _("Answer"),
    "why": _("Reason"),
    "late": _("Although late"),
    "although_late": _("Although late"),
    "stopped": _("Stopped"),
    "out": _("Already out"),
    "unclear": _("Unclear"),
    "units": _("Batches"),
    "days": _("Days"),
    "recipients": _("Virtual recipients of each column"),
    "mix": _("Content mix"),
    "material": _("Material"),
    "created": _("Created"),
    "changed": _("Changed"),
    "faults": _("With faults"),
    "roles": _("Roles"),
    "scopes": _("Scopes"),
    "reason": _("Reason"),
}
_ANSWERS = {
    "sent": _("It is out: count as sent"),
    "again": _("Send once more"),
    "give_up": _("Give up"),
    "give-up": _("Give up"),
}
_GROUPS = {"approval": "approval", "late_policy": "late", "priority": "priority", "stages": "stage"}
_AXES = {"classes": "classes", "pool_kinds": "kinds", "pool_zones": "zones"}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


def action(code: str) -> str:
    """An action in words; a refusal is stored as method and page."""
    method, _space, page = code.rpartition(" ")
    known = ACTIONS.get(page if method else code)
    return translate(known) if known else code


def permission(code: str) -> str:
    """What a permission allows."""
    return translate(word(code, "permission"))


def of_column(before: ColumnDraft, after: ColumnDraft) -> dict[str, list[Any]]:
    """What an edit of a column has changed: each field's old and new value, for the audit log."""
    return differences(_plain_column(before), _plain_column(after))


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The fields that are not as before, each with its old and new value."""
    return {name: [before[name], after[name]] for name in before if before[name] != after[name]}


def _plain_column(draft: ColumnDraft) -> dict[str, Any]:
    plain = {each.name: getattr(draft, each.name) for each in fields(draft)}
    del plain["options"]
    targets, pool = plain.pop("targets"), plain.pop("pool")
    return {
        **plain,
        "slots": [_slot(each) for each in draft.slots],
        "classes": list(draft.classes),
        **{name: list(getattr(targets, name)) for name in ("tags", "types", "stages")},
        **{f"pool_{name}": list(getattr(pool, name)) for name in ("tags", "kinds", "zones")},
    }


def _slot(slot: SlotDraft) -> str:
    return f"{slot.rrule or slot.weekdays} {slot.time}".strip()


def details(detail: Mapping[str, Any]) -> list[str]:
    """What a line of the log holds besides, in words: “At most: 8 → 5”."""
    return [_told(name, value) for name, value in detail.items() if value not in ("", None)]


def _told(name: str, value: Any) -> str:
    label = translate(_FIELDS[name]) if name in _FIELDS else name
    if name in _FIELDS and name not in ("roles", "scopes") and isinstance(value, list) and len(value) == 2:
        return say(
            _("%(label)s: %(old)s → %(new)s"),
            label=label,
            old=_shown(name, value[0]),
            new=_shown(name, value[1]),
        )
    return say(_("%(label)s: %(value)s"), label=label, value=_shown(name, value))


def _shown(name: str, value: Any) -> str:
    if value is None and name == "most":
        return say(_("days of the month"))
    if value in (None, "", [], {}):
        return say(_("none"))
    if isinstance(value, bool):
        return say(_("yes") if value else _("no"))
    if isinstance(value, Mapping):
        return say(_(", ")).join(f"{_word('classes', code)} {share}" for code, share in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return say(_(", ")).join(_word(name, str(each)) for each in value)
    return _word(name, str(value))


def _word(name: str, text: str) -> str:
    """One value as a person knows it."""
    if name == "channel":
        return channel_title(text)
    if name == "answer":
        return translate(_ANSWERS.get(text, text))
    if name == "types":
        return dict(types()).get(text, text)
    if name in _AXES:
        terms = getattr(server().library.taxonomy(), _AXES[name])
        return next((term.title(locale()) for term in terms if term.code == text), text)
    if name in _GROUPS:
        return translate(WORDS[_GROUPS[name]].get(text, text))
    if name == "slots":
        days, _space, at = text.rpartition(" ")
        known = WORDS["weekday"]
        return " ".join([*(translate(known.get(day, day)) for day in days.split(",")), at])
    if _MOMENT.match(text):
        zone = ZoneInfo(server().config.server.zone)
        return f"{datetime.fromisoformat(text).astimezone(zone):%Y-%m-%d %H:%M}"
    return text
