"""The worker: a timekeeper that sleeps to the next instant, and Huey's threads that do what it rings for."""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import structlog
from huey.consumer import Consumer

from lanmu.delivery.owner import this_process
from lanmu.doorbell import make_queue
from lanmu.server import Server

log = structlog.get_logger(__name__)

_GLANCE = 0.2
"""Seconds after which the timekeeper looks for what others have put in; it sleeps no longer than that."""

_DISPATCH_RINGS = 0.5
_JOB_RINGS = 30.0
"""Seconds after which a ring that nobody here has answered may be repeated."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class _QuietConsumer(Consumer):  # type: ignore[misc]
    def _set_signal_handlers(self) -> None:
        """The process has its own: Lanmu stops web, worker and services in its own order."""


class Worker:
    """Runs due pushes and the jobs around them. `start` comes back; `stop` finishes what is in flight."""

    def __init__(self, server: Server) -> None:
        self._server = server
        config = server.config
        self.owner = this_process()
        lanes = config.queue.workers
        # What one crash can leave ambiguous is the concurrency, so the lanes share it.
        self._pool = ThreadPoolExecutor(config.delivery.concurrency, thread_name_prefix="send")
        self._dispatcher = server.dispatcher(
            self.owner, self._pool, batch=max(1, config.delivery.concurrency // lanes)
        )
        self._queue = make_queue(config, server.signer.key("queue"))
        self._stopping = threading.Event()
        self._ringing: dict[str, float] = {}
        self._lock = threading.Lock()
        self._jobs: dict[str, Callable[[], object]] = {
            "dispatch": lambda: self._dispatcher.run_due(self._stopping.is_set),
            "results": server.results.poll,
            "hand_over": server.schedule.hand_over,
            "plan": server.schedule.plan_ahead,
            "sync": self._sync,
            "ledger": self._keep_ledger,
        }
        self._every = {
            "results": timedelta(seconds=2),
            "hand_over": timedelta(seconds=config.delivery.sweep_seconds),
            "plan": timedelta(minutes=10),
            "sync": timedelta(seconds=30),
            "ledger": timedelta(minutes=1),
        }
        self._rang_at: dict[str, datetime] = {}
        self._task = self._queue.task(name="job")(self._run)
        self._consumer = _QuietConsumer(
            self._queue,
            workers=lanes,
            periodic=False,
            max_delay=0.1,
            initial_delay=0.02,
            check_worker_health=False,
        )
        self._timekeeper = threading.Thread(target=self._keep_time, name="timekeeper", daemon=True)

    def start(self) -> None:
        # Rings that a former life left behind would only run what the sweep runs anyway.
        with contextlib.suppress(Exception):
            self._queue.storage.flush_queue()
        self._consumer.start()
        self._timekeeper.start()

    def stop(self) -> None:
        """Claim nothing more, finish what is in flight, and say so to the others."""
        self._stopping.set()
        self._timekeeper.join(timeout=10)
        self._consumer.stop(graceful=True)
        self._pool.shutdown(wait=True)
        with contextlib.suppress(Exception):
            self._server.delivery.retire(self.owner)

    def _keep_time(self) -> None:
        swept_at = _LONG_AGO
        while not self._stopping.is_set():
            pause = _GLANCE
            try:
                now = self._server.clock.now()
                if now - swept_at >= timedelta(seconds=self._server.config.delivery.sweep_seconds):
                    swept_at = now
                    self._sweep()
                self._ring_what_is_due(now)
                due = self._server.delivery.next_due()
                if due is not None:
                    wait = (due - self._server.clock.now()).total_seconds()
                    if wait <= 0:
                        self._ring("dispatch", lanes=self._server.config.queue.workers)
                        pause = 0.05
                    else:
                        pause = min(wait, _GLANCE)
            except Exception:
                log.exception("the timekeeper stumbled and goes on")
                pause = 1.0
            self._stopping.wait(pause)

    def _sweep(self) -> None:
        self._server.delivery.beat(self.owner)
        taken = self._server.delivery.reap(self.owner)
        if any(taken.values()):
            log.warning("took units back from workers that are gone", **taken)

    def _ring_what_is_due(self, now: datetime) -> None:
        for job, pace in self._every.items():
            if now - self._rang_at.get(job, _LONG_AGO) >= pace:
                self._rang_at[job] = now
                self._ring(job)

    def _ring(self, job: str, lanes: int = 1) -> None:
        for lane in range(lanes):
            ring = f"{job}/{lane}"
            if not self._may_ring(ring):
                continue
            try:
                self._task(ring)
            except Exception:  # noqa: BLE001  the queue's server is away: work goes on, only without help
                log.warning("the queue cannot be reached; the timekeeper does the work itself", job=job)
                self._run(ring)

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
        try:
            self._jobs[ring.partition("/")[0]]()
        except Exception:
            log.exception("a job failed; the next sweep tries again", job=ring)
        finally:
            with self._lock:
                self._ringing.pop(ring, None)

    def _sync(self) -> None:
        folder = self._server.config.library.folder
        if folder is not None and folder.is_dir():
            report = self._server.library.folder.run(folder)
            if report.added or report.changed or report.retired or report.conflicts:
                log.info(
                    "the library's files were synced",
                    added=len(report.added),
                    changed=len(report.changed),
                    retired=len(report.retired),
                    conflicts=len(report.conflicts),
                )

    def _keep_ledger(self) -> None:
        self._server.ledger.expire()
        self._server.sealer.seal()
