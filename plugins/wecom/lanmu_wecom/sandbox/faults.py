"""Faults that a test asks for: what shall go wrong, with which call, before or after it took effect."""

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass

KINDS = ("slow", "dribble", "html502", "truncate", "drop", "errcode", "empty", "huge", "garbage")


@dataclass(slots=True)
class Fault:
    """One order. `call` is a call's name or `*`; `times` counts down, below zero it stays for ever.

    `when` says whether the call takes effect first: "after" is the case that must not be sent again.
    `seconds` belongs to slow and dribble, `code` to errcode.
    """

    kind: str
    call: str = "*"
    when: str = "before"
    times: int = 1
    seconds: float = 0.0
    code: int = -1


class Faults:
    """The orders that are open, oldest first."""

    def __init__(self) -> None:
        self._open: list[Fault] = []
        self._lock = threading.Lock()

    def order(self, wishes: Mapping[str, object]) -> Fault:
        """Take an order. Raises ValueError naming what is wrong with it."""
        unknown = set(wishes) - {"kind", "call", "when", "times", "seconds", "code"}
        if unknown:
            raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}")
        if wishes.get("kind") not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        if wishes.get("when", "before") not in ("before", "after"):
            raise ValueError("when must be before or after")
        for name in ("times", "code"):
            if type(wishes.get(name, 1)) is not int:
                raise ValueError(f"{name} must be a whole number")
        seconds = wishes.get("seconds", 0)
        if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not 0 <= seconds <= 600:
            raise ValueError("seconds must lie between 0 and 600")
        fault = Fault(**wishes)  # type: ignore[arg-type]
        with self._lock:
            self._open.append(fault)
        return fault

    def take(self, call: str) -> Fault | None:
        """The fault that is due for this call, if any."""
        if not self._open:
            return None
        with self._lock:
            for fault in self._open:
                if fault.call in ("*", call):
                    if fault.times > 0:
                        fault.times -= 1
                        if fault.times == 0:
                            self._open.remove(fault)
                    return fault
        return None

    def clear(self) -> None:
        with self._lock:
            self._open.clear()

    def listed(self) -> list[dict[str, object]]:
        with self._lock:
            return [asdict(fault) for fault in self._open]
