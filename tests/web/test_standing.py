"""How a push reads: finished only when nobody has anything to do any more."""

import pytest

from lanmu.delivery.progress import Progress
from lanmu.interfaces.channels import Sending
from lanmu.web.pages.standing import standing
from lanmu.web.pages.words import WORDS, tone

AUTO, CONFIRM, PERSON = Sending.AUTO, Sending.CONFIRM, Sending.PERSON


def _progress(
    awaited: int = 0, units: dict[str, int] | None = None, doubts: int = 0, **targets: int
) -> Progress:
    return Progress(sum(targets.values()), units or {}, targets, awaited, doubts)


@pytest.mark.parametrize(
    ("state", "sending", "progress", "code", "colour"),
    [
        ("finished", AUTO, _progress(accepted=3), "finished", "green"),
        ("finished", CONFIRM, _progress(2, accepted=2, delivered=1), "awaits_confirm", "orange"),
        ("finished", CONFIRM, _progress(delivered=3), "finished", "green"),
        ("finished", PERSON, _progress(1, handed_over=1, delivered=2), "awaits_person", "orange"),
        ("finished", PERSON, _progress(1, postponed=1, delivered=2), "awaits_person", "orange"),
        ("finished_with_issues", CONFIRM, _progress(1, accepted=1, failed=1), "awaits_confirm", "orange"),
        ("finished_with_issues", PERSON, _progress(delivered=1, failed=1), "finished_with_issues", "orange"),
        ("running", AUTO, _progress(doubts=1, units={"unknown": 1}, unknown=1), "in_doubt", "orange"),
        ("running", AUTO, _progress(units={"unknown": 1, "accepted": 1}, unknown=1), "checking", "blue"),
        ("running", AUTO, _progress(units={"held": 1}, planned=1), "held", "orange"),
        ("running", CONFIRM, _progress(1, units={"pending": 1}, accepted=1, planned=1), "running", "blue"),
        ("cancelled", CONFIRM, _progress(1, accepted=1, cancelled=1), "cancelled", "grey"),
        ("scheduled", PERSON, _progress(units={"pending": 1}, planned=1), "scheduled", "blue"),
        ("scheduled", AUTO, _progress(units={"calling": 1}, planned=1), "running", "blue"),
    ],
)  # fmt: skip
def test_a_push_is_called_by_what_is_still_to_be_done(state, sending, progress, code, colour):
    shown = standing(state, progress, sending)
    assert (shown.code, tone(shown.code)) == (code, colour)
    assert shown.code in WORDS["push"]


def test_where_people_send_only_what_they_have_sent_counts_as_arrived():
    progress = _progress(1, accepted=1, delivered=2, undelivered=1)
    by_people = standing("finished", progress, CONFIRM)
    by_itself = standing("finished", progress, AUTO)
    assert (by_people.arrived, by_people.awaited, by_people.failed, by_people.planned) == (2, 1, 1, 4)
    assert (by_itself.arrived, by_itself.awaited) == (3, 0)


def test_what_nobody_ever_confirmed_is_not_called_finished():
    progress = _progress(accepted=1, delivered=1)
    assert standing("finished", progress, CONFIRM, asked_still=False).code == "unconfirmed"
    counted_by_hand = standing("finished", progress, CONFIRM)
    assert counted_by_hand.code == "finished", "a person has said that it was sent"
