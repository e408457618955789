"""Writing a material to its file: what says the same stays as people wrote it."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from lanmu.interfaces.errors import Invalid
from lanmu.library import front_matter
from lanmu.library.content import Content, end_of_day, start_of_day
from lanmu.library.front_matter import Image
from lanmu.library.naming import month_of


def compose(
    old: bytes | None,
    content: Content,
    images: Sequence[Image],
    *,
    state: str,
    author: str,
    reviewer: str,
    zone: ZoneInfo,
) -> bytes:
    """The file of a material.

    Of an `old` file everything stays that still says the same: keys that are not ours, comments, the way in
    which values are written, and the body's layout.
    """
    values = _values(content, state, author, reviewer, zone)
    text = old.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n") if old is not None else ""
    front = front_matter.FRONT.match(text)
    head = _patched(front[1], values) if front is not None else None
    if head is None:
        head = "".join(_line(key, value) for key, value in values.items() if value is not None)
    body = content.body + "\n"
    if images:
        lines = [f"![{_caption(image.caption)}]({image.path.replace(' ', '%20')})" for image in images]
        body = (body + "\n" if content.body else "") + "\n".join(lines) + "\n"
    if front is not None:
        said, _lines, shown = front_matter.split(text[front.end() :], 1)
        same = [(image.path, image.caption) for image in shown] == [(i.path, i.caption) for i in images]
        if said.strip() == content.body and same:
            body = text[front.end() :]
    return f"---\n{head}---\n{body}".encode()


def _values(content: Content, state: str, author: str, reviewer: str, zone: ZoneInfo) -> dict[str, Any]:
    licence: dict[str, Any] | None = None
    if content.licence is not None:
        licence = {"source": content.licence.source, "licensor": content.licence.licensor}
        if content.licence.until is not None:
            licence["until"] = content.licence.until
    return {
        "title": content.title,
        "class": content.content_class,
        "kind": content.kind,
        "zone": content.zone,
        "genre": content.genre,
        "topic": content.topic,
        "form": content.form,
        "month": f"{content.month[:4]}-{content.month[4:]}",
        "tags": list(content.tags) or None,
        "origin": content.origin,
        "owner": content.owner,
        "author": author if author != content.owner else None,
        "reviewer": reviewer or None,
        "state": state,
        "valid_from": _day(content.valid_from, zone, last=False),
        "valid_until": _day(content.valid_until, zone, last=True),
        "licence": licence,
        "consent": content.consent or None,
    }


def _day(instant: datetime | None, zone: ZoneInfo, *, last: bool) -> date | str | None:
    """An instant as people write it: a day where it is a day's edge in the shop's zone, else in full."""
    if instant is None:
        return None
    local = instant.astimezone(zone)
    day = local.date()
    if last and end_of_day(date.fromordinal(day.toordinal() - 1), zone) == instant:
        return date.fromordinal(day.toordinal() - 1)
    if not last and start_of_day(day, zone) == instant:
        return day
    return local.isoformat()


def _line(key: str, value: Any) -> str:
    flow = isinstance(value, list)
    dumped = yaml.safe_dump(
        value if flow else {key: value},
        allow_unicode=True,
        sort_keys=False,
        default_flow_style=flow,
        width=10_000,
    )
    return f"{key}: {dumped}" if flow else str(dumped)


def _patched(front: str, values: Mapping[str, Any]) -> str | None:
    """The front matter with the keys written anew whose value has changed; None where it is unreadable."""
    try:
        root, before = front_matter.load(front)
    except (yaml.YAMLError, ValueError):
        return None
    if root is None or root.flow_style:
        return None
    lines = front.splitlines(keepends=True)
    starts = [(str(key.value), key.start_mark.line) for key, _value in root.value]
    out = lines[: starts[0][1]] if starts else lines
    for at, (key, start) in enumerate(starts):
        end = starts[at + 1][1] if at + 1 < len(starts) else len(lines)
        block = lines[start:end]
        if key not in values or _same(key, before.get(key), values[key]):
            out += block
            continue
        tail = len(block)
        while tail > 1 and (not block[tail - 1].strip() or block[tail - 1].startswith("#")):
            tail -= 1
        if values[key] is not None:
            out.append(_line(key, values[key]))
        out += block[tail:]
    known = {key for key, _start in starts}
    out += [_line(key, value) for key, value in values.items() if key not in known and value is not None]
    return "".join(out)


def _same(key: str, before: Any, after: Any) -> bool:
    if key == "month" and before is not None:
        try:
            return month_of(str(before)) == month_of(str(after))
        except Invalid:
            return False
    if key == "tags" and isinstance(before, list):
        return [str(tag) for tag in before] == (after or [])
    if key == "licence" and isinstance(before, dict) and isinstance(after, dict):
        return {name: str(value) for name, value in before.items()} == {
            name: str(value) for name, value in after.items()
        }
    if isinstance(before, str) and isinstance(after, str):
        return before.split() == after.split()
    return str(before) == str(after) if before is not None and after is not None else before == after


def _caption(text: str) -> str:
    return re.sub(r"[\[\]\n]", " ", text)
