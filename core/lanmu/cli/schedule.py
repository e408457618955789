"""`lanmu plan`: lay out the coming days and say what came of it."""

from dataclasses import asdict

import click

from lanmu.cli.commands import Command
from lanmu.cli.context import done, open_server, print_json
from lanmu.i18n import _


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
                "%(planned)s planned, %(empty)s without material; "
                "%(kept)s kept, %(changed)s changed, %(removed)s removed."
            ),
            **asdict(report),
        )
