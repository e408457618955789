"""A WeCom look-alike on this machine: it answers as the real one does, and shows what phones would show."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanmu.interfaces.clock import Clock
from lanmu_wecom.sandbox.options import Options

if TYPE_CHECKING:
    from flask import Flask

    from lanmu_wecom.sandbox.server import Running

__all__ = ["Options", "create_app", "start"]

# Flask and waitress are imported when a sandbox is made: the settings read its demo corp from here, and a
# worker that never shows a page should not carry a web framework.


def create_app(clock: Clock, state_path: Path | None = None, options: Options | None = None) -> "Flask":
    """The sandbox as a WSGI app; without a state file it forgets everything when it ends."""
    from lanmu_wecom.sandbox.app import build_app

    return build_app(clock, state_path, options or Options())


def start(
    clock: Clock,
    state_path: Path | None = None,
    options: Options | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    **server: Any,
) -> "Running":
    """Serve a sandbox in a thread of this process; `.url` says where, `.stop()` ends it.

    Port 0 takes a free one. Raises OSError where the port is taken. `server` goes to waitress as it is.
    """
    from lanmu_wecom.sandbox.server import run

    app = create_app(clock, state_path, options)
    try:
        return run(app, host, port, **server)
    except OSError:
        app.extensions["wecom_sandbox"].store.close()
        raise
