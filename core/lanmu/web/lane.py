"""Threads for the web's requests, and two more for those that ask whether the server is well.

With a database that hangs all threads are soon taken by pages that wait for it. A watcher that had to stand
in line behind them would take a server for dead that is only waiting, and start it anew for nothing.
"""

from collections.abc import Collection
from typing import Any

from waitress.task import ThreadedTaskDispatcher

from lanmu.web.health import LANE


class Threads:
    """waitress's own dispatcher with `count` threads, and a second one beside it for the lane."""

    def __init__(self, count: int) -> None:
        self._usual: Any = ThreadedTaskDispatcher()
        self._lane: Any = ThreadedTaskDispatcher()
        self._usual.set_thread_count(count)
        self._lane.set_thread_count(2)

    @property
    def active_count(self) -> int:
        """Threads that are at work for people and programs."""
        return int(self._usual.active_count)

    @property
    def queue(self) -> Collection[Any]:
        """What waits for a thread."""
        found: Collection[Any] = self._usual.queue
        return found

    def add_task(self, task: Any) -> None:
        """Have a request answered, by whichever threads are for it."""
        requests = task.requests
        to_lane = requests and requests[0].path in LANE
        (self._lane if to_lane else self._usual).add_task(task)

    def shutdown(self) -> None:
        """End the threads; what has not begun is dropped."""
        self._lane.shutdown(timeout=1)
        self._usual.shutdown()
