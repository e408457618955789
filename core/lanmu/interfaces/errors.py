"""Errors that a person reads: each names the place, the fault and the way out."""

import re
from collections.abc import Iterable, Mapping

_SLOT = re.compile(r"%\((\w+)\)[sdr]|%%")


def filled(text: str, params: Mapping[str, object]) -> str:
    """The text with its `%(name)s` slots filled. A bare % or a slot without its value stays as it stands.

    A message is often the only trace of what went wrong, so a slip in it must not hide it.
    """
    try:
        return text % params
    except (ValueError, TypeError, KeyError):
        return _SLOT.sub(lambda slot: str(params.get(slot[1], slot[0])) if slot[1] else "%", text)


class LanmuError(Exception):
    """A fault that is told to a person as it stands.

    `place` is the field, key path, file line or object at fault; `fault` says what is wrong with it and
    `way_out` what to do. Texts are English gettext ids; `params` fills their `%(name)s` slots after
    translation, so that one message serves both languages.
    """

    status = 400
    code = "error"

    def __init__(self, place: str, fault: str, way_out: str = "", **params: object) -> None:
        self.place = place
        self.fault = fault
        self.way_out = way_out
        self.params = params
        super().__init__(place, fault, way_out)

    def __str__(self) -> str:
        fault = filled(self.fault, self.params) if self.params else self.fault
        way_out = filled(self.way_out, self.params) if self.params else self.way_out
        text = f"{self.place}: {fault}" if self.place else fault
        return f"{text} {way_out}".rstrip()


class Invalid(LanmuError):
    """A value that was given is not acceptable."""

    status = 422
    code = "invalid"


class NotFound(LanmuError):
    """What was asked for does not exist, or not for the one who asks."""

    status = 404
    code = "not_found"


class Conflict(LanmuError):
    """The object has changed, or is in a state in which this cannot be done."""

    status = 409
    code = "conflict"


class Denied(LanmuError):
    """The one who asks lacks the permission."""

    status = 403
    code = "denied"


class Faults(LanmuError):
    """Several faults found in one go, so that a person mends them in one go."""

    status = 422
    code = "invalid"

    def __init__(self, faults: Iterable[LanmuError]) -> None:
        self.faults = tuple(faults)
        super().__init__("", "\n".join(str(fault) for fault in self.faults))

    def __str__(self) -> str:
        return "\n".join(str(fault) for fault in self.faults)
