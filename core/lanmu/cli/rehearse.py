"""`lanmu rehearse`: play the columns' coming days through on virtual recipients, and say what came of it."""

from datetime import datetime

import click

from lanmu.cli.commands import FAILED, Command
from lanmu.cli.context import open_server, print_json, progress_bar
from lanmu.cli.words import say
from lanmu.i18n import _, from_store
from lanmu.rehearsal.report import HOW, KINDS, Day, OfColumn, Report
from lanmu.rehearsal.running import rehearse as play
from lanmu.rehearsal.service import DAYS, RECIPIENTS, asked_for, house_of


@click.command(
    cls=Command,
    help=_(
        "Play the columns' coming days through on virtual recipients, in seconds: does everybody get what "
        "they should, when they should, and is nobody disturbed? Nothing is sent and nothing is changed. "
        "Exit code 0: all as it should be, 1: something is not."
    ),
)
@click.option("--days", type=int, default=DAYS, show_default=True, help=_("How many days, up to 90."))
@click.option(
    "--recipients",
    type=int,
    default=RECIPIENTS,
    show_default=True,
    help=_("Virtual recipients of each column, 4 to 50."),
)
@click.option("--column", "columns", multiple=True, metavar="ID", help=_("Only this column; repeatable."))
@click.option(
    "--from",
    "first",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar=_("DATE"),
    help=_("The first day, tomorrow unless given."),
)
@click.option("--by-day", is_flag=True, help=_("Show every day of every column."))
@click.option("--json", "as_json", is_flag=True, help=_("Print JSON."))
@click.pass_context
def rehearse(
    ctx: click.Context,
    days: int,
    recipients: int,
    columns: tuple[str, ...],
    first: datetime | None,
    by_day: bool,
    as_json: bool,
) -> None:
    with open_server(ctx) as server:
        asked = asked_for(server, days, recipients, columns, first.date() if first else None)
        with progress_bar(_("Rehearsing")) as progress:
            report = play(server.database, house_of(server), asked, progress)
    if as_json:
        print_json(report.as_document())
    else:
        _print(report, by_day)
    ctx.exit(0 if report.green else FAILED)


def _numbers(of: OfColumn | Day) -> str:
    return say(
        _("expected %(expected)s, produced %(produced)s, explained %(explained)s, faults %(faults)s"),
        expected=of.expected,
        produced=of.produced,
        explained=of.explained,
        faults=of.faults,
    )


def _print(report: Report, by_day: bool) -> None:
    span = say(
        _("%(first)s to %(last)s, %(days)s days, %(n)s virtual recipients"),
        first=report.first_day,
        last=report.last_day,
        days=report.days,
        n=report.recipients,
    )
    click.echo(span)
    for column in report.columns:
        click.echo(f"{'✗' if column.faults else '✓'} {column.name}  {_numbers(column)}")
        for day in column.days:
            if by_day or day.faults:
                click.echo(f"    {day.day}  {_numbers(day)}")
        if not column.people:
            click.echo("    " + say(_("None of your communities gets this column.")))
        for reason in column.reasons:
            click.echo("    " + say(HOW[reason.kept], n=reason.times, why=say(from_store(reason.text))))
    for fault in report.faults:
        when = f"{fault.due}" + (f" → {fault.at}" if fault.at else "")
        where = f"{fault.column}, {fault.recipient}, {when} {fault.zone}"
        click.echo(f"✗ {say(KINDS[fault.kind])}: {where}. {say(from_store(fault.why))}")
    untold = sum(report.counts.values()) - len(report.faults)
    if untold:
        click.echo(say(_("… and %(n)s more faults."), n=untold))
    if report.waited:
        click.echo(say(_("A person would have had to approve %(n)s slots in time."), n=report.waited))
    click.echo(say(report.verdict))
