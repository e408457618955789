"""积分规则: what the shop has set for the rules, and how much of an award they let through."""

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.orm import Session

from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid
from lanmu.interfaces.events import Award
from lanmu.ledger.models import Account, EarnRule, Entry, Tx
from lanmu.ledger.refusals import Refused
from lanmu.ledger.views import RuleSetting
from lanmu.storage import Database


class RuleSettings:
    """What the shop has set; a rule without a row does what it proposes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, RuleSetting]:
        """The rules that the shop has set something for, by name."""
        with self._database.read() as session:
            return {row.name: _setting(row) for row in session.scalars(select(EarnRule))}

    def set(self, name: str, *, active: bool, per_day: int | None = None) -> RuleSetting:
        """Switch a rule on or off, and cap what it gives a member a day (None: as the rule proposes)."""
        if per_day is not None and per_day < 0:
            raise Invalid(
                "per_day",
                _("must be 0 or more, not %(value)s."),
                _("Leave it empty for the rule's own cap."),
                value=per_day,
            )
        with self._database.write() as session:
            row = session.get(EarnRule, name) or EarnRule(name=name)
            row.active, row.settings = active, {"per_day": per_day}
            session.add(row)
            return _setting(row)


def allowed(session: Session, award: Award, at: datetime) -> int:
    """How much of an award may be posted: counted from the rows, under the member's lock.

    Raises Refused: rule_off, too_soon, capped.
    """
    row = session.get(EarnRule, award.rule)
    setting = _setting(row) if row else RuleSetting(award.rule, True, None)
    if not setting.active:
        raise Refused("rule_off")
    if award.min_interval > timedelta(0) and _earned_near(session, award, at):
        raise Refused("too_soon")
    per_day = award.per_day if setting.per_day is None else setting.per_day
    if per_day is None:
        return award.points
    points = min(award.points, per_day - _earned_that_day(session, award))
    if points <= 0:
        raise Refused("capped")
    return points


def _earned_that_day(session: Session, award: Award) -> int:
    issued = select(cast(func.coalesce(func.sum(-Entry.amount), 0), BigInteger))
    return (
        session.scalar(
            issued.join(Tx, Tx.id == Entry.tx_id)
            .join(Account, Account.id == Entry.account_id)
            .where(
                Tx.member == award.member,
                Tx.rule == award.rule,
                Tx.local_date == award.local_date,
                Account.kind == "issued",
                Tx.kind == "earn",
            )
        )
        or 0
    )


def _earned_near(session: Session, award: Award, at: datetime) -> bool:
    """Did the rule give points shortly before, or after? Events may come in late and out of order."""
    near = select(Tx.id).where(
        Tx.member == award.member,
        Tx.rule == award.rule,
        Tx.kind == "earn",
        Tx.refusal == "",
        Tx.key != award.key,
        Tx.occurred_at > at - award.min_interval,
        Tx.occurred_at < at + award.min_interval,
    )
    return session.scalar(near.limit(1)) is not None


def _setting(row: EarnRule) -> RuleSetting:
    per_day = row.settings.get("per_day")
    return RuleSetting(row.name, row.active, None if per_day is None else int(per_day))
