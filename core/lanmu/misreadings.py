"""Whether a channel reads what was seen of a write as it must: what proves nothing is ambiguous.

Read otherwise, a message that may be out is sent again, or one that never left counts as sent.
"""

from collections.abc import Iterator

from lanmu.delivery.sending.answers import check_verdict
from lanmu.i18n import _
from lanmu.interfaces.channels import Channel, Observation, Outcome, Verdict
from lanmu.interfaces.errors import Invalid
from lanmu.plugin_faults import failure

FAULTS = ("", "timeout", "connection reset")

EXAMPLES = (
    *(Observation(wrote=False, fault=fault) for fault in FAULTS),
    *(Observation(wrote=True, fault=fault) for fault in FAULTS),
    *(Observation(True, status, b"<html><h1>Gateway") for status in (500, 502, 504)),
)
"""What any channel may see one day, and what each of them has to read alike."""


def misreading(seen: Observation, verdict: Verdict, *, local: bool) -> str:
    """The rule that a verdict breaks, "" where it breaks none. No gateway stands before a `local` channel."""
    if not seen.wrote:
        sent = verdict.outcome in (Outcome.ACCEPTED, Outcome.HANDED_OVER, Outcome.AMBIGUOUS)
        return "nothing-written-nothing-sent" if sent else ""
    if verdict.outcome is Outcome.AMBIGUOUS:
        return ""
    if seen.status is None and not seen.body:
        return "no-answer-is-ambiguous"
    gateway = seen.status in (500, 502, 504) and seen.body.startswith(b"<html") and not local
    return "gateway-is-ambiguous" if gateway else ""


def misreadings(place: str, channel: Channel) -> Iterator[tuple[str, Invalid]]:
    """The rules that a channel breaks in what any channel may see, with the first case of each."""
    broken: set[str] = set()
    for seen in EXAMPLES:
        try:
            verdict = check_verdict(channel.classify(seen), seen)
        except (Exception, SystemExit) as error:  # noqa: BLE001  told to its author instead
            rule, reading = "classify-total", failure(error)
        else:
            rule, reading = misreading(seen, verdict, local=channel.abilities.local), str(verdict.outcome)
        if rule and rule not in broken:
            broken.add(rule)
            fault = _("its classify reads %(seen)s as %(reading)s.")
            way_out = _("Nothing written is NOT_SENT; written, and not answered clearly, is AMBIGUOUS.")
            yield rule, Invalid(place, fault, way_out, seen=seen, reading=reading)
