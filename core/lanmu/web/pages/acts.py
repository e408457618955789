"""What happens after a button: do it, write it into the audit log, tell how it went, go back to a page."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import flash, redirect, request
from werkzeug.wrappers import Response

from lanmu.i18n import _
from lanmu.interfaces.errors import Faults, Invalid, LanmuError, filled
from lanmu.web.people import server, signed_in, translate

Errors = dict[str, list[str]]


def act(
    do: Callable[[], str | None],
    back: str,
    *,
    permission: str = "",
    on: str = "",
    detail: Mapping[str, Any] | None = None,
) -> Response:
    """Do it and go back. `do` answers the words for success; a fault is told and nothing is lost.

    `detail` goes into the audit log as `do` has left it.
    """
    try:
        told = do()
    except LanmuError as error:
        flash(in_words(error), "error")
        return redirect(back, 303)
    note(permission, on, detail)
    if told:
        flash(told, "success")
    return redirect(back, 303)


def note(permission: str = "", on: str = "", detail: Mapping[str, Any] | None = None) -> None:
    """Write what was just done into the audit log, with no more of it than the change."""
    server().audit.record(
        signed_in().username,
        request.endpoint or "",
        on or request.path,
        permission=permission,
        detail=detail,
        address=request.remote_addr or "",
    )


def say(text: str, **values: object) -> str:
    """A text in the reader's language, its `%(name)s` filled in."""
    translated = translate(text)
    return translated % values if values else translated


def in_words(error: LanmuError) -> str:
    """A fault and its way out, in the reader's language."""
    if isinstance(error, Faults):
        return "\n".join(in_words(fault) for fault in error.faults)
    params = error.params
    fault = translate(error.fault)
    way_out = translate(error.way_out) if error.way_out else ""
    if params:
        fault, way_out = filled(fault, params), filled(way_out, params)
    return sentences(fault, way_out)


def sentences(*told: str) -> str:
    """Sentences one after the other: a Chinese full stop brings its own space."""
    text = ""
    for each in filter(None, told):
        text += each if not text or text.endswith(("。", "！", "？", "；")) else f" {each}"
    return text


def by_field(error: LanmuError, fields: Mapping[str, str]) -> Errors:
    """The faults by the field of the form that they belong to; "" for those that belong to none.

    `fields` maps a fault's place, or the part of it before the first dot or colon, to a field's name.
    """
    found: Errors = {}
    for fault in error.faults if isinstance(error, Faults) else (error,):
        place = fault.place
        root = place.split(":", 1)[0].split(".", 1)[0]
        field = fields.get(place, fields.get(root, ""))
        found.setdefault(field, []).append(in_words(fault))
    return found


def local_moment(field: str, zone: str) -> datetime | None:
    """The instant of a `datetime-local` field, None when empty. Raises Invalid."""
    text = request.form.get(field, "").strip()
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
    except ValueError:
        raise Invalid(field, _("is not a date and time."), _("Write it like 2026-11-30 20:00.")) from None


def day_of(field: str) -> date | None:
    """The day of a `date` field, None when empty. Raises Invalid."""
    text = request.form.get(field, "").strip()
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid(field, _("is not a day."), _("Write it like 2026-11-30.")) from None


def whole(field: str, *, needed: bool = False) -> int | None:
    """The whole number of a field, None when empty. Raises Invalid."""
    text = request.form.get(field, "").strip()
    if not text and not needed:
        return None
    if not re.fullmatch(r"[+-]?\d{1,400}", text):  # int() takes 1_0 too, which nobody means
        raise Invalid(field, _("is not a whole number."), _("Write digits only."))
    return int(text)
