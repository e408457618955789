"""After downtime: what is late is marked first, then dealt with by each push's own rule, never in a burst."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.delivery.conftest import Room

from lanmu.delivery.models import Push, Unit
from lanmu.interfaces.channels import Abilities
from lanmu.storage import Database

KEYS = [f"g{number}" for number in range(10)]
OUTAGE = timedelta(hours=1)


def _sends(room: Room) -> int:
    return len(room.channel.effects)


def _partly(room: Room, policy: str) -> str:
    """A push of ten, each a unit of its own, of which four went out before the outage."""
    made = room.send(*KEYS, late_policy=policy)
    asked = iter([False])
    room.dispatcher(concurrency=4).run_due(lambda: next(asked, True))
    assert _sends(room) == 4
    room.clock.advance(OUTAGE)
    return made.id


@pytest.fixture
def single(make_room: Callable[..., Room], database: Database) -> Room:
    return make_room(database, abilities=Abilities(batch_max=1))


def test_a_late_push_that_asks_sends_nothing_more_until_a_person_says_so(single: Room):
    push = _partly(single, "ask")
    single.run()
    assert _sends(single) == 4
    view = single.service.get(push)
    assert view.state == "held"
    assert "Send it now, or not?" in view.held_reason
    assert view.progress.planned == sum(view.progress.targets.values()) == 10
    single.run()
    assert _sends(single) == 4
    single.service.resume(push)
    single.run()
    assert single.channel.sends() == dict.fromkeys(KEYS, 1)


def test_a_late_push_that_is_to_be_sent_goes_on_with_the_rest(single: Room):
    push = _partly(single, "send")
    single.run()
    assert single.channel.sends() == dict.fromkeys(KEYS, 1)
    assert single.service.get(push).state == "finished"


def test_a_late_push_that_is_to_be_skipped_leaves_the_rest_out(single: Room):
    push = _partly(single, "skip")
    single.run()
    assert _sends(single) == 4
    counted = single.service.get(push).progress
    assert counted.targets == {"accepted": 4, "skipped": 6}


def test_nothing_crosses_the_deadline_whatever_the_rule(single: Room):
    push = _partly(single, "send")
    single.clock.advance(timedelta(days=2))
    single.run()
    assert _sends(single) == 4
    assert single.service.get(push).progress.targets == {"accepted": 4, "skipped": 6}


def test_many_pushes_missed_in_a_night_are_marked_and_none_bursts_out(single: Room):
    pushes = [single.send(*KEYS[:3], late_policy="ask") for _number in range(8)]
    single.clock.advance(timedelta(hours=4))
    single.run()
    assert _sends(single) == 0
    with single.database.read() as session:
        assert set(session.scalars(select(Push.state))) == {"held"}
        calling = session.scalars(select(Unit.id).where(Unit.state.in_(("leased", "calling")))).all()
    assert calling == []
    for push in pushes:
        view = single.service.get(push.id)
        assert view.progress.planned == sum(view.progress.targets.values()) == 3
