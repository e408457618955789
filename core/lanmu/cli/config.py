"""`lanmu config`: check config.toml, and show what is in force with its secrets masked."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

import click

from lanmu.cli.commands import Group
from lanmu.cli.context import done, print_json, read_config
from lanmu.cli.words import say
from lanmu.delivery.followup.look_times import ABSENT_AFTER
from lanmu.i18n import _
from lanmu.interfaces.errors import Faults
from lanmu.interfaces.secrets import Secret
from lanmu.plugins import secret_places, settings_in_need
from lanmu.secret_settings import Places, below, is_secret


@click.group(cls=Group, help=_("Check or show the settings."))
def config() -> None:
    pass


@config.command("check", help=_("Say all that is wrong with config.toml, or that it is fine."))
@click.pass_context
def check(ctx: click.Context) -> None:
    loaded = read_config(ctx)
    if faults := settings_in_need(loaded):
        raise Faults(faults)
    done(_("config.toml is fine."))
    floor = int(ABSENT_AFTER.total_seconds())
    if loaded.delivery.absent_after_seconds < floor:
        note = _(
            "delivery.absent_after_seconds is below %(floor)s, which is for a sandbox alone: "
            "a message that a channel lists late may be sent twice."
        )
        click.echo(say(note, floor=floor), err=True)


@config.command("show", help=_("Print the settings in force as JSON, secrets masked."))
@click.pass_context
def show(ctx: click.Context) -> None:
    loaded = read_config(ctx)
    known = secret_places(loaded)
    print_json({name: _masked(getattr(loaded, name), name, known) for name in _SHOWN})


_SHOWN = ("server", "database", "queue", "library", "schedule", "delivery", "log", "demo", "plugins")


def _masked(value: Any, place: str, known: Places) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        value = {name: getattr(value, name) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {key: _masked(item, below(place, key), known) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, place, known) for item in value]
    return "***" if isinstance(value, Secret) or is_secret(place, value, known) else value
