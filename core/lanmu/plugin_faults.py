"""What a plugin's code may do when it is called: what it may raise and answer, told without secrets."""

import threading

from lanmu.i18n import Filled, _
from lanmu.interfaces.secrets import masked

# NUL is no text to PostgreSQL, and the other begins a stored text that has slots (lanmu.i18n).
_UNSTORABLE = {0: "\N{REPLACEMENT CHARACTER}", 0x1E: " "}


class WrongAnswer(Exception):
    """What a plugin should have answered; `fault` is the sentence."""

    def __init__(self, what: str, wanted: str, got: object) -> None:
        self.fault = Filled(
            _("%(what)s must be %(wanted)s, not %(got)s."),
            what=what,
            wanted=wanted,
            got=type(got).__name__ if not isinstance(got, Said) else str(got),
        )
        self.what = what
        super().__init__(str(self.fault))


class Said(str):
    """What was got instead, in words rather than by its type."""


def safe(text: str) -> str:
    """A plugin's text as it may be stored and shown: without secrets, and such as a database takes."""
    if isinstance(text, Filled) and text.params:
        params = {name: safe_param(value) for name, value in text.params.items()}
        return Filled(text.msgid, **params)
    shown = masked(text)
    if not shown.isprintable():
        shown = shown.translate(_UNSTORABLE).encode("utf-8", "replace").decode()
    return text if shown == text else shown


def mistakes() -> tuple[type[BaseException], ...]:
    """What a plugin's code may raise here by mistake: anything, such as what asyncio unwinds a task by.

    What ends this process is raised in its main thread alone, where it is Ctrl-C in a command and no mistake.
    """
    if threading.current_thread() is threading.main_thread():
        return Exception, SystemExit
    return (BaseException,)


def failure(error: BaseException) -> str:
    """An exception in one safe line, whatever its own text does."""
    if isinstance(error, WrongAnswer):
        return safe(error.fault)
    try:
        told = str(error)
    except mistakes():  # it is the plugin's own code as well
        told = ""
    return safe(f"{type(error).__name__}: {told}"[:1000])


def safe_param(value: object) -> object:
    """What fills a slot of such a text, as it may be stored and shown: a number as it is."""
    if isinstance(value, (int, float)):
        return value
    return safe(value if isinstance(value, str) else str(value))
