"""One seeded run: pushes come in, workers live and die, people meddle; then all grows calm and is checked."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from shutil import copy
from tempfile import TemporaryDirectory
from unittest.mock import patch

from greenlet import getcurrent
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from tests.simulation.far_end import CHANNELS
from tests.simulation.sim_chances import CALM, Chances
from tests.simulation.sim_checks import Found, Most, check
from tests.simulation.sim_database import SimDatabase
from tests.simulation.sim_material import sender_of, zone_of
from tests.simulation.sim_world import World

from lanmu.delivery import crash_points
from lanmu.delivery.door.limit_models import GateCount, SendLimit
from lanmu.delivery.installation import owner as owners
from lanmu.delivery.installation.owner import Owner
from lanmu.delivery.intake import PushRequest, Recipient
from lanmu.delivery.models import SENDING, Push, Unit, UnitTarget
from lanmu.interfaces.errors import Conflict
from lanmu.library.views import Snapshot
from lanmu.storage.away import AWAY

PUSHES = 10
STORM = 2.5 * 3600.0
"""Seconds of chance and people; after them everybody behaves, and what is still open must come to its end."""
BUSY = 3600.0
"""Seconds in which nearly everything is due, so that the sweeps come often."""
SWEEP, SELDOM = 45.0, 300.0
NO_LONGER_THAN = 60 * 3600.0


@dataclass
class Report:
    """What a run came to."""

    seed: int
    units: int
    found: Found
    wrong: list[str]
    happened: dict[str, int]
    killed_at: dict[str, int] = field(default_factory=dict)
    virtual_hours: float = 0.0

    def __str__(self) -> str:
        return f"seed {self.seed}, {self.units} units: " + "; ".join(self.wrong[:5] or ["all is well"])


def run(
    seed: int,
    template: Path,
    snapshot: Snapshot,
    units: int = 2000,
    chances: Chances | None = None,
) -> Report:
    """Let a world live and end, and say what was wrong in it."""
    shm = Path("/dev/shm")
    with TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        path = Path(folder, "lanmu.db")
        copy(template, path)
        database = SimDatabase(path)
        chances = chances or CALM
        most = Most(int(units * chances.limit), int(units * chances.sender_limit), chances.pace)
        with database.write() as session:
            for code, number in (("sim", most.channel), ("sim.sender", most.sender)):
                session.execute(update(SendLimit).where(SendLimit.code == code).values(most=number))
        try:
            world = World(seed, database, snapshot, chances)
            with _in_place_of_processes(world):
                Life(world, units).go()
                found = check(world, most)
                _count_what_the_door_said(world)
            return Report(
                seed,
                units,
                found,
                world.wrong,
                dict(world.happened | world.far_end.did),
                dict(world.killed_at),
                (world.clock.boot - 1000) / 3600,
            )
        finally:
            database.close()


class Life:
    """The script of a run, in the words of the people and processes of an installation."""

    def __init__(self, world: World, units: int) -> None:
        self.world = world
        self.random: Random = world.random
        self.units = units
        self.over = False

    def go(self) -> None:
        world = self.world
        each = self.units // PUSHES
        for number in range(PUSHES):
            size = each if number else self.units - each * (PUSHES - 1)
            self._plan(number, size)
        for _worker in range(world.chances.workers):
            self._start_a_worker()
        self._start_a_doubter()
        world.at(5, self._sweep)
        for _time in range(world.chances.sets):
            world.at(self.random.uniform(30, 1500), world.set_the_clock)
        world.at(world.chances.people, self._people)
        world.at(STORM, self._grow_calm)
        try:
            world.run(lambda: self.over)
        finally:
            world.kill_everyone()

    def _plan(self, number: int, size: int) -> None:
        """A push that the schedule hands over, maybe twice, and whose recipients somebody may bring again."""
        world, chance = self.world, self.random
        channel = list(CHANNELS)[number % len(CHANNELS)]
        batch = CHANNELS[channel].batch_max
        due = world.clock.now() + timedelta(seconds=chance.uniform(30, 1800))
        deadline = due + timedelta(hours=chance.choice(world.chances.deadlines))
        label = f"p{number}"
        world.promises.due[label] = (due, deadline)
        request = PushRequest(
            source_key=f"sim:{label}",
            title=label,
            channel=channel,
            revision_id=world.snapshot.revision_key,
            material_id=world.snapshot.key,
            content_hash=world.snapshot.content_hash,
            body=world.snapshot.body,
            due_at=due,
            zone="Asia/Shanghai",
            recipients=[
                Recipient(f"{label}/{n}", f"{n}", sender_of(n), zone=zone_of(n)) for n in range(size * batch)
            ],
            approved_by="li",
            approved_at=world.clock.now(),
            created_by="li",
            late_policy=chance.choice(("send", "send", "send", "ask", "skip")),
            deadline_at=deadline,
        )
        for _time in range(chance.choice((1, 2))):
            world.at(chance.uniform(0, 25), lambda: self._hand_over(request))
        if chance.random() < 0.3:
            world.at(27, lambda: world.spawn(world.new_owner(), lambda: self._bring_again(request)))

    def _hand_over(self, request: PushRequest) -> None:
        """The schedule hands over until it has heard that it did."""
        world = self.world

        def life() -> None:
            try:
                world.service.send(request)
            except BaseException:
                world.at(10, lambda: self._hand_over(request))
                raise

        world.spawn(world.new_owner(), life)

    def _bring_again(self, request: PushRequest) -> None:
        """A second list with the same people is added to a push, by whatever way and whatever fault."""
        try:
            with self.world.database.write() as session:
                push = session.scalar(select(Push).where(Push.source_key == request.source_key))
                if push is None:
                    return
                unit = session.scalars(
                    insert(Unit).returning(Unit.id),
                    {
                        "push_id": push.id,
                        "number": 10**6,
                        "channel": push.channel,
                        "token": Push.fresh_id()[-16:],
                        "not_before": push.due_at,
                    },
                ).one()
                key = request.recipients[0].key
                session.execute(
                    insert(UnitTarget), {"push_id": push.id, "unit_id": unit, "recipient_key": key}
                )
            self.world.happened["people brought in twice"] += 1
        except IntegrityError:
            self.world.happened["second list refused"] += 1

    def _start_a_worker(self) -> None:
        world = self.world
        owner = world.new_owner()
        lanes = self.random.choice(world.chances.lanes)

        def life() -> None:
            try:
                world.start_watching()
                dispatcher = world.dispatcher(owner, lanes)
                while True:
                    try:
                        moved = dispatcher.run_due()
                        world.rest(self.random.uniform(0.1, 2) if moved else self._until_due())
                    except AWAY:
                        world.happened["a job met no database"] += 1
                        world.rest(15)
            finally:
                if not self.over:
                    world.at(self.random.uniform(1, 60), self._start_a_worker)

        world.spawn(owner, life)

    def _until_due(self) -> float:
        """Seconds until a worker has something to do: it sleeps till then, but not for long."""
        world = self.world
        longest = 400.0 if world.calm else 90.0
        due = world.service.next_due()
        wait = longest if due is None else (due - world.clock.now()).total_seconds()
        return min(max(wait, self.random.uniform(4, 10)), longest)

    def _start_a_doubter(self) -> None:
        """A worker's job that finds out what became of units in doubt."""
        world = self.world
        owner = world.new_owner()

        def life() -> None:
            try:
                world.start_watching()
                doubts = world.doubts(owner)
                while True:
                    try:
                        looked = doubts.look() if world.may_act(getcurrent()) else 0
                        world.rest(20 if looked else 240)
                    except AWAY:
                        world.happened["a job met no database"] += 1
                        world.rest(20)
            finally:
                if not self.over:
                    world.at(30, self._start_a_doubter)

        world.spawn(owner, life)

    def _sweep(self) -> None:
        """What every worker's timekeeper does: say that it lives, take back what the dead hold."""
        world = self.world
        awake = world.awake()
        busy = world.clock.boot < 1000 + BUSY
        if awake and not world.database.is_away():
            actor = self.random.choice(awake)
            owner = _owner(world.actors[actor])
            world.tick(actor)
            world.service.beat(owner)
            if world.may_act(actor):
                world.service.reap(owner)
            else:
                busy = True
        world.at(SWEEP if busy else SELDOM, self._sweep)

    def _people(self) -> None:
        """People look in every few minutes: they decide what is in doubt, go on with what is held, meddle."""
        world, chance = self.world, self.random
        if world.calm:
            return
        world.at(world.chances.people, self._people)
        if world.database.is_away():
            return
        if world.clock_is_doubted() and chance.random() < 0.5:
            world.trust_the_clock()
        with world.database.read() as session:
            doubts = session.execute(
                select(Push.public_id, Unit.number, Unit.token, Unit.fence)
                .join(Push, Push.id == Unit.push_id)
                .where(Unit.state == "unknown", Unit.look_at.is_(None))
                .order_by(Unit.id)
            ).all()
            pushes = session.execute(select(Push.public_id, Push.state).order_by(Push.id)).all()
        often = world.chances.people / 600
        for public_id, number, token, fence in doubts:
            if chance.random() < world.chances.decide:
                answer = chance.choice(world.chances.answers)
                if self._try(lambda p=public_id, n=number, a=answer: world.service.decide(p, n, a)):  # type: ignore[misc]
                    world.said[token] = answer
                    world.happened[f"a person said {answer}"] += 1
                    if answer == "again":
                        world.again[token].append(fence)
        for public_id, state in pushes:
            if state in ("paused", "held", "running") and chance.random() < 0.8:
                self._meddle("resumed", lambda p=public_id: world.service.resume(p))  # type: ignore[misc]
            elif chance.random() < 0.05 * often:
                self._meddle("paused", lambda p=public_id: world.service.pause(p))  # type: ignore[misc]
            elif chance.random() < 0.02 * often:
                self._meddle("cancelled", lambda p=public_id: world.service.cancel(p))  # type: ignore[misc]

    def _meddle(self, what: str, act: Callable[[], object]) -> None:
        if self._try(act):
            self.world.happened[f"push {what}"] += 1

    def _try(self, act: Callable[[], object]) -> bool:
        try:
            act()
        except Conflict:
            return False
        return True

    def _grow_calm(self) -> None:
        world = self.world
        world.calm = world.far_end.calm = True
        world.bring_the_database_back()
        world.trust_the_clock()
        world.restart()
        world.at(60, self._look_whether_it_is_over)

    def _look_whether_it_is_over(self) -> None:
        """Nothing moves any more but by a person's word; one who sees that the clock is doubted gives it."""
        world = self.world
        if world.clock_is_doubted():
            world.trust_the_clock()
        soon = world.clock.now() + timedelta(hours=20)
        with world.database.read() as session:
            moving = session.scalar(
                select(func.count())
                .select_from(Unit)
                .join(Push, Push.id == Unit.push_id)
                .where(
                    Unit.state.in_(("leased", "calling"))
                    | (Unit.state.in_(("pending", "retry_wait")) & SENDING & (Unit.not_before < soon))
                    | ((Unit.state == "unknown") & Unit.look_at.is_not(None))
                )
            )
        self.over = not moving and not world.stopped_for_long() and not world.journal.waits()
        if world.clock.boot > 1000 + NO_LONGER_THAN:
            world.wrong.append(f"{moving} units still move after {NO_LONGER_THAN / 3600:.0f} hours")
            self.over = True
        world.at(600, self._look_whether_it_is_over)


@contextmanager
def _in_place_of_processes(world: World) -> Iterator[None]:
    """The world in the places where the code looks at processes and passes its crash points."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(crash_points, "reach", world.reach))
        for module in list(sys.modules.values()):
            if getattr(module, "is_dead", None) is owners.is_dead and module is not owners:
                stack.enter_context(patch.object(module, "is_dead", world.is_dead))
        yield


def _count_what_the_door_said(world: World) -> None:
    world.happened["journal: kept"] = len(world.journal.kept)
    with world.database.read() as session:
        said = session.execute(select(GateCount.code, func.sum(GateCount.answers)).group_by(GateCount.code))
        world.happened.update({f"door: {code}": times for code, times in said})


def _owner(text: str) -> Owner:
    host, pid, epoch = text.split(":")
    return Owner(host, int(pid), epoch)
