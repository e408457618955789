"""What all calls of a sandbox share: its memory, its time, its options, its counters and its switches."""

import itertools
import secrets
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from lanmu.interfaces.clock import Clock
from lanmu_wecom.sandbox.faults import Faults
from lanmu_wecom.sandbox.options import Options
from lanmu_wecom.sandbox.store import Store

SHANGHAI = ZoneInfo("Asia/Shanghai")

SWITCHES = {
    "ip_not_allowed": 60020,
    "app_off": 50003,
    "api_denied": 48002,
    "out_of_range": 60011,
}
"""What an administrator may have set wrong, and the code that every call then gets."""


class WecomError(Exception):
    """An errcode that the sandbox answers; `extra` are empty defaults that failure bodies may carry."""

    def __init__(self, code: int, text: str, **extra: object) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.extra = extra


@dataclass
class Counters:
    """What was seen, for tests to ask."""

    errcodes: dict[str, int] = field(default_factory=dict)
    wrong_json: int = 0
    most_at_once: int = 0


class World:
    """The look-alike's whole state. Handlers take `store.lock` through `store.change()`."""

    def __init__(self, clock: Clock, store: Store, options: Options) -> None:
        self._clock = clock
        self.store = store
        self.options = options
        self.faults = Faults()
        self.counters = Counters()
        self.answers = itertools.count(1)
        self.reads = itertools.count(1)
        self.switches: set[str] = set(store.note("switches") or ())
        self._ahead = timedelta(seconds=float(store.note("ahead") or 0))
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}
        self._inside: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._revision = secrets.randbelow(1 << 30)  # so that a page notices a restart as a change

    @property
    def revision(self) -> int:
        """Grows with everything that a phone could show."""
        return self._revision

    def changed(self) -> None:
        self._revision += 1

    def now(self) -> datetime:
        """The sandbox's own time: the clock, and what it was put forward by."""
        return self._clock.now() + self._ahead

    def stamp(self) -> float:
        return self.now().timestamp()

    def put_forward(self, seconds: float) -> None:
        """Let the sandbox's time run ahead, so that tokens and media can be seen to expire."""
        self._ahead += timedelta(seconds=seconds)
        self.store.set_note("ahead", self._ahead.total_seconds())
        self.changed()

    def month(self) -> tuple[str, int]:
        """The calendar month in Shanghai, and how many broadcasts it allows a recipient."""
        local = self.now().astimezone(SHANGHAI)
        first = local.replace(day=1)
        days = ((first + timedelta(days=32)).replace(day=1) - first).days
        return f"{local:%Y-%m}", self.options.quota or days

    def set_switch(self, name: str, on: bool) -> None:
        (self.switches.add if on else self.switches.discard)(name)
        self.store.set_note("switches", sorted(self.switches))

    def count(self, key: str, window: str, seconds: float, limit: int) -> None:
        """Count one call in a window; over the limit every call is refused until the block has passed.

        The block is as long as the window and starts where the limit was broken.
        """
        if not limit:
            return
        now = self.stamp()
        with self._lock:
            until, used = self._windows.get((key, window), (now + seconds, 0))
            if now >= until:
                until, used = now + seconds, 0
            used += 1
            if used == limit + 1:
                until = now + seconds
            self._windows[(key, window)] = (until, used)
        if used > limit:
            raise WecomError(45009, "api freq out of limit")

    def enter(self, call: str) -> None:
        """Count who is inside a call at the same time. Raises 45033; whoever entered must leave."""
        with self._lock:
            inside = self._inside[call] = self._inside[call] + 1
            self.counters.most_at_once = max(self.counters.most_at_once, sum(self._inside.values()))
        if self.options.concurrency and inside > self.options.concurrency:
            self.leave(call)
            raise WecomError(45033, "api concurrent out of limit")

    def leave(self, call: str) -> None:
        with self._lock:
            self._inside[call] -= 1


def instant(stamp: float) -> str:
    """A stamp as people and programs read it."""
    return datetime.fromtimestamp(stamp, UTC).isoformat()
