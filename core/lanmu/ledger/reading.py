"""Reading the books: statements, balances, totals."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import BigInteger, ColumnElement, and_, case, cast, func, or_, select
from sqlalchemy.orm import Session, aliased

from lanmu.interfaces.host import StatementLine
from lanmu.ledger.models import Account, Entry, Lot, LotMove, Tx
from lanmu.ledger.views import KIND_WORDS, AccountLine, Flow, PostingLine, Totals

_MEMBERS = ("member", "owed")


def live_lot(now: datetime) -> ColumnElement[bool]:
    """The lots that can be spent from at `now`."""
    return and_(Lot.remaining > 0, or_(Lot.expires_at.is_(None), Lot.expires_at > now))


def spendable(session: Session, member: str, now: datetime) -> int:
    """The points in live lots; 0 while the member owes."""
    rows = {row.kind: row for row in session.scalars(select(Account).where(_of(member)))}
    own, owed = rows.get("member"), rows.get("owed")
    if own is None or (owed is not None and owed.balance):
        return 0
    return session.scalar(select(_total(Lot.remaining)).where(Lot.account_id == own.id, live_lot(now))) or 0


def owed(session: Session, member: str) -> int:
    """What the member still owes, ≤ 0."""
    return session.scalar(select(Account.balance).where(Account.name == f"owed:{member}")) or 0


def effect(session: Session, tx: int) -> int:
    """What a posting gave the member (+) or took (-), repaid debts included."""
    return (
        session.scalar(
            select(_total(Entry.amount)).join(Account).where(Entry.tx_id == tx, Account.kind.in_(_MEMBERS))
        )
        or 0
    )


def refunded(session: Session, spent: int) -> int:
    """The points that have been given back of a spending, also towards what the member owed."""
    return (
        session.scalar(
            select(_total(Entry.amount))
            .join(Tx, Tx.id == Entry.tx_id)
            .join(Account, Account.id == Entry.account_id)
            .where(Tx.ref_tx == spent, Tx.kind == "refund", Account.kind.in_(_MEMBERS))
        )
        or 0
    )


def expired_of(session: Session, lots: Collection[int]) -> int:
    """The points that have been written off of these lots."""
    written_off = (
        select(_total(-LotMove.delta))
        .join(Tx, Tx.id == LotMove.tx_id)
        .where(LotMove.lot_id.in_(lots), Tx.kind == "expire")
    )
    return session.scalar(written_off) or 0


def reversed_before(session: Session, earned: int, besides: int) -> bool:
    """Has an earning been taken back by another posting than this?"""
    found = select(Tx.id).where(Tx.ref_tx == earned, Tx.kind == "reverse", Tx.refusal == "", Tx.id != besides)
    return session.scalar(found) is not None


def statement(session: Session, member: str, limit: int) -> list[StatementLine]:
    """The member's postings, newest first in the order in which the account saw them."""
    order = func.max(Entry.id)
    rows = session.execute(
        select(Tx.reason, Tx.kind, _total(Entry.amount), Tx.occurred_at)
        .join(Entry, Entry.tx_id == Tx.id)
        .join(Account, Account.id == Entry.account_id)
        .where(_of(member))
        .group_by(Tx.id)
        .order_by(order.desc())
        .limit(limit)
    )
    return [StatementLine(reason or KIND_WORDS[kind], kind, amount, at) for reason, kind, amount, at in rows]


def lines(
    session: Session, *, member: str = "", kind: str = "", before: int | None = None, limit: int = 50
) -> list[PostingLine]:
    """The newest postings of all members; `before`: only those older than this posting's id."""
    # Newest postings first, then their entries: the other way round the whole table would be grouped.
    newest = select(Tx).where(Tx.refusal == "").order_by(Tx.id.desc()).limit(limit)
    if member:
        newest = newest.where(Tx.member == member)
    if kind:
        newest = newest.where(Tx.kind == kind)
    if before is not None:
        newest = newest.where(Tx.id < before)
    postings = session.scalars(newest).all()
    found = session.execute(
        select(Entry.tx_id, _total(Entry.amount))
        .join(Account)
        .where(Entry.tx_id.in_([tx.id for tx in postings]), Account.kind.in_(_MEMBERS))
        .group_by(Entry.tx_id)
    )
    amounts = dict(found.all())
    return [
        PostingLine(
            id=tx.id,
            key=tx.key,
            kind=tx.kind,
            member=tx.member,
            rule=tx.rule,
            reason=tx.reason or KIND_WORDS[tx.kind],
            reference=tx.reference,
            actor=tx.actor,
            amount=amounts.get(tx.id, 0),
            at=tx.occurred_at,
        )
        for tx in postings
    ]


def accounts(
    session: Session, now: datetime, *, after: tuple[int, int] | None, limit: int
) -> list[AccountLine]:
    """Members' accounts, the largest balance first; `after` = (balance, row id) of the last one seen."""
    owing = aliased(Account)
    spendable_now = (
        select(_total(Lot.remaining))
        .where(Lot.account_id == Account.id, live_lot(now))
        .correlate(Account)
        .scalar_subquery()
    )
    query = (
        select(Account.owner, Account.balance, spendable_now, func.coalesce(owing.balance, 0))
        .outerjoin(owing, and_(owing.kind == "owed", owing.owner == Account.owner))
        .where(Account.kind == "member")
        .order_by(Account.balance.desc(), Account.id.desc())
        .limit(limit)
    )
    if after is not None:
        balance, row = after
        query = query.where(
            or_(Account.balance < balance, and_(Account.balance == balance, Account.id < row))
        )
    return [
        AccountLine(owner, balance or 0, 0 if owed_ else left, owed_)
        for owner, balance, left, owed_ in session.execute(query)
    ]


def balances(session: Session, members: Sequence[str], now: datetime) -> dict[str, int]:
    """What each of these members can spend now; those without an account are left out."""
    found = session.execute(
        select(Account.owner, _total(Lot.remaining))
        .outerjoin(Lot, and_(Lot.account_id == Account.id, live_lot(now)))
        .where(Account.name.in_([f"member:{member}" for member in members]))
        .group_by(Account.owner)
    )
    return dict(found.all())


def totals(session: Session) -> Totals:
    """What the shop has promised to all members together."""
    outstanding, holders, debts = session.execute(
        select(
            _total(case((Account.kind == "member", Account.balance))),
            func.count(case((and_(Account.kind == "member", Account.balance > 0), 1))),
            _total(case((Account.kind == "owed", Account.balance))),
        ).where(Account.kind.in_(_MEMBERS))
    ).one()
    return Totals(outstanding, holders, debts)


def flows(session: Session, since: datetime, until: datetime) -> list[Flow]:
    """What was posted from `since` until just before `until`, by kind."""
    rows = session.execute(
        select(Tx.kind, func.count(func.distinct(Tx.id)), _total(Entry.amount))
        .join(Entry, Entry.tx_id == Tx.id)
        .join(Account, Account.id == Entry.account_id)
        .where(Tx.recorded_at >= since, Tx.recorded_at < until, Account.kind.in_(_MEMBERS))
        .group_by(Tx.kind)
        .order_by(Tx.kind)
    )
    return [Flow(*row) for row in rows]


def _of(member: str) -> ColumnElement[bool]:
    return Account.name.in_([f"member:{member}", f"owed:{member}"])


def _total(column: object) -> ColumnElement[int]:
    """A sum that is a whole number on both databases: PostgreSQL adds BIGINTs up to a NUMERIC."""
    return cast(func.coalesce(func.sum(column), 0), BigInteger)
