"""Who may do what: the matrix that routes, tests and the page of roles are held against."""

from collections.abc import Iterable

EVERY_PERMISSION = (
    "content.view",
    "content.edit",
    "content.approve",
    "ai.draft",
    "schedule.view",
    "schedule.plan",
    "community.view",
    "community.edit",
    "push.view",
    "push.plan",
    "push.cancel",
    "push.test_send",
    "push.force",
    "member.view",
    "member.edit",
    "points.view",
    "points.adjust",
    "rule.edit",
    "coupon.issue",
    "coupon.redeem",
    "audit.view",
    "plugin.view",
    "settings.edit",
    "user.manage",
    "token.manage",
)

_VIEW = frozenset({"content.view", "schedule.view", "community.view", "push.view", "plugin.view"})

ROLES: dict[str, frozenset[str]] = {
    "editor": _VIEW | {"content.edit", "ai.draft"},
    "reviewer": _VIEW | {"content.approve"},
    "operator": _VIEW
    | {
        "content.edit",
        "ai.draft",
        "schedule.plan",
        "community.edit",
        "push.plan",
        "push.cancel",
        "push.test_send",
        "member.view",
        "member.edit",
        "points.view",
        "token.manage",
    },
    "points": _VIEW
    | {"member.view", "points.view", "points.adjust", "rule.edit", "coupon.issue", "coupon.redeem"},
    "auditor": _VIEW | {"member.view", "points.view", "audit.view"},
    "admin": frozenset(EVERY_PERMISSION),
}

SCOPES: dict[str, frozenset[str]] = {
    "content:read": frozenset({"content.view"}),
    "content:write": frozenset({"content.view", "content.edit"}),
    "schedule:read": frozenset({"schedule.view"}),
    "community:read": frozenset({"community.view"}),
    "community:write": frozenset({"community.view", "community.edit"}),
    "push:read": frozenset({"push.view"}),
    "push:write": frozenset({"push.view", "push.cancel"}),
    "push:force": frozenset({"push.view", "push.force"}),
    "member:read": frozenset({"member.view"}),
    "member:write": frozenset({"member.view", "member.edit"}),
    "points:read": frozenset({"points.view"}),
    "points:earn": frozenset({"points.adjust"}),
    "coupon:redeem": frozenset({"coupon.redeem"}),
}
"""What a token may be given. There is none for approving, settings, people or tokens; sending again and going
on with what is on hold have one of their own, which nothing else brings along."""


def permissions_of(roles: Iterable[str]) -> frozenset[str]:
    """The union of what the roles allow; an unknown role allows nothing."""
    return frozenset().union(*(ROLES.get(role, frozenset()) for role in roles))
