"""What a page is given of an attempt: what was seen of it, and what was found out or decided afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lanmu.delivery.views import AttemptView
from lanmu.i18n import _
from lanmu.web.pages.acts import say
from lanmu.web.people import translate


@dataclass(frozen=True, slots=True)
class Afterwards:
    """One line on what was done about an attempt later; `at` is None where nobody wrote it down."""

    at: datetime | None
    text: str


def attempt(found: AttemptView, called: Mapping[str, str]) -> dict[str, Any]:
    """An attempt; `called` are people's names by the name that they sign in with."""
    return {
        "number": found.number,
        "call": found.call,
        "started_at": found.started_at,
        "outcome": found.outcome,
        "told": told(found),
        "afterwards": afterwards(found, called),
        "raw": [(say(_RAW.get(name, name)), str(value)) for name, value in _raw(found)],
        "request": found.request,
        "request_sha256": found.sha256,
    }


_RAW = {"status": _("HTTP status"), "fault": _("What broke"), "answer": _("Answer")}
_IN_WORDS = ("wrote", "lookups", "decided")
"""What is told in sentences, and not shown as it is stored."""


def _raw(found: AttemptView) -> list[tuple[str, object]]:
    evidence = found.evidence
    order = dict.fromkeys([*_RAW, *evidence])
    return [
        (name, evidence[name])
        for name in order
        if name not in _IN_WORDS and evidence.get(name) not in (None, "", {}, [])
    ]


def told(found: AttemptView) -> list[str]:
    """What was seen of an attempt, in sentences."""
    evidence = found.evidence
    if "wrote" not in evidence:  # lookups and people's words are no look at the call itself
        return [
            say(_("It was written down that this is being sent; what became of it has not been seen yet."))
        ]
    status, fault = evidence.get("status"), str(evidence.get("fault") or "")
    if not evidence["wrote"]:
        lines = [say(_("Nothing left this machine, so nothing was sent."))]
    elif status is not None:
        lines = [say(_("The message was given to the channel, and the channel has answered."))]
    elif fault:
        lines = [say(_("The message was given to the channel, but no whole answer came back."))]
    else:
        lines = [say(_("It was handed over."))]
    if fault:
        lines.append(say(_("What broke: %(fault)s"), fault=translate(fault)))
    return lines


def afterwards(found: AttemptView, called: Mapping[str, str]) -> list[Afterwards]:
    """The lookups and a person's word about an attempt, in order."""
    lines = [line for each in _lookups(found) for line in _lookup(each)]
    decided = found.evidence.get("decided")
    if isinstance(decided, Mapping) and str(decided.get("answer")) in _DECIDED:
        who = str(decided.get("by", ""))
        text = say(_DECIDED[str(decided["answer"])], who=called.get(who, who))
        if why := str(decided.get("why") or ""):
            text = say(_("%(said)s Reason: %(why)s"), said=text, why=why)
        lines.append(Afterwards(_instant(decided.get("at")), text))
    return lines


def last_in_vain(attempts: Sequence[AttemptView]) -> Afterwards | None:
    """The last lookup, where it could not be made; None where it could, or where there was none."""
    lookups = _lookups(attempts[-1]) if attempts else []
    if not lookups or "failed" not in lookups[-1]:
        return None
    return Afterwards(_instant(lookups[-1].get("looked_at")), translate(lookups[-1]["failed"]))


def last_look(attempts: Sequence[AttemptView]) -> Afterwards | None:
    """When the channel was last asked about the last attempt, and what it said; None where it never was.

    Why it could not be asked is the unit's own reason then.
    """
    lookups = _lookups(attempts[-1]) if attempts else []
    if lookups and "failed" in lookups[-1]:
        return Afterwards(_instant(lookups[-1].get("looked_at")), say(_("The channel could not be asked.")))
    lines = [line for each in lookups for line in _lookup(each)]
    return lines[-1] if lines else None


_DECIDED = {
    "sent": _("%(who)s said that it is out."),
    "again": _("%(who)s had it sent once more."),
    "give_up": _("%(who)s gave it up."),
}


def _lookups(found: AttemptView) -> list[Mapping[str, Any]]:
    return [each for each in found.evidence.get("lookups", ()) if isinstance(each, Mapping)]


def _lookup(lookup: Mapping[str, Any]) -> list[Afterwards]:
    at = _instant(lookup.get("looked_at"))
    if "failed" in lookup:
        why = translate(lookup["failed"])  # not by way of str(), which would take its slots away
        return [Afterwards(at, say(_("The channel could not be asked: %(why)s"), why=why))]
    if said := lookup.get("taken_back"):
        return [Afterwards(at, _taken_back(str(ref), str(answer))) for ref, answer in said.items()]
    if found := lookup.get("found"):
        text = say(_("Looked up at the channel: found, as %(refs)s."), refs=_listed(found))
    elif others := lookup.get("of_others"):
        text = say(
            _("Looked up at the channel: not found; what is there belongs to other batches: %(refs)s."),
            refs=_listed(others),
        )
    else:
        text = say(_("Looked up at the channel: not found."))
    return [Afterwards(at, text)]


def _taken_back(ref: str, said: str) -> str:
    if said == "cancelled":
        return say(_("The second one, %(ref)s, was taken back."), ref=ref)
    text = _("The second one, %(ref)s, could not be taken back: %(why)s")
    return say(text, ref=ref, why=translate(said) or "–")


def _listed(refs: Sequence[object]) -> str:
    return say(_(", ")).join(str(each) for each in refs)


def _instant(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
