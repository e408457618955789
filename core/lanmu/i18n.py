"""Two languages from plain .po files: English is the source text, zh-CN is complete and the default."""

import threading
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable

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
        self = super().__new__(cls, msgid % params if params else msgid)
        self.msgid = msgid
        self.params = params
        return self


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
            return self.gettext(locale, text.msgid) % slots
        if locale == "en":
            return text
        return self._load(locale).get(text, text)

    def _load(self, locale: str) -> dict[str, str]:
        loaded = self._messages.get(locale)
        if loaded is None:
            with self._lock:
                loaded = self._messages.get(locale)
                if loaded is None:
                    loaded = self._messages[locale] = self._read(locale)
        return loaded

    def _read(self, locale: str) -> dict[str, str]:
        from babel.messages.pofile import read_po  # 0.1 s, and only where a page is shown

        merged: dict[str, str] = {}
        for package in self._packages:
            for path in po_files(package, locale):
                with path.open("rb") as file:
                    for message in read_po(file, locale=locale.replace("-", "_")):
                        if message.id and message.string and isinstance(message.id, str):
                            merged[message.id] = str(message.string)
        return merged


def po_files(package: str, locale: str) -> list[Traversable]:
    """A package's .po files for a locale, by name."""
    folder = resources.files(package) / "translations" / locale.replace("-", "_")
    if not folder.is_dir():
        return []
    return sorted(
        (path for path in folder.iterdir() if path.name.endswith(".po")), key=lambda path: path.name
    )
