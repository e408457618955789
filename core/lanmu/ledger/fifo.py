"""Was every spending taken from what expired first? Replays each member's lots in the order of the books."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from lanmu.ledger.lots import LotLeft
from lanmu.ledger.models import Account, Entry, Lot, LotMove, Tx

_IN_ORDER = ("spend", "redeem", "adjust")


@dataclass(slots=True)
class _Shelf:
    """The lots of the member whose postings are being replayed."""

    account: int = 0
    lots: dict[int, LotLeft] = field(default_factory=dict)


def order_faults(session: Session) -> Iterator[str | None]:
    """One for each posting that moved or made lots: None, or what was taken out of turn.

    A member's postings come in the order of their entries, not of their ids: a posting gets its id before
    it waits for the member's lock, and its entries after.
    """
    order = (
        select(Entry.tx_id, Entry.account_id, func.min(Entry.id).label("place"))
        .join(Account, Account.id == Entry.account_id)
        .where(Account.kind == "member")
        .group_by(Entry.tx_id, Entry.account_id)
        .subquery()
    )
    shelf = _Shelf()
    query = (
        select(order.c.account_id, Tx.id, Tx.kind, Tx.recorded_at)
        .join(Tx, Tx.id == order.c.tx_id)
        .order_by(order.c.account_id, order.c.place)
        .execution_options(yield_per=200)
    )
    with session.execute(query) as postings:
        for batch in postings.partitions():
            ids = [row[1] for row in batch]
            made = _grouped(
                session, select(Lot.tx_id, Lot.id, Lot.original, Lot.expires_at).where(Lot.tx_id.in_(ids))
            )
            moved = _grouped(
                session,
                select(LotMove.tx_id, LotMove.lot_id, LotMove.delta)
                .where(LotMove.tx_id.in_(ids))
                .order_by(LotMove.id),
            )
            for account, tx, kind, at in batch:
                if account != shelf.account:
                    shelf = _Shelf(account)
                yield _replay(shelf, tx, kind, at, moved.get(tx, []))
                for lot, original, expires_at in made.get(tx, []):
                    shelf.lots[lot] = LotLeft(lot, original, expires_at)


def _replay(shelf: _Shelf, tx: int, kind: str, at: datetime, moves: list[Any]) -> str | None:
    taken_last: LotLeft | None = None
    for lot, delta in moves:
        before = shelf.lots.get(lot)
        if before is None:
            return f"posting {tx}: moves lot {lot} before it was made"
        shelf.lots[lot] = LotLeft(lot, before.remaining + delta, before.expires_at)
        if delta < 0 and kind in _IN_ORDER:
            taken_last = max(taken_last or before, before, key=_order)
            if not before.live(at):
                return f"posting {tx}: takes from lot {lot}, which had expired"
    if taken_last is not None:
        first = min((lot for lot in shelf.lots.values() if lot.live(at)), key=_order, default=taken_last)
        if first.order < taken_last.order:
            return f"posting {tx}: takes from lot {taken_last.id} while lot {first.id} expires earlier"
    return None


def _order(lot: LotLeft) -> tuple[datetime, int]:
    return lot.order


def _grouped(session: Session, query: Any) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in session.execute(query):
        found.setdefault(row[0], []).append(tuple(row[1:]))
    return found
