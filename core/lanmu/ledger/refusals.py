"""Why the ledger says no: errors that are stored with their key, so that a repetition is told the same."""

import json

from lanmu.i18n import _
from lanmu.interfaces.errors import Conflict

_REASONS = {
    "too_few_points": (_("There are not enough points for this."), ""),
    "sold_out": (_("This is sold out."), ""),
    "limit_reached": (_("The limit for one member is reached."), ""),
    "not_on_offer": (_("This is not on offer now."), _("Load the page again.")),
    "changed": (_("The offer has just changed."), _("Look at its new price before you redeem it.")),
    "frozen": (_("This account is frozen, so points cannot be spent."), _("Ask the shop.")),
    "owes": (
        _("Points of a returned order are still to be made up for, so none can be spent."),
        _("New points go towards it first."),
    ),
    "capped": (_("The most that this rule gives in a day is reached."), ""),
    "too_soon": (_("This rule gave points a moment ago."), ""),
    "rule_off": (_("This rule is switched off."), ""),
    "already_reversed": (_("This has been reversed already."), ""),
    "refund_too_large": (_("No more than what was spent can be refunded."), ""),
    "coupon_used": (_("The coupon has been used, so its points stay spent."), ""),
    "no_such_posting": (_("There is no such posting of this member."), ""),
}


class Refused(Conflict):
    """The ledger refuses a posting; `code` says why, in a word that programs may rely on.

    `replayed`: this is the answer that the key got before.
    """

    def __init__(self, code: str, place: str = "points") -> None:
        fault, way_out = _REASONS[code]
        super().__init__(place, fault, way_out)
        self.code = code
        self.replayed = False

    def stored(self) -> str:
        """The text kept with the key."""
        return json.dumps({"code": self.code, "place": self.place})

    @classmethod
    def restored(cls, text: str) -> "Refused":
        """The refusal that was stored as `text`."""
        kept = json.loads(text)
        refusal = cls(kept["code"], kept["place"])
        refusal.replayed = True
        return refusal


class KeyReused(Conflict):
    """An idempotency key came back with another request than it stands for."""

    status = 422
    code = "key_reused"

    def __init__(self, key: str) -> None:
        super().__init__(
            "key",
            _("“%(key)s” was used for another request already."),
            _("Take a new key for a new request."),
            key=key,
        )
