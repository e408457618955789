"""What commands share: finding config.toml, logging, and a server opened and closed around the work."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import resources
from pathlib import Path
from shutil import copytree
from typing import Any

import click
from sqlalchemy.exc import OperationalError

from lanmu.cli.words import learn, say
from lanmu.config import Config, load
from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid
from lanmu.logs import configure
from lanmu.server import Server

CONFIG = "config.toml"


def find_config(ctx: click.Context) -> Path:
    """The config.toml to use: named, or the one in this folder. Raises Invalid where there is none."""
    named = ctx.find_root().params.get("config")
    path = Path(named) if named else Path(CONFIG)
    if not path.is_file():
        raise Invalid(
            str(path),
            _("is not there."),
            _("Go to Lanmu's folder, or name it with --config; `lanmu serve` makes one."),
        )
    return path


def starter(folder: Path) -> list[str]:
    """Put a config.toml and the starter library into a folder that has none; answers what was made."""
    made = []
    source = resources.files("lanmu") / "starter"
    for name in (CONFIG, "content_library"):
        target = folder / name
        packaged = source / name
        if target.exists():
            continue
        if packaged.is_file():
            target.write_bytes(packaged.read_bytes())
        elif packaged.is_dir():
            with resources.as_file(packaged) as path:
                copytree(path, target)
        else:
            continue
        made.append(name)
    return made


def read_config(ctx: click.Context) -> Config:
    config = load(find_config(ctx))
    configure(config.log.level, config.log.format)
    return config


@contextmanager
def open_server(ctx: click.Context) -> Iterator[Server]:
    """A server for one command; its database is migrated, nothing is started.

    What a running server logs as a warning is not for somebody who asked for something else. That nothing is
    sent is told in the reader's own words, beside what was asked for.
    """
    config = read_config(ctx)
    configure("debug" if config.log.level == "debug" else "error", config.log.format)
    with quiet_about_freezing():
        server = start_server(config)
    try:
        if ctx.info_name != "release" and server.home.state().kind == "frozen":
            click.echo(say(_FROZEN), err=True)
        yield server
    finally:
        server.close()


_FROZEN = _("Nothing is sent: this installation is frozen. `lanmu release --help` tells more.")


@contextmanager
def quiet_about_freezing() -> Iterator[None]:
    """Keeps the English line for a log off a terminal: a command says itself that a copy is frozen."""
    logger = logging.getLogger("lanmu.delivery.installation.instance")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def start_server(config: Config) -> Server:
    """A server, whose catalog the command line speaks with from now on.

    Raises Invalid where its database cannot be reached.
    """
    try:
        server = Server(config)
    except OperationalError as error:
        if error.statement is not None:
            raise  # it was reached, and refused something: that is no setting's fault
        raise Invalid(
            "database.url" if config.database.url else "server.data_dir",
            _("the database cannot be opened: %(error)s."),
            _("Look whether it runs, and whether address, name and password are right."),
            error=str(error.orig).strip().splitlines()[0],
        ) from error
    learn(server.catalog)
    return server


@contextmanager
def progress_bar(text: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error for long work, told (done, of how many); silent where nobody watches."""
    if not sys.stderr.isatty():
        yield lambda _position, _total: None
        return
    with click.progressbar(length=1, label=say(text), file=sys.stderr) as bar:

        def show(position: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(position - bar.pos)

        yield show


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_as_text))


def _as_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def done(text: str, **params: object) -> None:
    click.echo(say(text, **params))
