"""`lanmu config`: check config.toml, and show what is in force with its secrets masked."""

from dataclasses import is_dataclass
from typing import Any

import click

from lanmu.cli.commands import Group
from lanmu.cli.context import done, print_json, read_config
from lanmu.i18n import _
from lanmu.interfaces.errors import Faults
from lanmu.interfaces.secrets import Secret
from lanmu.plugins import settings_in_need


@click.group(cls=Group, help=_("Check or show the settings."))
def config() -> None:
    pass


@config.command("check", help=_("Say all that is wrong with config.toml, or that it is fine."))
@click.pass_context
def check(ctx: click.Context) -> None:
    loaded = read_config(ctx)
    if faults := settings_in_need(loaded.plugins):
        raise Faults(faults)
    done(_("config.toml is fine."))


@config.command("show", help=_("Print the settings in force as JSON, secrets masked."))
@click.pass_context
def show(ctx: click.Context) -> None:
    loaded = read_config(ctx)
    print_json(
        {
            name: _masked(getattr(loaded, name))
            for name in (
                "server",
                "database",
                "queue",
                "library",
                "schedule",
                "delivery",
                "log",
                "demo",
                "plugins",
            )
        }
    )


_SECRET_WORDS = ("secret", "password", "token", "key", "robots")


def _masked(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {
            name: _masked(item) for name, item in ((f, getattr(value, f)) for f in value.__dataclass_fields__)
        }
    if isinstance(value, Secret):
        return "***"
    if hasattr(value, "items"):
        return {
            key: "***" if any(word in key for word in _SECRET_WORDS) and item else _masked(item)
            for key, item in value.items()
        }
    return value
