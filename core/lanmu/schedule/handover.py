"""Hands occurrences over to delivery shortly before their time, each once; marks what missed its time."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from lanmu.audience.models import Community, CommunityAddress
from lanmu.delivery.intake import PushRequest, Recipient
from lanmu.delivery.service import DeliveryService
from lanmu.experiments.service import Experiments
from lanmu.i18n import _
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import LanmuError
from lanmu.library.views import Snapshot
from lanmu.schedule.models import Column, Occurrence
from lanmu.storage import Database

log = logging.getLogger(__name__)

GRACE = timedelta(minutes=15)
"""What is found later than this after its time, because nothing ran then, is put to a person and not sent."""

_NAME_MOST = 60
"""Characters that a push keeps of who made and who approved it."""


@dataclass(frozen=True, slots=True)
class _Row:
    id: int
    public_id: str
    column: Column
    community: Community
    local_time: str
    due_at: datetime
    material_id: int
    revision_id: int
    sent_revision_id: int
    approved_by: str
    approved_at: datetime | None
    content_class: str


class HandOver:
    """Turns occurrences into pushes."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        delivery: DeliveryService,
        experiments: Experiments,
        snapshot: Callable[[int], Snapshot],
        ahead: timedelta,
    ) -> None:
        self._database = database
        self._clock = clock
        self._delivery = delivery
        self._experiments = experiments
        self._snapshot = snapshot
        self._ahead = ahead

    def run(self) -> int:
        """Hand over what is due soon; answers how many occurrences were handed over."""
        now = self._clock.now()
        self._mark_missed(now)
        elsewhere = self._delivery.elsewhere()  # who does not know a channel can only put its push on hold
        with self._database.read() as session:
            due = _due_soon(session, now, now + self._ahead)
            rows = self._with_arms(session, [row for row in due if row.column.channel not in elsewhere])
        handed = 0
        for _key, group in groupby(rows, key=lambda row: (row.column.id, row.due_at, row.sent_revision_id)):
            together = list(group)
            try:
                handed += self._hand_over(together, now)
            except Exception:  # one column's trouble must not keep the others from their time
                log.exception("could not hand over", extra={"column": together[0].column.name})
        return handed

    def _with_arms(self, session: Session, rows: Sequence[_Row]) -> list[_Row]:
        """Where a material is being tested, each community gets the wording of its arm."""
        tests = self._experiments.running(session, {row.material_id for row in rows})
        found = [
            replace(row, sent_revision_id=test.revision_for(row.community.public_id))
            if (test := tests.get(row.material_id))
            else row
            for row in rows
        ]
        return sorted(found, key=lambda row: (row.column.id, row.due_at, row.sent_revision_id, row.id))

    def _hand_over(self, rows: Sequence[_Row], now: datetime) -> int:
        try:
            snapshot = self._snapshot(rows[0].sent_revision_id)
            fault = snapshot.why_not(rows[0].due_at)
        except LanmuError:
            fault = _("Its text is not approved any more.")
        with self._database.write() as session:
            if fault:
                _move(session, rows, state="missed", why={"missed": fault})
                return 0
            recipients = _recipients(session, rows)
            lost = _("The channel has no address of this community any more.")
            _move(
                session,
                [row for row in rows if row.id not in recipients],
                state="missed",
                why={"missed": lost},
            )
            taken = _move(session, [row for row in rows if row.id in recipients], state="handed_over")
            if not taken:
                return 0
            mine = [row for row in rows if row.id in taken]
            request = _request(mine, [recipients[row.id] for row in mine], snapshot, now)
            push_id, _new = self._delivery.request(session, request)
            session.execute(
                update(Occurrence)
                .where(Occurrence.id.in_(taken))
                .values(push_id=push_id)
                .execution_options(synchronize_session=False)
            )
        return len(mine)

    def _mark_missed(self, now: datetime) -> None:
        """What has passed its time unsent is marked, so that it is seen and never bursts out at once."""
        late = (Occurrence.due_at < now - GRACE, Occurrence.state.in_(("planned", "approved")))
        with self._database.read() as session:
            if session.scalar(select(Occurrence.id).where(*late).limit(1)) is None:
                return
        looked_at_each = select(Column.id).where(Column.approval == "each")
        unapproved = (Occurrence.state == "planned", Occurrence.column_id.in_(looked_at_each))
        stopped = _("Nothing ran at its time, or its column or community was switched off.")
        with self._database.write() as session:
            for which, reason in ((unapproved, _("Nobody approved it in time.")), ((), stopped)):
                session.execute(
                    update(Occurrence)
                    .where(*late, *which)
                    .values(state="missed", why={"missed": reason})
                    .execution_options(synchronize_session=False)
                )


def _due_soon(session: Session, now: datetime, until: datetime) -> list[_Row]:
    """Occurrences to hand over: approved by a person, or of a column that needs no look at each."""
    found = session.execute(
        select(Occurrence, Column, Community)
        .join(Column, Column.id == Occurrence.column_id)
        .join(Community, Community.id == Occurrence.community_id)
        .where(
            Occurrence.due_at >= now - GRACE,
            Occurrence.due_at < until,
            (Occurrence.state == "approved")
            | ((Occurrence.state == "planned") & (Column.approval == "auto")),
            Occurrence.revision_id.is_not(None),
            Column.active,
            Community.active,
        )
        .order_by(Occurrence.column_id, Occurrence.due_at, Occurrence.revision_id, Occurrence.id)
    )
    return [
        _Row(
            occurrence.id,
            occurrence.public_id,
            column,
            community,
            occurrence.local_time,
            occurrence.due_at,
            occurrence.material_id or 0,
            occurrence.revision_id or 0,
            occurrence.revision_id or 0,
            occurrence.approved_by,
            occurrence.approved_at,
            occurrence.content_class,
        )
        for occurrence, column, community in found
    ]


def _move(session: Session, rows: Sequence[_Row], **values: Any) -> set[int]:
    """Change those that are still as they were read, and answer which: another process may have taken them,
    and a person may have skipped them or chosen other material."""
    if not rows:
        return set()
    states = ("approved",) if rows[0].column.approval == "each" else ("planned", "approved")
    return set(
        session.scalars(
            update(Occurrence)
            .where(
                Occurrence.id.in_([row.id for row in rows]),
                Occurrence.revision_id.in_({row.revision_id for row in rows}),
                Occurrence.state.in_(states),
            )
            .values(values)
            .returning(Occurrence.id)
            .execution_options(synchronize_session=False)
        )
    )


def _recipients(session: Session, rows: Sequence[_Row]) -> dict[int, Recipient]:
    """The recipient for each occurrence that has an address at its column's channel, by the occurrence."""
    addresses = {
        address.community_id: address
        for address in session.scalars(
            select(CommunityAddress).where(
                CommunityAddress.channel == rows[0].column.channel,
                CommunityAddress.community_id.in_([row.community.id for row in rows]),
            )
        )
    }
    return {
        row.id: Recipient(
            key=address.key,
            name=row.community.name,
            sender=address.sender or row.community.executor,
            community_id=row.community.id,
            zone=row.community.zone,
        )
        for row in rows
        if (address := addresses.get(row.community.id)) is not None
    }


def _request(
    rows: Sequence[_Row], recipients: Sequence[Recipient], snapshot: Snapshot, now: datetime
) -> PushRequest:
    first = rows[0]
    firing = hashlib.sha256("\n".join(sorted(row.public_id for row in rows)).encode()).hexdigest()
    return PushRequest(
        source_key=f"occurrences:{firing}",
        title=snapshot.title,
        channel=first.column.channel,
        revision_id=snapshot.revision_key,
        material_id=snapshot.key,
        content_hash=snapshot.content_hash,
        body=snapshot.body,
        due_at=first.due_at,
        zone=first.column.zone,
        recipients=recipients,
        approved_by=first.approved_by or first.column.owner or first.column.name[:_NAME_MOST],
        approved_at=first.approved_at or now,
        created_by=first.column.name[:_NAME_MOST],
        column_name=first.column.name,
        content_class=first.content_class,
        options=first.column.options,
        late_policy=first.column.late_policy,
        priority=first.column.priority,
    )
