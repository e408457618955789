"""The audit log: a chain that shows where it was broken, whoever writes and whatever they write."""

import threading

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from lanmu.staff.audit import Audit, verify
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock


@pytest.fixture
def audit(database: Database, clock: FakeClock) -> Audit:
    return Audit(database, clock)


def _behind_our_back(database: Database, statement: str) -> None:
    """As somebody would who owns the database and takes the guard off first."""
    with database.write() as session:
        if database.dialect == "sqlite":
            guards = session.scalars(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_record'")
            ).all()
            assert guards
            for name in guards:
                session.execute(text(f"DROP TRIGGER {name}"))
        else:
            session.execute(text("ALTER TABLE audit_record DISABLE TRIGGER USER"))
        session.execute(text(statement))


def _wrong(database: Database) -> str:
    """What `lanmu verify` says of the log first, "" where it is whole."""
    (check,) = verify(database)
    assert check.ok == (not check.first_wrong)
    return check.first_wrong


def test_lines_come_newest_first_with_all_they_hold(audit: Audit, database: Database):
    audit.record(
        "li", "material.edit", "mat_1", permission="content.edit", detail={"字数": 12}, address="::1"
    )
    audit.record("wang", "login", allowed=False)
    newest, oldest = audit.latest()
    assert (newest.actor, newest.allowed) == ("wang", False)
    assert (oldest.object, oldest.detail) == ("mat_1", {"字数": 12})
    assert len(audit.latest(1)) == 1
    assert _wrong(database) == ""


@pytest.mark.parametrize("statement", ["UPDATE audit_record SET actor = 'x'", "DELETE FROM audit_record"])
def test_the_database_itself_refuses_to_change_a_line(audit: Audit, database: Database, statement: str):
    audit.record("li", "login")
    with pytest.raises(IntegrityError, match="append-only"), database.write() as session:
        session.execute(text(statement))
    assert audit.latest()[0].actor == "li"


@pytest.mark.parametrize(
    "change", ["actor = 'nobody'", "allowed = NOT allowed", "object = 'mat_9'", "detail = '{}'"]
)
def test_a_line_that_was_changed_behind_our_back_is_found(audit: Audit, database: Database, change: str):
    for number in range(5):
        audit.record("li", "material.edit", f"mat_{number}", detail={"n": number})
    _behind_our_back(database, f"UPDATE audit_record SET {change} WHERE id = 3")
    assert _wrong(database) == "line 3 was changed"


def test_a_line_that_was_taken_out_is_found(audit: Audit, database: Database):
    for number in range(4):
        audit.record("li", "material.edit", f"mat_{number}")
    _behind_our_back(database, "DELETE FROM audit_record WHERE id = 2")
    assert _wrong(database) == "line 3: the line before it is missing, or was changed"


def test_many_who_write_at_once_make_one_chain(audit: Audit, database: Database):
    def write(who: str) -> None:
        for _line in range(5):
            audit.record(who, "login")

    threads = [threading.Thread(target=write, args=(f"user{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(audit.latest(100)) == 30
    assert _wrong(database) == ""


def test_what_a_stranger_sends_is_written_whatever_it_is(audit: Audit, database: Database):
    audit.record("x" * 500, "GET " + "y" * 500, "/\0" + "z" * 5000, permission="p" * 500, address="a" * 500)
    (line,) = audit.latest()
    assert len(line.actor) == 130
    assert line.object.startswith("/\N{REPLACEMENT CHARACTER}z")
    assert _wrong(database) == ""
