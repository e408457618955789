"""What a worker does about channels that do not run in it: it leaves them to the workers in which they do."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest
from tests.delivery.conftest import Room

from lanmu.delivery.door.questions import Gatekeeper
from lanmu.delivery.followup.doubts import Doubts
from lanmu.delivery.followup.results import Results
from lanmu.delivery.installation.lives import RUNS, Elsewhere
from lanmu.delivery.installation.owner import Owner, this_process
from lanmu.delivery.sending.dispatcher import Dispatcher
from lanmu.delivery.sending.preflight import Preflight
from lanmu.delivery.service import DeliveryService
from lanmu.interfaces.channels import Abilities, Channel, TargetResult, TargetState
from lanmu.storage import Database
from lanmu.testing.fakes import Does, FakeChannel

OTHER = Owner("another-host", 1, "1-x")
THEIRS = FakeChannel("theirs.one")
ASKED = Abilities(batch_max=1, lookup=True, settle=timedelta(minutes=10), acceptance="async")


@pytest.fixture
def asked(make_room: Callable[..., Room], database: Database) -> Room:
    return make_room(database, abilities=ASKED)


def beat(room: Room, owner: Owner, *channels: FakeChannel) -> None:
    """A worker in which these channels run says that it lives."""
    running = {each.name: each for each in channels}
    DeliveryService(room.database, room.clock, running).beat(owner)


def elsewhere(room: Room) -> set[str]:
    return set(_elsewhere(room).channels())


def _elsewhere(room: Room, channels: Mapping[str, Channel] | None = None) -> Elsewhere:
    return Elsewhere(room.database, room.clock, room.channels if channels is None else channels)


def look(room: Room) -> int:
    preflight = Preflight(room.database, room.clock, room.read_snapshot, room.objections, "Little Star")
    doubts = Doubts(
        room.database,
        room.clock,
        room.channels,
        preflight,
        Gatekeeper(room.channels, "Asia/Shanghai", None),
        this_process(),
        elsewhere=_elsewhere(room).channels,
    )
    return doubts.look()


def poll(room: Room, channels: Mapping[str, Channel]) -> int:
    return Results(room.database, room.clock, channels, _elsewhere(room, channels).channels).poll()


def run(room: Room) -> int:
    dispatcher = Dispatcher(
        room.database,
        room.clock,
        room.channels,
        Preflight(room.database, room.clock, room.read_snapshot, room.objections, "Little Star"),
        this_process(),
        room.pool,
        room.receipts.append,
        elsewhere=_elsewhere(room).channels,
    )
    return dispatcher.run_due()


def service(room: Room, channels: Mapping[str, Channel]) -> DeliveryService:
    return DeliveryService(room.database, room.clock, channels, elsewhere=_elsewhere(room, channels).channels)


def test_what_runs_in_others_and_not_here_is_theirs(room: Room) -> None:
    assert elsewhere(room) == set()
    beat(room, this_process(), room.channel)
    beat(room, OTHER, room.channel, THEIRS)
    assert elsewhere(room) == {"theirs.one"}
    room.channels["theirs.one"] = THEIRS
    assert elsewhere(room) == set()


def test_a_worker_that_is_silent_or_lost_its_plugin_keeps_nothing_from_others(room: Room) -> None:
    beat(room, OTHER, THEIRS)
    room.clock.advance(RUNS - timedelta(seconds=1))
    assert elsewhere(room) == {"theirs.one"}, "it may be starting anew"
    room.clock.advance(timedelta(seconds=1))
    assert elsewhere(room) == set()
    beat(room, OTHER, THEIRS)
    beat(room, OTHER)
    assert elsewhere(room) == set()


def test_a_clock_that_was_set_back_lets_no_dead_worker_keep_its_channels(room: Room) -> None:
    room.clock.advance(timedelta(days=1))
    beat(room, OTHER, THEIRS)
    room.clock.advance(timedelta(days=-1))
    assert elsewhere(room) == set()


def test_the_others_are_asked_for_once_in_a_while_alone(room: Room) -> None:
    known = Elsewhere(room.database, room.clock, room.channels)
    assert known.channels() == set()
    beat(room, OTHER, THEIRS)
    assert known.channels() == set()
    room.clock.advance(timedelta(seconds=6))
    assert known.channels() == {"theirs.one"}


def test_a_doubt_is_left_to_the_worker_in_which_its_channel_runs(asked: Room) -> None:
    """Whoever cannot ask would put the question off, and after a day put it to a person."""
    asked.channel.script(Does.CUT_AFTER)
    push = asked.send("a")
    asked.run()
    asked.clock.advance(timedelta(minutes=10))
    due = asked.unit(push).look_at
    beat(asked, OTHER, asked.channel)
    running = asked.channels.pop(asked.channel.name)
    assert look(asked) == 0
    assert asked.unit(push).look_at == due
    asked.clock.advance(RUNS)
    assert look(asked) == 1, "nobody runs it any more, and that is told"
    (view,) = asked.service.units(push.id)
    assert view.attempts[0].evidence["lookups"][-1]["failed"] == "The channel is not running."
    asked.channels[asked.channel.name] = running
    asked.clock.advance(timedelta(minutes=10))
    look(asked)
    assert asked.states(push) == ["accepted"]


def test_results_are_left_to_the_worker_in_which_their_channel_runs(asked: Room) -> None:
    push = asked.send("a")
    asked.run()
    asked.clock.advance(timedelta(seconds=2))
    due = asked.unit(push).results_at
    beat(asked, OTHER, asked.channel)
    assert poll(asked, {}) == 0
    assert asked.unit(push).results_at == due


def test_results_that_nobody_can_ask_for_just_now_are_asked_for_when_their_channel_runs_again(
    asked: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = asked.send("a")
    asked.run()
    asked.clock.advance(timedelta(seconds=2))
    assert poll(asked, {}) == 1
    said = (TargetResult("a", TargetState.DELIVERED),)
    monkeypatch.setattr(asked.channel, "results", lambda _ref: said)
    asked.clock.advance(timedelta(seconds=6))
    assert poll(asked, asked.channels) == 1
    assert asked.states(push) == ["delivered"]
    late = asked.send("b")
    asked.run()
    asked.clock.advance(timedelta(days=31))
    poll(asked, {})
    assert asked.unit(late).results_at is None, "but not for ever"


def test_a_unit_is_left_to_the_worker_in_which_its_channel_runs(room: Room) -> None:
    room.channels["ours.one"] = FakeChannel("ours.one", clock=room.clock)
    theirs, ours = room.send("a"), room.send("b", channel="ours.one")
    beat(room, OTHER, room.channel)
    running = room.channels.pop(room.channel.name)
    assert run(room) == 1
    assert (room.states(theirs), room.states(ours)) == (["pending"], ["accepted"])
    assert service(room, room.channels).next_due() is None
    assert service(room, {running.name: running}).next_due() is not None
    room.channels[running.name] = running
    later = room.send("c", due_at=room.clock.now() + timedelta(minutes=1))
    ours_alone = {"ours.one": room.channels["ours.one"]}
    assert service(room, ours_alone).next_due() is None
    room.clock.advance(timedelta(minutes=1))
    run(room)
    assert (room.states(theirs), room.states(later)) == (["accepted"], ["accepted"])


def test_what_runs_nowhere_is_put_to_a_person(room: Room) -> None:
    push = room.send("a")
    beat(room, OTHER, room.channel)
    del room.channels[room.channel.name]
    room.clock.advance(RUNS - timedelta(seconds=1))
    assert run(room) == 0
    room.clock.advance(timedelta(seconds=1))
    assert run(room) == 1
    assert (room.unit(push).state, room.unit(push).code) == ("held", "channel_missing")
