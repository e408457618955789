"""Every move of a unit: what the far end does, and what the database says of it afterwards."""

from datetime import timedelta

import pytest

from lanmu.interfaces.channels import Abilities
from lanmu.testing.fakes import Does

ONE_EACH = Abilities(batch_max=1)


def test_a_push_that_is_due_goes_out_once_and_is_finished(room):
    push = room.send("g1", "g2")
    assert room.run() == 1
    assert room.channel.sends() == {"g1": 1, "g2": 1}
    assert room.states(push) == ["accepted"]
    assert room.target_states(push) == {"g1": "accepted", "g2": "accepted"}
    assert room.push(push).state == "finished"
    assert room.unit(push).ref == "ref-1"
    assert room.run() == 0


@pytest.mark.parametrize(
    ("does", "state", "target", "push_state"),
    [
        (Does.ACCEPT, "accepted", "accepted", "finished"),
        (Does.HAND_OVER, "handed_over", "handed_over", "finished"),
        (Does.REFUSE, "failed", "failed", "finished_with_issues"),
        (Does.REFUSE_CONTENT, "held", "planned", "held"),
        (Does.REFUSE_ACCOUNT, "held", "planned", "held"),
        (Does.LATER, "retry_wait", "planned", "running"),
        (Does.CUT_BEFORE, "unknown", "unknown", "running"),
        (Does.CUT_AFTER, "unknown", "unknown", "running"),
        (Does.GARBAGE, "unknown", "unknown", "running"),
        (Does.RAISE, "unknown", "unknown", "running"),
        (Does.NOT_WRITTEN, "retry_wait", "planned", "running"),
        (Does.UNREACHABLE, "retry_wait", "planned", "running"),
        (Does.BAD_CONFIG, "held", "planned", "held"),
    ],
)
def test_each_answer_moves_unit_target_and_push(room, does, state, target, push_state):
    push = room.send("g1")
    room.channel.script(does)
    assert room.run() == 1
    assert room.states(push) == [state]
    assert room.target_states(push) == {"g1": target}
    assert room.push(push).state == push_state
    assert room.total_is_planned(push)
    assert room.run() == 0, "what is not due any more is left alone"
    told = [receipt.state for receipt in room.receipts]
    assert told == ([] if state == "retry_wait" else [state])
