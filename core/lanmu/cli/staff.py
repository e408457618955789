"""`lanmu staff`: accounts, one-time passwords and API tokens."""

import click

from lanmu.cli.commands import Group
from lanmu.cli.context import done, open_server, print_json
from lanmu.cli.layout import table
from lanmu.cli.words import say
from lanmu.i18n import _
from lanmu.staff.passwords import made_up_password
from lanmu.staff.roles import ROLES, SCOPES


@click.group(cls=Group, help=_("Accounts of staff, and tokens for programs."))
def staff() -> None:
    pass


@staff.command("create", help=_("Add an account and print its one-time password."))
@click.argument("username")
@click.option("--name", default="", help=_("The person's name."))
@click.option(
    "--role",
    "roles",
    type=click.Choice(list(ROLES)),
    multiple=True,
    required=True,
    help=_("A role; may be given several times."),
)
@click.pass_context
def create(ctx: click.Context, username: str, name: str, roles: tuple[str, ...]) -> None:
    password = made_up_password()
    with open_server(ctx) as server:
        server.staff.create(username, name, password, list(roles), one_time=True)
        server.audit.record("cli", "staff.create", username, detail={"roles": list(roles)})
    done(_("%(username)s can sign in once with: %(password)s"), username=username, password=password)


@staff.command("reset-password", help=_("Give an account a new one-time password and end its sessions."))
@click.argument("username")
@click.pass_context
def reset_password(ctx: click.Context, username: str) -> None:
    with open_server(ctx) as server:
        password = server.staff.reset_password(username)
        server.audit.record("cli", "staff.reset_password", username)
    done(_("%(username)s can sign in once with: %(password)s"), username=username, password=password)


@staff.command("roles", help=_("Give an account other roles; they hold from the person's next click on."))
@click.argument("username")
@click.option(
    "--role",
    "roles",
    type=click.Choice(list(ROLES)),
    multiple=True,
    required=True,
    help=_("A role; may be given several times."),
)
@click.pass_context
def roles_(ctx: click.Context, username: str, roles: tuple[str, ...]) -> None:
    with open_server(ctx) as server:
        server.staff.set_roles(username, list(roles))
        server.audit.record("cli", "staff.roles", username, detail={"roles": list(roles)})
    done(_("%(username)s is now: %(roles)s"), username=username, roles=", ".join(roles))


@staff.command(
    "close", help=_("Close the account of somebody who has left: neither password nor tokens count any more.")
)
@click.argument("username")
@click.pass_context
def close(ctx: click.Context, username: str) -> None:
    with open_server(ctx) as server:
        server.staff.close(username)
        server.audit.record("cli", "staff.close", username)
    done(_("%(username)s is signed out and cannot sign in any more."), username=username)


@staff.command("reopen", help=_("Open a closed account again, with the password and tokens of before."))
@click.argument("username")
@click.pass_context
def reopen(ctx: click.Context, username: str) -> None:
    with open_server(ctx) as server:
        server.staff.reopen(username)
        server.audit.record("cli", "staff.reopen", username)
    done(_("%(username)s can sign in again."), username=username)


@staff.command("list", help=_("List the accounts with their roles."))
@click.option("--json", "as_json", is_flag=True, help=_("Print JSON."))
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    with open_server(ctx) as server:
        people = server.staff.everybody()
    if as_json:
        print_json([{"username": each.username, "name": each.name, "roles": each.roles} for each in people])
        return
    for line in table([(each.username, say(each.name), ", ".join(each.roles)) for each in people]):
        click.echo(line)


@staff.command("token", help=_("Make an API token for an account; it is shown this once."))
@click.argument("username")
@click.option("--name", default="token", help=_("What the token is for."))
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(list(SCOPES)),
    multiple=True,
    required=True,
    help=_("A scope; may be given several times."),
)
@click.option("--days", default=90, show_default=True, help=_("How many days it is valid."))
@click.pass_context
def token(ctx: click.Context, username: str, name: str, scopes: tuple[str, ...], days: int) -> None:
    with open_server(ctx) as server:
        made = server.tokens.create(username, name, list(scopes), days)
        server.audit.record("cli", "token.create", username, detail={"name": name, "scopes": list(scopes)})
    click.echo(made)


@staff.command("revoke", help=_("End an API token, by the eight characters after lanmu_."))
@click.argument("token_id")
@click.pass_context
def revoke(ctx: click.Context, token_id: str) -> None:
    with open_server(ctx) as server:
        server.tokens.revoke(token_id)
        server.audit.record("cli", "token.revoke", token_id)
    done(_("The token is ended."))
