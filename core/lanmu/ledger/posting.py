"""The one write path of the ledger: claim the key, lock the member, move points; all or nothing, once.

Locks are always taken in the same order: the key, the member's accounts, the offer, the lots by expiry and
id. So no two postings wait for each other in a circle, except through rows that PostgreSQL locks by itself;
for these the whole transaction is tried again.
"""

import hashlib
import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import CursorResult, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from lanmu.i18n import _
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Invalid
from lanmu.ledger.lots import LotLeft, Take, take
from lanmu.ledger.models import Account, Entry, Lot, LotMove, Tx
from lanmu.ledger.refusals import KeyReused, Refused
from lanmu.storage import Database
from lanmu.storage.once import insert_once

TRIES = 5
MOST_POINTS = 10**12
"""More than this in one entry is a mistake."""

_SERIALIZATION, _DEADLOCK = "40001", "40P01"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a posting is asked for; `body` is what must be the same when the key comes again."""

    key: str
    kind: str
    member: str
    body: Mapping[str, object]
    actor: str
    reason: str = ""
    rule: str = ""
    local_date: date | None = None
    reference: str = ""
    ref_tx: int | None = None
    occurred_at: datetime | None = None

    @property
    def hash(self) -> str:
        document = {"kind": self.kind, "member": self.member, **self.body}
        text = json.dumps(document, sort_keys=True, ensure_ascii=False, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Posted:
    """The transaction that stands for a key now, and whether it stood before."""

    tx_id: int
    replayed: bool
    refusal: Refused | None = None


@dataclass(slots=True)
class Holder:
    """A member's accounts, locked. `owed` is what an earning that was taken back has left behind, ≤ 0."""

    account_id: int
    balance: int
    owed_id: int | None
    owed: int


@dataclass
class Posting:
    """A posting that is being made, in its open transaction."""

    session: Session
    tx_id: int
    now: datetime
    entries: list[tuple[int, int]] = field(default_factory=list)

    def lock(self, member: str) -> Holder:
        """Lock the member's accounts (made where there are none): from here on the member is ours alone."""
        accounts = self._locked(member)
        if "member" not in accounts:
            values = {"name": f"member:{member}", "kind": "member", "owner": member, "balance": 0}
            insert_once(self.session, Account, ["name"], values)
            accounts = self._locked(member)
        own, owed = accounts["member"], accounts.get("owed")
        return Holder(own.id, own.balance or 0, owed.id if owed else None, (owed.balance or 0) if owed else 0)

    def _locked(self, member: str) -> dict[str, Account]:
        rows = self.session.scalars(
            select(Account)
            .where(Account.name.in_([f"member:{member}", f"owed:{member}"]))
            .order_by(Account.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return {account.kind: account for account in rows}

    def account(self, kind: str, owner: str = "") -> int:
        """The id of one of the ledger's own accounts, made where there is none."""
        name = f"{kind}:{owner}" if owner else kind
        found = self.session.scalar(select(Account.id).where(Account.name == name))
        if found is None:
            balance = 0 if kind == "owed" else None
            values = {"name": name, "kind": kind, "owner": owner, "balance": balance}
            found = insert_once(self.session, Account, ["name"], values)
        if found is None:
            found = self.session.scalars(select(Account.id).where(Account.name == name)).one()
        return found

    def enter(self, account_id: int, amount: int) -> None:
        """Note an entry; all of them are written, and must add up to nothing, at the end."""
        if amount:
            self.entries.append((account_id, amount))

    def change_member(self, holder: Holder, amount: int) -> None:
        """Enter `amount` on the member's account and its balance. Raises Refused below 0."""
        changed = self._run(
            update(Account)
            .where(Account.id == holder.account_id, Account.balance + amount >= 0)
            .values(balance=Account.balance + amount)
        )
        if not changed:
            raise Refused("too_few_points")
        self.enter(holder.account_id, amount)

    def change_owed(self, member: str, holder: Holder, amount: int) -> None:
        """Enter `amount` on the account of what the member owes."""
        if holder.owed_id is None:
            holder.owed_id = self.account("owed", member)
        self._run(
            update(Account).where(Account.id == holder.owed_id).values(balance=Account.balance + amount)
        )
        self.enter(holder.owed_id, amount)

    def lots(self, holder: Holder, *, live_only: bool = True) -> list[LotLeft]:
        """The member's lots that have something left, locked, in the order in which they are used."""
        rows = self.session.execute(
            select(Lot.id, Lot.remaining, Lot.expires_at)
            .where(Lot.account_id == holder.account_id, Lot.remaining > 0)
            .order_by(Lot.expires_at.is_(None), Lot.expires_at, Lot.id)
            .with_for_update()
        )
        found = [LotLeft(*row) for row in rows]
        return [lot for lot in found if lot.live(self.now)] if live_only else found

    def take(self, holder: Holder, points: int) -> None:
        """Take exactly `points` from live lots. Raises Refused where they hold less."""
        takes = take(self.lots(holder), points, self.now)
        if sum(each.points for each in takes) != points:
            raise Refused("too_few_points")
        self.move(takes, -1)

    def move(self, takes: Sequence[Take], sign: int) -> None:
        """Change lots, and note how."""
        for each in takes:
            delta = sign * each.points
            changed = self._run(
                update(Lot)
                .where(Lot.id == each.lot, Lot.remaining + delta >= 0, Lot.remaining + delta <= Lot.original)
                .values(remaining=Lot.remaining + delta)
            )
            if not changed:
                raise RuntimeError(f"lot {each.lot} changed under a posting that holds its member's lock")
            self.session.execute(insert(LotMove).values(tx_id=self.tx_id, lot_id=each.lot, delta=delta))

    def new_lot(self, holder: Holder, points: int, expires_at: datetime | None) -> None:
        self.session.execute(
            insert(Lot).values(
                account_id=holder.account_id,
                tx_id=self.tx_id,
                original=points,
                remaining=points,
                expires_at=expires_at,
            )
        )

    def write_entries(self) -> None:
        if sum(amount for _account, amount in self.entries) != 0 or not self.entries:
            raise RuntimeError(f"the entries of posting {self.tx_id} do not add up: {self.entries}")
        rows = [
            {"tx_id": self.tx_id, "account_id": account, "amount": amount} for account, amount in self.entries
        ]
        self.session.execute(insert(Entry), rows)

    def _run(self, statement: Any) -> int:
        return cast("CursorResult[Any]", self.session.execute(statement)).rowcount


class Poster:
    """Makes postings: each once for its key, tried again where the database asks for it."""

    def __init__(self, database: Database, clock: Clock, sleep: Callable[[float], None] = time.sleep) -> None:
        self._database = database
        self._clock = clock
        self._sleep = sleep

    def post(self, asked: Asked, work: Callable[[Posting], None]) -> Posted:
        """Run `work` in the posting's transaction, or answer what stands for the key already.

        Raises Refused where `work` refuses, or did so when the key came first; KeyReused where the key
        stands for another request.
        """
        check_key(asked.key)
        try:
            posted = self._with_retries(lambda: self._once(asked, work))
        except Refused as refused:
            refusal = refused  # the name of an except clause is gone when the retries run
            posted = self._with_retries(lambda: self._keep(asked, refusal))
        if posted.refusal is not None:
            raise posted.refusal
        return posted

    def _once(self, asked: Asked, work: Callable[[Posting], None]) -> Posted:
        with self._database.write() as session:
            now = self._clock.now()  # read once: what is live is judged at the time that is recorded
            tx_id = self._claim(session, asked, "", now)
            if tx_id is None:
                return _standing(session, asked)
            posting = Posting(session, tx_id, now)
            work(posting)
            posting.write_entries()
            return Posted(tx_id, replayed=False)

    def _keep(self, asked: Asked, refusal: Refused) -> Posted:
        """Store a refusal with its key, in a transaction of its own: the posting's was rolled back."""
        with self._database.write() as session:
            tx_id = self._claim(session, asked, refusal.stored(), self._clock.now())
            if tx_id is None:
                return _standing(session, asked)  # somebody with the same key was faster
            return Posted(tx_id, replayed=False, refusal=refusal)

    def _claim(self, session: Session, asked: Asked, refusal: str, now: datetime) -> int | None:
        values = {
            "key": asked.key,
            "kind": asked.kind,
            "member": asked.member,
            "rule": asked.rule,
            "local_date": asked.local_date,
            "reference": asked.reference,
            "ref_tx": asked.ref_tx,
            "actor": asked.actor,
            "reason": asked.reason,
            "refusal": refusal,
            "request_hash": asked.hash,
            "occurred_at": asked.occurred_at or now,
            "recorded_at": now,
        }
        return insert_once(session, Tx, ["key"], values)

    def _with_retries(self, run: Callable[[], Posted]) -> Posted:
        for attempt in range(1, TRIES + 1):
            try:
                return run()
            except DBAPIError as error:
                if attempt == TRIES or not _passing(error):
                    raise
                self._sleep(attempt * (5 + secrets.randbelow(20)) / 1000)
        raise AssertionError("the loop returns or raises")


def check_key(key: str) -> None:
    """Raises Invalid unless the key is 1–255 printable ASCII characters."""
    if not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise Invalid(
            "key",
            _("must be 1 to 255 printable ASCII characters, not %(key)s."),
            _("A UUID does well."),
            key=repr(key[:40]),
        )


def _standing(session: Session, asked: Asked) -> Posted:
    found = session.scalars(select(Tx).where(Tx.key == asked.key)).one()
    if found.request_hash != asked.hash:
        raise KeyReused(asked.key)
    refusal = Refused.restored(found.refusal) if found.refusal else None
    return Posted(found.id, replayed=True, refusal=refusal)


def _passing(error: DBAPIError) -> bool:
    """Would the same transaction do, if it were tried again?"""
    cause = error.orig
    if isinstance(cause, sqlite3.OperationalError):
        return cause.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return getattr(cause, "sqlstate", None) in (_SERIALIZATION, _DEADLOCK)
