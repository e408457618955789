"""Hands for work that may block: the caller's own while all goes fast, a pool's where something is slow."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

from lanmu.interfaces.clock import Clock

T = TypeVar("T")
R = TypeVar("R")

_PATIENCE = 0.01
"""Seconds after which a batch that is not done is taken to be slow."""

_SLOW = 0.001
"""Seconds for one item from which on more hands pay: handing it to a thread takes a tenth of that."""


class Crew(Generic[T, R]):
    """Does one kind of work on each item of a batch, with its own thread and up to `hands` of the pool's.

    A far end that answers at once is served fastest by one thread. Whether it does is known from the batch
    before; where it stops doing so, a watcher calls the others in. `work` must not raise.
    """

    def __init__(self, pool: Executor, clock: Clock, work: Callable[[T], R], hands: int) -> None:
        self._pool = pool
        self._clock = clock
        self._work = work
        self._hands = hands
        self._slow = False

    def each(self, items: Sequence[T]) -> list[R]:
        """The outcome of each item, in order."""
        outcomes: dict[int, R] = {}
        todo = deque(enumerate(items))
        done = threading.Event()

        def help_out() -> int:
            helped = 0
            while True:
                try:
                    place, item = todo.popleft()
                except IndexError:
                    return helped
                outcomes[place] = self._work(item)
                helped += 1

        def call_in() -> list[Future[int]]:
            return [self._pool.submit(help_out) for _hand in range(min(self._hands, len(todo)))]

        def watch() -> list[Future[int]]:
            return [] if done.wait(_PATIENCE) else call_in()

        helpers = call_in() if self._slow else []
        watcher = self._pool.submit(watch) if len(items) > 1 and not self._slow else None
        begun = self._clock.boottime()
        own = help_out()
        if own:
            self._slow = self._clock.boottime() - begun > _SLOW * own
        done.set()
        if watcher is not None and not watcher.cancel():
            helpers = watcher.result()
        for helper in helpers:
            if not helper.cancel():  # one that no thread has taken up yet would find nothing to do
                helper.result()
        return [outcomes[place] for place in range(len(items))]
