"""How long a doubt waits: when a channel is asked, when its "nothing" counts, and when it is asked again.

Pure, and the same for every channel: what a channel declares may lengthen these times, never shorten them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from lanmu.interfaces.channels import Abilities

BEFORE, AFTER = timedelta(minutes=2), timedelta(minutes=15)
"""A write is looked for in this span around its intent: clocks differ, and far ends are slow."""

CLOCKS_DIFFER = 2 * BEFORE
"""Our clock may have been set from one end of that to the other while the far end settled."""

ABSENT_AFTER = timedelta(minutes=5)
"""Nothing found counts so long after the write at the earliest, and counts only twice, so far apart, however
soon a channel says that its far end has settled: where it is wrong, a message would be sent twice."""

LOOK_SOON = timedelta(minutes=1)
"""Until "nothing" begins to count, what may be listed by now is looked for so often."""

ASK_FOR = timedelta(hours=24)
"""A lookup that fails is tried again for so long; then a person is asked."""


@dataclass(frozen=True, slots=True)
class LookTimes:
    """The times of one channel's lookups; `absent_after` is the least of them that an operator allows."""

    settle: timedelta
    absent_after: timedelta = ABSENT_AFTER

    @classmethod
    def of(cls, abilities: Abilities, absent_after: timedelta) -> "LookTimes":
        return cls(abilities.settle, absent_after)

    @property
    def surely(self) -> timedelta:
        """After so long by our clock the far end has settled, whatever our clock was set to meanwhile."""
        return max(self.settle + min(CLOCKS_DIFFER, self.settle), self.absent_after)

    @property
    def apart(self) -> timedelta:
        """So far apart are two looks that count, where it is known when the write had ended."""
        return max(min(self.settle, ABSENT_AFTER), self.absent_after)

    def counts_at(self, intent_at: datetime, ended_at: datetime | None) -> datetime:
        """From when on nothing found counts. Where nobody knows when the write had ended, the second look is
        what surely comes after it, so the first need not."""
        return intent_at + self.absent_after if ended_at is None else ended_at + self.surely

    def soon(self, now: datetime, counts_at: datetime) -> datetime:
        """When to look again while nothing found does not count yet."""
        return min(counts_at, now + max(self.settle, LOOK_SOON))


def hasty(abilities: Abilities, absent_after: timedelta) -> bool:
    """Whether "nothing" counts sooner than is safe where people are reached: an operator waits for less than
    ABSENT_AFTER, and what the channel declares does not make up for it."""
    asked = abilities.lookup and abilities.idempotency is None
    real = not abilities.local and not abilities.sandbox
    return asked and real and absent_after < ABSENT_AFTER and abilities.settle < ABSENT_AFTER


def pace(age: timedelta) -> timedelta:
    """When to try again: a quarter of what has passed already, from a minute to two hours."""
    return min(max(age / 4, timedelta(minutes=1)), timedelta(hours=2))
