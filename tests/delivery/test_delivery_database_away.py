"""The database goes away between the claim and the write: nothing is out, and nobody has to wait for it."""

from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from lanmu.delivery.door.questions import Gatekeeper
from lanmu.delivery.followup.doubts import Doubts
from lanmu.delivery.installation.owner import this_process
from lanmu.delivery.models import Unit
from lanmu.delivery.sending.journal import Journal
from lanmu.delivery.sending.preflight import Preflight
from lanmu.delivery.service import DeliveryService
from lanmu.interfaces.channels import Abilities
from lanmu.testing.fakes import Does

HERE = this_process()
AWAY = OperationalError("UPDATE unit", {}, Exception("the server closed the connection"))


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path)


@pytest.fixture
def worker(room, journal):
    return room.dispatcher(HERE, journal=journal)


def gone_at(room, monkeypatch, number, *, stored, times=1):
    """The database goes away at the end of a transaction, which is stored all the same, or is not, and stays
    away for so many."""
    write, count = room.database.write, [0]

    @contextmanager
    def ending():
        count[0] += 1
        goes = number <= count[0] < number + times
        with write() as session:
            yield session
            if goes and not (stored and count[0] == number):
                raise AWAY
        if goes:
            raise AWAY

    monkeypatch.setattr(room.database, "write", ending)


INTENT = 2  # the claim's is the first


@pytest.mark.parametrize("stored", [True, False])
def test_a_database_that_goes_away_at_the_intent_keeps_nobody_waiting_for_a_lease(
    room, worker, monkeypatch, stored
):
    push = room.send("a", "b")
    gone_at(room, monkeypatch, INTENT, stored=stored)
    with pytest.raises(OperationalError):
        worker.run_due()
    assert room.channel.effects == []
    assert set(room.states(push)) == {"retry_wait"}
    room.clock.advance(timedelta(seconds=1))
    worker.run_due()
    assert room.channel.sends() == {"a": 1, "b": 1}
    assert set(room.states(push)) == {"accepted"}


def test_an_intent_whose_commit_nobody_heard_of_is_settled_by_the_journal(room, worker, journal, monkeypatch):
    push = room.send("a")
    gone_at(room, monkeypatch, INTENT, stored=True, times=50)
    with pytest.raises(OperationalError):
        worker.run_due()
    assert room.states(push) == ["calling"]
    monkeypatch.undo()
    DeliveryService(room.database, room.clock, room.channels, journal=journal).reap(HERE)
    assert room.states(push) == ["retry_wait"]
    room.clock.advance(timedelta(seconds=1))
    worker.run_due()
    assert room.channel.sends() == {"a": 1}


def test_what_a_limit_counted_for_an_intent_that_was_never_written_is_given_back(room, worker, monkeypatch):
    push = room.send("a")
    gone_at(room, monkeypatch, INTENT, stored=True)
    with pytest.raises(OperationalError):
        worker.run_due()
    with room.database.read() as session:
        (unit,) = session.scalars(select(Unit))
        assert unit.counted_at is None
        assert (unit.tries, unit.deaths) == (0, 0)
    assert room.states(push) == ["retry_wait"]


def test_a_channel_that_finds_no_database_for_its_token_has_made_no_mistake(room, worker, monkeypatch):
    push = room.send("a")
    connect = room.channel.connect

    def without(_request):
        raise AWAY

    monkeypatch.setattr(room.channel, "connect", without)
    worker.run_due()
    assert room.states(push) == ["retry_wait"]
    monkeypatch.setattr(room.channel, "connect", connect)
    room.clock.advance(timedelta(seconds=10))
    worker.run_due()
    assert room.channel.sends() == {"a": 1}


def test_a_database_that_goes_away_while_doubts_are_looked_into_is_told_by_the_worker_once(
    make_room, database, caplog
):
    room = make_room(database, abilities=Abilities(batch_max=1, lookup=True, settle=timedelta(minutes=10)))
    room.channel.script(*[Does.CUT_AFTER] * 3)
    push = room.send("a", "b", "c")
    room.run()
    room.clock.advance(timedelta(minutes=10))
    preflight = Preflight(room.database, room.clock, room.read_snapshot, room.objections, "Little Star")
    gatekeeper = Gatekeeper(room.channels, "UTC", None)
    doubts = Doubts(room.database, room.clock, room.channels, preflight, gatekeeper, HERE)
    with pytest.MonkeyPatch.context() as patched:
        gone_at(room, patched, 2, stored=False, times=50)  # the first takes those that are due
        with pytest.raises(OperationalError):
            doubts.look()
    assert "Traceback" not in caplog.text
    assert room.states(push) == ["unknown"] * 3
    room.clock.advance(timedelta(minutes=10))
    doubts.look()
    assert room.states(push) == ["accepted"] * 3
