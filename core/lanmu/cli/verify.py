"""`lanmu verify`: re-derive balances, caps, pushes and chains, and name the first row that is wrong."""

from dataclasses import asdict
from itertools import chain
from pathlib import Path

import click

from lanmu.backup import ends_in
from lanmu.chain_ends import verify_chain_ends
from lanmu.cli.commands import FAILED, Command
from lanmu.cli.context import open_server, print_json
from lanmu.cli.words import say
from lanmu.delivery.verify import verify as verify_deliveries
from lanmu.i18n import _
from lanmu.ledger.verify import verify as verify_ledger
from lanmu.staff.audit import verify as verify_audit
from lanmu.storage.integrity import verify as verify_database


@click.command(
    cls=Command,
    help=_(
        "Check the points, the pushes, the audit log and the database. "
        "Exit code 0: right, 1: something is wrong."
    ),
)
@click.option(
    "--backup",
    "backups",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=_("Check also that nothing is missing that this backup knows of; repeatable."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print JSON."))
@click.pass_context
def verify(ctx: click.Context, backups: tuple[Path, ...], as_json: bool) -> None:
    known = [ends_in(file) for file in backups]
    with open_server(ctx) as server:
        pushes = verify_deliveries(server.database, server.clock.now())
        points = verify_ledger(server.database, server.ledger.codes)
        log = verify_audit(server.database)
        ends = chain.from_iterable(verify_chain_ends(server.database, each) for each in known)
        checks = list(chain(points, pushes, log, ends, verify_database(server.database)))
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        for check in checks:
            mark = "✓" if check.ok else "✗"
            click.echo(f"{mark} {check.invariant:4} {check.rows:>8}  {say(check.title)}")
            if not check.ok:
                click.echo(f"       {say(check.first_wrong)}")
                click.echo(f"       → {say(check.way_out)}")
    ctx.exit(0 if all(check.ok for check in checks) else FAILED)
