"""The books cannot be changed by SQL, and where somebody managed to, `verify` names the first wrong row."""

from collections.abc import Iterable
from datetime import date, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session
from tests.ledger.conftest import PEPPER

from lanmu.chain_ends import chain_ends
from lanmu.interfaces.events import Award
from lanmu.ledger.seal import Sealer
from lanmu.ledger.service import LedgerService
from lanmu.ledger.verify import verify
from lanmu.storage import Database
from lanmu.storage.checking import Check
from lanmu.testing.clock import FakeClock

LI, WANG = "mem_li", "mem_wang"


@pytest.fixture
def books(ledger: LedgerService, database: Database, clock: FakeClock) -> Database:
    """A ledger with a little of everything, sealed. On an empty database the ids are 1, 2, 3 …"""
    day = date(2026, 11, 23)
    for number, (member, days) in enumerate([(LI, 30), (LI, 2), (LI, None), (WANG, 30)]):
        ledger.earn(Award("message", f"m{number}", member, 100, "Spoke up", day, expires_after_days=days))
    offer = ledger.shelf.create("Cup", 50, cap=5, per_member=2)
    ledger.desk.use(ledger.redeem(LI, offer.id, "1").code, "staff:wang")
    ledger.redeem(LI, offer.id, "2")
    spent = ledger.spend(WANG, 30, "1", reason="A gift", actor="test")
    ledger.refund(spent.id, 10, "1", reason="Broken", actor="test")
    ledger.adjust(WANG, 5, "1", reason="Kind", actor="test")
    ledger.reverse("m3", reason="Returned", actor="test")
    clock.advance(timedelta(days=31))
    ledger.expire()
    ledger.redeem(LI, ledger.shelf.create("Plate", 20).id, "3")
    ledger.refund(12, 20, "2", reason="Broken", actor="test")
    assert Sealer(database, clock).seal() == 13
    return database


def by_invariant(checks: Iterable[Check]) -> dict[str, Check]:
    return {check.invariant: check for check in checks}


def test_honest_books_pass_every_check(books: Database, ledger: LedgerService) -> None:
    checks = by_invariant(verify(books, ledger.codes))
    assert list(checks) == ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I10", "I15", "I17"]
    assert [check.first_wrong for check in checks.values() if not check.ok] == []
    assert all(check.rows for check in checks.values())


def test_an_empty_ledger_passes(database: Database) -> None:
    assert all(check.ok and check.rows == 0 for check in verify(database))


def test_the_books_refuse_to_be_changed(books: Database) -> None:
    for table in ("ledger_tx", "ledger_entry", "lot_move", "ledger_seal"):
        for statement in (f"UPDATE {table} SET id = id", f"DELETE FROM {table}"):
            with pytest.raises(DatabaseError, match=f"{table} is append-only"), books.write() as session:
                session.execute(text(statement))


def test_a_lot_keeps_its_size_and_its_end(books: Database) -> None:
    for statement in ("UPDATE lot SET original = original + 1", "DELETE FROM lot"):
        with pytest.raises(DatabaseError, match="lot is append-only"), books.write() as session:
            session.execute(text(statement))


def test_the_audit_log_refuses_to_be_changed(database: Database) -> None:
    with database.write() as session:
        session.execute(
            text(
                "INSERT INTO audit_record (at, actor, permission, action, object, allowed, address,"
                " prev_hash, hash) VALUES ('2026-11-23 00:00:00', 'a', 'p', 'x', 'o', true, '', '', '')"
            )
        )
    with pytest.raises(DatabaseError, match="append-only"), database.write() as session:
        session.execute(text("UPDATE audit_record SET actor = 'b'"))


def test_postgresql_refuses_to_empty_the_books(postgres_database: Database) -> None:
    with pytest.raises(DatabaseError, match="append-only"), postgres_database.write() as session:
        session.execute(text("TRUNCATE ledger_tx CASCADE"))


TAMPERING = [
    ("UPDATE ledger_entry SET amount = amount + 1 WHERE id = 1", "I1", "posting 1:"),
    ("UPDATE account SET balance = balance + 7 WHERE name = 'member:mem_li'", "I2", "account member:mem_li:"),
    ("UPDATE lot SET remaining = 1 WHERE id = 2", "I3", "lot 2:"),
    ("UPDATE lot SET remaining = 1 WHERE id = 2", "I4", "account member:mem_li:"),
    ("UPDATE lot_move SET lot_id = 4 WHERE id = 1", "I5", "lot move 1:"),
    ("UPDATE lot_move SET lot_id = 3 WHERE id = 1", "I5", "while lot 2 expires earlier"),
    ("UPDATE lot SET expires_at = NULL WHERE id = 2", "I5", "while lot 1 expires earlier"),
    ("UPDATE ledger_entry SET amount = 7 WHERE tx_id = 7 AND amount = -30", "I6", "spent -7, refunded 10"),
    ("UPDATE ledger_tx SET kind = 'reverse', ref_tx = 4 WHERE id = 9", "I6", "posting 4: taken back 2 times"),
    ("UPDATE offer SET issued = 3", "I7", "counts 3 issued, 2 coupons"),
    ("UPDATE offer SET per_member = 1", "I7", "mem_li holds 2, at most 1"),
    ("UPDATE coupon SET member = 'mem_wang' WHERE id = 1", "I8", "posting 5 does not pay"),
    ("DELETE FROM coupon WHERE id = 1", "I8", "posting 5: paid for a coupon"),
    ("UPDATE coupon SET state = 'issued' WHERE id = 1", "I8", "is issued, and used at 2026"),
    ("UPDATE coupon SET state = 'redeemed' WHERE id = 2", "I8", "is redeemed, and used at no time"),
    ("UPDATE coupon SET state = 'void' WHERE id = 2", "I8", "is void, and posting 6 was not given back"),
    ("UPDATE coupon SET state = 'issued' WHERE id = 3", "I8", "is issued, and posting 12 was given back"),
    ("UPDATE coupon SET code_hash = 'another' WHERE id = 2", "I17", "under the code"),
    ("UPDATE coupon SET last4 = '0000' WHERE id = 2", "I17", "under the code"),
    ("UPDATE account SET kind = 'adjust', balance = NULL WHERE id = 1", "I2", "member:mem_li: is kept as"),
    ("UPDATE account SET kind = 'spent' WHERE name = 'adjust'", "I2", "account adjust: is kept as"),
    ("UPDATE ledger_tx SET reason = 'Nothing' WHERE id = 6", "I10", "posting 6: differs"),
    ("UPDATE ledger_entry SET amount = -amount WHERE tx_id = 6", "I10", "posting 6: differs"),
    ("DELETE FROM ledger_seal WHERE id = 3", "I10", "link 3 of the chain is missing"),
    ("UPDATE ledger_tx SET refusal = '{}' WHERE id = 7", "I15", "posting 7 (spend:mem_wang:1): was refused"),
    ("UPDATE ledger_tx SET member = 'mem_li' WHERE id = 7", "I15", "touches another member"),
]


def test_tampering_is_found_and_named(books: Database, ledger: LedgerService) -> None:
    with books.write() as session:
        _disarm(books, session)
    for tampering, invariant, names in TAMPERING:
        table = next(word for word in tampering.split() if word.islower())
        with books.write() as session:
            session.execute(text(f"CREATE TABLE kept AS SELECT * FROM {table}"))
            assert session.execute(text(tampering)).rowcount  # type: ignore[attr-defined]
        check = by_invariant(verify(books, ledger.codes))[invariant]
        assert (check.ok, names in check.first_wrong) == (False, True), (tampering, check)
        with books.write() as session:
            _put_back(session, table)
    assert all(check.ok for check in verify(books, ledger.codes))


def test_another_key_of_the_server_is_told_with_the_way_back(books: Database, clock: FakeClock) -> None:
    other = LedgerService(books, clock, b"another pepper than before")
    check = by_invariant(verify(books, other.codes))["I17"]
    assert (check.ok, check.rows) == (False, 1)
    assert "server.secret_key" in check.way_out


def test_what_cannot_be_read_is_told_and_the_other_checks_are_made(
    sqlite_database: Database, clock: FakeClock
) -> None:
    ledger = LedgerService(sqlite_database, clock, PEPPER)
    ledger.earn(Award("message", "m", LI, 100, "Spoke up", date(2026, 11, 23)))
    ledger.spend(LI, 10, "1", reason="A gift", actor="test")
    with sqlite_database.write() as session:
        _disarm(sqlite_database, session)
        session.execute(text("UPDATE lot_move SET delta = 'ten'"))
        session.execute(text("UPDATE ledger_tx SET recorded_at = 'noon' WHERE id = 1"))
    with sqlite_database.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        connection.exec_driver_sql("UPDATE account SET balance = NULL WHERE kind = 'member'")
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = OFF")
        connection.exec_driver_sql("BEGIN")
    checks = by_invariant(verify(sqlite_database))
    assert len(checks) == 10
    assert checks["I2"].first_wrong == "account member:mem_li: keeps no balance, its entries add up to 90"
    assert "cannot be read" in checks["I5"].first_wrong
    assert checks["I15"].ok


def _put_back(session: Session, table: str) -> None:
    columns = list(session.execute(text(f"SELECT * FROM {table} LIMIT 0")).keys())
    session.execute(text(f"DELETE FROM {table} WHERE id NOT IN (SELECT id FROM kept)"))
    missing = f"SELECT * FROM kept WHERE id NOT IN (SELECT id FROM {table})"
    session.execute(text(f"INSERT INTO {table} ({', '.join(columns)}) {missing}"))
    setters = ", ".join(
        f"{name} = (SELECT kept.{name} FROM kept WHERE kept.id = {table}.id)" for name in columns
    )
    session.execute(text(f"UPDATE {table} SET {setters}"))
    session.execute(text("DROP TABLE kept"))


def test_sealing_again_adds_nothing_and_late_postings_are_sealed_later(
    ledger: LedgerService, books: Database, clock: FakeClock
) -> None:
    sealer = Sealer(books, clock)
    before = chain_ends(books)["points"]
    assert sealer.seal() == 0
    assert chain_ends(books)["points"] == before
    with books.write() as session:  # a posting that took its id early and was committed late
        session.execute(
            text(
                "INSERT INTO ledger_tx (id, key, kind, member, rule, reference, actor, reason, refusal,"
                " request_hash, occurred_at, recorded_at) SELECT 5000, 'late', 'earn', member, '',"
                " '', 'a', '', '{}', request_hash, occurred_at, recorded_at FROM ledger_tx WHERE key = 'm0'"
            )
        )
    assert sealer.seal() == 1
    assert chain_ends(books)["points"].row == before.row + 1
    assert by_invariant(verify(books))["I10"].ok


def _disarm(database: Database, session: Session) -> None:
    """Be the owner of the database, who can switch every guard off."""
    execute = session.execute
    if database.dialect == "postgresql":
        for table in ("ledger_tx", "ledger_entry", "lot_move", "ledger_seal", "lot"):
            execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
    else:
        for (name,) in execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            execute(text(f"DROP TRIGGER {name}"))
