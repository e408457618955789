"""The guarantees of the send path, taken out one by one: production functions with a few words changed."""

import inspect
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent
from typing import Any
from unittest.mock import patch

from tests.simulation.sim_chances import STORMY, Chances
from tests.simulation.sim_material import Stocked
from tests.simulation.sim_run import run

from lanmu.delivery import expansion, intake
from lanmu.delivery.door import gate
from lanmu.delivery.door.limits import Room
from lanmu.delivery.door.rates import Tokens
from lanmu.delivery.followup.doubts import Doubts
from lanmu.delivery.installation import clock_watch
from lanmu.delivery.sending import outcomes, queue, recording
from lanmu.delivery.sending.dispatcher import Dispatcher
from lanmu.delivery.service import DeliveryService


@dataclass(frozen=True)
class Change:
    """A function of a module or class in which some words stand for others."""

    where: Any
    name: str
    words: str
    instead: str


@dataclass(frozen=True)
class Mutant:
    """What is taken out, and by what the simulation must notice it."""

    name: str
    changes: tuple[Change, ...]
    noticed_by: tuple[str, ...]
    schema: tuple[str, str, str] | None = None
    """A table, the words of a constraint in it, and what stands for them."""
    storm: Chances = STORMY
    long: bool = False

    @contextmanager
    def alive(self) -> Iterator[None]:
        """The code as it is without the guarantee."""
        with ExitStack() as stack:
            for change in self.changes:
                for patched in _rewritten(change):
                    stack.enter_context(patched)
            yield

    def in_the_database(self, path: Path) -> None:
        """Take the constraint out of a database that is still empty of what it constrains."""
        if self.schema is None:
            return
        table, words, instead = self.schema
        connection = sqlite3.connect(path)
        (statement,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        if statement.count(words) != 1:
            raise LookupError(f"{table} does not say {words!r} once: {statement}")
        indexes = connection.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
            (table,),
        ).fetchall()
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(f"DROP TABLE {table}")
        connection.execute(statement.replace(words, instead))
        for (index,) in indexes:
            connection.execute(index)
        connection.commit()
        connection.close()


def _rewritten(change: Change) -> Iterator[Any]:
    """Patches that put the changed function wherever the original is known. Raises LookupError where the
    words are not there: then the code has moved on, and the mutant must follow."""
    original = getattr(change.where, change.name)
    source = dedent(inspect.getsource(original))
    if source.count(change.words) != 1:
        raise LookupError(f"{change.name} does not say {change.words!r} once")
    module = sys.modules[inspect.unwrap(original).__module__]
    made: dict[str, Callable[..., Any]] = {}
    exec(compile(source.replace(change.words, change.instead), "<mutant>", "exec"), module.__dict__, made)
    yield patch.object(change.where, change.name, made[change.name])
    for other in list(sys.modules.values()):
        name = getattr(other, "__name__", "")
        if (
            other is not change.where
            and name.startswith("lanmu.")
            and vars(other).get(change.name) is original
        ):
            yield patch.object(other, change.name, made[change.name])


def noticed_after(mutant: Mutant, stocked: Stocked, folder: Path, units: int, seeds: int) -> int:
    """How many storms it took until the simulation noticed what is missing; 0: it did not."""
    template, snapshot = stocked
    without = folder / "without.db"
    shutil.copy(template, without)
    mutant.in_the_database(without)
    with mutant.alive():
        for seed in range(seeds):
            wrong = run(seed, without, snapshot, units, mutant.storm).wrong
            if any(each.startswith(mutant.noticed_by) for each in wrong):
                return seed + 1
    return 0


_NO_FENCE_IN_INTEND = Change(queue, "_calling", "UNIT.c.fence == held.c.fence, ", "")
_NO_FENCE_IN_RECORD = Change(recording, "_move_units", "UNIT.c.fence == became.c.fence,", "")

_DOUBTS = replace(STORMY, people=3000.0, deadlines=(9,), pauses=((61, 90), (1500, 9000)), lanes=(4,))
"""Little that people decide, so that what is in doubt is found out, while its writer may still live."""

MUTANTS = (
    Mutant(
        "without the fence",
        (_NO_FENCE_IN_INTEND, _NO_FENCE_IN_RECORD),
        ("double", "lost", "stale"),
        storm=replace(STORMY, stop=0.3, each_unit=0.2, pauses=((61, 300),), deadlines=(9,), lanes=(2,)),
    ),
    Mutant(
        "without a stored intent",
        (
            Change(queue, "_calling", "state=UnitState.CALLING", "state=UnitState.LEASED"),
            Change(
                recording,
                "_unit_row",
                "UnitState.LEASED if result.seen is None else UnitState.CALLING",
                "UnitState.LEASED",
            ),
        ),
        ("double", "lost"),
    ),
    Mutant(
        "without the commit of the intent",
        (
            Change(
                queue,
                "intend",
                "    return ours",
                "    session.rollback()\n    return ours",
            ),
        ),
        ("double", "lost"),
    ),
    Mutant(
        "without the guard",
        (Change(Dispatcher, "_write", "> GUARD_GAP", "> 1e9"),),
        ("after its deadline", "after a person's word"),
    ),
    Mutant(
        "without one message for each recipient of a push",
        (Change(expansion, "_targets", '["push_id", "account", "recipient_key"]', '["id"]'),),
        ("double",),
        (
            "target",
            "CONSTRAINT uq_target_push_id_account_recipient_key UNIQUE (push_id, account, recipient_key)",
            "CHECK (1)",
        ),
        storm=replace(STORMY, limit=1.0, sender_limit=1.0, pace=1000),
    ),
    Mutant(
        "without one push for each firing",
        (
            Change(
                intake,
                "take_in",
                'new_id = insert_once(session, Push, ["source_key"], values)',
                "new_id = session.scalar(Push.__table__.insert().values(values).returning(Push.id))",
            ),
        ),
        ("double", "one firing made"),
        ("push", "CONSTRAINT uq_push_source_key UNIQUE (source_key)", "CHECK (1)"),
    ),
    Mutant(
        "a reaper that takes a call for unsent",
        (Change(queue, "reap", "state=UnitState.UNKNOWN,", "state=UnitState.PENDING,"),),
        ("double", "lost"),
    ),
    Mutant(
        "a doubt that is taken for unsent",
        (
            Change(
                outcomes,
                "after_write",
                'return in_doubt(verdict.reason, verdict.code or "ambiguous", abilities, verdict.trips)',
                'return _again(verdict.reason, "ambiguous", None, tries)',
            ),
        ),
        ("double", "lost"),
    ),
    Mutant(
        "a doubt that one lookup settles",
        (Change(Doubts, "_none", "elif looks < 2:", "elif looks < 1:"),),
        ("double", "lost"),
        storm=_DOUBTS,
        long=True,
    ),
    Mutant(
        "a doubt that is settled while its writer lives",
        (
            Change(
                Doubts,
                "_owner_is_gone",
                "if doubt.finished_at is not None or is_dead(doubt.owner, self._here):",
                "if True:",
            ),
        ),
        ("double", "lost"),
        storm=_DOUBTS,
        long=True,
    ),
    Mutant(
        "a reaper that knows no dead",
        (Change(queue, "reap", "or_(UNIT.c.lease_until < now, UNIT.c.owner.in_(dead))", "UNIT.c.id < 0"),),
        ("in doubt and not shown",),
        long=True,
    ),
    Mutant(
        "limits that are always open",
        (Change(Room, "full", "if self.left(need) < 1", "if False"),),
        ("above the limit",),
        long=True,
    ),
    Mutant(
        "quiet hours that nobody keeps",
        (Change(gate, "_quiet", "if question.quiet_until is None or question.is_test:", "if True:"),),
        ("in quiet hours",),
        storm=replace(STORMY, stop=0.05, clock=0.0, sets=0),
    ),
    Mutant(
        "calls at any pace",
        (Change(Tokens, "free_at", "if not empty:", "if True:"),),
        ("too fast",),
    ),
    Mutant(
        "a clock that nobody watches",
        (Change(clock_watch, "fault_of", "if gap > OFF:", "if False:"),),
        ("early",),
        storm=replace(STORMY, stop=0.05, clock=0.1, jumps=0.5, sets=2),
    ),
    Mutant(
        "a journal that nobody reads",
        (Change(DeliveryService, "reap", "self._journal.bring_in(self._database)", "pass"),),
        ("kept in the journal",),
        storm=replace(STORMY, stop=0.05, away=0.05),
    ),
    Mutant(
        "a last door that is not asked",
        (Change(Dispatcher, "_intend", "if answer.door is gate.Door.SEND:", "if True:"),),
        ("after its deadline", "early"),
    ),
)
