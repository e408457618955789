"""`lanmu personal_wechat_export …`: the packs in a terminal, and a pack as a zip."""

import json
from pathlib import Path
from typing import Any

import click

from lanmu.i18n import DEFAULT_LOCALE, LOCALES, _
from lanmu.interfaces.clock import Clock
from lanmu_personal_wechat_export import moments
from lanmu_personal_wechat_export.archive import write_zip
from lanmu_personal_wechat_export.files import FileStore
from lanmu_personal_wechat_export.settings import PackSettings
from lanmu_personal_wechat_export.store import PackStore, PackView


def packs_command(settings: PackSettings, store: PackStore, clock: Clock) -> click.Command:
    """The command that lists today's packs and older ones that are not finished."""

    @click.command("packs", help=_("List today's packs, and older ones that are not finished."))
    @click.option("--json", "as_json", is_flag=True, help=_("Print JSON, for a program to read."))
    def packs(as_json: bool) -> None:
        found = store.listing(moments.start_of_day(clock.now(), settings.zone))
        if as_json:
            click.echo(json.dumps([_plain(pack) for pack in found], ensure_ascii=False, indent=2))
            return
        for pack in found:
            made = pack.created_at.astimezone(settings.zone)
            done = f"{pack.settled}/{len(pack.items)}"
            click.echo(f"{pack.id}  {made:%m-%d %H:%M}  {done:>5}  {pack.executor or '-'}  {pack.title}")

    return packs


def zip_command(settings: PackSettings, store: PackStore, files: FileStore) -> click.Command:
    """The command that writes a pack as a zip."""

    @click.command("zip", help=_("Write a pack as a zip, for somebody without the phone page."))
    @click.argument("pack")
    @click.option(
        "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help=_("The file to write.")
    )
    @click.option("--lang", type=click.Choice(LOCALES), default=DEFAULT_LOCALE, help=_("Its language."))
    def zip_pack(pack: str, output: Path | None, lang: str) -> None:
        found = store.get(pack)
        path = output or Path(f"{found.id}.zip")
        with path.open("wb") as out:
            write_zip(out, found, files, settings.zone, lang)
        click.echo(str(path))

    return zip_pack


def _plain(pack: PackView) -> dict[str, Any]:
    return {
        "id": pack.id,
        "title": pack.title,
        "executor": pack.executor,
        "created_at": pack.created_at.isoformat(),
        "deadline": pack.deadline.isoformat() if pack.deadline else None,
        "opened_at": pack.opened_at.isoformat() if pack.opened_at else None,
        "finished_at": pack.finished_at.isoformat() if pack.finished_at else None,
        "cancelled": pack.cancelled_at is not None,
        "items": [
            {
                "key": item.key,
                "name": item.name,
                "state": item.state,
                "reason": item.reason,
                "until": item.until.isoformat() if item.until else None,
            }
            for item in pack.items
        ],
    }
