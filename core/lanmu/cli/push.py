"""`lanmu push`: what goes out and how far it is; and a test to one recipient by the same way."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import click

from lanmu.cli.context import done, open_server, print_json
from lanmu.cli.words import Group
from lanmu.delivery.owner import this_process
from lanmu.delivery.service import PushFilter
from lanmu.i18n import _


@click.group(cls=Group, help=_("Pushes: list them, look at one, send a test."))
def push() -> None:
    pass


@push.command("list", help=_("List the latest pushes with their progress."))
@click.option("--limit", default=20, help=_("How many."))
@click.option("--json", "as_json", is_flag=True, help=_("Print JSON."))
@click.pass_context
def list_(ctx: click.Context, limit: int, as_json: bool) -> None:
    with open_server(ctx) as server:
        pushes = server.delivery.pushes(PushFilter(), limit)
    if as_json:
        print_json([asdict(each) for each in pushes])
        return
    for each in pushes:
        click.echo(
            f"{each.id}  {each.due_at:%Y-%m-%d %H:%M}Z  {each.state:22} "
            f"{each.progress.out}/{each.progress.planned}  {each.channel:28} {each.title}"
        )


@push.command("show", help=_("Show one push with its units and attempts, as JSON."))
@click.argument("push_id")
@click.pass_context
def show(ctx: click.Context, push_id: str) -> None:
    with open_server(ctx) as server:
        print_json(
            {
                **asdict(server.delivery.get(push_id)),
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
    done(_("%(push)s: %(state)s %(reason)s"), push=made.id, state=unit.state, reason=unit.reason)
    ctx.exit(0 if unit.state in ("accepted", "handed_over", "delivered") else 1)
