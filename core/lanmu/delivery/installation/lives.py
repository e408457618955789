"""Writes down which workers live, by which others tell whether a silent one is dead."""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from lanmu.delivery.installation.owner import Owner
from lanmu.delivery.models import WorkerRecord


def beat(session: Session, now: datetime, owner: Owner) -> None:
    """This worker is alive."""
    row = session.get(WorkerRecord, str(owner))
    if row is None:
        session.add(
            WorkerRecord(owner=str(owner), host=owner.host, pid=owner.pid, started_at=now, heartbeat_at=now)
        )
    else:
        row.heartbeat_at = now


def end(session: Session, now: datetime, owner: Owner) -> None:
    """This worker has stopped of its own will."""
    session.execute(update(WorkerRecord).where(WorkerRecord.owner == str(owner)).values(stopped_at=now))
