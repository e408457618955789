"""实验: wordings of one material side by side; each community gets one of them, always the same.

The material's own approved text is the first arm. Others come from variants that somebody accepted, and are
sent only once a reviewer has let them through.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from lanmu.experiments.assignment import arm_of
from lanmu.experiments.models import Arm, Experiment
from lanmu.i18n import _
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Conflict, NotFound
from lanmu.library.models import Material, Revision
from lanmu.library.records import find, is_approved
from lanmu.library.service import Library
from lanmu.storage import Database

ARMS_MOST = 6
_KEYS = "ABCDEF"


@dataclass(frozen=True, slots=True)
class ArmView:
    """One wording. `approved` says whether it may be sent; `own` marks the material's own text."""

    key: str
    revision: int
    body: str
    generator: str
    author: str
    approved: bool
    own: bool


@dataclass(frozen=True, slots=True)
class ExperimentView:
    """A material's experiment: draft, running or stopped."""

    id: str
    state: str
    arms: Sequence[ArmView]


class Experiments:
    """The only place that writes experiments and their arms."""

    def __init__(self, database: Database, clock: Clock, library: Library) -> None:
        self._database = database
        self._clock = clock
        self._library = library

    def accept(self, material: str, body: str, by: str, *, generator: str = "") -> ExperimentView:
        """Keep a proposed text as an arm of the material's experiment, which is made where there is none.

        Raises Conflict while the experiment runs (its arms must stay what they were) or is full.
        """
        with self._database.write() as session:
            row = find(session, material, for_update=True)
            experiment = self._current(session, row) or self._new(session, row, by)
            if experiment.state == "running":
                raise Conflict(material, _("its test is running."), _("Stop it before you add a version."))
            taken = self._arms(session, experiment)
            if len(taken) >= ARMS_MOST:
                raise Conflict(material, _("a test has at most %(most)d versions."), most=ARMS_MOST)
            revision = self._library.variants.add(session, material, body, by, generator=generator)
            session.add(Arm(experiment_id=experiment.id, key=_KEYS[len(taken)], revision_id=revision.id))
            session.flush()
            return self._view(session, row, experiment)

    def start(self, material: str) -> ExperimentView:
        """Let the arms go out. Raises Conflict where fewer than two of them are approved."""
        with self._database.write() as session:
            row, experiment = self._need(session, material)
            view = self._view(session, row, experiment)
            if sum(arm.approved for arm in view.arms) < 2:
                raise Conflict(
                    material,
                    _("a test needs two approved versions."),
                    _("Have the versions reviewed first."),
                )
            experiment.state = "running"
            return self._view(session, row, experiment)

    def stop(self, material: str) -> ExperimentView:
        """From now on the material's own text goes out again."""
        with self._database.write() as session:
            row, experiment = self._need(session, material)
            experiment.state = "stopped"
            return self._view(session, row, experiment)

    def of(self, material: str) -> ExperimentView | None:
        """The material's newest experiment, None where there was never one."""
        with self._database.read() as session:
            row = find(session, material)
            experiment = self._current(session, row)
            return self._view(session, row, experiment) if experiment else None

    def revision_for(self, session: Session, material_id: int, planned: int, recipient: str) -> int:
        """The revision that a recipient gets: its arm where the material is being tested, else `planned`."""
        experiment = session.scalar(
            select(Experiment)
            .where(Experiment.material_id == material_id, Experiment.state == "running")
            .order_by(Experiment.id.desc())
            .limit(1)
        )
        if experiment is None:
            return planned
        arms = {
            arm.key: revision.id
            for arm, revision in self._arms(session, experiment)
            if is_approved(session, revision)
        }
        if len(arms) < 2:
            return planned
        return arms[arm_of(experiment.salt, recipient, sorted(arms))]

    def _new(self, session: Session, row: Material, by: str) -> Experiment:
        if row.approved_revision_id is None:
            raise Conflict(
                row.public_id,
                _("it has no approved text to test against."),
                _("Have it reviewed first, or take the proposal over as the text."),
            )
        experiment = Experiment(
            public_id=Experiment.fresh_id(),
            material_id=row.id,
            name=row.title[:100],
            salt=secrets.token_hex(8),
            created_by=by,
            created_at=self._clock.now(),
        )
        session.add(experiment)
        session.flush()
        session.add(Arm(experiment_id=experiment.id, key=_KEYS[0], revision_id=row.approved_revision_id))
        session.flush()
        return experiment

    @staticmethod
    def _current(session: Session, row: Material) -> Experiment | None:
        return session.scalar(
            select(Experiment)
            .where(Experiment.material_id == row.id, Experiment.state != "stopped")
            .order_by(Experiment.id.desc())
            .limit(1)
        )

    def _need(self, session: Session, material: str) -> tuple[Material, Experiment]:
        row = find(session, material, for_update=True)
        experiment = self._current(session, row)
        if experiment is None:
            raise NotFound(material, _("it has no test."), _("Accept a variant as a version to test."))
        return row, experiment

    @staticmethod
    def _arms(session: Session, experiment: Experiment) -> list[tuple[Arm, Revision]]:
        found = session.execute(
            select(Arm, Revision)
            .join(Revision, Revision.id == Arm.revision_id)
            .where(Arm.experiment_id == experiment.id)
            .order_by(Arm.key)
        )
        return [(arm, revision) for arm, revision in found]

    def _view(self, session: Session, row: Material, experiment: Experiment) -> ExperimentView:
        arms = [
            ArmView(
                key=arm.key,
                revision=revision.number,
                body=revision.body,
                generator=revision.generator,
                author=revision.author,
                approved=is_approved(session, revision),
                own=arm.key == _KEYS[0],
            )
            for arm, revision in self._arms(session, experiment)
        ]
        return ExperimentView(experiment.public_id, experiment.state, arms)
