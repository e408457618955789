"""The worker: a timekeeper that sleeps to the next instant, and Huey's threads that do what it rings for."""

import contextlib
import gc
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lanmu.delivery.installation.owner import this_process
from lanmu.doorbell import hush, make_queue
from lanmu.interfaces.clock import Clock
from lanmu.lean_huey import Consumer
from lanmu.server import Server
from lanmu.storage.away import AWAY, cause_of

log = logging.getLogger(__name__)

_GLANCE = 0.2
"""Seconds after which the timekeeper looks for what others have put in; it sleeps no longer than that."""

_DISPATCH_RINGS = 0.5
_JOB_RINGS = 30.0
"""Seconds after which a ring that nobody here has answered may be repeated."""

_QUEUE_AWAY = 5.0
"""Seconds for which a queue that could not be reached is not tried again."""

_TOLD_AGAIN = 60.0
"""Seconds after which it is told once more what is still away."""

_QUIET = 10.0
"""Seconds without a fault after which the database counts as back."""

_DRAIN_SECONDS = 16.0  # with what stands around it a stop takes no longer than twenty

_EXPANDS_FOR = 2.0
"""Seconds after which the making of a large push's units lets other jobs have their turn."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class _QuietConsumer(Consumer):  # type: ignore[misc]
    def _set_signal_handlers(self) -> None:
        """The process has its own: Lanmu stops web, worker and services in its own order."""


class _Trouble:
    """Tells of something that is away when that begins, every minute while it lasts, and when it is back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}
        self._met: dict[str, float] = {}

    def met(self, what: str, error: BaseException) -> None:
        now = self._met[what] = self._clock.boottime()
        told = self._told.get(what)
        if told is None or now - told >= _TOLD_AGAIN:
            self._told[what] = now
            log.error(
                f"{what} cannot be used; it is tried again until it can", extra={"error": cause_of(error)}
            )

    def over(self, what: str, quiet: float = 0.0) -> None:
        """It worked; nothing may have failed for `quiet` seconds: a full disk still takes small changes."""
        if what in self._told and self._clock.boottime() - self._met[what] >= quiet:
            del self._told[what]
            log.warning(f"{what} can be used again")

    def lasts(self, what: str) -> bool:
        return what in self._told


_DATABASE, _QUEUE = "the database", "the queue"


@dataclass(frozen=True, slots=True)
class _Job:
    """What a ring has done, and how often it is rung at least; None: only when something is due.

    `in_any_case`: in a frozen installation too, or by a doubted clock. A claim looks at that itself, and what
    is expanded is not sent by that.
    """

    do: Callable[[], object]
    every: timedelta | None = None
    in_any_case: bool = False


class Worker:
    """Runs due pushes and the jobs around them. `start` comes back; `stop` finishes what is in flight."""

    def __init__(self, server: Server) -> None:
        self._server = server
        config = server.config
        self.owner = this_process()
        lanes = config.queue.workers
        # What one crash can leave ambiguous is the concurrency, so the lanes share it.
        calls = config.delivery.calls or config.delivery.concurrency
        self._pool = ThreadPoolExecutor(calls, thread_name_prefix="send")
        self._preparing = ThreadPoolExecutor(calls, thread_name_prefix="prepare")
        self._dispatcher = server.dispatcher(
            self.owner,
            self._pool,
            batch=max(1, config.delivery.concurrency // lanes),
            preparing=self._preparing,
        )
        self._queue = make_queue(config, server.signer.key("queue"))
        self._stopping = threading.Event()
        self._ringing: dict[str, float] = {}
        self._running: set[str] = set()
        self._trouble = _Trouble(server.clock)
        self._queue_away_until = 0.0
        hands = lanes + 2  # while all lanes send, two are left for the other jobs
        self._spare = ThreadPoolExecutor(hands, thread_name_prefix="spare")
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._jobs = self._made_jobs()
        self._rang_at: dict[str, datetime] = {}
        self._task = self._queue.task(name="job")(self._run)
        self._consumer = _QuietConsumer(
            self._queue,
            workers=hands,
            periodic=False,
            max_delay=0.1,
            initial_delay=0.02,
            check_worker_health=False,
            shutdown_timeout=_DRAIN_SECONDS,
        )
        hush(server.clock)
        self._timekeeper = threading.Thread(target=self._keep_time, name="timekeeper", daemon=True)

    def _made_jobs(self) -> dict[str, _Job]:
        server, stopping = self._server, self._stopping.is_set
        sweep = timedelta(seconds=server.config.delivery.sweep_seconds)
        return {
            "dispatch": _Job(lambda: self._dispatcher.run_due(stopping), in_any_case=True),
            "results": _Job(lambda: server.results.poll(stop=stopping), timedelta(seconds=2)),
            "doubts": _Job(server.doubts(self.owner).look, timedelta(seconds=5)),
            "hand_over": _Job(server.schedule.hand_over, sweep),
            "expand": _Job(self._expand, timedelta(seconds=2), in_any_case=True),
            "plan": _Job(server.schedule.plan_ahead, timedelta(minutes=10)),
            "sync": _Job(self._sync, timedelta(seconds=30), in_any_case=True),
            "ledger": _Job(self._keep_ledger, timedelta(minutes=1)),
            "limits": _Job(lambda: server.limits.forget_the_past(stopping), timedelta(days=1)),
        }

    def start(self) -> None:
        """Begin. Raises Conflict where another host is at work on the same SQLite database."""
        self._server.home.tick()
        # Rings that a former life left behind would only run what the sweep runs anyway.
        with contextlib.suppress(Exception):
            self._queue.storage.flush_queue()
        with contextlib.suppress(Exception):  # whatever is wrong is told when there is something to send
            self._dispatcher.warm_up()
        # What is there now stays. Looking through it again and again took a fifth of the time of a message.
        gc.collect()
        gc.freeze()
        self._consumer.start()
        self._timekeeper.start()

    def stop(self) -> bool:
        """Claim nothing more, finish what is in flight, and give the rest back to the others.

        Answers within twenty seconds, and whether all was finished: if not, whoever called should end the
        process, and what was being written is looked up or put to a person after the next start.
        """
        self._stopping.set()
        # Waited for in real time, as Huey does, whatever the clock in hand says.
        give_up = time.monotonic() + _DRAIN_SECONDS
        self._timekeeper.join(timeout=2)
        self._consumer.stop(graceful=True)
        with self._idle:  # while the queue is away jobs run in threads that Huey knows nothing of
            finished = self._idle.wait_for(lambda: not self._running, max(0.0, give_up - time.monotonic()))
        hanging = any(thread.is_alive() for _worker, thread in self._consumer.worker_threads)
        finished = finished and not hanging
        for pool in (self._preparing, self._pool, self._spare):
            pool.shutdown(wait=finished, cancel_futures=True)
        if not finished:  # and so it has not retired: who retires is taken to write nothing any more
            log.warning("what was under way did not end in time; its units will be looked into")
            return False
        with contextlib.suppress(Exception):
            self._server.delivery.retire(self.owner)
        return True

    def _keep_time(self) -> None:
        swept_at = _LONG_AGO
        while not self._stopping.is_set():
            pause = _GLANCE
            try:
                now = self._server.clock.now()
                if abs(now - swept_at) >= timedelta(seconds=self._server.config.delivery.sweep_seconds):
                    swept_at = now
                    self._sweep()
                    self._trouble.over(_DATABASE, _QUIET)
                elif self._clock_has_just_jumped():
                    self._server.home.tick()
                self._ring_what_is_due(now)
                due = self._server.delivery.next_due()
                if due is not None:
                    wait = (due - self._server.clock.now()).total_seconds()
                    if wait <= 0:
                        self._ring("dispatch", lanes=self._server.config.queue.workers)
                        pause = 0.05
                    else:
                        pause = min(wait, _GLANCE)
            except AWAY as error:
                self._trouble.met(_DATABASE, error)
            except Exception:
                log.exception("the timekeeper stumbled and goes on")
                pause = 1.0
            self._stopping.wait(1.0 if self._trouble.lasts(_DATABASE) else pause)

    def _sweep(self) -> None:
        self._server.home.tick()
        self._server.delivery.beat(self.owner)
        if not self._may_act():
            return  # by a clock that jumped every lease would seem to be over
        taken = self._server.delivery.reap(self.owner)
        if any(taken.values()):
            log.warning(
                "took units back whose lease ran out, or whose worker has ended",
                extra={"not_sent": taken["leased"], "in_doubt": taken["calling"]},
            )

    def _may_act(self) -> bool:
        return self._server.home.state().ok and self._server.home.may_send()

    def _clock_has_just_jumped(self) -> bool:
        return not self._server.home.may_send() and self._server.home.state().ok

    def _ring_what_is_due(self, now: datetime) -> None:
        for name, job in self._jobs.items():
            if job.every is not None and abs(now - self._rang_at.get(name, _LONG_AGO)) >= job.every:
                self._rang_at[name] = now
                self._ring(name)

    def _ring(self, job: str, lanes: int = 1) -> None:
        for lane in range(lanes):
            ring = f"{job}/{lane}"
            if not self._may_ring(ring):
                continue
            if self._server.clock.boottime() < self._queue_away_until:
                self._spare.submit(self._run, ring)
                continue
            try:
                self._task(ring)
                self._trouble.over(_QUEUE)
            except Exception as error:  # noqa: BLE001  the queue's server is away: work goes on without it
                self._trouble.met(_QUEUE, error)
                self._queue_away_until = self._server.clock.boottime() + _QUEUE_AWAY
                self._spare.submit(self._run, ring)

    def _may_ring(self, ring: str) -> bool:
        """Not while it rings: rings would pile up behind a long job. Another process may have answered it
        and this one never hears, so a ring is over after a while in any case."""
        now = self._server.clock.boottime()
        with self._lock:
            if now < self._ringing.get(ring, 0.0):
                return False
            self._ringing[ring] = now + (_DISPATCH_RINGS if ring.startswith("dispatch/") else _JOB_RINGS)
            return True

    def _run(self, ring: str) -> None:
        """One job, called by a ring. Another process may answer it: then nothing here knows the ring."""
        with self._lock:
            if ring in self._running:
                return
            self._running.add(ring)
        try:
            job = self._jobs[ring.partition("/")[0]]
            if job.in_any_case or self._may_act():
                job.do()
        except AWAY as error:
            self._trouble.met(_DATABASE, error)
        except Exception:
            log.exception("a job failed; the next sweep tries again", extra={"job": ring})
        finally:
            with self._lock:
                self._running.discard(ring)
                self._ringing.pop(ring, None)
                self._idle.notify_all()

    def _expand(self) -> None:
        until = self._server.clock.boottime() + _EXPANDS_FOR
        self._server.delivery.expand(lambda: self._stopping.is_set() or self._server.clock.boottime() > until)

    def _sync(self) -> None:
        folder = self._server.config.library.folder
        if folder is not None and folder.is_dir():
            report = self._server.library.folder.run(folder)
            if report.added or report.changed or report.retired or report.conflicts:
                log.info(
                    "the library's files were synced",
                    extra={
                        "added": len(report.added),
                        "changed": len(report.changed),
                        "retired": len(report.retired),
                        "conflicts": len(report.conflicts),
                    },
                )

    def _keep_ledger(self) -> None:
        self._server.ledger.expire()
        self._server.sealer.seal()
