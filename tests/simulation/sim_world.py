"""A world in one thread: production code on SQLite, a far end that forgets nothing, and seeded chance.

Virtual workers are greenlets that run the production dispatcher. At every named point of the code (crash
points, the way to the far end and back) chance may let another worker go on, stop this one for hours, put
the whole machine to sleep, set its clock, or kill it. Nothing else is simulated: claims, fences, intents,
records, the reaper, the gate and the doubts are the code that ships.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session
from tests.simulation.far_end import CHANNELS, Effect, FarEnd, SimChannel
from tests.simulation.sim_clock import SimClock

from lanmu.delivery.door.questions import Gatekeeper
from lanmu.delivery.followup.doubts import Doubts
from lanmu.delivery.installation.owner import Owner
from lanmu.delivery.models import Attempt, Unit
from lanmu.delivery.sending.dispatcher import GUARD_GAP, Dispatcher
from lanmu.delivery.sending.preflight import Preflight
from lanmu.delivery.service import DeliveryService
from lanmu.library.views import Snapshot
from lanmu.storage import Database

HOST = "simulated"
LEASE = timedelta(seconds=60)


class Killed(BaseException):
    """A death of the process: no code may catch it."""


class SimDatabase(Database):
    """The production database without its wait for the disk; knows when a writer is inside."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"sqlite:///{path}")
        self.writing = 0
        event.listen(self.engine, "connect", _do_not_wait_for_the_disk)

    @contextmanager
    def write(self) -> Iterator[Session]:
        self.writing += 1
        try:
            with super().write() as session:
                yield session
        finally:
            self.writing -= 1


def _do_not_wait_for_the_disk(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


class OneHand(Executor):
    """A pool whose work is done where it is asked for, in an order that is known."""

    def submit(self, work: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  a death reaches whoever waits for it
            done.set_exception(error)
        return done


@dataclass(frozen=True)
class Chances:
    """How likely what is, at a point that is passed once a batch.

    `each_unit` is how much rarer it is at points that every unit passes, `faults` how many times as often as
    usual the far end fails, `people` how many seconds lie between two looks of a person, `decide` how likely
    each is to get one of the `answers`, `limit` which part of a run's units one channel may send. Hours from
    due time to `deadlines`; seconds of `pauses`.
    """

    crash: float = 0.01
    stop: float = 0.02
    sleep: float = 0.01
    clock: float = 0.02
    switch: float = 0.3
    clock_most: float = 100.0
    each_unit: float = 1 / 40
    faults: float = 1.0
    people: float = 600.0
    decide: float = 0.3
    answers: tuple[str, ...] = ("sent", "again", "give_up")
    lanes: tuple[int, ...] = (24, 48)
    limit: float = 0.25
    workers: int = 3
    deadlines: tuple[float, ...] = (0.2, 1, 6)
    pauses: tuple[tuple[float, float], ...] = ((0.5, 6), (6, 50), (61, 90), (600, 1500), (3000, 20000))


CALM = Chances()
STORMY = Chances(
    crash=0.05,
    stop=0.2,
    switch=0.6,
    each_unit=1 / 3,
    faults=6.0,
    people=100.0,
    lanes=(3, 8),
    workers=8,
    limit=0.06,
)
"""For few units, each of which lives through much."""

_EACH_UNIT = frozenset({"during_write", "after_write", "answering", "looking"})


class World:
    """One run: what is in it, what happens in which order, and what was seen to be wrong."""

    def __init__(
        self, seed: int, database: SimDatabase, snapshot: Snapshot, chances: Chances | None = None
    ) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.database = database
        self.chances = chances or CALM
        self.clock = SimClock()
        self.far_end = FarEnd(self.clock, self.random, self._took, self.chances.faults)
        self.channels = {name: SimChannel(name, self.far_end, self.reach) for name in CHANNELS}
        self.service = DeliveryService(database, self.clock, self.channels)
        self.preflight = Preflight(database, self.clock, lambda _revision: snapshot, _no_objections, "Shop")
        self.snapshot = snapshot
        self.calm = False
        self.wrong: list[str] = []
        self.happened: Counter[str] = Counter()
        self.killed_at: Counter[str] = Counter()
        self.due: dict[str, tuple[datetime, datetime]] = {}
        self.again: defaultdict[str, list[int]] = defaultdict(list)
        self.said: dict[str, str] = {}
        self.stalled_at_the_write: set[str] = set()
        self.stall = 0.0
        self.dead: set[str] = set()
        self.stopped_until: dict[greenlet, float] = {}
        self.frozen: dict[greenlet, float] = {}
        self._hub = getcurrent()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count(1)
        self.actors: dict[greenlet, str] = {}
        self._pids = count(2**22)

    # What the production code comes by

    def reach(self, name: str) -> None:
        """A named point of the code: goes on at once, or after others have, or never."""
        self.stall = 0.0
        if getcurrent() is self._hub:
            return
        self.clock.pass_by(0.002)
        if self.calm:
            return
        roll = self.random.random()
        chances = self.chances
        rarer = chances.each_unit if name in _EACH_UNIT else 1.0
        # In a transaction nobody else can act: SQLite has one writer. Death is all that may come.
        for what in ("crash",) if self.database.writing else ("crash", "stop", "sleep", "clock", "switch"):
            roll -= getattr(chances, what) * rarer
            if roll < 0:
                self._befall(what, name)
                return

    def _befall(self, what: str, name: str) -> None:
        if what == "crash":
            self.killed_at[name] += 1
            raise Killed
        if what == "clock":
            self._set_the_clock()
            return
        before = self.clock.boot
        if what == "sleep":
            self.happened["machine slept"] += 1
            self.clock.pass_by(min(self._long(), self.random.choice((120.0, 120.0, 4000.0))))
        elif what == "stop":
            self.happened["worker stopped"] += 1
            self.stopped_until[getcurrent()] = self.frozen[getcurrent()] = self.clock.boot + self._long()
        if what != "sleep":
            self._hub.switch()
        self.stall = self.clock.boot - before

    def _long(self) -> float:
        """Seconds: as long as a pause of the collector, a lease, a settle time, or an afternoon."""
        return self.random.uniform(*self.random.choice(self.chances.pauses))

    def _set_the_clock(self) -> None:
        self.happened["clock set"] += 1
        most = self.chances.clock_most
        self.clock.set_ahead(self.random.choice((0.0, self.random.uniform(-most, most))))

    def _took(self, effect: Effect) -> None:
        """The far end tells at once of each message that reached people."""
        token = effect.token
        if self.stall > GUARD_GAP:
            self.stalled_at_the_write.add(token)
        if token in self.again:
            effect.leave = self._leave(token)
        earliest, latest = self.clock.walls()
        settled = self.said.get(token) in ("sent", "give_up")
        if settled and earliest == latest and token not in self.stalled_at_the_write:
            self.wrong.append(f"after a person's word: {token}")
        due, deadline = self.due[effect.targets[0].partition("/")[0]]
        if latest < due and token not in self.stalled_at_the_write:
            self.wrong.append(f"early: {token} due {due} at {latest}")
        late = earliest > deadline + timedelta(seconds=GUARD_GAP + 1)
        if late and token not in self.stalled_at_the_write:
            self.wrong.append(f"after its deadline: {token} {deadline} at {earliest}")

    def _leave(self, token: str) -> int:
        """How many of the persons' words "again" were spoken before the intent of this worker's write."""
        mine = (
            select(func.max(Attempt.fence))
            .join(Unit, Unit.id == Attempt.unit_id)
            .where(Unit.token == token, Attempt.owner == self.actors.get(getcurrent(), ""))
        )
        with self.database.read() as session:
            fence = session.scalar(mine) or 0
        return sum(spoken_at < fence for spoken_at in self.again[token])

    # Time and turns

    def at(self, seconds: float, do: Callable[[], None]) -> None:
        """Do it in so many seconds."""
        heappush(self._events, (self.clock.boot + seconds, next(self._numbers), do))

    def spawn(self, owner: Owner, life: Callable[[], None]) -> greenlet:
        """A process of its own; it is told when it dies."""
        actor = greenlet(life, self._hub)
        self.actors[actor] = str(owner)
        return actor

    def new_owner(self) -> Owner:
        return Owner(HOST, next(self._pids), "1-sim")

    def run(self, until: Callable[[], bool], most_steps: int = 2_000_000) -> None:
        """Let everything happen until it is over."""
        for _step in range(most_steps):
            if until():
                return
            if self._events and self._events[0][0] <= self.clock.boot:
                heappop(self._events)[2]()
                continue
            ready = [a for a in self.actors if self.stopped_until.get(a, 0.0) <= self.clock.boot]
            if ready:
                self._go_on(ready[self.random.randrange(len(ready))])
                continue
            soonest = min(
                (*self.stopped_until.values(), *(self._events[0][:1] if self._events else ())), default=None
            )
            if soonest is None:
                return
            self.clock.boot = max(self.clock.boot, soonest)
        self.wrong.append("it never came to an end")

    def _go_on(self, actor: greenlet) -> None:
        self.stopped_until.pop(actor, None)
        self.frozen.pop(actor, None)
        try:
            actor.switch()
        except Killed:
            self.dead.add(self.actors[actor])
        except Exception as error:  # noqa: BLE001  what a worker logs as a failed job is a fault here
            self.wrong.append(f"a job failed: {type(error).__name__}: {error}")
        if actor.dead:
            self.actors.pop(actor)

    def stopped_for_long(self) -> set[greenlet]:
        """The processes that do not even beat."""
        return {actor for actor, until in self.frozen.items() if until > self.clock.boot}

    def rest(self, seconds: float) -> None:
        """An actor has nothing to do for a while."""
        self.stopped_until[getcurrent()] = self.clock.boot + seconds
        self._hub.switch()

    def kill_everyone(self) -> None:
        """The world ends: greenlets that wait in it are unwound."""
        for actor in list(self.actors):
            actor.throw(GreenletExit)
        self.actors.clear()

    def is_dead(self, owner: str, _here: Owner) -> bool:
        """In place of a look at the processes of this machine."""
        return owner in self.dead

    def dispatcher(self, owner: Owner, concurrency: int) -> Dispatcher:
        return Dispatcher(
            self.database,
            self.clock,
            self.channels,
            self.preflight,
            owner,
            OneHand(),
            lambda _receipt: None,
            concurrency=concurrency,
            lease=LEASE,
        )

    def doubts(self, owner: Owner) -> Doubts:
        gatekeeper = Gatekeeper(self.channels, "Asia/Shanghai", None)
        return Doubts(
            self.database, self.clock, self.channels, self.preflight, gatekeeper, owner, lease=LEASE
        )

    def effective(self) -> dict[str, Counter[int]]:
        """How many messages of each unit reached people by which leave, the far end's repetitions aside."""
        counted: defaultdict[str, Counter[int]] = defaultdict(Counter)
        for token, effects in self.far_end.of_token.items():
            counted[token].update(e.leave for e in effects if not e.cancelled and not e.echo)
        return counted


def _no_objections(_message: object, _channel: str) -> Sequence[Any]:
    return ()
