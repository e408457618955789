"""Commands whose help and whose faults are in the reader's language; plugins' plain click commands too."""

import copy
import inspect
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from lanmu.cli.layout import Context
from lanmu.cli.words import CLICK, say, told
from lanmu.i18n import Filled, _
from lanmu.interfaces.errors import Faults, Invalid, LanmuError

FAILED = 1
"""The exit code where the work could not be done, or was done and found something wrong."""
MISUSED = 2
"""The exit code where the command line or the settings are at fault."""


class Command(click.Command):
    """A command whose help is translated when it is shown."""

    context_class = Context

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        pieces = [say(CLICK(piece)) for piece in self.collect_usage_pieces(ctx)]
        formatter.write_usage(ctx.command_path, " ".join(pieces), prefix=say(_("Usage: ")))

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.help:
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(_help(self))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        rows = [_row(option, record) for option in options if (record := option.get_help_record(ctx))]
        with formatter.section(say(_("Options:"))):
            formatter.write_dl(rows)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = _("Show this help.")
        return option

    def get_short_help_str(self, limit: int = 60) -> str:
        return _help(self).split("。")[0].split(". ")[0].rstrip(".")


class Group(Command, click.Group):
    """A group of commands in the reader's language."""

    command_class = Command
    group_class = type

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, each.get_short_help_str()) for name, each in found if each and not each.hidden]
        if rows:
            with formatter.section(say(_("Commands:"))):
                formatter.write_dl(rows)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, tell what is at fault without a traceback, and exit."""
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except (click.ClickException, LanmuError, click.Abort) as error:
            if not standalone_mode:
                raise
            sys.exit(_tell(error))
        if standalone_mode:
            sys.exit(code if isinstance(code, int) else 0)
        return code


def spoken(command: click.Command) -> click.Command:
    """A plugin's plain click command, with its help in the reader's language; the plugin's own stays."""
    base = Group if isinstance(command, click.Group) else Command
    if isinstance(command, base):
        return command
    twin = copy.copy(command)
    twin.__class__ = type(base.__name__, (base, type(command)), {})
    if isinstance(twin, click.Group):
        twin.commands = {name: spoken(each) for name, each in twin.commands.items()}
    return twin


def _tell(error: click.ClickException | LanmuError | click.Abort) -> int:
    """Tell what ended a command, and answer its exit code."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            error.show()
            return MISUSED
        case click.ClickException():
            click.echo(_usage_fault(error), err=True)
            return error.exit_code
        case LanmuError():
            click.echo(told(error), err=True)
            return MISUSED if isinstance(error, (Invalid, Faults)) else FAILED
        case _:
            click.echo(say(_("Stopped.")), err=True)
            return 128 + signal.SIGINT  # as a shell says of what Ctrl-C ended


def _help(command: click.Command) -> str:
    text = command.help or ""
    return say(text if isinstance(text, Filled) else inspect.cleandoc(text))


def _row(option: click.Option, record: tuple[str, str]) -> tuple[str, str]:
    """An option with its help translated, and with what click says beside it: [default: 20; required]."""
    term, text = record
    own = option.help or ""
    beside = text.removeprefix(own).strip().removeprefix("[").removesuffix("]")
    told_beside = "; ".join(say(CLICK(each)) for each in beside.split("; ") if each)
    return term, f"{say(own)} {f'[{told_beside}]' if told_beside else ''}".strip()


def _usage_fault(error: click.ClickException) -> str:
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    if ctx is None:
        return say(CLICK(error.format_message()))
    fault = say(CLICK(" ".join(error.format_message().split())))
    hint = say(_("`%(command)s --help` tells more."), command=ctx.command_path)
    return f"{fault}\n\n{ctx.get_usage()}\n{hint}"
