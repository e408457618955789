"""Structured logs: readable in a terminal, JSON for programs, and never a secret in either."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, cast

import structlog

from lanmu.interfaces.secrets import masked

_SECRET_NAME = re.compile(r"(password|secret|token|authorization|cookie|csrf|api_?key)$", re.IGNORECASE)


def configure(level: str, form: str) -> None:
    """Send every log of the process, ours and the libraries', through one scrubbed way."""
    common: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        # What the level hides is dropped first: a line that nobody sees costs a quarter of a list's time.
        processors=[
            structlog.stdlib.filter_by_level,
            *common,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            # The last one reads the line, which the types of structlog do not foresee.
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                mask,
                renderer,
                cast(Any, scrub),
            ],
        )
    )
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


def mask(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide the values whose names say that they are secret, however deep they stand."""
    return {key: _masked(key, value) for key, value in event.items()}


def _masked(key: object, value: Any) -> Any:
    if isinstance(key, str) and _SECRET_NAME.search(key):
        return "***"
    if isinstance(value, Mapping):
        return {inner: _masked(inner, item) for inner, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(None, item) for item in value]
    return value


def scrub(_logger: Any, _name: str, line: str) -> str:
    """Take out of the finished line what is a secret of this process or looks like anybody's.

    It comes last, after exceptions and objects have become text: nothing is written that it has not read.
    """
    return masked(line)
