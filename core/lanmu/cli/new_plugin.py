"""`lanmu plugin new`: a folder to start a plugin of one's own from, which passes its contract as it is."""

import re
from importlib import metadata, resources
from pathlib import Path

import click

from lanmu import __version__
from lanmu.cli.commands import Command
from lanmu.cli.context import done
from lanmu.i18n import _
from lanmu.interfaces.errors import Conflict, Invalid
from lanmu.plugins import GROUP

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST = 40
_SLOT = re.compile("«(.*?)»")
_EVERY = {"pyproject.toml": "pyproject.toml.txt", ".gitignore": "gitignore.txt"}
_CHANNEL = {
    "README.md": "channel/README.md.txt",
    "lanmu_«name»/__init__.py": "channel/init.py.txt",
    "lanmu_«name»/settings.py": "channel/settings.py.txt",
    "lanmu_«name»/channel.py": "channel/channel.py.txt",
    "lanmu_«name»/translations/zh_CN/messages.po": "channel/messages.po.txt",
    "tests/test_«name».py": "channel/test.py.txt",
}
_CHECK = {
    "README.md": "check/README.md.txt",
    "lanmu_«name»/__init__.py": "check/init.py.txt",
    "lanmu_«name»/translations/zh_CN/messages.po": "check/messages.po.txt",
    "tests/test_«name».py": "check/test.py.txt",
}
"""What is made of which of our files: their ends keep them from being taken for code of Lanmu itself."""


@click.command(
    "new",
    cls=Command,
    help=_("Make a folder to start a plugin from: it loads, and its tests pass. Without --channel, a check."),
)
@click.argument("name")
@click.option("--channel", is_flag=True, help=_("A plugin that sends, with a far end for its tests."))
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help=_("The folder to make it in; this one otherwise."),
)
def new(name: str, channel: bool, into: Path) -> None:
    _refuse_name(name)
    folder = into / f"lanmu-plugin-{name.replace('_', '-')}"
    files = make(folder, name, channel=channel)
    done(_("Made %(folder)s with %(files)s files. Next:"), folder=folder, files=len(files))
    click.echo(f"  cd {folder}\n  pip install -e '.[test]'\n  pytest")
    done(
        _("Then write [plugins.%(name)s] into a config.toml as its README.md shows, and there:"),
        name=name,
    )
    click.echo(f"  lanmu plugin check {name}")


def make(folder: Path, name: str, *, channel: bool) -> list[Path]:
    """Write the files of a new plugin; answers which. Raises Conflict where the folder is there already."""
    files = resources.files("lanmu.cli") / "new_plugin_files"
    words = _words(folder.name, name, channel=channel)
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        way_out = _("Choose another name, or another folder with --into.")
        raise Conflict(str(folder), _("is there already."), way_out) from error
    made = []
    for target, source in {**_EVERY, **(_CHANNEL if channel else _CHECK)}.items():
        path = folder / _filled(target, words)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_filled(files.joinpath(source).read_text(encoding="utf-8"), words), encoding="utf-8")
        made.append(path)
    return made


def _words(distribution: str, name: str, *, channel: bool) -> dict[str, str]:
    parts = name.split("_")
    major, minor = (int(part) for part in __version__.split(".")[:2])
    title = " ".join(part.capitalize() for part in parts)
    return {
        "distribution": distribution,
        "name": name,
        "Name": "".join(part.capitalize() for part in parts),
        "NAME": name.upper(),
        "Title": title,
        "bounds": f">={major}.{minor},<{major}.{minor + 1}",
        "description": f"Lanmu sends to {title}" if channel else f"Lanmu's texts checked by {title}",
    }


def _filled(text: str, words: dict[str, str]) -> str:
    return _SLOT.sub(lambda slot: words[slot[1]], text)


def _refuse_name(name: str) -> None:
    """Raises Invalid for what can be no plugin's name, Conflict for one that is taken."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise Invalid(
            name,
            _("cannot be a plugin's name."),
            _("It has small Latin letters, digits and single _ between, %(longest)s at most: acme_chat."),
            longest=_LONGEST,
        )
    if any(point.name == name for point in metadata.entry_points(group=GROUP)):
        fault = _("is the name of a plugin that is installed.")
        raise Conflict(name, fault, _("Choose another: of two plugins of one name, one does not run."))
