"""`lanmu library`: sync with the folder, search, and count."""

import click

from lanmu.cli.commands import FAILED, Group
from lanmu.cli.context import open_server, print_json, progress_bar
from lanmu.cli.layout import table
from lanmu.cli.words import say, told
from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid
from lanmu.library.sync import SyncReport


@click.group(cls=Group, help=_("The material library and its folder."))
def library() -> None:
    pass


@library.command("sync", help=_("Sync with the content folder in both directions, and tell every fault."))
@click.option("--json", "as_json", is_flag=True, help=_("Print JSON."))
@click.pass_context
def sync(ctx: click.Context, as_json: bool) -> None:
    with open_server(ctx) as server:
        folder = server.config.library.folder
        if folder is None or not folder.is_dir():
            raise Invalid("library.folder", _("%(folder)s is not a folder."), folder=folder or "–")
        with progress_bar(_("Syncing")) as progress:
            report = server.library.folder.run(folder, progress=progress)
    if as_json:
        print_json({**_counts(report), "faults": [told(fault) for fault in report.faults]})
    else:
        for line in table([(say(_COUNTED[name]), str(count)) for name, count in _counts(report).items()]):
            click.echo(line)
        for fault in report.faults:
            click.echo(told(fault), err=True)
    ctx.exit(FAILED if report.faults else 0)


_COUNTED = {
    "added": _("New materials"),
    "changed": _("Edited materials"),
    "moved": _("Moved files"),
    "retired": _("Retired materials"),
    "written": _("Written to files"),
    "conflicts": _("Conflicts"),
    "unchanged": _("Unchanged files"),
}


def _counts(report: SyncReport) -> dict[str, int]:
    return {
        name: value if isinstance(value := getattr(report, name), int) else len(value) for name in _COUNTED
    }
