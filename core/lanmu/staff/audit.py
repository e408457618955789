"""审计: one line for everything that somebody changed or was refused, chained by hash."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from lanmu.interfaces.clock import Clock
from lanmu.staff.models import AuditRecord
from lanmu.storage import Database

_START = "0" * 64
_AUDIT_LOCK = 0x6C616E6D75


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One record, as the log page shows it."""

    at: datetime
    actor: str
    action: str
    object: str
    permission: str
    allowed: bool
    detail: Mapping[str, Any]


class Audit:
    """The audit log of this server."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def record(
        self,
        actor: str,
        action: str,
        object_: str = "",
        *,
        permission: str = "",
        allowed: bool = True,
        detail: Mapping[str, Any] | None = None,
        address: str = "",
    ) -> None:
        """Add a line. `detail` must hold no secret and no more than the change."""
        with self._database.write() as session:
            if session.get_bind().dialect.name == "postgresql":
                # Two writers with one predecessor would fork the chain; SQLite has one writer anyway.
                session.execute(select(func.pg_advisory_xact_lock(_AUDIT_LOCK)))
            prev = session.scalar(select(AuditRecord.hash).order_by(AuditRecord.id.desc()).limit(1)) or _START
            record = AuditRecord(
                at=self._clock.now(),
                actor=_fitting(actor, AuditRecord.actor),
                permission=_fitting(permission, AuditRecord.permission),
                action=_fitting(action, AuditRecord.action),
                object=_fitting(object_, AuditRecord.object),
                allowed=allowed,
                detail=dict(detail) if detail else None,
                address=_fitting(address, AuditRecord.address),
                prev_hash=prev,
                hash="",
            )
            record.hash = _hash(record)
            session.add(record)

    def latest(self, limit: int = 100) -> list[AuditLine]:
        """The newest lines first."""
        with self._database.read() as session:
            rows = session.scalars(select(AuditRecord).order_by(AuditRecord.id.desc()).limit(limit))
            return [
                AuditLine(
                    row.at, row.actor, row.action, row.object, row.permission, row.allowed, row.detail or {}
                )
                for row in rows
            ]


def first_broken(session: Session) -> int | None:
    """The id of the first record whose hash does not follow from its predecessor, or None."""
    prev = _START
    in_order = select(AuditRecord).order_by(AuditRecord.id).execution_options(yield_per=500)
    with session.scalars(in_order) as records:  # a break leaves a cursor of the database's own open
        for record in records:
            if record.prev_hash != prev or record.hash != _hash(record):
                return record.id
            prev = record.hash
    return None


def _fitting(text: str, column: InstrumentedAttribute[str]) -> str:
    """What a stranger sends may be of any length and hold anything; the line is written all the same."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[: getattr(column.type, "length", None)]


def _hash(record: AuditRecord) -> str:
    document = [
        record.at.isoformat(timespec="microseconds"),
        record.actor,
        record.permission,
        record.action,
        record.object,
        record.allowed,
        record.detail,
        record.address,
        record.prev_hash,
    ]
    return hashlib.sha256(json.dumps(document, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
