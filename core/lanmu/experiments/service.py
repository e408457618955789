"""实验: wordings of one material side by side; each community gets one of them, always the same.

The material's own approved text is the first arm. Others come from variants that somebody accepted, and are
sent only once a reviewer has let them through.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class RunningTest:
    """An experiment in effect: its approved wordings as revisions, by their arms' keys."""

    salt: str
    revisions: Mapping[str, int]

    def revision_for(self, recipient: str) -> int:
        """The wording that a recipient gets, always the same."""
        return self.revisions[arm_of(self.salt, recipient, sorted(self.revisions))]


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
            for arm, other in taken:
                if other.content_hash == revision.content_hash:
                    raise Conflict(material, _("version %(key)s says the same already."), key=arm.key)
            session.add(Arm(experiment_id=experiment.id, key=_KEYS[len(taken)], revision_id=revision.id))
            session.flush()
            return self._view(session, experiment)

    def start(self, material: str) -> ExperimentView:
        """Let the approved arms go out; one that is not approved by now is left out, and stays a revision.

        The material's text as it is approved now is the first arm. Raises Conflict where fewer than two are
        approved.
        """
        with self._database.write() as session:
            row, experiment = self._need(session, material)
            if experiment.state == "running":
                return self._view(session, experiment)
            for arm, revision in self._arms(session, experiment):
                if arm.key == _KEYS[0] and row.approved_revision_id is not None:
                    arm.revision_id = row.approved_revision_id
                elif not is_approved(session, revision):
                    session.delete(arm)
            session.flush()
            view = self._view(session, experiment)
            if sum(arm.approved for arm in view.arms) < 2:
                raise Conflict(
                    material,
                    _("a test needs two approved versions."),
                    _("Have the versions reviewed first."),
                )
            experiment.state = "running"
            return self._view(session, experiment)

    def stop(self, material: str) -> ExperimentView:
        """From now on the material's own text goes out again."""
        with self._database.write() as session:
            _row, experiment = self._need(session, material)
            experiment.state = "stopped"
            return self._view(session, experiment)

    def of(self, material: str) -> ExperimentView | None:
        """The material's newest experiment, None where there was never one."""
        with self._database.read() as session:
            row = find(session, material)
            experiment = self._current(session, row)
            return self._view(session, experiment) if experiment else None

    def running(self, session: Session, materials: Collection[int]) -> dict[int, RunningTest]:
        """The tests that are in effect, by the keys of their materials.

        A test rests while the material's approved text is another than its first arm: somebody had a reason
        to correct it, and the other wordings were made from the old one.
        """
        found = session.execute(
            select(Experiment, Revision.content_hash)
            .join(Material, Material.id == Experiment.material_id)
            .join(Revision, Revision.id == Material.approved_revision_id)
            .where(Experiment.material_id.in_(materials), Experiment.state == "running")
            .order_by(Experiment.id)
        ).all()
        tests: dict[int, RunningTest] = {}
        for experiment, content_hash in found:
            arms = self._arms(session, experiment)
            approved = {arm.key: revision.id for arm, revision in arms if is_approved(session, revision)}
            if len(approved) > 1 and arms[0][1].content_hash == content_hash:
                tests[experiment.material_id] = RunningTest(experiment.salt, approved)
        return tests

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

    def _view(self, session: Session, experiment: Experiment) -> ExperimentView:
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
