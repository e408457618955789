"""Columns to begin with: what communities usually run (常见栏目), and whole days' rhythms by community stage.

They are suggestions to be edited; what is set up from one is a column like any other.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lanmu.i18n import _
from lanmu.schedule.columns import ColumnDraft, PoolDraft, SlotDraft, Targets

_WHOLE_LIBRARY = PoolDraft()


@dataclass(frozen=True, slots=True)
class ColumnPreset:
    """A column to begin with. `title` and `goal` are for people, in English; `pool` and `classes` name what
    the taxonomy that comes with the program knows."""

    code: str
    title: str
    goal: str
    classes: tuple[str, ...]
    slots: tuple[SlotDraft, ...]
    pool: PoolDraft = _WHOLE_LIBRARY
    cooldown_days: int = 14

    def draft(
        self,
        name: str,
        goal: str,
        channel: str,
        zone: str,
        known: Collection[str],
        stages: tuple[str, ...] = (),
    ) -> ColumnDraft:
        """The column as it would be saved. `known` are the codes of the shop's own taxonomy: of a class, kind
        or shelf that it does not have nothing is asked. A person approves each occurrence."""
        return ColumnDraft(
            name=name,
            goal=goal,
            channel=channel,
            zone=zone,
            slots=self.slots,
            classes=_of(self.classes, known),
            targets=Targets(stages=stages),
            pool=PoolDraft(self.pool.tags, _of(self.pool.kinds, known), _of(self.pool.zones, known)),
            cooldown_days=self.cooldown_days,
        )


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The times of a whole day (时段模板), a column for each, for communities at these stages."""

    code: str
    title: str
    stages: tuple[str, ...]
    columns: tuple[ColumnPreset, ...]


def _of(codes: tuple[str, ...], known: Collection[str]) -> tuple[str, ...]:
    return tuple(code for code in codes if code in known)


def _slots(days: str, *times: str) -> tuple[SlotDraft, ...]:
    return tuple(SlotDraft(days, at) for at in times)


_KNOW_HOW = PoolDraft(kinds=("industry_insight", "hot_topic"))

_DAILY_KNOW_HOW = ColumnPreset(
    "know_how",
    _("Know-how"),
    _("One question of everyday life, answered."),
    ("engagement",),
    _slots("daily", "15:00"),
    _KNOW_HOW,
)

PRESETS: Mapping[str, ColumnPreset] = {
    each.code: each
    for each in (
        ColumnPreset(
            "news",
            _("News"),
            _("What has happened in the trade, in words that members can use."),
            ("engagement",),
            _slots("workday", "12:00"),
            _KNOW_HOW,
        ),
        ColumnPreset(
            "papers",
            _("Morning and evening news"),
            _("At the same two times every day, so that people come to look for it."),
            ("engagement",),
            _slots("daily", "08:30", "20:30"),
            _KNOW_HOW,
        ),
        ColumnPreset(
            "sharing",
            _("Sharing among members"),
            _("Members tell what they have done; others answer."),
            ("engagement",),
            _slots("tue,thu", "20:00"),
            PoolDraft(kinds=("user_story",)),
        ),
        ColumnPreset(
            "clinic",
            _("Members' clinic"),
            _("A member brings a case, and everybody helps to solve it."),
            ("engagement",),
            _slots("wed", "20:00"),
            PoolDraft(zones=("ugc",)),
        ),
        ColumnPreset(
            "activity",
            _("Activities"),
            _("An occasion each week to take part in."),
            ("conversion",),
            _slots("fri", "20:00"),
            PoolDraft(zones=("activity",)),
        ),
        ColumnPreset(
            "selection",
            _("The best of the week"),
            _("What was worth most, for those who missed it."),
            ("engagement", "brand"),
            _slots("sun", "20:00"),
            cooldown_days=28,
        ),
        _DAILY_KNOW_HOW,
        ColumnPreset(
            "good_find",
            _("The day's good find"),
            _("One product a day, tried by somebody, with what it is good for and what not."),
            ("conversion",),
            _slots("daily", "12:30"),
            PoolDraft(kinds=("product_review",)),
        ),
        ColumnPreset(
            "picks",
            _("Our picks"),
            _("What fits together, chosen for a need."),
            ("conversion",),
            _slots("sat", "15:00"),
            PoolDraft(kinds=("product_review", "case_study")),
        ),
        ColumnPreset(
            "flash_sale",
            _("Flash sale"),
            _("A short offer with a poster that counts down and a coupon of its own."),
            ("conversion",),
            _slots("wed", "20:00"),
            PoolDraft(kinds=("limited_offer",)),
            7,
        ),
    )
}
"""The columns that communities usually run, by code."""

_BENEFIT_GOAL = _("One offer, explained well, that people come back for.")

RHYTHMS: Mapping[str, Rhythm] = {
    each.code: each
    for each in (
        Rhythm(
            "daily",
            _("Three times a day: greeting 8:30, know-how 15:00, benefit 20:00"),
            ("new", "active", "converting", "loyal", "sharing"),
            (
                ColumnPreset(
                    "greeting",
                    _("Good morning"),
                    _("A friendly word that somebody answers every day."),
                    ("engagement", "brand"),
                    _slots("daily", "08:30"),
                    PoolDraft(tags=("早安",)),
                    7,
                ),
                _DAILY_KNOW_HOW,
                ColumnPreset(
                    "benefit", _("Benefits"), _BENEFIT_GOAL, ("conversion",), _slots("daily", "20:00")
                ),
            ),
        ),
        Rhythm(
            "mature",
            _("Workdays of mature communities: know-how 10:00, topic 15:00, benefit 20:00"),
            ("mature",),
            (
                ColumnPreset(
                    "mature_know_how",
                    _("Know-how at ten (mature communities)"),
                    _("One question of everyday life, answered."),
                    ("engagement",),
                    _slots("workday", "10:00"),
                    _KNOW_HOW,
                ),
                ColumnPreset(
                    "mature_topic",
                    _("Topic of the afternoon (mature communities)"),
                    _("A question that everybody has something to say to."),
                    ("engagement",),
                    _slots("workday", "15:00"),
                    PoolDraft(zones=("ugc",)),
                ),
                ColumnPreset(
                    "mature_benefit",
                    _("Benefits at eight (mature communities)"),
                    _BENEFIT_GOAL,
                    ("conversion",),
                    _slots("workday", "20:00"),
                ),
            ),
        ),
    )
}
"""The days to begin with, by code. Each community has the one of its stage; workdays heed worked weekends."""
