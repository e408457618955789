"""Structured logs: readable in a terminal, JSON for programs, and never a secret in either."""

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lanmu.interfaces.secrets import masked

_SECRET_NAME = re.compile(r"(password|secret|token|authorization|cookie|csrf|api_?key)$", re.IGNORECASE)

_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What the library itself knows of a line; the rest are the fields that it was logged with."""

_COLOURS = {"debug": 36, "info": 32, "warning": 33, "error": 31, "critical": 31}


def configure(level: str, form: str) -> None:
    """Send every log of the process, ours and the libraries', through one scrubbed way."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Readable(colours=sys.stderr.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in (
        "huey",
        "huey.consumer",
        "httpx",
        "httpx2",
        "httpcore2",
        "urllib3",
        "alembic",
        "openai",
        "waitress",
    ):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


class _Form(logging.Formatter):
    """One line of a log, and below it what was raised."""

    def format(self, record: logging.LogRecord) -> str:
        """The line without what is a secret of this process or looks like anybody's.

        That is taken out last, after exceptions and objects have become text: nothing is written that was
        not looked through.
        """
        fields = {
            name: _masked(name, value) for name, value in vars(record).items() if name not in _OF_EVERY_RECORD
        }
        raised = [self.formatException(record.exc_info)] if record.exc_info else []
        if record.stack_info:
            raised.append(self.formatStack(record.stack_info))
        at = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        return masked(self.line(at, record.levelname.lower(), record.getMessage(), fields, "\n".join(raised)))

    def line(self, at: str, level: str, event: str, fields: Mapping[str, Any], raised: str) -> str:
        raise NotImplementedError


class _Json(_Form):
    def line(self, at: str, level: str, event: str, fields: Mapping[str, Any], raised: str) -> str:
        told = {**fields, "event": event, "level": level, "timestamp": at}
        if raised:
            told["exception"] = raised
        return json.dumps(told, ensure_ascii=False, default=str)


class _Readable(_Form):
    def __init__(self, *, colours: bool) -> None:
        super().__init__()
        self._colours = colours

    def line(self, at: str, level: str, event: str, fields: Mapping[str, Any], raised: str) -> str:
        shown = f"{level:<8}"
        if self._colours:
            shown = f"\x1b[{_COLOURS.get(level, 0)}m{shown}\x1b[0m"
        told = "".join(f" {name}={_in_short(value)}" for name, value in fields.items())
        return f"{at} {shown} {event}{' ' if told else ''}{told}" + (f"\n{raised}" if raised else "")


def _in_short(value: object) -> str:
    plain = isinstance(value, str) and value and not any(sign.isspace() for sign in value)
    return str(value) if plain else repr(value)


def _masked(key: object, value: Any) -> Any:
    """Hide the values whose names say that they are secret, however deep they stand."""
    if isinstance(key, str) and _SECRET_NAME.search(key):
        return "***"
    if isinstance(value, Mapping):
        return {inner: _masked(inner, item) for inner, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(None, item) for item in value]
    return value
