"""What the planner is asked and what it answers: openings, materials and rules in, picks with reasons out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid
from lanmu.schedule.mix import DEFAULT_BUDGET, MixBudget

Key = int | str
"""An id as the caller has it. Within one request the ids of a sort are all numbers or all text."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A material as the planner sees it. Validity is half-open: `valid_from <= instant < valid_until`.

    Of two materials that would do, the one with the larger weight goes first.
    """

    id: Key
    content_class: str
    kind: str = ""
    zone: str = ""
    tags: frozenset[str] = frozenset()
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    weight: float = 1.0
    approved: bool = True
    revision_id: Key | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """Which materials a column draws from; an empty filter takes everything.

    `tags` asks for any of them, or for all with `every_tag`. `materials` narrows the pool to a chosen set.
    """

    tags: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()
    materials: frozenset[Key] | None = None
    every_tag: bool = False

    def takes(self, material: Candidate) -> bool:
        """True where the material passes every filter."""
        if self.tags:
            wanted = self.tags <= material.tags if self.every_tag else self.tags & material.tags
            if not wanted:
                return False
        return (
            (not self.kinds or material.kind in self.kinds)
            and (not self.zones or material.zone in self.zones)
            and (self.materials is None or material.id in self.materials)
        )


@dataclass(frozen=True, slots=True)
class ColumnRules:
    """What a column asks of its material.

    `classes` empty: every class that has a share in the community's budget. `cooldown_days` are calendar
    days: with 7 a material may come back on the same weekday. Between two columns' uses of one material
    the longer of their cooldowns holds. `priority`: where a day has more places than the community's cap
    lets be filled, those of the column with the higher one are filled.
    """

    id: Key
    classes: tuple[str, ...] = ()
    pool: Pool = Pool()
    cooldown_days: int = 0
    priority: int = 0

    def __post_init__(self) -> None:
        if self.cooldown_days < 0:
            raise Invalid(
                "cooldown_days",
                _("the cooldown is %(days)s days."),
                _("Give 0 or more."),
                days=self.cooldown_days,
            )


@dataclass(frozen=True, slots=True)
class Opening:
    """A place on the calendar to be filled. Days and weeks are counted by `local`, its wall time (naive)."""

    column: ColumnRules
    community_id: Key
    instant: datetime
    local: datetime


@dataclass(frozen=True, slots=True)
class FixedPick:
    """A place that a person filled, or that was handed over: it counts, and is never changed.

    It is matched to an opening by column, community and local time; one without an opening counts too.
    `content_class` empty and `material_id` None stand for a place that was taken out of the plan. `by_plan`
    marks a place that an earlier plan filled and that shall stay so.
    """

    column_id: Key
    community_id: Key
    local: datetime
    material_id: Key | None
    content_class: str
    cooldown_days: int = 0
    by_plan: bool = False


@dataclass(frozen=True, slots=True)
class CommunityState:
    """A community's budget and what it has had.

    `last_used`: the local day on which each material last went there; `free_from`: the first day on which the
    columns that used it allow another use. `recent`: local time and class of what went there, at least
    through the last week before the horizon; older entries do no harm. `daily_cap`: the most a day, None for
    no limit.
    """

    id: Key
    budget: MixBudget = DEFAULT_BUDGET
    last_used: Mapping[Key, date] = field(default_factory=dict)
    recent: Sequence[tuple[datetime, str]] = ()
    daily_cap: int | None = None
    free_from: Mapping[Key, date] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """All that the planner knows. A community without a state has the default budget and no past.

    The same request gives the same plan; another `seed` draws differently among materials of equal standing.
    """

    openings: Sequence[Opening]
    materials: Sequence[Candidate]
    communities: Sequence[CommunityState] = ()
    fixed: Sequence[FixedPick] = ()
    seed: int = 0


class Why(NamedTuple):
    """Why this material: the class first, then the place in the pool.

    `shortfall`: slots by which the class lay below its share of the week with this slot counted.
    `passed_over`: classes that were owed more but had nothing to offer. `last_used`: None for a material
    that is new to the community. `pool_size`: approved materials of this class in the pool. `repaired`:
    the class was chosen by the repair pass, for the sake of the weeks as a whole. `mix`: the community's
    budget at that time, see `MixBudget.text`.
    """

    shortfall: float
    passed_over: tuple[str, ...]
    last_used: date | None
    pool_size: int
    weight: float
    repaired: bool = False
    mix: str = ""

    def as_doc(self) -> dict[str, Any]:
        """The reason as a JSON document."""
        return {
            "shortfall": round(self.shortfall, 2),
            "passed_over": list(self.passed_over),
            "last_used": self.last_used.isoformat() if self.last_used else None,
            "pool_size": self.pool_size,
            "weight": self.weight,
            "repaired": self.repaired,
            "mix": self.mix,
        }


class Pick(NamedTuple):
    """An opening with the material that fills it."""

    opening: Opening
    material: Candidate
    content_class: str
    why: Why


class EmptyReason(StrEnum):
    """The filter that left nothing, in the order in which they are applied.

    NEEDED_LATER: a material could go out here, but a place ahead has it, within the cooldown.
    """

    DAILY_CAP = "daily_cap"
    NO_MATERIAL = "no_material"
    CLASS = "class_not_allowed"
    UNAPPROVED = "unapproved"
    VALIDITY = "outside_validity"
    COOLDOWN = "cooldown"
    NEEDED_LATER = "needed_later"


WHY_EMPTY: Mapping[str, str] = {
    EmptyReason.DAILY_CAP: _("The community has all the messages it may get on that day."),
    EmptyReason.NO_MATERIAL: _("No material has the tags, kinds and shelves that the column asks for."),
    EmptyReason.CLASS: _("What fits is not of the classes that the column may use."),
    EmptyReason.UNAPPROVED: _("What fits has not been approved yet."),
    EmptyReason.VALIDITY: _("What fits is not valid at that time."),
    EmptyReason.COOLDOWN: _("Everything that fits was used here within the cooldown."),
    EmptyReason.NEEDED_LATER: _("What fits is planned for another day within the cooldown."),
}
"""Each reason in words."""


class EmptyPool(NamedTuple):
    """An opening that could not be filled, and how many materials each filter left."""

    opening: Opening
    reason: EmptyReason
    matched: int = 0
    of_class: int = 0
    approved: int = 0
    valid: int = 0

    def as_doc(self) -> dict[str, Any]:
        """The reason as a JSON document."""
        return {
            "empty": str(self.reason),
            "matched": self.matched,
            "of_class": self.of_class,
            "approved": self.approved,
            "valid": self.valid,
        }


class Plan(NamedTuple):
    """Every opening is in exactly one of the three lists."""

    picks: list[Pick]
    empty: list[EmptyPool]
    kept: list[FixedPick]
