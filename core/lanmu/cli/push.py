"""`lanmu push`: what goes out and how far it is; and a test to one recipient by the same way."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

import click

from lanmu.cli.commands import FAILED, Group
from lanmu.cli.context import done, open_server, print_json
from lanmu.cli.layout import table
from lanmu.cli.words import say
from lanmu.delivery.owner import this_process
from lanmu.delivery.service import PushFilter
from lanmu.delivery.views import PushView
from lanmu.i18n import _


@click.group(cls=Group, help=_("Pushes: list them, look at one, send a test."))
def push() -> None:
    pass


@push.command("list", help=_("List the latest pushes with their progress."))
@click.option(
    "--limit", type=click.IntRange(1, 500), default=20, show_default=True, help=_("How many at most.")
)
@click.option("--json", "as_json", is_flag=True, help=_("Print JSON."))
@click.pass_context
def list_(ctx: click.Context, limit: int, as_json: bool) -> None:
    with open_server(ctx) as server:
        pushes = server.delivery.pushes(PushFilter(), limit)
        zone = ZoneInfo(server.config.server.zone)
    if as_json:
        print_json([_plain(each) for each in pushes])
        return
    if not pushes:
        done(_("No push yet."))
    rows = [
        (
            each.id,
            f"{each.due_at.astimezone(zone):%Y-%m-%d %H:%M}",
            _word("push", each.state),
            f"{each.progress.out}/{each.progress.planned}",
            each.channel,
            each.title,
        )
        for each in pushes
    ]
    for line in table(rows):
        click.echo(line)


@push.command("show", help=_("Show one push with its units and attempts, as JSON."))
@click.argument("push_id")
@click.pass_context
def show(ctx: click.Context, push_id: str) -> None:
    with open_server(ctx) as server:
        print_json(
            {
                **_plain(server.delivery.get(push_id)),
                "units": [asdict(u) for u in server.delivery.units(push_id)],
            }
        )


@push.command("test", help=_("Send a marked test through a channel to one recipient, now."))
@click.argument("channel")
@click.option("--to", "key", required=True, help=_("The recipient's key at the channel."))
@click.option("--sender", default="", help=_("The employee who sends, where the channel needs one."))
@click.option("--text", required=True, help=_("What to send."))
@click.pass_context
def test(ctx: click.Context, channel: str, key: str, sender: str, text: str) -> None:
    with open_server(ctx) as server:
        made = server.delivery.test(channel, key, sender, text, "cli")
        # Sent here and now, so that the outcome can be told even where no worker runs.
        with ThreadPoolExecutor(1) as pool:
            server.dispatcher(this_process(), pool, batch=1).run_due()
        unit = server.delivery.units(made.id)[0]
    state = _word("unit", unit.state)
    click.echo(f"{made.id}  {state}" + (f"  {say(unit.reason)}" if unit.reason else ""))
    ctx.exit(0 if unit.state in ("accepted", "handed_over", "delivered") else FAILED)


def _plain(push: PushView) -> dict[str, Any]:
    """A push for a program, without the rows' own numbers."""
    return {
        name: value
        for name, value in asdict(push).items()
        if name not in ("row", "revision_id", "material_id")
    }


def _word(room: str, code: str) -> str:
    """The console's own word for a state."""
    from lanmu.web.pages.words import WORDS  # the web takes half a second to import

    return say(WORDS[room].get(code, code))
