"""Two languages from plain .po files: English is the source text, zh-CN is complete and the default."""

import json
import os
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from lanmu.interfaces.errors import Faults, LanmuError, filled

LOCALES = ("zh-CN", "en")
DEFAULT_LOCALE = "zh-CN"


def _(text: str) -> str:
    """Mark a text for translation where it is written; it is translated where it is shown."""
    return text


class Filled(str):
    """A text with its slots filled in: English as it stands, and still translatable where it is shown.

    A slot that is itself a Filled is translated along with the text. It is a plain string to everything
    that knows nothing of languages; once serialised it stays what it was at that moment.
    """

    msgid: str
    params: dict[str, object]

    def __new__(cls, msgid: str, **params: object) -> "Filled":
        if isinstance(msgid, Filled) and not params:
            return msgid  # anew it would lose its message, and with that its translation
        self = super().__new__(cls, filled(msgid, params) if params else msgid)
        self.msgid = msgid
        self.params = params
        return self


_STORED = "\x1e"
"""Begins a stored text that has slots: no person types this character, and no message holds it."""


def to_store(text: str) -> str:
    """The text as a database keeps it: one with slots as its message and what fills them."""
    if type(text) is str:  # as most are, most of them empty
        return text
    return _STORED + json.dumps(_document(text), ensure_ascii=False) if _has_slots(text) else str(text)


def from_store(stored: str) -> str:
    """The text that `to_store` was given, translatable again."""
    return _revived(json.loads(stored[1:])) if stored.startswith(_STORED) else stored


def _has_slots(text: object) -> bool:
    return isinstance(text, Filled) and bool(text.params)


def _document(value: object) -> object:
    if not isinstance(value, Filled):
        return value if isinstance(value, (str, int, float)) else str(value)
    return {"msgid": value.msgid, "params": {name: _document(each) for name, each in value.params.items()}}


def _revived(document: Any) -> Any:
    if not isinstance(document, dict):
        return document
    return Filled(document["msgid"], **{name: _revived(each) for name, each in document["params"].items()})


def told(error: LanmuError) -> Filled:
    """An error as one text that is translated where it is shown; a line for each fault."""
    faults = error.faults if isinstance(error, Faults) else (error,)
    return joined("\n", [_line(each) for each in faults])


def joined(between: str, texts: Sequence[str]) -> Filled:
    """One text or more as one, each of which is translated where it is shown."""
    if len(texts) == 1:
        return Filled(texts[0])
    slots = {f"text{number}": Filled(each) for number, each in enumerate(texts)}
    return Filled(between.join(f"%({name})s" for name in slots), **slots)


_THEN = _("%(fault)s %(way_out)s")


def _needs_a_space(template: str, slots: Mapping[str, object]) -> bool:
    """Whether two sentences that stand side by side in Chinese are parted: where one is still English."""
    fault, way_out = str(slots["fault"]), str(slots["way_out"])
    return template != _THEN and way_out[:1].isascii() and fault[-1:].isascii()


def _line(error: LanmuError) -> Filled:
    line = _with_params(error.fault, error.params)
    if error.way_out:
        # A text of its own, because Chinese needs no space between two sentences.
        way_out = _with_params(error.way_out, error.params)
        line = Filled(_THEN, fault=line, way_out=way_out)
    return Filled("%(place)s: %(line)s", place=error.place, line=line) if error.place else line


def _with_params(text: str, params: Mapping[str, object]) -> Filled:
    return text if isinstance(text, Filled) else Filled(text, **params)


class Rewording:
    """What a library says in its own English, said in our words, so that it can be translated.

    `texts` gives for each of its templates ("Must be one of: {choices}.") a marked text of ours with the same
    slots. What fills a slot may be such a text in turn.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = [(_pattern(template), ours) for template, ours in texts.items()]

    def __call__(self, said: str) -> str:
        """Our text for what the library said; where it is not known, as it stands."""
        for pattern, ours in self._texts:
            if found := pattern.fullmatch(said):
                return Filled(ours, **{slot: self(text) for slot, text in found.groupdict().items()})
        return said


def _pattern(template: str) -> re.Pattern[str]:
    literals_and_slots = re.split(r"\{(\w+)\}", template)
    pieces = [
        f"(?P<{piece}>.+?)" if index % 2 else re.escape(piece)
        for index, piece in enumerate(literals_and_slots)
    ]
    return re.compile("".join(pieces), re.DOTALL)


def terminal_locale(environ: Mapping[str, str] = os.environ) -> str:
    """`LANMU_LANG`, or what the terminal speaks; Chinese where that is not English."""
    names = ("LANMU_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
    chosen = next((value for name in names if (value := environ.get(name))), "")
    return "en" if chosen.lower().startswith("en") else DEFAULT_LOCALE


class Catalog:
    """The translations of the core and of every plugin, merged; read when first asked for."""

    def __init__(self, packages: Iterable[str] = ("lanmu",)) -> None:
        self._packages = tuple(packages)
        self._messages: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def gettext(self, locale: str, text: str) -> str:
        """The text in `locale`, or as it stands where there is no translation."""
        if isinstance(text, Filled) and text.params:
            slots = {
                name: self.gettext(locale, value) if isinstance(value, Filled) else value
                for name, value in text.params.items()
            }
            template = self.gettext(locale, text.msgid)
            if text.msgid == _THEN and _needs_a_space(template, slots):
                template = _THEN
            return filled(template, slots)
        if locale == "en":
            return text
        return self._load(locale).get(text, text)

    def knows(self, locale: str, text: str) -> bool:
        """Whether there is a translation; a name may well be translated as itself."""
        return text in self._load(locale)

    def _load(self, locale: str) -> dict[str, str]:
        loaded = self._messages.get(locale)
        if loaded is None:
            with self._lock:
                loaded = self._messages.get(locale)
                if loaded is None:
                    loaded = self._messages[locale] = self._read(locale)
        return loaded

    def _read(self, locale: str) -> dict[str, str]:
        from babel.messages.pofile import read_po  # takes a tenth of a second, and only where a text is shown

        merged: dict[str, str] = {}
        for package in self._packages:
            for path in po_files(package, locale):
                with path.open("rb") as file:
                    for message in read_po(file, locale=locale.replace("-", "_")):
                        if message.string and not message.fuzzy and isinstance(message.id, str):
                            # The core comes first: no plugin may change what the core says.
                            merged.setdefault(message.id, str(message.string))
        merged.pop("", None)  # the file's own head
        return merged


def po_files(package: str, locale: str) -> list[Traversable]:
    """A package's .po files for a locale, by name."""
    folder = resources.files(package) / "translations" / locale.replace("-", "_")
    if not folder.is_dir():
        return []
    return sorted(
        (path for path in folder.iterdir() if path.name.endswith(".po")), key=lambda path: path.name
    )
