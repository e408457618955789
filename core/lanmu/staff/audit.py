"""审计: one line for everything that somebody changed or was refused, chained by hash."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from lanmu.i18n import Filled, _
from lanmu.interfaces.clock import Clock
from lanmu.staff.models import AuditRecord
from lanmu.storage import Database
from lanmu.storage.checking import Check, Looked, run_checks, stream

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


def verify(database: Database) -> Iterable[Check]:
    """Check that each line is as it was written, and none before it is missing; stops at the first fault."""
    return run_checks(
        database, [("I18", _("The chain of hashes fits the audit log"), _chain)], {"I18": _KEEP_COPIES}
    )


_KEEP_COPIES = _(
    "Somebody has changed the log past Lanmu: keep the database and its backups as they are, and find out "
    "who can write there."
)


def _chain(session: Session) -> Looked:
    prev = _START
    for (record,) in stream(session, select(AuditRecord).order_by(AuditRecord.id)):
        if record.prev_hash != prev:
            yield Filled(_("line %(id)s: the line before it is missing, or was changed"), id=record.id)
        yield None if record.hash == _hash(record) else Filled(_("line %(id)s was changed"), id=record.id)
        prev = record.hash


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
