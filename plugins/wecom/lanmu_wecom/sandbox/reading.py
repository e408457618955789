"""Reading a call's JSON as the platform does: as far as it goes, with a warning for what is mistyped."""

import json
from typing import Any

from lanmu_wecom.sandbox.world import WecomError


class Fields:
    """An object of the request. A field of the wrong type counts as absent and leaves a warning."""

    def __init__(self, data: object, warnings: list[str], path: str = "") -> None:
        self._data = data if isinstance(data, dict) else {}
        self._warnings = warnings
        self._path = path
        if data is not None and not isinstance(data, dict):
            warnings.append(path or "body")

    @classmethod
    def of(cls, body: bytes) -> "Fields":
        warnings: list[str] = []
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            data = None
            warnings.append("body")
        return cls(data, warnings)

    @property
    def warned(self) -> list[str]:
        return self._warnings

    def has(self, name: str) -> bool:
        return name in self._data

    def raw(self) -> dict[str, Any]:
        return self._data

    def text(self, name: str) -> str:
        value = self._typed(name, str)
        return value if isinstance(value, str) else ""

    def number(self, name: str, default: int = 0) -> int:
        value = self._typed(name, int)
        return value if isinstance(value, int) else default

    def flag(self, name: str) -> bool:
        return bool(self._typed(name, (bool, int)))

    def texts(self, name: str) -> list[str]:
        value = self._typed(name, list)
        if not isinstance(value, list):
            return []
        if not all(isinstance(item, str) for item in value):
            self._warnings.append(self._path + name)
        return [item for item in value if isinstance(item, str)]

    def part(self, name: str) -> "Fields":
        value = self._typed(name, dict)
        return Fields(value if isinstance(value, dict) else None, self._warnings, f"{self._path}{name}.")

    def parts(self, name: str) -> list["Fields"]:
        value = self._typed(name, list)
        if not isinstance(value, list):
            return []
        path = f"{self._path}{name}."
        return [Fields(item, self._warnings, path) for item in value]

    def _typed(self, name: str, kind: type | tuple[type, ...]) -> object:
        value = self._data.get(name)
        if value is None:
            return None
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self._warnings.append(self._path + name)
            return None
        return value


def short(text: str, limit: int, name: str) -> str:
    """A text of at most `limit` bytes of UTF-8; over it, 40058 with the field's name."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > limit:
        raise WecomError(40058, f"{name} exceed max length {limit}. invalid Request Parameter")
    return text


def required(text: str, name: str) -> str:
    if not text:
        raise WecomError(40063, f"some parameters are empty ({name})")
    return text
