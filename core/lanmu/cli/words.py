"""The command line in two languages: what it says itself, and the help of every command."""

import os
from collections.abc import Mapping
from typing import Any

import click

from lanmu.i18n import Catalog, _
from lanmu.interfaces.errors import Faults, LanmuError

_catalog = Catalog()


def locale(environ: Mapping[str, str] = os.environ) -> str:
    """`LANMU_LANG`, or what the terminal speaks; Chinese where that is neither."""
    chosen = environ.get("LANMU_LANG") or environ.get("LC_ALL") or environ.get("LANG") or ""
    return "en" if chosen.lower().startswith("en") else "zh-CN"


def say(text: str, **params: object) -> str:
    """The text in the reader's language, its slots filled."""
    translated = _catalog.gettext(locale(), text)
    return translated % params if params else translated


def told(error: LanmuError) -> str:
    """An error as a person reads it, a line for each fault."""
    lines = []
    for each in error.faults if isinstance(error, Faults) else (error,):
        words = " ".join(say(text, **each.params) for text in (each.fault, each.way_out) if text)
        lines.append(f"{each.place}: {words}" if each.place else words)
    return "\n".join(lines)


class Command(click.Command):
    """A command whose help is translated when it is shown."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        pieces = " ".join(self.collect_usage_pieces(ctx))
        formatter.write_usage(ctx.command_path, pieces, prefix=say(_("Usage: ")))

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        with formatter.indentation():
            for paragraph in (say(part) for part in [" ".join((self.help or "").split())] if part):
                formatter.write_text(paragraph)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                shown = getattr(param, "help", None) or ""
                rows.append((record[0], record[1].replace(shown, say(shown)) if shown else record[1]))
        if rows:
            with formatter.section(say(_("Options"))):
                formatter.write_dl(rows)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = _("Show this help.")
        return option

    def get_short_help_str(self, limit: int = 60) -> str:
        return say(" ".join((self.help or "").split())).split("。")[0].split(". ")[0]


class Group(Command, click.Group):
    """A group of commands in the reader's language."""

    command_class = Command
    group_class = type

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, command.get_short_help_str()))
        if rows:
            with formatter.section(say(_("Commands"))):
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Tell our own errors as they stand, without a traceback."""
        try:
            return super().invoke(ctx)
        except LanmuError as error:
            click.echo(told(error), err=True)
            ctx.exit(2)
