"""`lanmu plugin`: which plugins run, which were set aside and why, whether one is sound; and a new one."""

import textwrap
from dataclasses import asdict
from difflib import get_close_matches

import click

from lanmu.cli.commands import FAILED, Group
from lanmu.cli.context import done, open_server, print_json
from lanmu.cli.layout import table
from lanmu.cli.new_plugin import new
from lanmu.cli.words import say, told
from lanmu.i18n import _
from lanmu.interfaces.errors import NotFound
from lanmu.plugins import PluginStatus


@click.group(cls=Group, help=_("See which plugins run, check one, or begin a new one."))
def plugin() -> None:
    pass


plugin.add_command(new)


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
        (each.name, say(_STATES[each.state]), each.distribution, each.version, ", ".join(each.channels))
        for each in statuses
    ]
    for status, line in zip(statuses, table(rows), strict=True):
        click.echo(line)
        if status.reason:
            click.echo(textwrap.indent(say(status.reason), "    "))


@plugin.command("check", help=_("Load one plugin and say whether it is sound, with its hooks and channels."))
@click.argument("name")
@click.pass_context
def check(ctx: click.Context, name: str) -> None:
    with open_server(ctx) as server:
        every = server.plugins.statuses()
        runs = any(each.name == name and each.state == "running" for each in every)
        flaws = server.plugins.flaws(name) if runs else []
    found = [each for each in every if each.name == name]
    if not found:
        near = get_close_matches(name, {each.name for each in every}, n=1)
        raise NotFound(
            name,
            _("no installed plugin has this name."),
            _("Did you mean %(near)s?") if near else _("`lanmu plugin list` shows them."),
            near="".join(near),
        )
    for status in found:
        if status.state != "running":
            _say_why_not(status)
    if flaws:
        click.echo(say(_("%(name)s is not sound:"), name=name), err=True)
        for flaw in flaws:
            click.echo(f"  {told(flaw.fault)}  [{flaw.rule}]", err=True)
    if flaws or any(each.state != "running" for each in found):
        ctx.exit(FAILED)
    (status,) = found
    done(_("%(name)s runs."), name=name)
    done(_("Hooks: %(hooks)s"), hooks=", ".join(status.hooks) or "–")
    done(_("Channels: %(channels)s"), channels=", ".join(status.channels) or "–")


def _say_why_not(status: PluginStatus) -> None:
    """What keeps a plugin from running, and where in its code that came about."""
    name = f"{status.name} ({status.distribution})" if status.distribution else status.name
    click.echo(f"{name}: {say(_STATES[status.state])}", err=True)
    if status.reason:
        click.echo(say(status.reason), err=True)
    for place in status.where:
        click.echo(f"    {place}", err=True)
    if status.state == "off":
        hint = _("Write [plugins.%(name)s] into config.toml to switch it on.")
        click.echo(say(hint, name=status.name), err=True)
