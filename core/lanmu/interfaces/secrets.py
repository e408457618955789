"""A value that must not be seen: it masks itself wherever it could be printed."""

import hmac
import threading

_TOO_SHORT_TO_HIDE = 8
_lock = threading.Lock()
_living: frozenset[str] = frozenset()


def living() -> frozenset[str]:
    """Every secret of this process, for whoever must keep them out of what he writes.

    Those of under 8 characters are left out: taking "abc" out of every line would hide the line, not the
    secret.
    """
    return _living


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
