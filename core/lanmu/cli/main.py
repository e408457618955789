"""The command `lanmu`: finds the room's commands, and those of the plugins, when they are called for."""

import gc
import importlib
import tomllib

import click

from lanmu import __version__
from lanmu.cli.commands import Group, spoken
from lanmu.i18n import Filled, _
from lanmu.interfaces.errors import Conflict, LanmuError

# Read only when called: most commands need neither the web nor Alembic.
_COMMANDS = {
    "serve": "lanmu.cli.serve:serve",
    "worker": "lanmu.cli.serve:worker",
    "config": "lanmu.cli.config:config",
    "library": "lanmu.cli.library:library",
    "plan": "lanmu.cli.schedule:plan",
    "holidays": "lanmu.cli.schedule:holidays",
    "rehearse": "lanmu.cli.rehearse:rehearse",
    "push": "lanmu.cli.push:push",
    "community": "lanmu.cli.community:community",
    "plugin": "lanmu.cli.plugin:plugin",
    "staff": "lanmu.cli.staff:staff",
    "verify": "lanmu.cli.verify:verify",
    "backup": "lanmu.cli.backup:backup",
    "restore": "lanmu.cli.backup:restore",
    "release": "lanmu.cli.backup:release",
    "clock": "lanmu.cli.backup:clock",
    "openapi": "lanmu.cli.openapi:openapi",
}


class _Root(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS, *_plugins_asked_for(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _COMMANDS:
            # What imports make is no garbage; looking for some takes a tenth of a start.
            gc.set_threshold(20_000, 20, 20)
            module, _colon, attribute = _COMMANDS[cmd_name].partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command
        return _OfPlugin(cmd_name) if cmd_name in _plugins_asked_for(ctx) else None


class _OfPlugin(Group):
    """The commands of one plugin. The server is only opened for them when they are listed or called."""

    def __init__(self, plugin: str) -> None:
        super().__init__(plugin, help=Filled(_("Commands of the plugin %(name)s."), name=plugin))
        self._offered: dict[str, click.Command] | None = None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._commands(ctx))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self._commands(ctx).get(cmd_name)

    def _commands(self, ctx: click.Context) -> dict[str, click.Command]:
        if self._offered is None:
            from lanmu.cli.context import open_server

            server = ctx.with_resource(open_server(ctx))
            self._offered = {
                str(command.name): spoken(command)
                for plugin, command in server.plugins.offers("lanmu_commands")
                if plugin == self.name
            }
            for status in server.plugins.statuses():
                if status.name == self.name and status.state != "running":
                    raise Conflict(
                        "", _("The plugin %(name)s does not run. %(why)s"), name=self.name, why=status.reason
                    )
        return self._offered


def _plugins_asked_for(ctx: click.Context) -> list[str]:
    """The plugins that config.toml switches on; none where it is not there or has faults."""
    from lanmu.cli.context import find_config  # the server behind it takes a second to import

    try:
        with find_config(ctx).open("rb") as file:
            return sorted(tomllib.load(file).get("plugins", {}))
    except (LanmuError, OSError, tomllib.TOMLDecodeError):
        return []


@click.group(cls=_Root, help=_("Lanmu 栏目: a content and scheduling server for private-domain operations."))
@click.option("--config", metavar="FILE", help=_("The config.toml to use; the one in this folder otherwise."))
@click.version_option(
    __version__, prog_name="lanmu", message="%(prog)s %(version)s", help=_("Show the version.")
)
def main(config: str | None) -> None:
    del config  # read from the context by those that need it


if __name__ == "__main__":
    main()
