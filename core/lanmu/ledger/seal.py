"""The hash chain over the postings, made after their commit by one sealer (ADR 0003)."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lanmu.interfaces.clock import Clock
from lanmu.ledger.models import Account, Entry, Lot, LotMove, Seal, Tx
from lanmu.storage import Database

START = "0" * 64

_LONGEST_POSTING = timedelta(hours=1)
"""No posting stays open this long; so everything below what was sealed before then is sealed already."""


class Sealer:
    """Adds new postings to the chain. Two at once do no harm: the second finds the link taken and stops."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def seal(self, limit: int = 1000) -> int:
        """Chain the postings that have no link yet, in the order of their ids; answers how many."""
        try:
            with self._database.write() as session:
                return self._seal(session, limit)
        except IntegrityError:  # another sealer was faster with the same link
            return 0

    def _seal(self, session: Session, limit: int) -> int:
        now = self._clock.now()
        links, prev = _end(session)
        long_sealed = select(Seal.tx_id).where(Seal.sealed_at < now - _LONGEST_POSTING)
        floor = session.scalar(long_sealed.order_by(Seal.id.desc()).limit(1)) or 0
        unsealed = session.scalars(
            select(Tx)
            .outerjoin(Seal, Seal.tx_id == Tx.id)
            .where(Tx.id > floor, Seal.id.is_(None))
            .order_by(Tx.id)
            .limit(limit)
        ).all()
        rows = []
        for place, (tx, text) in enumerate(documents(session, unsealed), start=links + 1):
            prev = link(prev, text)
            rows.append({"id": place, "tx_id": tx.id, "hash": prev, "sealed_at": now})
        if rows:
            session.execute(insert(Seal), rows)
        return len(rows)


def link(prev: str, text: str) -> str:
    """A link's hash: of the link before it and of all that the posting wrote."""
    return hashlib.sha256(f"{prev}\n{text}".encode()).hexdigest()


def documents(session: Session, postings: Sequence[Tx]) -> Iterable[tuple[Tx, str]]:
    """Each posting with the canonical text of everything it wrote: its row, entries, lots and lot moves."""
    ids = [tx.id for tx in postings]
    entries = _by_tx(
        session.execute(
            select(Entry.tx_id, Entry.id, Account.name, Entry.amount)
            .join(Account, Account.id == Entry.account_id)
            .where(Entry.tx_id.in_(ids))
            .order_by(Entry.id)
        )
    )
    lots = _by_tx(
        session.execute(
            select(Lot.tx_id, Lot.id, Lot.account_id, Lot.original, Lot.expires_at)
            .where(Lot.tx_id.in_(ids))
            .order_by(Lot.id)
        )
    )
    lot_moves = _by_tx(
        session.execute(
            select(LotMove.tx_id, LotMove.id, LotMove.lot_id, LotMove.delta)
            .where(LotMove.tx_id.in_(ids))
            .order_by(LotMove.id)
        )
    )
    for tx in postings:
        row = {column.name: getattr(tx, column.key) for column in Tx.__table__.columns}
        document = [row, entries.get(tx.id, []), lots.get(tx.id, []), lot_moves.get(tx.id, [])]
        yield tx, json.dumps(document, sort_keys=True, ensure_ascii=False, default=_plain)


def _by_tx(rows: Iterable[Row[Any]]) -> dict[int, list[list[Any]]]:
    grouped: dict[int, list[list[Any]]] = {}
    for row in rows:
        grouped.setdefault(row[0], []).append(list(row[1:]))
    return grouped


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return str(value)


def _end(session: Session) -> tuple[int, str]:
    """The number of links so far, and the hash of the last."""
    last = session.scalar(select(Seal).order_by(Seal.id.desc()).limit(1))
    return (last.id, last.hash) if last else (0, START)
