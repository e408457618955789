"""`lanmu push`: what goes out and how far it is; to stop it, go on or decide; and a test by the same way."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from lanmu.cli.commands import FAILED, Group
from lanmu.cli.context import done, open_server, print_json
from lanmu.cli.layout import table
from lanmu.cli.words import say
from lanmu.delivery.installation.owner import this_process
from lanmu.delivery.sending.asking import no_such_channel
from lanmu.delivery.service import PushFilter
from lanmu.delivery.views import PushView, UnitView
from lanmu.i18n import _
from lanmu.interfaces.channels import Sending
from lanmu.interfaces.errors import Invalid

if TYPE_CHECKING:
    from lanmu.server import Server

_PAGE = 200

BY = "cli"
"""Who the audit log names: whoever may run commands on the server may do everything."""

_JSON = click.option("--json", "as_json", is_flag=True, help=_("Print JSON."))
_ALTHOUGH_LATE = click.option(
    "--although-late", is_flag=True, help=_("Send it although it is later than it may be.")
)


@click.group(cls=Group, help=_("Pushes: list them, look at one, stop it, go on, decide, send a test."))
def push() -> None:
    pass


@push.command("list", help=_("List the latest pushes with their progress."))
@click.option(
    "--limit", type=click.IntRange(1, 500), default=20, show_default=True, help=_("How many at most.")
)
@_JSON
@click.pass_context
def list_(ctx: click.Context, limit: int, as_json: bool) -> None:
    with open_server(ctx) as server:
        pushes = server.delivery.pushes(PushFilter(), limit)
        zone = ZoneInfo(server.config.server.zone)
        words = [_standing(server, each) for each in pushes]
        home = server.home.state()
    if as_json:
        print_json([_plain(each) for each in pushes])
        return
    if not pushes:
        done(_("No push yet."))
    rows = [
        (
            each.id,
            f"{each.due_at.astimezone(zone):%Y-%m-%d %H:%M}",
            word,
            f"{each.progress.out}/{each.progress.planned}",
            each.channel,
            each.title,
        )
        for each, word in zip(pushes, words, strict=True)
    ]
    for line in table(rows):
        click.echo(line)
    if not home.ok and home.kind != "frozen":  # that one is told with every command
        click.echo(say(_CLOCK), err=True)


_CLOCK = _("Nothing of this goes out: the clock cannot be trusted. `lanmu clock trust --help` tells more.")


@push.command("show", help=_("Show one push with its batches and attempts, as JSON."))
@click.argument("push_id")
@click.pass_context
def show(ctx: click.Context, push_id: str) -> None:
    with open_server(ctx) as server:
        print_json(
            {
                **_plain(server.delivery.get(push_id)),
                "units": [asdict(unit) for unit in _units(server, push_id)],
            }
        )


def _units(server: "Server", push_id: str) -> Iterator[UnitView]:
    """All of them, read in portions: a part would be taken for the whole."""
    after = 0
    while found := server.delivery.units(push_id, _PAGE, after):
        yield from found
        after = found[-1].number


@push.command("cancel", help=_("Stop what has not left yet; tells how many that were."))
@click.argument("push_id")
@_JSON
@click.pass_context
def cancel(ctx: click.Context, push_id: str, as_json: bool) -> None:
    with open_server(ctx) as server:
        stopped = server.delivery.cancel(push_id)
        server.audit.record(BY, "push.cancel", push_id)
    if as_json:
        print_json(asdict(stopped))
        return
    text = _("Cancelled: %(stopped)s stopped, %(out)s already out, %(unclear)s could not be told.")
    done(text, stopped=stopped.stopped, out=stopped.out, unclear=stopped.unclear)


@push.command("pause", help=_("Let nothing more of it go out for now."))
@click.argument("push_id")
@_JSON
@click.pass_context
def pause(ctx: click.Context, push_id: str, as_json: bool) -> None:
    with open_server(ctx) as server:
        server.delivery.pause(push_id)
        server.audit.record(BY, "push.pause", push_id)
        _tell(server, server.delivery.get(push_id), as_json)


@push.command("resume", help=_("Go on with a push that is paused, or that the server holds."))
@click.argument("push_id")
@_ALTHOUGH_LATE
@_JSON
@click.pass_context
def resume(ctx: click.Context, push_id: str, although_late: bool, as_json: bool) -> None:
    with open_server(ctx) as server:
        server.delivery.resume(push_id, although_late=although_late)
        server.audit.record(BY, "push.resume", push_id, detail={"although_late": although_late})
        _tell(server, server.delivery.get(push_id), as_json)


@push.command(
    "decide",
    help=_(
        "Say what became of a batch in doubt: sent (it is there), again (send it once more; recipients may "
        "get it twice) or give-up."
    ),
)
@click.argument("push_id")
@click.argument("unit", metavar="BATCH", type=click.IntRange(min=1))
@click.argument("answer", type=click.Choice(["sent", "again", "give-up"]))
@click.option("--why", default="", help=_("How you know; needed to send again."))
@_JSON
@click.pass_context
def decide(ctx: click.Context, push_id: str, unit: int, answer: str, why: str, as_json: bool) -> None:
    if answer == "again" and not why.strip():
        raise Invalid("--why", _("is missing: say how you know that the first attempt did not arrive."))
    with open_server(ctx) as server:
        server.delivery.decide(push_id, unit, answer.replace("-", "_"), BY, why)
        server.audit.record(BY, "push.decide", f"{push_id}/{unit}", detail={"answer": answer, "why": why})
        _tell(server, server.delivery.get(push_id), as_json)


@push.command(
    "look-again",
    help=_(
        "Have the channel asked once more about a batch in doubt, or about all: once you have mended what "
        "kept it from being asked."
    ),
)
@click.argument("push_id")
@click.argument("unit", metavar="[BATCH]", type=click.IntRange(min=1), required=False)
@_JSON
@click.pass_context
def look_again(ctx: click.Context, push_id: str, unit: int | None, as_json: bool) -> None:
    with open_server(ctx) as server:
        found = server.delivery.look_again(push_id, unit)
        on = push_id if unit is None else f"{push_id}/{unit}"
        server.audit.record(BY, "push.look_again", on, detail={"units": found})
        _tell(server, server.delivery.get(push_id), as_json)


def _tell(server: "Server", found: PushView, as_json: bool) -> None:
    if as_json:
        print_json(_plain(found))
    else:
        word = _standing(server, found)
        click.echo(f"{found.id}  {word}  {found.progress.out}/{found.progress.planned}")


@push.command("test", help=_("Send a marked test through a channel to one recipient, now."))
@click.argument("channel")
@click.option(
    "--to",
    required=True,
    help=_(
        "A community's id (com_…, as in the address of its page), or what the channel itself knows the "
        "recipient by: a group's chat id, the name of a robot."
    ),
)
@click.option("--sender", default="", help=_("The employee who sends, where the channel needs one."))
@click.option("--text", required=True, help=_("What to send."))
@click.pass_context
def test(ctx: click.Context, channel: str, to: str, sender: str, text: str) -> None:
    from lanmu.trying_out import address_of, refuse_customers  # for this verb alone

    with open_server(ctx) as server:
        if channel not in server.plugins.channels:
            raise no_such_channel("channel", channel, server.plugins.channels, server.plugins.names())
        communities = server.audience.communities
        address = address_of(communities, channel, to)
        refuse_customers(server.database, communities, channel, address.key)
        server.home.tick()  # nothing is sent before a look at the clock
        made = server.delivery.test(channel, address.key, sender or address.sender, text, "cli")
        # Sent here and now, so that the outcome can be told even where no worker runs. Nothing else is: a
        # worker may have been stopped on purpose.
        with ThreadPoolExecutor(1) as pool:
            server.dispatcher(this_process(), pool, batch=1).run_due(push=made.row)
        unit = server.delivery.units(made.id)[0]
    looked_up = unit.state == "unknown" and unit.look_at is not None
    state = _word("unit", "checking" if looked_up else unit.state)
    click.echo(f"{made.id}  {state}" + (f"  {say(unit.reason)}" if unit.reason else ""))
    if unit.state == "unknown":
        click.echo(say(_LOOKED_UP if looked_up else _ASKED, push=made.id), err=True)
    ctx.exit(0 if unit.state in ("accepted", "handed_over", "delivered") else FAILED)


_LOOKED_UP = _(
    "Nobody knows yet whether it went out. The server finds out by itself while it runs and sends nothing "
    "twice meanwhile; `lanmu push show %(push)s` tells how far it is."
)
_ASKED = _(
    "Nobody can tell from here whether it went out: look into the chat, then say what you saw with "
    "`lanmu push decide %(push)s 1 sent|again|give-up`."
)


def _plain(push: PushView) -> dict[str, Any]:
    """A push for a program, without the rows' own numbers."""
    return {
        name: value
        for name, value in asdict(push).items()
        if name not in ("row", "revision_id", "material_id")
    }


def _standing(server: "Server", push: PushView) -> str:
    """What the console calls a push: one that goes on and has a unit that waits for a person is held."""
    from lanmu.web.pages.standing import is_asked_still, standing  # the web takes half a second to import

    channel = server.plugins.channels.get(push.channel)
    sending = channel.abilities.sending if channel is not None else Sending.AUTO
    still = is_asked_still(push.due_at, server.clock.now())
    return _word("push", standing(push.state, push.progress, sending, asked_still=still).code)


def _word(room: str, code: str) -> str:
    """The console's own word for a state."""
    from lanmu.web.pages.words import WORDS  # the web takes half a second to import

    return say(WORDS[room].get(code, code))
