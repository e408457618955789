"""What of a cancelled push the channel can still take back, counted and asked for."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, select, text, update
from sqlalchemy.orm import Session

from lanmu.delivery.followup.results import REFUSED
from lanmu.delivery.models import Unit, UnitTarget
from lanmu.delivery.progress import TAKEN, Progress


@dataclass(frozen=True, slots=True)
class Stopped:
    """What a cancel could still stop, in recipients: stopped, already out, and could not tell."""

    stopped: int
    out: int
    unclear: int


def ask_to_return(session: Session, push_id: int, able: Collection[str], now: datetime) -> bool:
    """Have the channels that are `able` asked at once to take back what they have; whether there is any."""
    asked = session.execute(
        update(Unit)
        .where(_with_channel(push_id, able))
        .values(results_at=now)
        .returning(Unit.id)
        .execution_options(synchronize_session=False)
    )
    return bool(asked.all())


def returnable(session: Session, push_id: int, able: Collection[str]) -> int:
    """How many recipients a channel has that nobody has confirmed yet, so that it can be asked for them."""
    waiting = select(func.count()).select_from(UnitTarget).join(Unit, Unit.id == UnitTarget.unit_id)
    return session.scalar(waiting.where(_with_channel(push_id, able), UnitTarget.state.in_(TAKEN))) or 0


def stopped(session: Session, push_id: int, able: Collection[str], counted: Progress) -> Stopped:
    """The numbers for whoever cancelled. What the channel has not answered for yet is not clear."""
    asked_still = returnable(session, push_id, able)
    unclear = counted.targets.get("unknown", 0) + counted.targets.get("planned", 0) + asked_still
    return Stopped(counted.targets.get("cancelled", 0), counted.out - asked_still, unclear)


def _with_channel(push_id: int, able: Collection[str]) -> ColumnElement[bool]:
    return and_(
        text("unit.state IN ('accepted','handed_over')"),
        Unit.push_id == push_id,
        Unit.channel.in_(able),
        Unit.ref != "",
        Unit.code != REFUSED,
    )
