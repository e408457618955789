"""Named places on the way of a message where a test may kill the process, as the OOM killer does.

Off unless LANMU_CRASH_POINTS=1: `reach` does nothing. LANMU_CRASH_AT=after_intent then kills
the process (SIGKILL) when it comes by the first time, after_intent:3 the third time.
"""

import os
import signal
import threading
from collections.abc import Callable, Mapping

NAMES = (
    "during_intake",
    "during_expansion",
    "after_claim",
    "before_intent",
    "after_intent",
    "during_write",
    "after_write",
    "before_record",
    "after_record",
    "during_doubts",
)
"""In the order in which a message comes by. `during_write` kills from a second thread, while the write is on
its way."""

_WHILE_WRITING = 0.05
"""Seconds from the beginning of a write to a death in the midst of it."""


def _nothing(name: str) -> None:
    """What nearly every process does at these places."""


def armed(environ: Mapping[str, str], kill: Callable[[], None]) -> Callable[[str], None]:
    """What is to be done at the places, by the environment. Raises ValueError for a name that is none."""
    wanted = environ.get("LANMU_CRASH_AT", "")
    if environ.get("LANMU_CRASH_POINTS") != "1" or not wanted:
        return _nothing
    at, _colon, times = wanted.partition(":")
    if at not in NAMES:
        raise ValueError(f"LANMU_CRASH_AT: “{at}” is no crash point. There are: {', '.join(NAMES)}.")
    left = int(times or 1)
    lock = threading.Lock()

    def die_there(name: str) -> None:
        nonlocal left
        if name != at:
            return
        with lock:
            left -= 1
            if left:
                return
        if name == "during_write":
            threading.Timer(_WHILE_WRITING, kill).start()
        else:
            kill()

    return die_there


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


reach = armed(os.environ, _kill)
"""Called by its module's name at each place, so that a simulation can put itself there."""
