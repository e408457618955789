"""`lanmu plan` and `lanmu holidays`: lay out the coming days, and say on which of them people work."""

from dataclasses import asdict
from datetime import date
from pathlib import Path

import click

from lanmu.cli.commands import Command
from lanmu.cli.context import done, open_server, print_json
from lanmu.cli.words import say
from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid


@click.command(cls=Command, help=_("Plan the coming days; what people changed or delivery has taken stays."))
@click.option("--json", "as_json", is_flag=True, help=_("Print JSON."))
@click.pass_context
def plan(ctx: click.Context, as_json: bool) -> None:
    with open_server(ctx) as server:
        report = server.schedule.plan_ahead()
    if as_json:
        print_json(asdict(report))
    else:
        done(
            _(
                "%(planned)s planned, %(empty)s without material, %(full)s on days that are full; "
                "%(kept)s kept, %(changed)s changed, %(removed)s removed."
            ),
            **{**asdict(report), "empty": report.empty - report.full},
        )


@click.command(
    cls=Command,
    help=_(
        "Show the days off and the weekend days that are worked, or read them in from FILE: lines of "
        "date,rest|work,name. Each year that the file names is replaced."
    ),
)
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help=_("Print JSON."))
@click.pass_context
def holidays(ctx: click.Context, file: Path | None, as_json: bool) -> None:
    with open_server(ctx) as server:
        days = server.schedule.special_days
        if file is not None:
            years = days.read_in(_lines(file), file.name)
            server.audit.record("cli", "holidays.import", detail={"years": years})
            done(
                _("The days of %(years)s are read in; planning heeds them from now on."),
                years=", ".join(map(str, years)),
            )
            return
        known = days.between(date.min, date.max)
    if as_json:
        print_json([{**asdict(each), "day": each.day.isoformat()} for each in known])
        return
    for each in known:
        kind = say(_("work")) if each.works else say(_("rest"))
        click.echo(f"{each.day.isoformat()}  {kind}  {each.name}  ({each.source})")


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise Invalid(file.name, _("is not written in UTF-8."), _("Save it as CSV in UTF-8.")) from None
