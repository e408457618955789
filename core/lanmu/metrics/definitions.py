"""What is counted and what a rate means: one definition for every page, and only of what is measured."""

from dataclasses import dataclass

from lanmu.i18n import _


@dataclass(frozen=True, slots=True)
class FactKind:
    """A kind of fact: what one of it says, and what its `value` counts."""

    kind: str
    title: str
    says: str
    unit: str


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of members: those with a fact of `numerator` among those of `denominator`, over the same days.

    `denominator` is a kind of fact, or "members": everybody who is known at the end of the span.
    """

    name: str
    title: str
    numerator: str
    denominator: str
    meaning: str


KINDS = {
    kind.kind: kind
    for kind in (
        FactKind("check_in", _("Check-ins"), _("A member checked in; at most once a day."), _("times")),
        FactKind("message", _("Messages"), _("A member wrote in a community."), _("messages")),
        FactKind("purchase", _("Orders"), _("A shop told us of a member's order."), _("fen")),
    )
}
"""The kinds that Lanmu writes or reads itself. A plugin may record others; they are counted all the same."""

RATES = {
    rate.name: rate
    for rate in (
        Rate(
            "check_in_rate",
            _("Check-in rate"),
            "check_in",
            "members",
            _("Members who checked in at least once, of all members."),
        ),
        Rate(
            "speaking_rate",
            _("Speaking rate"),
            "message",
            "members",
            _("Members who wrote at least once, of all members. Silent readers are not seen."),
        ),
        Rate(
            "buying_rate",
            _("Buying rate"),
            "purchase",
            "members",
            _("Members with at least one order that a shop told us of, of all members."),
        ),
        Rate(
            "speaker_buying_rate",
            _("Buying rate of speakers"),
            "purchase",
            "message",
            _("Members who wrote and bought, of those who wrote. It shows no cause."),
        ),
    )
}
