"""What the tests of limits share: people and communities, limits, and what is used of them."""

from collections.abc import Mapping

from sqlalchemy import select

from lanmu.audience.models import Community, Member
from lanmu.delivery.door import limits
from lanmu.delivery.door.limit_models import LimitUse, SendLimit
from lanmu.delivery.door.limits import rule_of


def community(room, name="Night owls", **values):
    with room.database.write() as session:
        row = Community(public_id=Community.fresh_id(), name=name, created_at=room.clock.now(), **values)
        session.add(row)
        session.flush()
        return row.id


def member(room, name="Lin", **values):
    with room.database.write() as session:
        row = Member(public_id=Member.fresh_id(), name=name, created_at=room.clock.now(), **values)
        session.add(row)
        session.flush()
        return row.id


def limit(room, code, scope, most, period="day", **values):
    with room.database.write() as session:
        session.add(
            SendLimit(code=code, scope=scope, period=period, most=most, zone="Asia/Shanghai", **values)
        )


def used(room) -> Mapping[str, int]:
    with room.database.read() as session:
        rows = session.execute(
            select(SendLimit.code, LimitUse.subject, LimitUse.used).join(
                SendLimit, SendLimit.id == LimitUse.limit_id
            )
        )
        return {f"{row.code} {row.subject}": row.used for row in rows if row.used}


def is_as_recounted(room) -> bool:
    """Whether what is kept of the use is what the units say, for each limit that is switched on."""
    now = room.clock.now()
    with room.database.read() as session:
        for row in session.scalars(select(SendLimit).where(SendLimit.enabled)):
            rule = rule_of(row)
            kept = {
                use.subject: use.used
                for use in session.scalars(
                    select(LimitUse).where(
                        LimitUse.limit_id == row.id, LimitUse.starts_on == rule.window(now).starts_on
                    )
                )
                if use.used
            }
            if kept != limits.counted_in(session, rule, now):
                return False
    return True
