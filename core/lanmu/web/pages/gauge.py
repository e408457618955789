"""The content mix as the gauges show it: shares in per cent beside their goals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lanmu.reports.service import MIX_WINDOW, MixReport

TOLERANCE = 10
"""Points of per cent beyond which a share is marked: with ten slots a week, one slot more or less is ten."""


@dataclass(frozen=True, slots=True)
class Share:
    """A class's part of the mix, in per cent."""

    code: str
    share: float
    target: float


@dataclass(frozen=True, slots=True)
class Mix:
    """The gauge: what is planned for the coming days and what was sent in the days before."""

    planned: Sequence[Share]
    planned_count: int
    sent: Sequence[Share]
    sent_count: int
    tolerance: int = TOLERANCE
    days: int = MIX_WINDOW.days


def mix_of(planned: MixReport, sent: MixReport, order: Sequence[str]) -> Mix:
    """The gauge, its classes in the taxonomy's `order`."""
    return Mix(shares_of(planned, order), planned.count, shares_of(sent, order), sent.count)


def shares_of(report: MixReport, order: Sequence[str]) -> list[Share]:
    """The report's counts as shares; all nothing where nothing was counted."""
    whole = report.count or 1
    shares = [
        Share(gauge.code, gauge.count * 100 / whole, round(gauge.share * 100)) for gauge in report.gauges
    ]
    known = {code: number for number, code in enumerate(order)}
    return sorted(shares, key=lambda each: known.get(each.code, len(known)))


def shares_from(classes: Iterable[str], targets: Mapping[str, int], order: Sequence[str]) -> list[Share]:
    """Shares counted from the classes themselves, for a list that must not ask once for each line."""
    counted: dict[str, int] = {}
    for code in classes:
        counted[code] = counted.get(code, 0) + 1
    whole = sum(counted.values()) or 1
    codes = dict.fromkeys([*order, *targets, *counted])
    return [Share(code, counted.get(code, 0) * 100 / whole, targets.get(code, 0)) for code in codes]


def furthest_off(shares: Sequence[Share]) -> Share | None:
    """The class that is furthest from its goal, if any is beyond the tolerance."""
    off = [each for each in shares if abs(each.share - each.target) > TOLERANCE]
    return max(off, key=lambda each: abs(each.share - each.target), default=None)
