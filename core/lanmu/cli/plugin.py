"""`lanmu plugin`: which plugins run, which were set aside and why, and whether one is sound."""

import textwrap
from dataclasses import asdict

import click

from lanmu.cli.commands import FAILED, Group
from lanmu.cli.context import done, open_server, print_json
from lanmu.cli.layout import table
from lanmu.cli.words import say
from lanmu.i18n import _
from lanmu.interfaces.errors import NotFound


@click.group(cls=Group, help=_("See which plugins run, and check one."))
def plugin() -> None:
    pass


_STATES = {
    "running": _("Running"),
    "set_aside": _("Set aside"),
    "missing": _("Not installed"),
    "off": _("Off"),
}


@plugin.command("list", help=_("List the plugins: running, set aside with the reason, switched off."))
@click.option("--json", "as_json", is_flag=True, help=_("Print JSON."))
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    with open_server(ctx) as server:
        statuses = server.plugins.statuses()
    if as_json:
        print_json([asdict(status) for status in statuses])
        return
    rows = [
        (each.name, say(_STATES[each.state]), each.version, ", ".join(each.channels)) for each in statuses
    ]
    for status, line in zip(statuses, table(rows), strict=True):
        click.echo(line)
        if status.reason:
            click.echo(textwrap.indent(say(status.reason), "    "))


@plugin.command("check", help=_("Load one plugin and say whether it runs, with its hooks and channels."))
@click.argument("name")
@click.pass_context
def check(ctx: click.Context, name: str) -> None:
    with open_server(ctx) as server:
        status = next((each for each in server.plugins.statuses() if each.name == name), None)
    if status is None:
        raise NotFound(name, _("no installed plugin has this name."), _("`lanmu plugin list` shows them."))
    if status.state != "running":
        click.echo(f"{name}: {say(_STATES[status.state])}", err=True)
        if status.reason:
            click.echo(say(status.reason), err=True)
        if status.state == "off":
            click.echo(
                say(_("Write [plugins.%(name)s] into config.toml to switch it on."), name=name), err=True
            )
        ctx.exit(FAILED)
    done(_("%(name)s runs."), name=name)
    done(_("Hooks: %(hooks)s"), hooks=", ".join(status.hooks) or "–")
    done(_("Channels: %(channels)s"), channels=", ".join(status.channels) or "–")
