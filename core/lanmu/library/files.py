"""Reading a material from its file: Markdown with front matter, each fault with its line."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from lanmu.i18n import _
from lanmu.interfaces.errors import Faults, Invalid, LanmuError
from lanmu.library import front_matter
from lanmu.library.content import Content, Licence, end_of_day, start_of_day
from lanmu.library.front_matter import Image
from lanmu.library.models import STATES
from lanmu.library.naming import month_of

_KEY_OF = {"content_class": "class"}
_TEXTS = ("title", "class", "kind", "zone", "genre", "topic", "form", "owner", "origin")


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says. `content` has no attachments yet: `images` are still paths."""

    content: Content
    images: tuple[Image, ...]
    state: str
    author: str
    reviewer: str
    lines: Mapping[str, int] = field(repr=False)
    body_lines: Sequence[int] = field(repr=False)

    def located(self, path: str, fault: LanmuError) -> LanmuError:
        """The fault of a field as the fault of a line of the file: `PATH:LINE`."""
        name, _dot, rest = fault.place.partition(":")
        if name == "body":
            inside = int(rest.split(":")[0]) - 1 if rest else 0
            line = self.body_lines[min(inside, len(self.body_lines) - 1)] if self.body_lines else 1
        elif name == "attachments":
            line = self.images[0].line if self.images else 1
        else:
            key = _KEY_OF.get(name, name)
            line = self.lines.get(key) or self.lines.get(key.split(".")[0]) or 1
            return _moved(f"{path}:{line} {key}", fault)
        return _moved(f"{path}:{line}", fault)


def parse(raw: bytes, path: str, zone: ZoneInfo) -> Document:
    """Read a file. Raises Faults, each placed as `PATH:LINE`; what the values mean is checked later."""
    reader = _Reader(path, zone)
    document = reader.document(raw)
    if reader.faults or document is None:
        raise Faults(reader.faults)
    return document


class _Reader:
    """Reads one file and gathers its faults."""

    def __init__(self, path: str, zone: ZoneInfo) -> None:
        self._path = path
        self._zone = zone
        self.faults: list[LanmuError] = []
        self._lines: dict[str, int] = {}
        self._values: dict[str, Any] = {}

    def document(self, raw: bytes) -> Document | None:
        try:
            text = raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            self._fault(line, _("it is not UTF-8 text."), _("Save the file as UTF-8."))
            return None
        front = front_matter.FRONT.match(text)
        if front is None:
            self._fault(
                1,
                _("it does not start with front matter."),
                _("Begin it with a line --- and end that part with another."),
            )
            return None
        if not self._read_front(front[1]):
            return None
        first = text.count("\n", 0, front.end()) + 1
        body, body_lines, images = front_matter.split(text[front.end() :], first)
        values = {name: self._text(name) for name in _TEXTS}
        state = self._text("state") or "draft"
        if state not in STATES:
            self._field("state", _("“%(value)s” is not known here."), _("Use one of: %(known)s."),
                        value=state[:40], known=", ".join(STATES))  # fmt: skip
        starts, ends = self._instant("valid_from"), self._instant("valid_until")
        content = Content(
            title=values["title"],
            body=body,
            content_class=values["class"],
            kind=values["kind"],
            zone=values["zone"],
            genre=values["genre"],
            topic=values["topic"],
            form=values["form"],
            month=self._month(),
            owner=values["owner"],
            origin=values["origin"] or "original",
            tags=self._tags(),
            valid_from=starts,
            valid_until=ends,
            licence=self._licence(),
            consent=self._text("consent"),
        )
        author = self._text("author") or content.owner
        return Document(
            content, tuple(images), state, author, self._text("reviewer"), self._lines, body_lines
        )

    def _read_front(self, front: str) -> bool:
        try:
            root, self._values = front_matter.load(front)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = (mark.line if mark is not None else 0) + 2
            self._fault(
                line,
                _("the front matter is not good YAML: %(problem)s."),
                _("Text with a colon or a quotation mark must stand in quotes."),
                problem=error.problem or error.context or "?",
            )
            return False
        except (yaml.YAMLError, ValueError) as error:
            self._fault(2, _("the front matter is not good YAML: %(problem)s."), problem=str(error)[:100])
            return False
        if root is None:
            self._fault(2, _("the front matter is not a list of “key: value” lines."))
            return False
        for key, line in front_matter.keys(root):
            if key in self._lines:
                self._fault(line, _("“%(key)s” stands here twice."), _("Delete one of the two."), key=key)
            self._lines[key] = line
        return True

    def _text(self, name: str) -> str:
        value = self._values.get(name)
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        self._field(name, _("it is not text."), _("Put the value in quotes."))
        return ""

    def _tags(self) -> tuple[str, ...]:
        value = self._values.get("tags")
        if value is None:
            return ()
        if isinstance(value, str):
            return tuple(re.split(r"[,，]", value))
        if isinstance(value, list) and all(
            isinstance(tag, str) or (isinstance(tag, int) and not isinstance(tag, bool)) for tag in value
        ):
            return tuple(str(tag) for tag in value)
        self._field("tags", _("it is not a list of words."), _("Write it like [word, word]."))
        return ()

    def _month(self) -> str:
        value = self._values.get("month")
        text = value.isoformat() if isinstance(value, date) else self._text("month")
        try:
            return month_of(text)
        except Invalid as fault:
            self._field("month", fault.fault, fault.way_out, **fault.params)
            return ""

    def _instant(self, name: str) -> datetime | None:
        value = self._values.get(name)
        if isinstance(value, str):
            value = _read_date(value)
        if isinstance(value, datetime):
            aware = value if value.tzinfo else value.replace(tzinfo=self._zone)
            return aware.astimezone(UTC)
        if isinstance(value, date):
            return start_of_day(value, self._zone) if name == "valid_from" else end_of_day(value, self._zone)
        if value is not None:
            self._field(
                name, _("“%(value)s” is not a date."), _("Write it like 2025-03-31."), value=str(value)[:40]
            )
        return None

    def _licence(self) -> Licence | None:
        value = self._values.get("licence")
        if value is None:
            return None
        if not isinstance(value, dict):
            self._field(
                "licence",
                _("it has no source, licensor and until below it."),
                _("Write each on a line of its own."),
            )
            return None
        until = value.get("until")
        if isinstance(until, str):
            until = _read_date(until)
        if isinstance(until, datetime):
            until = until.date()
        if until is not None and not isinstance(until, date):
            self._field(
                "licence.until",
                _("“%(value)s” is not a date."),
                _("Write it like 2025-03-31."),
                value=str(until)[:40],
            )
            until = None
        return Licence(str(value.get("source") or ""), str(value.get("licensor") or ""), until)

    def _field(self, name: str, fault: str, way_out: str = "", **params: object) -> None:
        line = self._lines.get(name) or self._lines.get(name.split(".")[0]) or 1
        self.faults.append(Invalid(f"{self._path}:{line} {name}", fault, way_out, **params))

    def _fault(self, line: int, fault: str, way_out: str = "", **params: object) -> None:
        self.faults.append(Invalid(f"{self._path}:{line}", fault, way_out, **params))


def _moved(place: str, fault: LanmuError) -> LanmuError:
    return Invalid(place, fault.fault, fault.way_out, **fault.params)


def _read_date(text: str) -> date | str:
    """A day or an instant in ISO form, or the text itself where it is neither."""
    try:
        return datetime.fromisoformat(text) if len(text) > 10 else date.fromisoformat(text)
    except ValueError:
        return text
