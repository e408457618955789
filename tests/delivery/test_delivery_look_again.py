"""Looking again at the channel on a person's word: it finds out more, and sends nothing that may be out."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update
from tests.delivery.conftest import Room

from lanmu.delivery.door.questions import Gatekeeper
from lanmu.delivery.followup.doubts import Doubts
from lanmu.delivery.installation.owner import this_process
from lanmu.delivery.models import Attempt
from lanmu.delivery.sending.preflight import Preflight
from lanmu.delivery.states import RESTORED
from lanmu.delivery.views import PushView
from lanmu.interfaces.channels import Abilities, NotConnected, Ref, Request, Window
from lanmu.interfaces.errors import Conflict
from lanmu.storage import Database
from lanmu.testing.fakes import Does

SETTLE = timedelta(minutes=10)
ASKED = Abilities(batch_max=1, lookup=True, settle=SETTLE)


@pytest.fixture
def asked(make_room: Callable[..., Room], database: Database) -> Room:
    return make_room(database, abilities=ASKED)


def look(room: Room) -> int:
    preflight = Preflight(room.database, room.clock, room.read_snapshot, room.objections, "Little Star")
    gatekeeper = Gatekeeper(room.channels, "Asia/Shanghai", None)
    return Doubts(room.database, room.clock, room.channels, preflight, gatekeeper, this_process()).look()


def barred(_request: Request, _window: Window) -> tuple[Ref, ...]:
    raise NotConnected("the key was revoked", config=True)


def in_doubt(room: Room, *keys: str, does: Does = Does.CUT_AFTER) -> PushView:
    """A push whose answers were lost, and whose channel could not be asked, since its settings are wrong."""
    room.channel.script(*[does] * len(keys))
    push = room.send(*keys, late_policy="send")
    room.run()
    room.clock.advance(SETTLE)
    mended, room.channel.find = room.channel.find, barred  # type: ignore[assignment, method-assign]
    look(room)
    room.channel.find = mended  # type: ignore[method-assign]
    assert {room.unit(push, number + 1).look_at for number in range(len(keys))} == {None}
    return push


def test_what_is_found_once_the_settings_are_mended_counts_as_sent(asked: Room) -> None:
    push = in_doubt(asked, "a")
    assert asked.service.look_again(push.id, 1) == 1
    assert asked.service.get(push.id).progress.doubts == 0, "nobody has to decide while it is asked"
    assert look(asked) == 1
    assert asked.states(push) == ["accepted"]
    assert asked.channel.sends() == {"a": 1}


def test_what_is_absent_is_sent_once_and_only_after_two_more_looks(asked: Room) -> None:
    push = in_doubt(asked, "a", does=Does.CUT_BEFORE)
    asked.clock.advance(timedelta(hours=1))
    asked.service.look_again(push.id, 1)
    look(asked)
    assert (asked.states(push), asked.unit(push).looks) == (["unknown"], 1)
    asked.clock.advance(timedelta(minutes=5))
    look(asked)
    asked.run()
    assert (asked.states(push), asked.channel.sends()) == (["accepted"], {"a": 1})


def test_looks_from_before_do_not_count_towards_not_found(asked: Room) -> None:
    """Who asks again doubts what was said."""
    asked.channel.script(Does.CUT_BEFORE)
    push = asked.send("a", late_policy="send")
    asked.run()
    asked.clock.advance(timedelta(minutes=14))
    look(asked)
    assert asked.unit(push).looks == 1
    asked.clock.advance(timedelta(minutes=5))
    mended, asked.channel.find = asked.channel.find, barred  # type: ignore[assignment, method-assign]
    look(asked)
    asked.channel.find = mended  # type: ignore[method-assign]
    asked.service.look_again(push.id, 1)
    look(asked)
    assert (asked.states(push), asked.unit(push).looks) == (["unknown"], 1)


def test_settings_that_are_still_wrong_put_it_to_a_person_again(asked: Room) -> None:
    push = in_doubt(asked, "a")
    asked.service.look_again(push.id, 1)
    asked.channel.find = barred  # type: ignore[assignment, method-assign]
    look(asked)
    assert (asked.unit(push).state, asked.unit(push).look_at) == ("unknown", None)
    assert "the key was revoked" in asked.unit(push).reason
    assert asked.service.look_again(push.id, 1) == 1


def test_all_of_a_push_that_can_be_asked_about_are_asked_about_at_once(asked: Room) -> None:
    push = in_doubt(asked, "a", "b", "c")
    other = in_doubt(asked, "d")
    asked.service.decide(push.id, 2, "give_up")
    assert asked.service.look_again(push.id) == 2
    assert look(asked) == 2
    assert asked.states(push) == ["accepted", "failed", "accepted"]
    assert asked.unit(other).look_at is None
    with pytest.raises(Conflict, match="nothing of it"):
        asked.service.look_again(push.id)


def test_who_looks_at_an_old_page_changes_nothing(asked: Room) -> None:
    push = in_doubt(asked, "a", "b")
    asked.service.decide(push.id, 1, "sent")
    with pytest.raises(Conflict, match="not in doubt any more"):
        asked.service.look_again(push.id, 1)
    with pytest.raises(Conflict, match="not in doubt any more"):
        asked.service.look_again(push.id, 7)
    asked.service.look_again(push.id, 2)
    due = asked.unit(push, 2).look_at
    asked.clock.advance(timedelta(seconds=1))
    with pytest.raises(Conflict, match="being asked already"):
        asked.service.look_again(push.id, 2)
    assert asked.unit(push, 2).look_at == due


@pytest.mark.parametrize(
    "abilities",
    [
        Abilities(batch_max=1),
        Abilities(batch_max=1, idempotency=timedelta(hours=4)),
        Abilities(batch_max=1, idempotency=timedelta(hours=4), lookup=True, settle=SETTLE),
    ],
    ids=["mute", "remembers", "remembers and lists"],
)
def test_a_channel_that_cannot_be_asked_is_not(asked: Room, abilities: Abilities) -> None:
    """One that takes the same bytes once would be sent them again, and asking sends nothing."""
    push = in_doubt(asked, "a")
    asked.channel.abilities = abilities
    assert not asked.service.can_be_asked(push.channel)
    with pytest.raises(Conflict, match="cannot be asked"):
        asked.service.look_again(push.id, 1)
    assert asked.unit(push).look_at is None


def test_a_channel_that_does_not_run_is_not_asked(asked: Room) -> None:
    push = in_doubt(asked, "a")
    del asked.channels[push.channel]
    assert not asked.service.can_be_asked(push.channel)
    with pytest.raises(Conflict, match="is not running"):
        asked.service.look_again(push.id)


def test_what_the_original_of_a_copy_may_have_sent_is_not_looked_for_at_the_wrong_time(asked: Room) -> None:
    """Nobody knows when it did: a lookup would look where it cannot stand, and have it sent twice."""
    push = in_doubt(asked, "a")
    with asked.database.write() as session:
        session.execute(update(Attempt).values(owner=RESTORED))
    assert not asked.service.units(push.id)[0].can_be_looked_up
    for unit in (1, None):
        with pytest.raises(Conflict):
            asked.service.look_again(push.id, unit)
    assert asked.unit(push).look_at is None
