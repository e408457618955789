"""设置 → 频次与配额: how often who may be sent to, how much of it is used, and the numbers to change."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from lanmu.delivery.door.limits import COMMUNITY_DAY, TEST_DAY
from lanmu.delivery.door.send_limits import LimitUsage, LimitView
from lanmu.delivery.sending.breakers import BreakerView
from lanmu.i18n import _
from lanmu.interfaces.access import requires
from lanmu.interfaces.errors import Invalid, LanmuError
from lanmu.web.pages import push_shown
from lanmu.web.pages.acts import act, day_of, in_words, say, whole
from lanmu.web.pages.audit_words import differences
from lanmu.web.pages.choices import channel_title
from lanmu.web.people import server, signed_in, translate

blueprint = Blueprint("limits", __name__)

_EACH = {
    ("community", "day"): _("Each community a day"),
    ("community", "week"): _("Each community a week"),
    ("community", "month"): _("Each community a month"),
    ("member", "day"): _("Each member a day"),
    ("member", "week"): _("Each member a week"),
    ("member", "month"): _("Each member a month"),
    ("sender", "day"): _("Each sender a day"),
    ("sender", "week"): _("Each sender a week"),
    ("sender", "month"): _("Each sender a month"),
    ("channel", "day"): _("The whole channel a day"),
    ("channel", "week"): _("The whole channel a week"),
    ("channel", "month"): _("The whole channel a month"),
    ("recipient", "day"): _("Each recipient a day"),
    ("recipient", "week"): _("Each recipient a week"),
    ("recipient", "month"): _("Each recipient a month"),
}
_OF_RECIPIENTS = {
    ("wecom.group", "day"): _("Each customer group a day"),
    ("wecom.group", "week"): _("Each customer group a week"),
    ("wecom.group", "month"): _("Each customer group a month"),
    ("wecom.customer", "day"): _("Each customer a day"),
    ("wecom.customer", "week"): _("Each customer a week"),
    ("wecom.customer", "month"): _("Each customer a month"),
}
"""What a recipient is, where the platform's rule is about a channel whose recipients are all of one kind."""
_TESTS = {
    "day": _("Test sends a day"),
    "week": _("Test sends a week"),
    "month": _("Test sends a month"),
}
_FULL = {
    "community": _("communities at the limit: %(n)s"),
    "member": _("members at the limit: %(n)s"),
    "sender": _("senders at the limit: %(n)s"),
    "channel": _("channels at the limit: %(n)s"),
    "recipient": _("recipients at the limit: %(n)s"),
}
_OF_PLANS = {
    True: _(
        "What is planned and not yet approved is planned by it within ten minutes, or at once with “Plan "
        "again” on the calendar; what is approved stays, and is held until the next day where it is over it."
    ),
    False: _("What is planned stays: where it is over the limit, it is held when its time comes."),
}
"""What becomes of the plan: the planner minds each community's own cap alone."""

_USED = {
    "day": _("Used today: %(n)s"),
    "week": _("Used this week: %(n)s"),
    "month": _("Used this month: %(n)s"),
}


@blueprint.get("/settings/limits")
@requires("push.view")
def index() -> str:
    limits = server().limits.everything()
    usage = _usage(limits)
    called = push_shown.names()
    shown = [_shown(limit, usage.get(limit.code), called) for limit in limits]
    return render_template(
        "limits.html",
        groups=[
            {"origin": origin, "limits": [each for each in shown if each["origin"] == origin]}
            for origin in dict.fromkeys(each["origin"] for each in shown)
        ],
        closed=[_closed(each) for each in server().delivery.breakers()],
        may_edit=signed_in().may("settings.edit"),
    )


@blueprint.post("/settings/limits/<code>")
@requires("settings.edit")
def change(code: str) -> Response:
    """Another number, on or off, and for a platform's rule the day when it was checked."""

    detail: dict[str, Any] = {}

    def do() -> str:
        before = _of(code)
        most = whole("most")
        checked_on = day_of("checked_on") if before.origin == "platform" else before.checked_on
        enabled = request.form.get("enabled") == "on"
        server().limits.change(code, most, enabled, checked_on, signed_in().username)
        detail.update(
            differences(
                _plain(before.most, before.enabled, before.checked_on), _plain(most, enabled, checked_on)
            )
        )
        if most == 0 and enabled:
            return say(
                _("“%(limit)s” is saved with 0: from now on nothing that it counts goes out."),
                limit=name_of(before),
            )
        saved = say(_("“%(limit)s” is saved. It holds from the next message on."), limit=name_of(before))
        return saved if code == TEST_DAY else f"{saved}\n{say(_OF_PLANS[code == COMMUNITY_DAY])}"

    def named() -> str:
        try:
            return do()
        except Invalid as fault:  # told above all limits, so it must say whose it is
            limit = name_of(_of(code))
            raise LanmuError(
                "", _("“%(limit)s” is not saved: %(why)s"), limit=limit, why=in_words(fault)
            ) from fault

    return act(named, url_for("limits.index"), permission="settings.edit", on=code, detail=detail)


def _plain(most: int | None, enabled: bool, checked_on: date | None) -> dict[str, Any]:
    """A limit's numbers as the audit log keeps them."""
    day = checked_on.isoformat() if checked_on else None
    return {"most": most, "enabled": enabled, "checked_on": day}


def _closed(way: BreakerView) -> dict[str, Any]:
    """A way out that a far end has closed or narrowed."""
    return {
        "channel": channel_title(way.channel),
        "subject": way.subject,
        "kind": way.kind,
        "level": way.level,
        "until": way.until,
        "reason": translate(way.reason),
        "code": way.code,
    }


def name_of(limit: LimitView) -> str:
    """What a limit limits, in words."""
    if limit.is_test:
        return say(_TESTS[limit.period])
    of_channel = _OF_RECIPIENTS.get((limit.channel, limit.period)) if limit.scope == "recipient" else None
    return say(of_channel or _EACH[limit.scope, limit.period])


def used_of(usage: LimitUsage) -> dict[str, Any]:
    """How far a limit is used, in words and numbers."""
    one = usage.limit.scope == "channel" and usage.subjects <= 1
    return {
        "name": name_of(usage.limit),
        "most": usage.most,
        "used": usage.used,
        "highest": usage.highest,
        "subjects": usage.subjects,
        "one": one,
        "text": say(_USED[usage.limit.period], n=usage.used),
        "full": say(_FULL[usage.limit.scope], n=usage.full) if usage.full else "",
    }


def _of(code: str) -> LimitView:
    found = next((each for each in server().limits.everything() if each.code == code), None)
    if found is None:
        # Told by the service in its own words, with the code that was asked for.
        return server().limits.change(code, None, False, None, signed_in().username)
    return found


def _usage(limits: list[LimitView]) -> dict[str, LimitUsage]:
    """Each limit's use, of one over all channels that of all of them."""
    return {
        usage.limit.code: usage
        for channel in dict.fromkeys(["", *(limit.channel for limit in limits)])
        for usage in server().limits.used_today(channel)
        if usage.limit.channel == channel
    }


def _shown(limit: LimitView, usage: LimitUsage | None, called: Mapping[str, str]) -> dict[str, Any]:
    return {
        "code": limit.code,
        "name": name_of(limit),
        "channel": channel_title(limit.channel) if limit.channel else "",
        "period": limit.period,
        "most": limit.most,
        "origin": limit.origin,
        "source": limit.source,
        "checked_on": limit.checked_on,
        "enabled": limit.enabled,
        "changed_by": called.get(limit.changed_by, limit.changed_by),
        "changed_at": limit.changed_at,
        "usage": used_of(usage) if usage else None,
    }
