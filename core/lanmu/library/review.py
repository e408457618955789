"""Review: handing in, approving, sending back, retiring, restoring; who may and what must be there for it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from lanmu.i18n import _
from lanmu.interfaces.errors import Conflict, Denied, Faults, Invalid
from lanmu.interfaces.events import MaterialApproved
from lanmu.library import records
from lanmu.library.context import LibraryContext
from lanmu.library.faults import faults_to_approve
from lanmu.library.materials import view
from lanmu.library.models import Material, Review, Revision
from lanmu.library.views import MaterialView

COMMENT_MOST = 2000
_NOT_IN = {
    "draft": _("it is not a draft."),
    "in_review": _("it is not in review."),
    "retired": _("it has not been retired."),
}


@dataclass(frozen=True, slots=True)
class Criteria:
    """合规性, 匹配度, 吸引力: keeps to the rules, fits these people, makes them want to read on."""

    compliance: bool
    relevance: bool
    appeal: bool

    @property
    def all_met(self) -> bool:
        return self.compliance and self.relevance and self.appeal


MET = Criteria(compliance=True, relevance=True, appeal=True)


class Reviews:
    """审核: the way of a material from draft to approved, and out of use."""

    def __init__(self, context: LibraryContext) -> None:
        self._context = context

    def submit(self, material: str) -> MaterialView:
        """Draft → in review. Raises Faults (all that is still missing), Conflict, NotFound."""
        with self._context.database.write() as session:
            row = self._row(session, material, "draft")
            self._require_complete(session, row)
            row.state = "in_review"
            return self._touched(session, row)

    def approve(
        self, material: str, revision: int, by: str, criteria: Criteria = MET, comment: str = ""
    ) -> MaterialView:
        """In review → approved, for the revision that the reviewer has read.

        Raises Denied where reviewer and author are one (unless the shop allows it), Invalid where a criterion
        is not met, Conflict where the text has changed meanwhile, Faults, NotFound.
        """
        with self._context.database.write() as session:
            row = self._row(session, material, "in_review")
            newest = self._read_revision(session, row, revision)
            require_reviewer(self._context, material, newest, by, criteria)
            self._require_complete(session, row)
            event = let_through(session, row, newest, by, criteria, _comment(comment), self._now())
            answer = self._touched(session, row)
        self._context.approved(event)
        return answer

    def reject(self, material: str, revision: int, by: str, criteria: Criteria, comment: str) -> MaterialView:
        """In review → draft, with a comment for the author. Raises Invalid without one, Conflict."""
        comment = _comment(comment)
        if not comment:
            raise Invalid("comment", _("it is empty."), _("Say what should be changed."))
        with self._context.database.write() as session:
            row = self._row(session, material, "in_review")
            newest = self._read_revision(session, row, revision)
            decide(session, row, newest, by, criteria, comment, self._now(), approved=False)
            row.state = "draft"
            return self._touched(session, row)

    def retire(self, material: str, reason: str) -> MaterialView:
        """Take it out of use; nothing is deleted. Raises Invalid without a reason, NotFound."""
        reason = _comment(reason)
        if not reason:
            raise Invalid("reason", _("it is empty."), _("Say why it is taken out of use."))
        with self._context.database.write() as session:
            row = records.find(session, material, for_update=True)
            if row.state == "retired":
                return view(session, row, self._context)
            row.state = "retired"
            row.retired_reason = reason
            return self._touched(session, row)

    def restore(self, material: str) -> MaterialView:
        """Bring a retired material back: approved if its text still is, else as a draft. Raises Conflict."""
        with self._context.database.write() as session:
            row = self._row(session, material, "retired")
            row.state = "approved" if row.approved_revision_id == row.current_revision_id else "draft"
            row.retired_reason = ""
            return self._touched(session, row)

    def _row(self, session: Session, material: str, state: str) -> Material:
        row = records.find(session, material, for_update=True)
        if row.state != state:
            raise Conflict(
                material,
                _NOT_IN[state],
                _("Reload the page to see where it stands."),
            )
        return row

    def _read_revision(self, session: Session, row: Material, number: int) -> Revision:
        newest = session.get_one(Revision, row.current_revision_id)
        if newest.number != number:
            raise Conflict(
                row.public_id,
                _("version %(newest)d has been written since; you have read version %(number)d."),
                _("Read the new version, then decide."),
                newest=newest.number,
                number=number,
            )
        return newest

    def _require_complete(self, session: Session, row: Material) -> None:
        content = records.current(session, row)
        faults = faults_to_approve(content, self._now(), self._context.zone)
        if faults:
            raise Faults(faults)

    def _touched(self, session: Session, row: Material) -> MaterialView:
        records.touch(session, row, records.current(session, row), self._now())
        return view(session, row, self._context)

    def _now(self) -> datetime:
        return self._context.clock.now()


def require_reviewer(
    context: LibraryContext, material: str, revision: Revision, by: str, criteria: Criteria
) -> None:
    """Raises Denied where reviewer and author are one (unless the shop allows it), Invalid where a criterion
    is not met."""
    if revision.author == by and not context.solo_approval:
        raise Denied(
            material,
            _("%(by)s wrote this version and cannot approve it."),
            _("Ask a colleague to review it."),
            by=by,
        )
    if not criteria.all_met:
        raise Invalid(
            "criteria",
            _("not every criterion is met."),
            _("Send it back with a comment, so that the author knows what to change."),
        )


def let_through(
    session: Session,
    row: Material,
    revision: Revision,
    by: str,
    criteria: Criteria,
    comment: str,
    now: datetime,
) -> MaterialApproved:
    """Record an approval and put the revision in use; the caller touches the material and tells the event."""
    decide(session, row, revision, by, criteria, comment, now, approved=True)
    row.state = "approved"
    row.approved_revision_id = revision.id
    return MaterialApproved(material=row.public_id, revision=revision.number, approved_by=by, at=now)


def decide(
    session: Session,
    row: Material,
    revision: Revision,
    by: str,
    criteria: Criteria,
    comment: str,
    now: datetime,
    *,
    approved: bool,
) -> None:
    """Write a decision down; what it means for the material is the caller's affair."""
    session.add(
        Review(
            material_id=row.id,
            revision_id=revision.id,
            reviewer=by,
            approved=approved,
            compliance=criteria.compliance,
            relevance=criteria.relevance,
            appeal=criteria.appeal,
            comment=comment,
            decided_at=now,
        )
    )
    session.flush()


def _comment(text: str) -> str:
    text = text.strip()
    if len(text) > COMMENT_MOST:
        raise Invalid(
            "comment",
            _("it has %(length)d characters; at most %(most)d are allowed."),
            _("Shorten it."),
            length=len(text),
            most=COMMENT_MOST,
        )
    return text
