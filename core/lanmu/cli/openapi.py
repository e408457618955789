"""`lanmu openapi`: the API's description for programs."""

import click

from lanmu.cli.commands import Command
from lanmu.cli.context import open_server, print_json
from lanmu.i18n import _


@click.command(cls=Command, help=_("Print the OpenAPI 3.1 description of the API."))
@click.pass_context
def openapi(ctx: click.Context) -> None:
    from lanmu.web.api import document  # the web takes half a second to import
    from lanmu.web.app import create_app

    with open_server(ctx) as server:
        print_json(document(create_app(server)))
