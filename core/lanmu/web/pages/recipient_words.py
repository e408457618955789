"""What a push's page and its list say of a recipient that waits: whom for, and what follows when."""

from datetime import datetime

from lanmu.delivery.recipients import Waits
from lanmu.i18n import _

_FOLLOWS = {
    Waits.TIME: _("Not before %(time)s."),
    Waits.CHANNEL: _("The channel is asked again at %(time)s."),
    Waits.PERSON: _(
        "Waits for somebody's decision, until %(time)s at the latest: it cannot go out after that."
    ),
}
_IN_DOUBT = _("Waits for somebody's decision; without one it counts as sent from %(time)s on.")


def follows(state: str, waits_for: Waits, until: datetime | None) -> str:
    """The sentence, with a slot for the time `until`; empty where nobody and nothing is waited for."""
    if until is None:
        return ""
    return _IN_DOUBT if state == "unknown" else _FOLLOWS.get(waits_for, "")
