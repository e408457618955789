"""`lanmu backup`, `restore`, `release` and `clock`: the installation kept, put back, and let go again."""

import tomllib
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import click

from lanmu.cli.commands import FAILED, Command, Group
from lanmu.cli.context import done, open_server, print_json, quiet_about_freezing, read_config
from lanmu.cli.layout import table
from lanmu.cli.words import say
from lanmu.i18n import _, terminal_locale

_FILE = click.Path(path_type=Path, dir_okay=False)
_JSON = click.option("--json", "as_json", is_flag=True, help=_("Print JSON."))
_YES = click.option("--yes", is_flag=True, help=_("Do not ask."))


@click.command(cls=Command, help=_("Back up database, files and settings into FILE, while Lanmu runs."))
@click.argument("file", type=_FILE)
@_JSON
@click.pass_context
def backup(ctx: click.Context, file: Path, as_json: bool) -> None:
    from lanmu.backup import back_up
    from lanmu.clock import SystemClock
    from lanmu.plugins import secret_places
    from lanmu.storage import Database

    config = read_config(ctx)
    database = Database(config.database_url)  # and no server: what is backed up is not migrated before
    try:
        made = back_up(config, database, SystemClock(), file, secret_places(config))
    finally:
        database.close()
    if as_json:
        print_json({**asdict(made), "path": str(made.path)})
        return
    done(
        _("Backed up to %(path)s: %(files)s files, %(rows)s rows, %(size)s bytes."),
        path=made.path,
        files=made.files,
        rows=made.rows,
        size=made.size,
    )
    done(
        _(
            "It holds the shop's data: keep it where only you can read it. "
            "Secrets of config.toml are left out."
        )
    )
    _tell_left_out(made.left_out)


@click.command(cls=Command, help=_("Put a backup in place. It sends nothing until `lanmu release`."))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    help=_("A new folder to restore into, with its own settings."),
)
@click.option("--force-empty", is_flag=True, help=_("Move a data folder that is there already aside."))
@_JSON
@click.pass_context
def restore(ctx: click.Context, file: Path, into: Path | None, force_empty: bool, as_json: bool) -> None:
    from lanmu.clock import SystemClock
    from lanmu.restoring import restore_here, restore_into
    from lanmu.server import Server

    with quiet_about_freezing():
        if into is not None:
            made = restore_into(file, into, SystemClock())
        else:
            config = read_config(ctx)
            made = restore_here(
                file, config, SystemClock(), force_empty=force_empty, prepare=lambda: Server(config).close()
            )
    if as_json:
        shown = {key: value and str(value) for key, value in asdict(made).items()}
        print_json({**shown, "left_out": made.left_out})
        return
    when = _told(made.made_at, _zone_in(made.config) if into is not None else read_config(ctx).server.zone)
    done(_("Restored the backup of %(when)s into %(folder)s."), when=when, folder=made.folder)
    if made.aside is not None:
        done(_("What was there before is now %(aside)s."), aside=made.aside)
    if made.config is not None:
        done(_("Put the secrets back into %(config)s before you start."), config=made.config)
        _tell_left_out(made.left_out)
        done(
            _(
                "It has the original's addresses (%(addresses)s): where the original runs on this machine, "
                "give the copy others in %(config)s first."
            ),
            addresses=say(_(", ")).join(_addresses_in(made.config)),
            config=made.config,
        )
    done(_("It is frozen and sends nothing. Stop the original for good, start this one, then: lanmu release"))


@click.command(
    cls=Command,
    help=_(
        "Let a restored or copied installation send. What was due meanwhile may have been sent by the "
        "original, so a person is asked about it, unless you say otherwise."
    ),
)
@click.option("--reconcile", is_flag=True, help=_("Look it up at the channels that can tell."))
@click.option(
    "--unsent", is_flag=True, help=_("I know that the original has sent nothing since: send what was due.")
)
@_YES
@_JSON
@click.pass_context
def release(ctx: click.Context, reconcile: bool, unsent: bool, yes: bool, as_json: bool) -> None:
    from lanmu.releasing import About, Releasing
    from lanmu.web.pages.formats import in_zone  # the web takes half a second to import

    if reconcile and unsent:
        raise click.UsageError(say(_("--reconcile and --unsent exclude each other.")), ctx)
    about = About.LOOK_UP if reconcile else About.UNSENT if unsent else About.ASK_PEOPLE
    with open_server(ctx) as server:
        releasing = Releasing(server)
        outlook = releasing.outlook()
        if not as_json:
            zone = server.config.server.zone
            since = _told(outlook.since, zone) if outlook.since else "–"
            click.echo(in_zone(say(outlook.reason), zone))
            rows = [
                (say(_("State of")), since),
                (
                    say(_("Due since, perhaps sent by the original")),
                    say_units(outlook.due, outlook.recipients),
                ),
                (say(_("  of which can be looked up")), str(outlook.findable)),
                (say(_("Being sent when it was copied")), str(outlook.unfinished)),
                (say(_("Planned slots whose time has passed")), str(outlook.missed)),
                (say(_("Due later")), str(outlook.to_come)),
            ]
            for line in table(rows):
                click.echo(f"  {line}")
            click.echo(say(_WHAT_HAPPENS[about]))
        if not yes and not click.confirm(say(_("The original is stopped for good. Release this copy?"))):
            ctx.exit(FAILED)
        made = releasing.release("cli", about)
    if as_json:
        print_json({"outlook": asdict(outlook), "released": asdict(made)})
        return
    done(
        _(
            "Released. Found at the channel: %(found)s; to be looked up once more: %(looked_up)s; "
            "for a person to decide: %(to_people)s; going out: %(go_out)s; "
            "slots marked as missed: %(missed)s."
        ),
        **asdict(made),
    )


def _tell_left_out(settings: tuple[str, ...]) -> None:
    if settings:
        done(_("Empty in it: %(settings)s."), settings=say(_(", ")).join(settings))


def _told(at: datetime, zone: str) -> str:
    """A moment in a zone, which it names."""
    from lanmu.web.pages.formats import zone_name  # the web takes half a second to import

    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} ({zone_name(zone, terminal_locale(), at)})"


def _zone_in(config: Path | None) -> str:
    """The shop's zone by the settings of a backup, which may still lack their secrets."""
    server = _settings_in(config).get("server", {}) if config else {}
    return str(server.get("zone", "Asia/Shanghai"))


def _addresses_in(config: Path) -> list[str]:
    """What two installations on one machine cannot both listen on: the port, and the plugins' own servers."""
    settings = _settings_in(config)
    found = [f"server.port {settings.get('server', {}).get('port', 8640)}"]
    for plugin, given in settings.get("plugins", {}).items():
        for name, value in given.items():
            if isinstance(value, str) and urlsplit(value).hostname in ("127.0.0.1", "localhost", "::1"):
                found.append(f"plugins.{plugin}.{name} {value}")
    return found


def _settings_in(config: Path) -> dict[str, Any]:
    return tomllib.loads(config.read_text(encoding="utf-8"))


_WHAT_HAPPENS = {
    "ask_people": _(
        "What was due waits for a person's decision on the push page; what is due later goes out."
    ),
    "look_up": _("What was due is looked up where that is possible; a person decides on the rest."),
    "unsent": _("What was due goes out now, as each push's rule for being late says."),
}


def say_units(units: int, recipients: int) -> str:
    return say(_("%(units)s messages to %(recipients)s recipients"), units=units, recipients=recipients)


@click.group(
    cls=Group,
    invoke_without_command=True,
    help=_("Whether the machine's clock is trusted. By itself it tells so; the exit code is 1 where not."),
)
@click.pass_context
def clock(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is not None:
        return
    with open_server(ctx) as server:
        if server.home.state().ok:
            server.home.tick()  # a jump that no worker has seen yet; more looks would hold a recovery up
        found = server.home.clock_state()
        zone = server.config.server.zone
        now = _told(server.clock.now(), zone)
        if found.ok:
            done(_("The clock is trusted. It says %(now)s."), now=now)
            return
        done(_("The clock is not trusted, so nothing is sent. It says %(now)s."), now=now)
        if found.since is not None:
            done(
                _("%(reason)s Doubted since %(since)s."), reason=found.reason, since=_told(found.since, zone)
            )
        done(
            _(
                "It is trusted again by itself once it is set right or a channel's own time bears it out. "
                "If it is right as it is, say so: lanmu clock trust"
            )
        )
    ctx.exit(FAILED)


@clock.command("trust", help=_("I have looked at the clock and it is right: go on sending."))
@click.pass_context
def trust(ctx: click.Context) -> None:
    with open_server(ctx) as server:
        server.home.trust("cli")
    done(_("The clock is trusted again."))
