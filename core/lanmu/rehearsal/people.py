"""Whom a rehearsal sends to: virtual communities that are like the shop's own, with a few harder cases."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lanmu.schedule.columns import ColumnView, Targets

FAR_ZONES = ("Asia/Urumqi", "America/New_York")
"""Where two of a column's virtual recipients live: by another clock in practice, and with summer time."""

FEWEST = 4
"""The hard cases of a column: the two far zones, one who leaves, and one at home."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What of a community decides which columns it gets, and how many messages."""

    type: str
    stage: str
    zone: str
    tags: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    daily_cap: int | None = None
    mix: tuple[tuple[str, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """A virtual community. `leaves`: half-way through it wants no more messages."""

    key: str
    profile: Profile
    leaves: bool = False


def takes(column: ColumnView, profile: Profile) -> bool:
    """Whether a column is for such a community."""
    targets, draft = column.draft.targets, column.draft
    return (
        draft.channel in profile.channels
        and (not targets.tags or bool(profile.tags.intersection(targets.tags)))
        and (not targets.types or profile.type in targets.types)
        and (not targets.stages or profile.stage in targets.stages)
    )


def cast(columns: Sequence[ColumnView], real: Iterable[Profile], each: int, zone: str) -> list[Recipient]:
    """So many recipients for each column at least. Who gets several columns counts for all of them, since
    a limit is met by what all columns send together. `zone` is the shop's."""
    found: list[Recipient] = []
    for column in columns:
        profiles = [profile for profile in real if takes(column, profile)]
        profiles += _made_up(column, profiles, zone)
        mine = [one for one in found if takes(column, one.profile)]
        number = 0
        while len(mine) < each or _missing_zones(mine) or not any(one.leaves for one in mine):
            profile = profiles[number % len(profiles)]
            number += 1
            far = _missing_zones(mine)
            leaves = not far and not any(one.leaves for one in mine)
            one = Recipient(
                f"virtual-{len(found) + 1:03d}", replace(profile, zone=far[0]) if far else profile, leaves
            )
            found.append(one)
            mine.append(one)
    return found


def _missing_zones(mine: Iterable[Recipient]) -> list[str]:
    there = {one.profile.zone for one in mine if not one.leaves}
    return [zone for zone in FAR_ZONES if zone not in there]


def _made_up(column: ColumnView, known: Sequence[Profile], zone: str) -> list[Profile]:
    """Communities for the stages that the column names and no community of the shop is at; one for a column
    that has no community at all."""
    targets: Targets = column.draft.targets
    plain = Profile(
        next(iter(targets.types), "general"),
        "active",
        zone,
        frozenset(targets.tags[:1]),
        frozenset({column.draft.channel}),
    )
    there = {profile.stage for profile in known}
    made = [replace(plain, stage=stage) for stage in targets.stages if stage not in there]
    return made or ([] if known else [plain])
