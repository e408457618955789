"""A value that must not be seen: it masks itself wherever it could be printed."""

import hmac
import json
import re
import threading
from functools import lru_cache
from urllib.parse import quote, quote_plus

_TOO_SHORT_TO_HIDE = 8
_lock = threading.Lock()
_living: frozenset[str] = frozenset()


# What stands in an address or a log line and looks like anybody's secret, ours or not.
_LOOKS_SECRET = re.compile(
    r"((?:(?:secret|token|password|passwd|api_?key)|(?<![a-z])(?:key|sign|signature|sig))=|Bearer\s+"
    r"|(?:secret|token|password|api_?key)[\\]?[\"'][:= ]+[\\]?[\"']|api_key[= ]+|lanmu_[0-9A-Za-z]{8}_)"
    r"[^\s&\\\"'<>)]+"
    r"|(://[^/\s:@]*:)[^\s/@]+(?=@)",
    re.IGNORECASE,
)
_HINTS = ("secret", "token", "passw", "key", "sign", "sig=", "bearer", "lanmu_", "://")
"""One of these is in whatever looks secret; asking for them first costs a tenth of searching."""


def masked(text: str) -> str:
    """The text without the secrets of this process and without what looks like anybody's.

    Secrets of under 8 characters stay: taking "abc" out of every text would hide the text, not the secret.
    """
    known = _pattern(_living)
    if known is not None:
        text = known.sub("***", text)
    lower = text.lower()
    for hint in _HINTS:
        if hint in lower:
            return _LOOKS_SECRET.sub(r"\1\2***", text)
    return text


@lru_cache(maxsize=1)
def _pattern(secrets: frozenset[str]) -> re.Pattern[str] | None:
    """Finds every secret as it stands, inside JSON, and inside an address; the longest first."""
    forms = {
        form
        for secret in secrets
        for form in (
            secret,
            json.dumps(secret, ensure_ascii=False)[1:-1],
            quote(secret, ""),
            quote_plus(secret),
        )
    }
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    return re.compile("|".join(map(re.escape, longest_first))) if forms else None


class Secret:
    """A secret string. Only `reveal()` gives it away; comparing takes the same time for every guess."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        global _living
        self._value = value
        if len(value) >= _TOO_SHORT_TO_HIDE and value not in _living:
            with _lock:
                _living |= {value}

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not serialised")
