"""The facts that the last door wants of a batch: its pushes, who opted out, and who waits with more right."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import Select, Table, bindparam, func, select, text
from sqlalchemy.orm import Session

from lanmu.audience.models import Community, Member
from lanmu.delivery.carried import Known, Ready
from lanmu.delivery.installation.instance_models import MAY_SEND
from lanmu.delivery.models import PUSH, SENDING, TARGET, UNIT
from lanmu.library.models import Material
from lanmu.storage.rows import Keys, Rows
from lanmu.storage.types import AnyRow


@dataclass(frozen=True, slots=True)
class Facts:
    """A batch's pushes and communities by their rows' ids, and its members who have opted out."""

    pushes: Mapping[int, AnyRow]
    communities: Mapping[int, AnyRow]
    opted_out: Collection[int]

    def push_of(self, ready: Ready) -> AnyRow:
        return self.pushes[ready.unit.push_id]

    def community_of(self, known: Known) -> AnyRow | None:
        return None if known.community_id is None else self.communities.get(known.community_id)

    @property
    def refuse_somebody(self) -> bool:
        """Whether anybody of the batch may not be written to at all."""
        return bool(self.opted_out) or any(not row.active for row in self.communities.values())


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message of a push of higher priority, to somebody whom the batch is about."""

    unit_id: int
    priority: int
    title: str
    at: datetime


_PUSH_IDS = Keys("ids")
_COMMUNITY_IDS = Rows("communities", id=int)
_MEMBER_IDS = Rows("members", id=int)
_COMMUNITY = cast(Table, Community.__table__)
_MEMBER = cast(Table, Member.__table__)


def facts(session: Session, batch: Sequence[Ready]) -> Facts:
    """The facts as they are now. The pushes stay so until the transaction ends."""
    known = [each for ready in batch for each in ready.unit.known]
    member_ids = {each.member_id for each in known if each.member_id is not None}
    community_ids = {each.community_id for each in known if each.community_id is not None}
    connection = session.connection()
    dialect = connection.dialect.name
    push_ids = _PUSH_IDS.pack(dialect, {each.unit.push_id for each in batch})
    pushes = {row.id: row for row in connection.execute(_pushes(dialect), push_ids).all()}
    opted_out: set[int] = set()
    communities: dict[int, AnyRow] = {}
    if member_ids:
        packed = _MEMBER_IDS.pack(dialect, [(row_id,) for row_id in member_ids])
        opted_out = set(connection.execute(_opted_out(dialect), packed).scalars().all())
    if community_ids:
        packed = _COMMUNITY_IDS.pack(dialect, [(row_id,) for row_id in community_ids])
        communities = {row.id: row for row in connection.execute(_communities(dialect), packed).all()}
    return Facts(pushes, communities, opted_out)


@cache
def _opted_out(dialect: str) -> Select[Any]:
    given = _MEMBER_IDS.table(dialect)
    return select(_MEMBER.c.id).where(_MEMBER.c.id == given.c.id, _MEMBER.c.opted_out.is_(True))


@cache
def _communities(dialect: str) -> Select[Any]:
    given = _COMMUNITY_IDS.table(dialect)
    return select(_COMMUNITY.c.id, _COMMUNITY.c.active, _COMMUNITY.c.daily_cap).where(
        _COMMUNITY.c.id == given.c.id
    )


InLine = Mapping[tuple[str, str], Sequence[Waiting]]
"""Who waits with more right, by whose place it is: ("community" or "member", the row's id)."""


def ahead(session: Session, going: Sequence[Ready], pushes: Mapping[int, AnyRow]) -> InLine:
    """What waits in pushes of higher priority for the communities and members of the batch.

    Where no push that is being sent has a higher one, which is known already, nothing is read.
    """
    lowest = min(pushes[each.unit.push_id].priority for each in going)
    if all((push.highest or 0) <= lowest for push in pushes.values()):
        return {}
    found: dict[tuple[str, str], list[Waiting]] = {}
    known = [each for ready in going for each in ready.unit.known]
    connection = session.connection()
    dialect = connection.dialect.name
    for scope, rows, statement in (
        ("community", {(each.community_id,) for each in known if each.community_id}, _communities_ahead),
        ("member", {(each.member_id,) for each in known if each.member_id}, _members_ahead),
    ):
        if rows:
            packed = _SUBJECTS.pack(dialect, sorted(rows)) | {"lowest": lowest}
            for row in connection.execute(statement(dialect), packed).all():
                found.setdefault((scope, str(row.subject)), []).append(
                    Waiting(row.id, row.priority, row.title, max(row.due_at, row.not_before))
                )
    return found


_SUBJECTS = Rows("subjects", id=int)


def _waiting_for(dialect: str, column: str) -> Select[Any]:
    subjects = _SUBJECTS.table(dialect)
    return (
        select(
            TARGET.c[column].label("subject"),
            UNIT.c.id,
            UNIT.c.not_before,
            PUSH.c.priority,
            PUSH.c.title,
            PUSH.c.due_at,
        )
        .join(subjects, TARGET.c[column] == subjects.c.id)
        .join(UNIT, UNIT.c.id == TARGET.c.unit_id)
        .join(PUSH, PUSH.c.id == UNIT.c.push_id)
        .where(
            TARGET.c.state == "planned",
            UNIT.c.state.in_(("pending", "retry_wait", "leased")),
            SENDING,
            PUSH.c.cancel_requested.is_(False),
            PUSH.c.test_text == "",
            PUSH.c.priority > bindparam("lowest"),
        )
    )


@cache
def _communities_ahead(dialect: str) -> Select[Any]:
    return _waiting_for(dialect, "community_id")


@cache
def _members_ahead(dialect: str) -> Select[Any]:
    return _waiting_for(dialect, "member_id")


_SENDING = PUSH.alias("sending")


@cache
def _pushes(dialect: str) -> Select[Any]:
    """The lock lets nobody pause or cancel one until their intents are committed."""
    return (
        select(
            *(PUSH.c[name] for name in ("id", "state", "cancel_requested", "approved_hash", "due_at")),
            *(PUSH.c[name] for name in ("deadline_at", "late_after", "late_policy", "late_decided")),
            PUSH.c.priority,
            (PUSH.c.test_text != "").label("is_test"),
            MAY_SEND.label("may_send"),
            select(func.max(_SENDING.c.priority))
            .where(text("sending.state IN ('scheduled','running')"))
            .scalar_subquery()
            .label("highest"),
            Material.lock,
        )
        .outerjoin(Material, Material.id == PUSH.c.material_id)
        .where(_PUSH_IDS.hold(dialect, PUSH.c.id))
        .order_by(PUSH.c.id)
        .with_for_update(read=True, of=PUSH)
    )
