"""Stages and types of communities, with a mix to start from for each stage.

The house default 50/30/20 holds everywhere until somebody chooses otherwise. The stages follow the age of
a group (opening in its first 7 days, activation to 30, conversion to 90, then retention, and spreading at
any age); their mixes are this product's own suggestions, to be edited, not measured values.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lanmu.i18n import _


@dataclass(frozen=True, slots=True)
class StagePreset:
    """A stage: its name, what it is about, and the mix it suggests in percent per class."""

    code: str
    title: str
    aim: str
    mix: Mapping[str, int]


def _preset(code: str, title: str, aim: str, engagement: int, conversion: int, brand: int) -> StagePreset:
    mix = {"engagement": engagement, "conversion": conversion, "brand": brand}
    return StagePreset(code, title, aim, mix)


STAGES = {
    preset.code: preset
    for preset in (
        _preset("new", _("New"), _("Welcome people and let them talk; hardly sell."), 60, 10, 30),
        _preset("active", _("Active"), _("Bring everybody to speak and to take part."), 55, 25, 20),
        _preset("converting", _("Converting"), _("Turn trust into first orders."), 45, 40, 15),
        _preset("loyal", _("Loyal"), _("Keep people and bring them back to buy again."), 50, 30, 20),
        _preset("sharing", _("Sharing"), _("Let members bring members."), 50, 25, 25),
        _preset("mature", _("Mature"), _("A steady rhythm three times a day."), 50, 30, 20),
    )
}

TYPES = {
    "general": _("General"),
    "broadcast": _("Announcements"),
    "care": _("Close care"),
    "service": _("Customer service"),
}
"""The operating types that are offered; a shop may write its own."""
