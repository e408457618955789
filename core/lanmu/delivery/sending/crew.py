"""Hands for work that may block: one of a pool's threads while all goes fast, more where it is slow."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Generic, TypeVar

from lanmu.interfaces.clock import Clock

T = TypeVar("T")
R = TypeVar("R")

_PATIENCE = 0.01
"""Seconds that a batch may take in any case before more hands are called in."""

_SLOW = 0.001
"""Seconds for one item from which on more hands pay: handing it to a thread takes a tenth of that."""


class Crew(Generic[T, R]):
    """Does one kind of work on each item of a batch, with up to `hands` of the pool's threads.

    A far end that answers at once is served fastest by one hand. Whether it does is known from the batch
    before; where it stops doing so, the others are called in. Whoever asks only waits: so no more is done at
    once than the pool has threads, however many share it. `work` must not raise.
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

        def help_out() -> float:
            begun = self._clock.boottime()
            while True:
                try:
                    place, item = todo.popleft()
                except IndexError:
                    return self._clock.boottime() - begun
                outcomes[place] = self._work(item)

        def call_in(hands: int) -> list[Future[float]]:
            return [self._pool.submit(help_out) for _hand in range(min(hands, len(todo)))]

        helpers = call_in(self._hands if self._slow else 1)
        if not self._slow and wait(helpers, _PATIENCE + _SLOW * len(items)).not_done:
            helpers += call_in(self._hands - 1)
        wait(helpers, return_when=FIRST_COMPLETED)
        # The first is done where nothing is left to take up: who has not begun by now need not.
        took = [helper.result() for helper in helpers if not helper.cancel()]
        self._slow = sum(took) > _SLOW * len(items)
        return [outcomes[place] for place in range(len(items))]
