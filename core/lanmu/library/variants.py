"""文案版本: other wordings of a material that stand beside its text until a reviewer lets each through."""

from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from lanmu.i18n import _
from lanmu.interfaces.errors import Conflict, Faults, NotFound
from lanmu.library import records
from lanmu.library.context import LibraryContext
from lanmu.library.faults import faults_to_approve
from lanmu.library.materials import checked
from lanmu.library.models import Material, Revision
from lanmu.library.review import MET, Criteria, decide, require_reviewer


class Variants:
    """Writes wordings and lets them through; which one is sent is the experiment's affair."""

    def __init__(self, context: LibraryContext) -> None:
        self._context = context

    def add(self, session: Session, material: str, body: str, by: str, *, generator: str = "") -> Revision:
        """Write another wording of the material's text; the material itself stays as it is.

        Raises Faults for a body that could not be saved, Conflict for a retired material, NotFound.
        """
        row = records.find(session, material, for_update=True)
        if row.state == "retired":
            raise Conflict(material, _("it has been retired."), _("Restore it first, then edit it."))
        content = checked(session, replace(records.current(session, row), body=body))
        now = self._context.clock.now()
        return records.write_revision(session, row, content, author=by, now=now, generator=generator)

    def approve(
        self, material: str, number: int, by: str, criteria: Criteria = MET, comment: str = ""
    ) -> None:
        """Let one wording through. Raises Denied, Invalid, Faults and NotFound, as a review does."""
        with self._context.database.write() as session:
            row = records.find(session, material, for_update=True)
            revision = self._revision(session, row, number)
            require_reviewer(self._context, material, revision, by, criteria)
            now = self._context.clock.now()
            if faults := faults_to_approve(records.content_of(session, revision), now, self._context.zone):
                raise Faults(faults)
            decide(session, row, revision, by, criteria, comment, now, approved=True)

    @staticmethod
    def _revision(session: Session, row: Material, number: int) -> Revision:
        revision = session.scalar(
            select(Revision).where(Revision.material_id == row.id, Revision.number == number)
        )
        if revision is None:
            raise NotFound(
                row.public_id,
                _("it has no version %(number)d."),
                _("Choose one from its history."),
                number=number,
            )
        return revision
