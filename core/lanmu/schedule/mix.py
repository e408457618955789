"""The mix budget: target shares of the content classes, and which class a slot should take next."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import lcm

from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid

Number = int | float | Decimal | Fraction | str


@dataclass(frozen=True, slots=True)
class MixBudget:
    """Target shares of content classes, kept as whole parts so that no rounding ever moves a slot.

    `codes[i]` is to have `parts[i]` of every `total` slots. Class codes are data: any taxonomy will do.
    """

    codes: tuple[str, ...]
    parts: tuple[int, ...]

    @classmethod
    def of(cls, shares: Mapping[str, Number], place: str = "mix") -> "MixBudget":
        """From shares that sum to 1 (0.5) or to 100 (50, per cent).

        Floats are taken at their written value: 0.1 is one tenth.
        """
        exact = {code: _exact(share, f"{place}.{code}") for code, share in shares.items()}
        total = sum(exact.values())
        if not exact or total not in (1, 100):
            raise Invalid(
                place,
                _("the shares sum to %(total)s."),
                _("Let them sum to 1, or to 100 per cent."),
                total=f"{float(total):g}",
            )
        scale = lcm(*(share.denominator for share in exact.values()))
        return cls(tuple(exact), tuple(int(share * scale) for share in exact.values()))

    @property
    def total(self) -> int:
        """The number of slots in which every class has exactly its parts."""
        return sum(self.parts)

    @property
    def text(self) -> str:
        """The budget in a word, to tell whether it is still the same."""
        return " ".join(f"{code}:{part}" for code, part in zip(self.codes, self.parts, strict=True))

    def share(self, code: str) -> float:
        """The class's target share, 0 for a class the budget does not name."""
        return self.parts[self.codes.index(code)] / self.total if code in self.codes else 0.0

    def with_classes(self, codes: Iterable[str]) -> "MixBudget":
        """The same budget, which also knows these classes; those that are new have no share."""
        added = tuple(dict.fromkeys(code for code in codes if code not in self.codes))
        return MixBudget(self.codes + added, self.parts + (0,) * len(added)) if added else self


def _exact(share: Number, place: str) -> Fraction:
    try:
        exact = Fraction(str(share))
    except (ValueError, ZeroDivisionError) as error:
        raise Invalid(
            place, _("“%(share)s” is not a share."), _("Give a number such as 0.5."), share=share
        ) from error
    if exact < 0:
        raise Invalid(place, _("the share %(share)s is below 0."), _("Give 0 or more."), share=share)
    return exact


DEFAULT_BUDGET = MixBudget(("engagement", "conversion", "brand"), (5, 3, 2))


@dataclass(frozen=True, slots=True)
class Gauge:
    """One class's standing: what there is, what there should be, and the difference, in slots."""

    code: str
    count: int
    target: float
    share: float

    @property
    def deviation(self) -> float:
        """Slots above (+) or below (-) the target."""
        return self.count - self.target


def gauges(budget: MixBudget, counts: Mapping[str, int]) -> list[Gauge]:
    """The standing of every class, those of the budget first, then others that were counted."""
    known = budget.with_classes(sorted(counts))
    n = sum(counts.values())
    return [
        Gauge(code, counts.get(code, 0), part * n / known.total, part / known.total)
        for code, part in zip(known.codes, known.parts, strict=True)
    ]


def deviation(budget: MixBudget, counts: Mapping[str, int]) -> float:
    """Sum over the classes of the distance from their share of what was counted, in slots."""
    return sum(abs(gauge.deviation) for gauge in gauges(budget, counts))


def class_order(parts: Sequence[int], counts: Sequence[int], allowed: Iterable[int]) -> list[int]:
    """The allowed classes (by index), the one that the next slot should take first.

    This is the quota method of Balinski and Young ("The quota method of apportionment", American
    Mathematical Monthly 82, 1975). Taking merely the largest shortfall lets a class drift a whole slot
    away from its share when there are five or more. The quota method first asks who may have the slot at
    all without going above the share rounded up, and among these gives it to the largest share a slot.
    Followed from the first slot on with every class allowed, each count stays between its share rounded
    down and rounded up, so always less than one slot away. Classes that would go above their share come
    last, smallest excess first, and are taken only where a column or an empty pool leaves nothing else.
    """
    total = sum(parts)
    after = sum(counts) + 1
    under: list[tuple[Fraction, int]] = []
    over: list[tuple[int, int]] = []
    for index in allowed:
        shortfall = parts[index] * after - counts[index] * total
        if shortfall > 0:
            under.append((Fraction(-parts[index], counts[index] + 1), index))
        else:
            over.append((-shortfall, index))
    return [index for _rank, index in sorted(under)] + [index for _rank, index in sorted(over)]


def next_class(budget: MixBudget, counts: Mapping[str, int], allowed: Iterable[str] | None = None) -> str:
    """The class that the next slot should take, given what the window already holds.

    `allowed` narrows the choice to what a column permits; without it every class with a share is open.
    """
    codes = tuple(allowed) if allowed is not None else None
    known = budget.with_classes([*sorted(counts), *(codes or ())])
    if codes is None:
        choice = [index for index, part in enumerate(known.parts) if part]
    else:
        choice = [known.codes.index(code) for code in codes]
    if not choice:
        raise Invalid("classes", _("no class is allowed."), _("Allow at least one class."))
    standing = [counts.get(code, 0) for code in known.codes]
    return known.codes[class_order(known.parts, standing, choice)[0]]
