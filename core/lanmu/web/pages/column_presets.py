"""Columns to begin with, as a shop would have them: in its language, its zone and its own taxonomy."""

from typing import Any

from lanmu.schedule.columns import ColumnDraft, SlotDraft
from lanmu.schedule.presets import PRESETS, RHYTHMS, ColumnPreset
from lanmu.web.people import server, signed_in, translate


def draft_of(preset: ColumnPreset, channel: str, stages: tuple[str, ...] = ()) -> ColumnDraft:
    """The preset as a column of this shop, in the reader's language."""
    taxonomy = server().library.taxonomy()
    known = {term.code for term in (*taxonomy.classes, *taxonomy.kinds, *taxonomy.zones)}
    return preset.draft(
        translate(preset.title),
        translate(preset.goal),
        channel,
        server().config.server.zone,
        known,
        stages,
    )


def first_channel() -> str:
    """The channel that a new column has until another is chosen: the one that reaches most communities."""
    return server().schedule.widest_channel(server().plugins.channels)


def reach_shown(draft: ColumnDraft) -> dict[str, Any]:
    """Whom a form's column would reach, and how many it would not for want of an address."""
    reached, unreached = server().schedule.reach_of(draft)
    return {"reached": reached, "unreached": unreached}


def presets_shown() -> dict[str, Any]:
    """What there is to begin with, as the pages want it."""
    taken = server().schedule.columns.names()
    return {
        "widest": first_channel(),
        "presets": [(code, translate(preset.title)) for code, preset in PRESETS.items()],
        "rhythms": [
            {
                "code": code,
                "title": translate(rhythm.title),
                "stages": rhythm.stages,
                "columns": [translate(each.title) for each in rhythm.columns],
                "is_set": all(translate(each.title) in taken for each in rhythm.columns),
            }
            for code, rhythm in RHYTHMS.items()
        ],
    }


def new_draft(code: str) -> ColumnDraft:
    """What the form for a new column starts with: a preset, or a plain one."""
    preset = PRESETS.get(code)
    if preset is not None:
        return draft_of(preset, first_channel())
    return ColumnDraft(
        name="",
        channel=first_channel(),
        slots=(SlotDraft("daily", "08:30"),),
        zone=server().config.server.zone,
        owner=signed_in().name,
    )
