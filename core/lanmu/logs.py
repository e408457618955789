"""Structured logs: readable in a terminal, JSON for programs, and never a secret in either."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRETS = re.compile(
    r"(access_token=|corpsecret=|key=|Bearer\s+|api_key[\"'=: ]+|lanmu_[0-9A-Za-z]{8}_)[^\s&\"']+",
    re.IGNORECASE,
)
_HIDDEN_KEYS = frozenset({"password", "secret", "token", "authorization", "cookie", "csrf"})


def configure(level: str, form: str) -> None:
    """Send every log of the process, ours and the libraries', through one scrubbed way."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info if form == "json" else _plain,
        scrub,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[*shared[:-2], structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared[1:4],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shared[4:], renderer],
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


def scrub(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take out whatever looks like a secret, wherever it stands."""
    for key, value in event.items():
        if key.lower() in _HIDDEN_KEYS:
            event[key] = "***"
        elif isinstance(value, str):
            event[key] = _SECRETS.sub(r"\1***", value)
    return event


def _plain(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return event
