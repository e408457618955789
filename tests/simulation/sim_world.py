"""A world in one thread: production code on SQLite, a far end that forgets nothing, and seeded chance.

Virtual workers are greenlets that run the production dispatcher. At every named point of the code (crash
points, the way to the far end and back) chance may let another worker go on, stop this one for hours, put
the whole machine to sleep, set its clock, or kill it. Nothing else is simulated: claims, fences, intents,
records, the reaper, the gate and the doubts are the code that ships.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import time, timedelta
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet
from sqlalchemy import func, select
from tests.simulation.far_end import CHANNELS, Effect, FarEnd, SimChannel
from tests.simulation.sim_chances import CALM, Chances
from tests.simulation.sim_clock import SimClock
from tests.simulation.sim_database import SimDatabase, SimJournal
from tests.simulation.sim_material import PACED
from tests.simulation.sim_promises import Promises

from lanmu.delivery.door.questions import Gatekeeper
from lanmu.delivery.door.quiet import QuietHours
from lanmu.delivery.followup.doubts import Doubts
from lanmu.delivery.installation.clock_watch import ClockWatch, trust
from lanmu.delivery.installation.instance_models import ClockRecord
from lanmu.delivery.installation.owner import Owner
from lanmu.delivery.models import Attempt, Unit
from lanmu.delivery.sending.dispatcher import GUARD_GAP, Dispatcher
from lanmu.delivery.sending.preflight import Preflight
from lanmu.delivery.service import DeliveryService
from lanmu.interfaces.channels import Rate
from lanmu.interfaces.clock import FarTime
from lanmu.library.views import Snapshot
from lanmu.rehearsal.capturing import AtOnce
from lanmu.storage.away import AWAY

HOST = "simulated"
LEASE = timedelta(seconds=60)
QUIET = QuietHours(time(9, 10), time(9, 30))
"""In the shop's zone, from ten minutes after the beginning of a run on."""


PACE_OF = timedelta(minutes=1)


ENOUGH = 100
"""Faults after which a world need not go on."""


class Killed(BaseException):
    """A death of the process: no code may catch it."""


_OF_UNITS = dict.fromkeys(("during_write", "after_write", "answering", "looking"), 1.0) | {"connecting": 0.1}
"""Points that every unit passes, and how much is made of each."""
_ABOUT_TO_INTEND = frozenset({"connecting", "before_intent"})
"""Right after these the code reads the clock by which it takes from the buckets."""


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
        self.far_end = FarEnd(self.clock, self.random, self._took, self._called, self.chances.faults)
        pace = (Rate(self.chances.pace, PACE_OF),)
        self.channels = {
            name: SimChannel(
                name, replace(each, limits=pace) if name == PACED else each, self.far_end, self.reach
            )
            for name, each in CHANNELS.items()
        }
        self.journal = SimJournal(database.folder)
        self.service = DeliveryService(database, self.clock, self.channels, journal=self.journal)
        self.preflight = Preflight(database, self.clock, lambda _revision: snapshot, _no_objections, "Shop")
        self.snapshot = snapshot
        self.calm = False
        self.wrong: list[str] = []
        self.happened: Counter[str] = Counter()
        self.killed_at: Counter[str] = Counter()
        self.promises = Promises(self.clock, self.chances.clock_most)
        self.calls: defaultdict[str, list[float]] = defaultdict(list)
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
        self._watches: dict[greenlet, ClockWatch] = {}
        self._heard: dict[greenlet, FarTime] = {}
        self._intended_at: dict[greenlet, float] = {}
        self._away_until = 0.0
        database.is_away = lambda: self.clock.boot < self._away_until
        database.ends = self._commit_ends

    # What the production code comes by

    def reach(self, name: str) -> None:
        """A named point of the code: goes on at once, or after others have, or never."""
        self.stall = 0.0
        if getcurrent() is self._hub:
            return
        self.clock.pass_by(0.002)
        if not self.calm:
            self._chance(name)
        if name in _ABOUT_TO_INTEND:
            self._intended_at[getcurrent()] = self.clock.boot

    def _chance(self, name: str) -> None:
        roll = self.random.random()
        chances = self.chances
        rarer = chances.each_unit * _OF_UNITS[name] if name in _OF_UNITS else 1.0
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
            self.set_the_clock()
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

    def set_the_clock(self) -> None:
        """A person or a time server sets it a little, or somebody sets it wrong by hours."""
        most, chance = self.chances.clock_most, self.random
        hours = chance.choice((-1.0, 1.0)) * chance.uniform(600, 4 * 3600)
        if chance.random() < self.chances.jumps and not self.database.is_away():
            self.happened["clock jumped ahead" if hours > 0 else "clock jumped back"] += 1
            self.clock.set_ahead(hours)
        else:
            self.happened["clock set"] += 1
            self.clock.set_ahead(chance.choice((0.0, chance.uniform(-4.0, 4.0), chance.uniform(-most, most))))
        self.at(chance.uniform(30, 900), lambda: self.clock.set_ahead(0.0))
        # Every process glances at it some times a second, and looks closely where it has jumped.
        for actor in self.awake():
            if not self._watches[actor].sane():
                self.tick(actor)

    def _commit_ends(self) -> str:
        """How the commit of a transaction goes that the database has taken till then."""
        if self.calm or getcurrent() is self._hub or self.random.random() >= self.chances.away:
            return ""
        self.happened["database went away"] += 1
        self._away_until = self.clock.boot + self.random.choice((5.0, 40.0, 90.0, 400.0))
        return self.random.choice(("undone", "unheard"))

    def bring_the_database_back(self) -> None:
        self._away_until = 0.0

    def _called(self, channel: str) -> None:
        """A call arrives at a far end, whose answer says what time it is there."""
        self._heard[getcurrent()] = FarTime(self.clock.true(), self.clock.boot)
        self.calls[channel].append(self._intended_at.get(getcurrent(), self.clock.boot))

    def _took(self, effect: Effect) -> None:
        """The far end tells at once of each message that reached people."""
        token = effect.token
        if self.stall > GUARD_GAP:
            self.stalled_at_the_write.add(token)
        if token in self.again:
            effect.leave = self._leave(token)
        if token in self.stalled_at_the_write:  # what nobody can promise (delivery.md 2.6)
            return
        earliest, latest = self.clock.walls()
        if self.said.get(token) in ("sent", "give_up") and earliest == latest:
            self.wrong.append(f"after a person's word: {token}")
        self.wrong.extend(self.promises.broken_by(effect))

    def _leave(self, token: str) -> int:
        """How many of the persons' words "again" were spoken before the intent of this worker's write."""
        mine = (
            select(func.max(Attempt.fence))
            .join(Unit, Unit.id == Attempt.unit_id)
            .where(Unit.token == token, Attempt.owner == self.actors.get(getcurrent(), ""))
        )
        with self.database.seen_from_outside() as session:
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
            if until() or len(self.wrong) > ENOUGH:
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
        except AWAY:
            self.happened["a job met no database"] += 1
        except Exception as error:  # noqa: BLE001  what a worker logs as a failed job is a fault here
            self.wrong.append(f"a job failed: {type(error).__name__}: {error}")
        if actor.dead:
            self._forget(actor)

    def _forget(self, actor: greenlet) -> None:
        for known in (self.actors, self._watches, self._heard, self._intended_at):
            known.pop(actor, None)

    def restart(self) -> None:
        """Everybody who is awake is ended, as by the restart of a service."""
        for actor in self.awake():
            owner = self.actors[actor]
            try:
                actor.throw(Killed)
            except Killed:
                self.dead.add(owner)
            self.stopped_until.pop(actor, None)
            self._forget(actor)

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

    # The clock watches of the processes

    def start_watching(self) -> None:
        """What every process does first: it looks at the clock."""
        me = getcurrent()
        self._watches[me] = ClockWatch(self.clock, lambda: self._far_times(me), HOST)
        self.tick(me)

    def _far_times(self, actor: greenlet) -> Iterable[FarTime]:
        return (self._heard[actor],) if actor in self._heard else ()

    def awake(self) -> list[greenlet]:
        """The processes that watch, and do not stand still."""
        asleep = self.stopped_for_long()
        return [actor for actor in self._watches if actor not in asleep]

    def tick(self, actor: greenlet) -> None:
        """One look of a process at the clock."""
        try:
            with self.database.write() as session:
                self._watches[actor].tick(session)
        except AWAY:
            self.happened["a job met no database"] += 1

    def may_act(self, actor: greenlet) -> bool:
        """Whether a process may do more than send: as far as it can tell, and as stands in the database."""
        return self._watches[actor].sane() and not self.clock_is_doubted()

    def clock_is_doubted(self) -> bool:
        with self.database.seen_from_outside() as session:
            return session.scalar(select(ClockRecord.suspect_since)) is not None

    def trust_the_clock(self) -> None:
        """A person has set it right, and says so."""
        self.clock.set_ahead(0.0)
        with self.database.write() as session:
            row = session.scalar(select(ClockRecord))
            if row is not None and row.suspect_since is not None:
                trust(session, row, self.clock.now())
                self.happened["clock trusted by a person"] += 1

    def dispatcher(self, owner: Owner, concurrency: int) -> Dispatcher:
        return Dispatcher(
            self.database,
            self.clock,
            self.channels,
            self.preflight,
            owner,
            AtOnce(),
            lambda _receipt: None,
            concurrency=concurrency,
            lease=LEASE,
            clock_is_sane=self._watches[getcurrent()].sane,
            journal=self.journal,
            pause=self.rest,
            gatekeeper=self._gatekeeper(),
        )

    def doubts(self, owner: Owner) -> Doubts:
        return Doubts(
            self.database,
            self.clock,
            self.channels,
            self.preflight,
            self._gatekeeper(),
            owner,
            lease=LEASE,
            journal=self.journal,
            may_send=self._watches[getcurrent()].sane,
            pause=self.rest,
        )

    def _gatekeeper(self) -> Gatekeeper:
        return Gatekeeper(self.channels, "Asia/Shanghai", QUIET)

    def effective(self) -> dict[str, Counter[int]]:
        """How many messages of each unit reached people by which leave, the far end's repetitions aside."""
        counted: defaultdict[str, Counter[int]] = defaultdict(Counter)
        for token, effects in self.far_end.of_token.items():
            counted[token].update(e.leave for e in effects if not e.cancelled and not e.echo)
        return counted


def _no_objections(_message: object, _channel: str) -> Sequence[Any]:
    return ()
