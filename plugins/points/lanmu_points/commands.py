"""`lanmu points …`: a member's link, and a check-in by hand."""

import json
from datetime import timedelta

import click

from lanmu.i18n import _
from lanmu.interfaces.errors import NotFound
from lanmu.interfaces.host import Host, MemberView
from lanmu_points.links import member_link
from lanmu_points.rules import check_in
from lanmu_points.settings import PointsSettings


def link_command(host: Host, settings: PointsSettings) -> click.Command:
    """The command that prints a member's link."""

    @click.command("link", help=_("Print the link to a member's phone page. Who has it can redeem."))
    @click.argument("member")
    @click.option(
        "--days",
        type=click.IntRange(1, 30),
        default=settings.link_days,
        show_default=True,
        help=_("How many days the link works."),
    )
    def link(member: str, days: int) -> None:
        click.echo(member_link(host, _known(host, member).id, timedelta(days=days)))

    return link


def check_in_command(host: Host) -> click.Command:
    """The command that checks a member in."""

    @click.command("check-in", help=_("Check a member in, as the button on the phone page does."))
    @click.argument("member")
    @click.option("--json", "as_json", is_flag=True, help=_("Print JSON, for a program to read."))
    def command(member: str, as_json: bool) -> None:
        found = _known(host, member)
        posted = host.record(check_in(found.id, found.zone, host.clock.now()))
        if as_json:
            answer = {"earned": posted.earned, "balance": posted.balance, "replayed": posted.replayed}
            click.echo(json.dumps(answer))
        else:
            click.echo(f"{found.name}  +{posted.earned}  = {posted.balance}")

    return command


def _known(host: Host, member: str) -> MemberView:
    found = host.member(member)
    if found is None:
        raise NotFound("MEMBER", _("There is no member %(id)s."), _("Copy the id from the list."), id=member)
    return found
