"""Changes to a push by hand once it is planned: time, text, approval, and a new push for who was missed.

A change voids the approval: what goes out is what somebody other than its author has let through.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from lanmu.delivery.deadlines import NO_QUIET, Deadlines
from lanmu.delivery.expansion import is_expanded, state_to_go
from lanmu.delivery.intake import PushRequest, Recipient, approval_hash, take_in
from lanmu.delivery.models import Push, Unit, UnitTarget
from lanmu.delivery.progress import progress
from lanmu.delivery.states import FINISHED_PUSHES, PushState, UnitState
from lanmu.delivery.views import CLONE, PushView, push_view
from lanmu.i18n import _
from lanmu.interfaces.channels import Channel
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Conflict, Denied, Invalid, NotFound
from lanmu.library.models import Revision
from lanmu.library.placeholders import used_placeholders
from lanmu.library.records import is_approved
from lanmu.storage import Database

CLONE_LEAD = timedelta(minutes=30)
"""How far ahead a cloned push is put until its author chooses a time."""

_NOT_REACHED = ("failed", "undelivered", "skipped", "cancelled")
_EDITABLE = (
    PushState.DRAFT,
    PushState.IN_REVIEW,
    PushState.APPROVED,
    PushState.SCHEDULED,
    PushState.RUNNING,
    PushState.PAUSED,
    PushState.HELD,
)
_NOT_OUT = (UnitState.PENDING, UnitState.RETRY_WAIT, UnitState.HELD)
"""Proven that nothing of it is out, and nobody is at it."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different; None leaves it. `seen` is the binding that the author looked at."""

    seen: int
    due_at: datetime | None = None
    revision: int | None = None


class Changes:
    """Edit, clone, submit and approve. Every method answers the push as it stands afterwards."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        channels: Mapping[str, Channel],
        *,
        solo_approval: bool = False,
        deadlines: Deadlines = NO_QUIET,
    ) -> None:
        self._database = database
        self._clock = clock
        self._channels = channels
        self._solo = solo_approval
        self._deadlines = deadlines

    def edit(self, public_id: str, change: Change, by: str) -> PushView:
        """Another time or text, while nothing of the push is out; its approval is void, it waits for another.

        Raises Conflict once something is out or under way (then clone it), Invalid for a time gone by.
        """
        now = self._clock.now()
        with self._database.write() as session:
            push = _locked(session, public_id)
            _require_unchanged(push, change.seen)
            _require_expanded(session, push)
            if push.state not in _EDITABLE or push.cancel_requested or push.test_text:
                raise Conflict(push.title, _("cannot be changed any more."), _CLONE_INSTEAD)
            due_at, revision_id = change.due_at or push.due_at, change.revision or push.revision_id
            if (due_at, revision_id) == (push.due_at, push.revision_id):
                raise Invalid("due_at", _("neither time nor text is different."))
            if due_at <= now:
                raise Invalid("due_at", _("has passed already."), _("Choose a time to come."))
            if change.revision is not None and change.revision != push.revision_id:
                _choose_text(session, push, change.revision)
            self._put_back(session, push, due_at)
            zones = session.scalars(select(Unit.zone).where(Unit.push_id == push.id).distinct()).all()
            push.deadline_at = self._deadlines.moved(
                push.deadline_at, push.due_at, due_at, zones, push.options
            )
            push.due_at, push.late_decided = due_at, False
            push.state = PushState.DRAFT if push.state == PushState.DRAFT else PushState.IN_REVIEW
            push.held_reason = ""
            push.binding += 1
            _void_approval(push, by)
            session.flush()
            return push_view(push, progress(session, push.id))

    def _put_back(self, session: Session, push: Push, due_at: datetime) -> None:
        """All units wait for the new time. One that is claimed in this very moment makes the change fail."""
        put_back = session.scalars(
            update(Unit)
            .where(Unit.push_id == push.id, Unit.state.in_(_NOT_OUT), Unit.counted_at.is_(None))
            .values(
                state=UnitState.PENDING,
                fence=Unit.fence + 1,
                not_before=due_at,
                reason="",
                code="",
                tries=0,
            )
            .returning(Unit.id)
            .execution_options(synchronize_session=False)
        ).all()
        total = session.scalar(select(func.count()).select_from(Unit).where(Unit.push_id == push.id))
        if len(put_back) != total:
            raise Conflict(
                push.title, _("some of it is out or on its way, so it cannot be changed."), _CLONE_INSTEAD
            )

    def clone(self, public_id: str, by: str) -> PushView:
        """A draft with the same text for those whom the push did not reach and will not reach any more.

        Whoever may still get the push, or may have got it, is not among them. Asked twice for the same
        people it answers the same draft.
        """
        now = self._clock.now()
        with self._database.write() as session:
            push = _locked(session, public_id)
            if push.test_text or push.revision_id is None or push.material_id is None:
                raise Conflict(push.title, _("has no material, so there is nothing to make a new push of."))
            _require_expanded(session, push)
            recipients = _not_reached(session, push.id)
            if not recipients:
                raise Conflict(
                    push.title,
                    _("has nobody whom it failed to reach."),
                    _("Who is still waiting is freed by cancelling the push first."),
                )
            whom = sha256("\n".join(sorted(each.key for each in recipients)).encode()).hexdigest()
            revision = session.get_one(Revision, push.revision_id)
            due_at = (now + CLONE_LEAD).replace(second=0, microsecond=0)
            request = PushRequest(
                source_key=f"{CLONE}{push.public_id}:{whom}",
                title=push.title,
                channel=push.channel,
                revision_id=push.revision_id,
                material_id=push.material_id,
                content_hash=revision.content_hash,
                body=revision.body,
                due_at=due_at,
                zone=push.zone,
                recipients=recipients,
                approved_by="",
                approved_at=now,
                created_by=by,
                column_name=push.column_name,
                content_class=push.content_class,
                options=push.options,
                late_policy=push.late_policy,
                late_after=timedelta(seconds=push.late_after),
                deadline_at=self._deadlines.moved(
                    push.deadline_at, push.due_at, due_at, {each.zone for each in recipients}, push.options
                ),
            )
            made, new = take_in(session, request, self._channels.get(push.channel), self._clock)
            if new:
                made.state, made.held_reason = PushState.DRAFT, ""
                _void_approval(made, by)
            session.flush()
            return push_view(made, progress(session, made.id))

    def submit(self, public_id: str, by: str) -> PushView:
        """Let a draft be looked at by somebody else."""
        with self._database.write() as session:
            push = _locked(session, public_id)
            _require(push, PushState.DRAFT)
            if push.due_at <= self._clock.now():
                raise Conflict(push.title, _("its time has passed."), _("Choose another time first."))
            push.state, push.edited_by = PushState.IN_REVIEW, by
            session.flush()
            return push_view(push, progress(session, push.id))

    def approve(self, public_id: str, by: str, seen: int) -> PushView:
        """Let what was seen go out at its time. Raises Denied where its author and `by` are one."""
        now = self._clock.now()
        with self._database.write() as session:
            push = _locked(session, public_id)
            _require(push, PushState.IN_REVIEW)
            _require_unchanged(push, seen)
            if push.edited_by == by and not self._solo:
                raise Denied(
                    push.title,
                    _("%(by)s made this change and cannot approve it."),
                    _("Ask a colleague to look at it."),
                    by=by,
                )
            if push.due_at <= now:
                raise Conflict(push.title, _("its time has passed."), _("Choose another time first."))
            revision = session.get_one(Revision, push.revision_id)
            push.approved_hash = approval_hash(
                revision.content_hash, push.audience_hash, push.channel, push.due_at, push.options
            )
            push.approved_by, push.approved_at = by, now
            running = push.channel in self._channels
            push.state = state_to_go(session, push.id) if running else PushState.HELD
            push.held_reason = "" if running else _("The channel is not running; look at the plugins page.")
            session.flush()
            return push_view(push, progress(session, push.id))

    def send_back(self, public_id: str, seen: int) -> PushView:
        """Not like this: it is a draft again."""
        with self._database.write() as session:
            push = _locked(session, public_id)
            _require(push, PushState.IN_REVIEW)
            _require_unchanged(push, seen)
            push.state = PushState.DRAFT
            session.flush()
            return push_view(push, progress(session, push.id))


_CLONE_INSTEAD = _("Cancel what has not left yet, then make a new push for those it did not reach.")


def _choose_text(session: Session, push: Push, revision_id: int) -> None:
    revision = session.get(Revision, revision_id)
    if revision is None or revision.material_id != push.material_id or revision.conflict:
        raise NotFound("revision", _("this material has no such version."))
    if not is_approved(session, revision):
        raise Conflict(
            push.title, _("version %(number)d has not been approved."), _("Have it reviewed first."),
            number=revision.number,
        )  # fmt: skip
    if used_placeholders(revision.body):
        crowded = select(UnitTarget.unit_id).where(UnitTarget.push_id == push.id)
        if session.scalar(crowded.group_by(UnitTarget.unit_id).having(func.count() > 1).limit(1)):
            raise Conflict(
                push.title,
                _("this version names each recipient, but the push sends one text to many at once."),
                _("Cancel it, and plan a new one with this version."),
            )
    push.revision_id, push.title = revision.id, revision.title


def _void_approval(push: Push, by: str) -> None:
    push.approved_hash, push.approved_by, push.approved_at = "", "", None
    push.edited_by = by


def _not_reached(session: Session, push_id: int) -> list[Recipient]:
    rows = session.execute(
        select(UnitTarget, Unit.sender, Unit.zone)
        .join(Unit, Unit.id == UnitTarget.unit_id)
        .where(
            UnitTarget.push_id == push_id,
            UnitTarget.state.in_(_NOT_REACHED),
            # What a person gave up while it was in doubt still counts as out: it may have reached them.
            or_(Unit.state != UnitState.FAILED, Unit.counted_at.is_(None)),
        )
        .order_by(UnitTarget.id)
    )
    return [
        Recipient(target.recipient_key, target.name, sender, target.community_id, target.member_id, zone)
        for target, sender, zone in rows
    ]


def _locked(session: Session, public_id: str) -> Push:
    """The push; workers cannot move it until the transaction ends."""
    push = session.scalar(select(Push).where(Push.public_id == public_id).with_for_update())
    if push is None:
        raise NotFound(public_id, _("there is no such push."))
    return push


def _require(push: Push, state: PushState) -> None:
    if push.state != state or push.cancel_requested or push.state in FINISHED_PUSHES:
        raise Conflict(push.title, _("its state does not allow this any more."), _("Load the page again."))


def _require_expanded(session: Session, push: Push) -> None:
    if not is_expanded(session, push.id):
        raise Conflict(
            push.title, _("its list of recipients is still being prepared."), _("Try again in a minute.")
        )


def _require_unchanged(push: Push, seen: int) -> None:
    if push.binding != seen:
        raise Conflict(
            push.title, _("was changed since you looked at it."), _("Load the page again and look once more.")
        )
