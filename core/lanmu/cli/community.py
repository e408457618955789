"""`lanmu community`: bring the chat groups in from a file that a person or another system wrote."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from marshmallow import ValidationError

from lanmu import validation
from lanmu.cli.commands import FAILED, Group
from lanmu.cli.context import done, open_server, print_json
from lanmu.cli.words import told
from lanmu.delivery.sending.asking import no_such_channel
from lanmu.i18n import _
from lanmu.interfaces.errors import Faults, Invalid, LanmuError

if TYPE_CHECKING:
    from lanmu.server import Server

_NUMBERS = ("size", "daily_cap")
_COLUMNS = (
    *("name", "type", "stage", "zone", "shop", "executor", *_NUMBERS),
    *("tags", "mix", "channel", "key", "sender"),
)


@dataclass(frozen=True, slots=True)
class _Item:
    """A community as the file has it, and where it stands there."""

    place: str
    given: dict[str, Any]


@click.group(cls=Group, help=_("Chat groups: bring them in from a file."))
def community() -> None:
    pass


@community.command(
    "import",
    help=_("Create the groups of FILE (.csv or .json), or bring them up to date. Groups are known by name."),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help=_("Print JSON."))
@click.pass_context
def import_(ctx: click.Context, file: Path, as_json: bool) -> None:
    # What the API takes is what a file may hold; the web behind it takes half a second to import.
    from lanmu.web.api.communities import CommunityWriteSchema, draft_of

    faults: list[LanmuError] = []
    with open_server(ctx) as server:
        drafts = []
        for item in _read(file, faults):
            try:
                given = CommunityWriteSchema().load(item.given)
            except ValidationError as error:
                found = validation.faults(error.messages, CommunityWriteSchema())
                faults.extend(_at(item.place, fault) for fault in found)
                continue
            if unknown := _unknown_channels(server, given["addresses"]):
                faults.extend(_at(item.place, fault) for fault in unknown)
                continue
            drafts.append((item.place, draft_of(given)))
        report = server.audience.communities.load(draft for _place, draft in drafts)
        for number, wrong in report.faults:
            single = wrong.faults if isinstance(wrong, Faults) else (wrong,)
            faults.extend(_at(drafts[number - 1][0], fault) for fault in single)
        detail = {"created": report.created, "changed": report.changed, "faults": len(faults)}
        server.audit.record("cli", "community.import", detail=detail)
    if as_json:
        counted = {"created": report.created, "changed": report.changed, "unchanged": report.unchanged}
        print_json({**counted, "faults": [{"place": each.place, "fault": told(each)} for each in faults]})
    else:
        done(
            _("%(created)s created, %(changed)s changed, %(unchanged)s as they were."),
            created=report.created,
            changed=report.changed,
            unchanged=report.unchanged,
        )
        for each in faults:
            click.echo(told(each), err=True)
    if faults:
        ctx.exit(FAILED)


def _at(place: str, fault: LanmuError) -> Invalid:
    """A fault with the line of the file before the field that it names."""
    return Invalid(f"{place}: {fault.place}".rstrip(": "), fault.fault, fault.way_out, **fault.params)


def _unknown_channels(server: "Server", addresses: Mapping[str, object]) -> list[Invalid]:
    running, plugins = server.plugins.channels, server.plugins.names()
    return [no_such_channel("channel", name, running, plugins) for name in addresses if name not in running]


def _read(file: Path, faults: list[LanmuError]) -> Iterator[_Item]:
    """The communities of a file; what cannot be one is put to the faults. Raises Invalid for a wrong file."""
    raw = file.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("gb18030", "replace")  # what a Chinese Excel saves
    if file.suffix.lower() == ".json":
        return _of_json(file.name, text)
    return _of_csv(file.name, text, faults)


def _of_json(name: str, text: str) -> Iterator[_Item]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise Invalid(name, _("is not JSON: %(error)s."), error=error) from error
    items = document.get("items") if isinstance(document, dict) else document
    if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
        fault = _("must hold a list of communities, or one under the key “items”.")
        raise Invalid(name, fault)
    for number, each in enumerate(items, start=1):
        yield _Item(f"{name}[{number}]", each)


def _of_csv(name: str, text: str, faults: list[LanmuError]) -> Iterator[_Item]:
    """One row for each community and channel: the later rows of one name only add their channel."""
    rows = csv.reader(io.StringIO(text))
    head = [column.strip().lower() for column in next(rows, [])]
    unknown = [column for column in head if column not in _COLUMNS]
    if unknown or "name" not in head:
        raise Invalid(
            f"{name}:1",
            _("the first line must name the columns; not known: %(unknown)s."),
            _("Known here: %(known)s."),
            unknown=", ".join(unknown) or "–",
            known=", ".join(_COLUMNS),
        )
    items: dict[str, _Item] = {}
    for cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        place = f"{name}:{rows.line_num}"
        row = {column: cell.strip() for column, cell in zip(head, cells, strict=False) if cell.strip()}
        try:
            given = _given(row)
        except Invalid as fault:
            faults.append(_at(place, fault))
            continue
        first = items.setdefault(row.get("name", place), _Item(place, given))
        if first.given is not given:
            first.given.setdefault("addresses", {}).update(given.get("addresses", {}))
    yield from items.values()


def _given(row: Mapping[str, str]) -> dict[str, Any]:
    """A row as the API would be given it. Raises Invalid naming the column."""
    given: dict[str, Any] = {
        column: row[column]
        for column in row
        if column not in (*_NUMBERS, "tags", "mix", "channel", "key", "sender")
    }
    for column in _NUMBERS:
        if column in row:
            given[column] = _whole(column, row[column])
    if "tags" in row:
        given["tags"] = row["tags"].replace(",", " ").replace("，", " ").replace("、", " ").split()
    if "mix" in row:
        parts = [part.partition(":") for part in row["mix"].replace("：", ":").split()]
        given["mix"] = {code: _whole("mix", percent) for code, _colon, percent in parts}
    if "channel" in row:
        given["addresses"] = {row["channel"]: {"key": row.get("key", ""), "sender": row.get("sender", "")}}
    elif "key" in row:
        raise Invalid("channel", _("is missing."))
    return given


def _whole(column: str, cell: str) -> int:
    try:
        return int(cell)
    except ValueError:
        raise Invalid(column, _("is not a whole number.")) from None
