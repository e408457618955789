"""`verify` re-derives what deliveries promise, and where a row was damaged it names that one."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text
from tests.delivery.conftest import Room

from lanmu.delivery.changes import Change
from lanmu.delivery.door.limit_models import SendLimit
from lanmu.delivery.models import Attempt, Push, Unit
from lanmu.delivery.verify import verify
from lanmu.i18n import Catalog
from lanmu.interfaces.channels import Abilities
from lanmu.storage import Database
from lanmu.storage.checking import Check
from lanmu.testing.fakes import Does


@pytest.fixture
def sent(make_room: Callable[..., Room], database: Database) -> Room:
    """A push of three units that went out, one that a person stopped, and one whose answer was lost."""
    room = make_room(database, abilities=Abilities(batch_max=1))
    with database.write() as session:
        values = {"scope": "recipient", "period": "day", "zone": "Asia/Shanghai", "most": 5}
        session.add(SendLimit(code="ours.recipient.day", **values))
    room.send("g1", "g2", "g3")
    room.run()
    stopped = room.send("g4", due_at=room.clock.now() + timedelta(hours=1))
    room.service.cancel(stopped.id)
    return room


def checks_of(room: Room) -> dict[str, Check]:
    return {check.invariant: check for check in verify(room.database)}


def damage(room: Room, *statements: str) -> None:
    with room.database.write() as session:
        for statement in statements:
            session.execute(text(statement))


def test_honest_deliveries_pass_every_check(sent: Room) -> None:
    checks = checks_of(sent)
    assert [check.first_wrong for check in checks.values() if not check.ok] == []
    assert all(check.rows for check in checks.values())


def test_where_nothing_was_ever_sent_all_is_right(database: Database) -> None:
    assert all(check.ok for check in verify(database))


FIRST = "(SELECT min(id) FROM unit)"
LAST = "(SELECT max(id) FROM unit)"


@pytest.mark.parametrize(
    ("invariant", "statement", "words"),
    [
        ("I11", "UPDATE push SET planned = 4 WHERE id = 1", "4 recipients were planned, 3 are there"),
        ("I11", f"DELETE FROM target WHERE unit_id = {LAST}", "1 recipients were planned, 0 are there"),
        (
            "I11",
            f"UPDATE unit SET state = 'held' WHERE id = {FIRST}",
            "is finished, and its unit 1 still held",
        ),
        ("I11", f"UPDATE target SET state = 'planned' WHERE unit_id = {FIRST}", "its recipient g1 planned"),
        ("I12", f"DELETE FROM attempt WHERE unit_id = {FIRST}", "unit 1: is accepted, and no attempt proves"),
        ("I12", f"UPDATE attempt SET outcome = '' WHERE unit_id = {FIRST}", "and no attempt proves it"),
        ("I12", f"UPDATE unit SET state = 'pending' WHERE id = {FIRST}", "is pending, and an attempt says"),
        ("I14", "UPDATE attempt SET fence = 9 WHERE id = 1", "under fence 9, which nobody was given"),
        ("I14", "UPDATE attempt SET request_sha256 = 'x' WHERE id = 1", "is not the one that was written"),
        ("I14", "UPDATE target SET recipient_key = 'g9' WHERE id = 1", "are not those that were approved"),
        ("I14", "UPDATE push SET channel = 'other' WHERE id = 1", "are not those that were approved"),
        ("I14", "UPDATE push SET approved_hash = 'x' WHERE id = 1", "are not those that were approved"),
        ("I14", "UPDATE revision SET content_hash = 'x'", "are not those that were approved"),
    ],
)
def test_one_damaged_row_is_named(sent: Room, invariant: str, statement: str, words: str) -> None:
    damage(sent, statement)
    check = checks_of(sent)[invariant]
    assert not check.ok
    assert words in check.first_wrong
    assert "push psh_" in check.first_wrong
    chinese = Catalog().gettext("zh-CN", check.first_wrong)
    assert "推送 psh_" in chinese
    assert "this push" in check.way_out
    assert "这条推送" in Catalog().gettext("zh-CN", check.way_out)


@pytest.mark.parametrize("off", [timedelta(seconds=-1), timedelta(hours=6)])
def test_what_was_written_outside_its_time_is_named(sent: Room, off: timedelta) -> None:
    with sent.database.write() as session:
        session.get_one(Attempt, 1).started_at += off
    check = checks_of(sent)["I14"]
    assert "allowed from 2026-11-23T00:00:00+00:00 until 2026-11-23T06:00:00+00:00" in check.first_wrong


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE limit_use SET used = used + 1", "counted, "),
        ("DELETE FROM limit_use", ": 0 counted, "),
        (f"UPDATE unit SET counted_at = NULL WHERE id = {FIRST}", "went out"),
    ],
)
def test_a_limit_that_is_not_what_went_out_is_named(sent: Room, statement: str, words: str) -> None:
    damage(sent, statement)
    check = checks_of(sent)["I13"]
    assert (check.ok, words in check.first_wrong) == (False, True)
    assert "频次上限" in Catalog().gettext("zh-CN", check.first_wrong)
    assert "停用再启用" in Catalog().gettext("zh-CN", check.way_out)


def test_the_way_out_of_a_wrong_count_is_one(sent: Room) -> None:
    damage(sent, "UPDATE limit_use SET used = used + 1")
    assert not checks_of(sent)["I13"].ok
    for enabled in (False, True):
        sent.limits.change("ours.recipient.day", 5, enabled, None, "li")
    assert checks_of(sent)["I13"].ok


def test_what_is_right_needs_no_way_out(sent: Room) -> None:
    assert {check.way_out for check in checks_of(sent).values()} == {""}


def test_a_unit_that_is_not_out_counts_against_no_limit(sent: Room) -> None:
    with sent.database.write() as session:
        push = session.get_one(Push, 2)
        session.execute(text(f"UPDATE unit SET state = 'held' WHERE push_id = {push.id}"))
        session.get_one(Unit, 4).counted_at = sent.clock.now() - timedelta(days=60)
    assert "is held, so not out, and still counts" in checks_of(sent)["I13"].first_wrong


def test_a_persons_word_proves_a_unit(sent: Room) -> None:
    push = sent.send("g5")
    sent.channel.script(Does.CUT_AFTER)
    sent.run()
    sent.service.decide(push.id, 1, "sent")
    assert sent.states(push) == ["accepted"]
    assert [check.first_wrong for check in checks_of(sent).values() if not check.ok] == []


def test_a_second_proof_of_one_unit_is_a_message_sent_twice(sent: Room) -> None:
    damage(
        sent,
        f"UPDATE unit SET fence = 2 WHERE id = {FIRST}",
        "INSERT INTO attempt"
        " (unit_id, fence, owner, call, request, request_sha256, meta, started_at, outcome)"
        " SELECT unit_id, 2, owner, call, request, request_sha256, meta, started_at, outcome FROM attempt"
        f" WHERE unit_id = {FIRST}",
    )
    assert "2 attempts say that it went out" in checks_of(sent)["I12"].first_wrong


def test_a_recipient_twice_in_a_push_is_named_once_the_constraint_is_gone(sent: Room) -> None:
    with sent.database.write() as session:
        _without_the_constraint(session.connection())
        session.execute(
            text(
                "INSERT INTO target (push_id, unit_id, account, recipient_key, name, state, reason)"
                f" SELECT push_id, {FIRST} + 1, account, recipient_key, name, state, reason FROM target"
                f" WHERE unit_id = {FIRST}"
            )
        )
        session.execute(text("UPDATE push SET planned = 4 WHERE id = 1"))
    assert "recipient g1 is in it 2 times" in checks_of(sent)["I12"].first_wrong


def test_an_answer_that_was_lost_is_open_and_no_fault(sent: Room) -> None:
    room = sent
    push = room.send("g5")
    room.channel.script(Does.CUT_AFTER)
    room.run()
    assert room.states(push) == ["unknown"]
    assert all(check.ok for check in checks_of(room).values())


def test_the_check_stops_at_the_first_wrong_push_and_counts_what_it_read(sent: Room) -> None:
    damage(sent, "UPDATE push SET planned = planned + 1")
    check = checks_of(sent)["I11"]
    with sent.database.read() as session:
        first = session.get_one(Push, session.get_one(Unit, 1).push_id)
    assert (check.rows, first.public_id in check.first_wrong) == (1, True)


def _without_the_constraint(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("ALTER TABLE target DROP CONSTRAINT uq_target_push_id_account_recipient_key"))
        return
    connection.execute(text("CREATE TABLE bare AS SELECT * FROM target"))
    connection.execute(text("DROP TABLE target"))
    connection.execute(text("ALTER TABLE bare RENAME TO target"))


def test_another_time_after_a_refusal_is_sound(sent: Room) -> None:
    """What was tried before had its former time, and waits for its new approval without one."""
    room = sent
    push = room.send("g6")
    room.channel.script(Does.LATER)
    room.run()
    later = room.clock.now() + timedelta(hours=1)
    room.service.changes.edit(push.id, Change(seen=1, due_at=later), "li")
    assert [check.first_wrong for check in checks_of(room).values() if not check.ok] == []
    room.service.changes.approve(push.id, "wang", 2)
    room.clock.advance(timedelta(hours=1))
    room.run()
    assert room.states(push) == ["accepted"]
    assert [check.first_wrong for check in checks_of(room).values() if not check.ok] == []
    with room.database.write() as session:
        last = room.attempts(push)[-1]
        session.get_one(Attempt, last.id).started_at += timedelta(hours=6)
    assert not checks_of(room)["I14"].ok
