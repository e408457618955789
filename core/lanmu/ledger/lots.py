"""Which lots a spending takes from: those that expire first, then the older ones; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LotLeft:
    """What is left of a lot. `expires_at` None: it never expires."""

    id: int
    remaining: int
    expires_at: datetime | None

    def live(self, now: datetime) -> bool:
        """A lot is dead from the very instant of its expiry, whether or not the expiry job has come by."""
        return self.remaining > 0 and (self.expires_at is None or self.expires_at > now)

    @property
    def order(self) -> tuple[datetime, int]:
        return self.expires_at or _NEVER, self.id


@dataclass(frozen=True, slots=True)
class Take:
    """`points` out of one lot."""

    lot: int
    points: int


def take(lots: Iterable[LotLeft], points: int, now: datetime) -> Sequence[Take]:
    """Take up to `points` from the live lots, first to expire first; less where there is not more."""
    taken: list[Take] = []
    for lot in sorted((lot for lot in lots if lot.live(now)), key=lambda lot: lot.order):
        if points <= 0:
            break
        part = min(points, lot.remaining)
        taken.append(Take(lot.id, part))
        points -= part
    return taken


def give_back(takes: Sequence[Take], already: int, points: int) -> Sequence[Take]:
    """Undo `points` of what was taken, last taken first, after `already` points were given back before."""
    back: list[Take] = []
    for taken in reversed(takes):
        skipped = min(already, taken.points)
        already -= skipped
        part = min(points, taken.points - skipped)
        points -= part
        if part:
            back.append(Take(taken.lot, part))
    return back
