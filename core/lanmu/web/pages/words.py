"""The words and colours of every code that a page shows: one word and one colour for one thing."""

from lanmu.i18n import _

WORDS: dict[str, dict[str, str]] = {
    "material": {
        "draft": _("Draft"),
        "in_review": _("In review"),
        "approved": _("Approved"),
        "retired": _("Retired"),
    },
    "occurrence": {
        "planned": _("Planned"),
        "empty": _("No material"),
        # An empty place too, but for the day's cap and not for want of material.
        "full": _("The day is full"),
        "approved": _("Approved"),
        "handed_over": _("Handed to delivery"),
        "skipped": _("Skipped"),
        "missed": _("Missed"),
        # Not a state of its own but a planned slot of a column whose slots people approve one by one.
        "to_approve": _("Waiting for approval"),
    },
    "push": {
        "draft": _("Draft"),
        "in_review": _("Waiting for approval"),
        "approved": _("Approved"),
        "scheduled": _("Scheduled"),
        "expanding": _("Preparing"),
        "running": _("Sending"),
        "paused": _("Paused"),
        "held": _("On hold"),
        "finished": _("Finished"),
        "finished_with_issues": _("Finished with issues"),
        "cancelled": _("Cancelled"),
        "expired": _("Expired"),
        # Not states of a push but how it stands with the people it waits for: see `standing`.
        "in_doubt": _("Outcome unknown"),
        "checking": _("Being checked"),
        "awaits_confirm": _("Waiting for an employee to confirm"),
        "awaits_person": _("Waiting to be sent by hand"),
        "unconfirmed": _("Never confirmed"),
    },
    "unit": {
        "pending": _("Waiting"),
        "leased": _("Being prepared"),
        "calling": _("Being sent"),
        "retry_wait": _("Will be tried again"),
        "unknown": _("Outcome unknown"),
        "accepted": _("Accepted by the channel"),
        "handed_over": _("Handed over to a person"),
        "delivered": _("Delivered"),
        "partial": _("Partly delivered"),
        "undelivered": _("Not delivered"),
        "failed": _("Failed"),
        "skipped": _("Skipped"),
        "cancelled": _("Cancelled"),
        "held": _("On hold"),
        "planned": _("Still to go"),
        "postponed": _("Postponed"),
        # Not a state but what became of an attempt: see `lanmu.delivery.followup.doubts`.
        "not_found": _("Not found at the channel"),
        # Not states but what a recipient waits for: see `lanmu.delivery.recipients`.
        "checking": _("Being checked"),
        "expanding": _("Preparing"),
        "paused": _("Paused"),
        "in_review": _("Waiting for approval"),
        "draft": _("Draft"),
    },
    "experiment": {
        "draft": _("Test in preparation"),
        "running": _("Test running"),
        "stopped": _("Test over"),
    },
    "coupon": {
        "issued": _("Issued"),
        "claimed": _("Claimed"),
        "redeemed": _("Redeemed"),
        "void": _("Void"),
        "expired": _("Expired"),
    },
    "stage": {
        "new": _("New"),
        "active": _("Active"),
        "converting": _("Converting"),
        "loyal": _("Loyal"),
        "sharing": _("Sharing"),
        "mature": _("Mature"),
    },
    "tone": {
        "warm": _("Warm"),
        "formal": _("Formal"),
        "lively": _("Lively"),
    },
    "approval": {
        "auto": _("Automatic"),
        "each": _("One by one"),
    },
    "late": {
        "ask": _("Ask a person"),
        "send": _("Send anyway"),
        "skip": _("Skip"),
    },
    "priority": {
        "first": _("Goes first"),
        "normal": _("Normal"),
        "last": _("Gives way"),
    },
    "fact": {
        "kept": _("Kept"),
        "missing": _("Missing"),
        "changed": _("Changed"),
        "added": _("Added"),
    },
    "severity": {
        "block": _("Must be changed"),
        "review": _("Needs a look"),
        "hint": _("Hint"),
    },
    "sending": {
        "auto": _("Sent automatically"),
        "confirm": _("Sent after an employee confirms"),
        "person": _("Sent by hand"),
    },
    "weekday": {
        "mon": _("Mon"),
        "tue": _("Tue"),
        "wed": _("Wed"),
        "thu": _("Thu"),
        "fri": _("Fri"),
        "sat": _("Sat"),
        "sun": _("Sun"),
        "daily": _("Every day"),
        "workday": _("Workdays"),
    },
    "permission": {
        "content.view": _("see materials"),
        "content.edit": _("write materials"),
        "content.approve": _("review and approve"),
        "ai.draft": _("have texts proposed"),
        "schedule.view": _("see columns and calendar"),
        "schedule.plan": _("plan columns and calendar"),
        "community.view": _("see communities"),
        "community.edit": _("change communities"),
        "push.view": _("see pushes"),
        "push.plan": _("plan and change pushes"),
        "push.cancel": _("pause and cancel pushes"),
        "push.test_send": _("send tests"),
        "push.force": _("go on with what is on hold, send again"),
        "member.view": _("see members"),
        "member.edit": _("change members"),
        "points.view": _("see points"),
        "points.adjust": _("adjust points"),
        "rule.edit": _("change points rules"),
        "coupon.issue": _("issue coupons"),
        "coupon.redeem": _("redeem coupons"),
        "audit.view": _("see the audit log"),
        "plugin.view": _("see plugins"),
        "settings.edit": _("change settings"),
        "user.manage": _("manage accounts"),
        "token.manage": _("manage API tokens"),
    },
    "ledger": {
        "earn": _("Earned"),
        "spend": _("Spent"),
        "adjust": _("Adjusted"),
        "expire": _("Expired"),
        "refund": _("Refunded"),
        "reverse": _("Reversed"),
        "redeem": _("Redeemed for a coupon"),
    },
}
"""Group → code → English text, to be translated where it is shown."""

TONES = {
    "grey": (
        "draft", "retired", "skipped", "not_found", "cancelled", "expired", "void", "paused", "claimed",
        "unconfirmed",
    ),
    "orange": (
        "full",
        "in_review", "empty", "held", "unknown", "partial", "finished_with_issues", "retry_wait", "postponed",
        "to_approve", "in_doubt", "awaits_confirm", "awaits_person",
        "changed", "review", "set_aside",
    ),
    "blue": (
        "planned", "scheduled", "expanding", "running", "pending", "leased", "calling", "handed_over",
        "checking",
        "issued", "accepted", "hint",
    ),
    "green": ("approved", "finished", "delivered", "redeemed", "kept", "loaded", "active"),
    "red": ("failed", "undelivered", "missed", "missing", "added", "block"),
}  # fmt: skip
"""One colour map: grey rests, orange wants a person, blue is on its way, green is done, red failed."""

_TONE_OF = {code: tone for tone, codes in TONES.items() for code in codes}

CHANNEL_ICONS = {
    "wecom": "brand-wechat",
    "personal_wechat_export": "hand-click",
}


def word(code: str, group: str) -> str:
    """The English text of a code, or the code itself where it is a stranger's."""
    return WORDS.get(group, {}).get(code, code)


def tone(code: str) -> str:
    """The colour of a state."""
    return _TONE_OF.get(code, "grey")


def channel_icon(channel: str) -> str:
    """The sprite's icon for a channel `PLUGIN.name`."""
    return CHANNEL_ICONS.get(channel.split(".", 1)[0], "send")
