"""The database goes away while a worker holds an answer in memory (crash point C9)."""

import errno
import json
import os
from datetime import timedelta
from threading import Event

import pytest
from sqlalchemy.exc import OperationalError

from lanmu.delivery.installation.owner import Owner, this_process
from lanmu.delivery.sending.journal import Journal
from lanmu.delivery.sending.recording import record
from lanmu.delivery.service import DeliveryService
from lanmu.interfaces.channels import Abilities
from lanmu.testing.fakes import Does

HERE = this_process()
AWAY = OperationalError("UPDATE unit", {}, Exception("the server closed the connection"))


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path)


@pytest.fixture
def service(room, journal):
    return DeliveryService(room.database, room.clock, room.channels, journal=journal)


def dispatcher(room, journal):
    return room.dispatcher(HERE, journal=journal)


def away(monkeypatch, times=None):
    """The database takes no outcome, the first so many times."""
    left = [times]

    def fail(session, now, results):
        if left[0] is None or left[0] > 0:
            left[0] = None if left[0] is None else left[0] - 1
            raise AWAY
        return record(session, now, results)

    monkeypatch.setattr("lanmu.delivery.sending.dispatcher.record", fail)


def test_an_outcome_is_tried_again_while_the_lease_lasts(room, journal, monkeypatch):
    away(monkeypatch, times=5)
    push = room.send("a")
    assert dispatcher(room, journal).run_due() == 1
    assert room.states(push) == ["accepted"]
    assert not journal.path.exists()


def test_an_outcome_that_finds_no_database_is_kept_and_brought_in_before_the_reaper_acts(
    room, journal, service, monkeypatch
):
    away(monkeypatch)
    push = room.send("a")
    begun = room.clock.now()
    dispatcher(room, journal).run_due()
    assert timedelta(seconds=50) < room.clock.now() - begun <= timedelta(seconds=60)
    assert room.states(push) == ["calling"]
    (line,) = journal.path.read_text().splitlines()
    assert json.loads(line)["state"] == "accepted"
    assert json.loads(line)["ref"] == ["ref-1", {}]
    room.clock.advance(timedelta(minutes=5))
    assert service.reap(HERE) == {"leased": 0, "calling": 0}, "it is known, not unknown"
    unit = room.unit(push)
    assert (unit.state, unit.ref) == ("accepted", "ref-1")
    assert room.push(push).state == "finished"
    assert room.attempts(push)[0].evidence["status"] == 200
    assert journal.path.read_text() == ""


def test_a_worker_that_is_told_to_stop_does_not_take_what_it_saw_with_it(room, journal, service, monkeypatch):
    away(monkeypatch)
    push = room.send("a")
    begun, stopping, transmit = room.clock.now(), Event(), room.channel.transmit

    def told_while_it_writes(*arguments):
        stopping.set()
        return transmit(*arguments)

    monkeypatch.setattr(room.channel, "transmit", told_while_it_writes)
    dispatcher(room, journal).run_due(stopping.is_set)
    assert room.clock.now() - begun < timedelta(seconds=10), "it would be killed before its lease is over"
    service.reap(HERE)
    assert room.states(push) == ["accepted"]


def test_bringing_in_twice_changes_nothing(room, journal, monkeypatch):
    away(monkeypatch)
    room.channel.script(Does.CUT_AFTER)
    push = room.send("a")
    dispatcher(room, journal).run_due()
    text = journal.path.read_text()
    assert journal.bring_in(room.database) == 1
    assert room.states(push) == ["unknown"]
    before = room.attempts(push)[0].evidence, room.unit(push).fence
    room.service.decide(push.id, 1, "sent")
    journal.path.write_text(text)  # the worker died between the commit and emptying the file
    assert journal.bring_in(room.database) == 0
    assert room.states(push) == ["accepted"]
    evidence = room.attempts(push)[0].evidence
    assert evidence == before[0] | {"decided": evidence["decided"]}, "nor is what was added since lost"


def test_a_late_yes_from_the_journal_settles_what_was_taken_for_unknown(room, journal, monkeypatch):
    away(monkeypatch)
    push = room.send("a")
    dispatcher(room, journal).run_due()
    room.clock.advance(timedelta(minutes=5))
    room.service.reap(Owner("another-host", 1, "1-x"))  # a host that has no such file
    assert room.states(push) == ["unknown"]
    assert journal.bring_in(room.database) == 1
    assert room.states(push) == ["accepted"]


def test_half_a_line_is_put_aside_and_the_others_are_brought_in(room, journal, monkeypatch):
    away(monkeypatch)
    push = room.send("a")
    dispatcher(room, journal).run_due()
    with journal.path.open("a") as file:
        file.write('{"at": "2026-')
    assert journal.bring_in(room.database) == 1
    assert room.states(push) == ["accepted"]
    assert journal.path.with_suffix(".unread").read_text() == '{"at": "2026-\n'


def test_a_line_that_a_death_cut_off_takes_no_other_with_it(room, journal, monkeypatch):
    journal.path.write_text('{"at": "2026-')
    away(monkeypatch)
    push = room.send("a")
    dispatcher(room, journal).run_due()
    assert journal.bring_in(room.database) == 1
    assert room.states(push) == ["accepted"]


def test_a_disk_that_has_no_room_for_all_of_it_leaves_the_journal_as_it_was(
    room, journal, monkeypatch, caplog
):
    away(monkeypatch)
    journal.path.write_text("\n")
    write, room_left = os.write, [100]

    def fills_up(file, text):
        if not room_left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(file, text[: room_left[0]])
        room_left[0] -= written
        return written

    room.send("a")
    monkeypatch.setattr("lanmu.delivery.sending.journal.os.write", fills_up)
    dispatcher(room, journal).run_due()
    assert journal.path.read_text() == "\n"
    assert "outcomes are lost but for this line" in caplog.text


def test_nothing_is_forgotten_while_the_database_is_still_away(room, journal, monkeypatch):
    away(monkeypatch)
    room.send("a")
    dispatcher(room, journal).run_due()
    text = journal.path.read_text()

    class Away:
        def write(self):
            raise AWAY

    with pytest.raises(OperationalError):
        journal.bring_in(Away())
    assert journal.path.read_text() == text


def test_a_batch_keeps_all_that_was_seen_and_nothing_that_was_not(make_room, database, journal, monkeypatch):
    room = make_room(database, abilities=Abilities(batch_max=1))
    away(monkeypatch)
    room.channel.script(Does.ACCEPT, Does.REFUSE, Does.LATER, Does.CUT_AFTER)
    push = room.send("a", "b", "c", "d", "e")
    compose = room.channel.compose
    room.channel.compose = lambda message, targets: (
        1 / 0 if targets[0].key == "e" else compose(message, targets)
    )
    dispatcher(room, journal).run_due()
    assert len(journal.path.read_text().splitlines()) == 4
    assert journal.bring_in(room.database) == 4
    assert room.states(push)[:4] == ["accepted", "failed", "retry_wait", "unknown"]
    assert room.states(push)[4] == "leased", "nothing was written: its lease runs out"
    assert room.total_is_planned(push)


def test_without_a_journal_what_the_database_raises_is_raised(room, monkeypatch):
    away(monkeypatch)
    room.send("a")
    with pytest.raises(OperationalError):
        dispatcher(room, None).run_due()
