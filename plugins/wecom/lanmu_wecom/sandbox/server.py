"""Serving the sandbox with waitress, in a thread beside the real server or by itself."""

import socket
import threading
from typing import Any

from flask import Flask
from waitress.server import create_server

_THREADS = 16


class Running:
    """A sandbox that is being served."""

    def __init__(self, app: Flask, host: str, port: int, options: dict[str, Any]) -> None:
        self.app = app
        self._watched: dict[int, Any] = {}
        # Bound here: waitress leaves a pipe open where it cannot.
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=1024)
        self._server: Any = create_server(
            app, map=self._watched, sockets=[listening], threads=_THREADS, ident="nginx", **options
        )
        self.host = host
        self.port = int(self._server.effective_port)
        self._thread = threading.Thread(target=self._server.run, name="wecom-sandbox", daemon=True)

    @property
    def url(self) -> str:
        """Where it answers; this is also the base_url for the plugin."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def begin(self) -> None:
        self._thread.start()

    def wait(self) -> None:
        """Serve until stopped (for a process that does nothing else)."""
        self._thread.join()

    def hang_up(self) -> None:
        """Let the calls in flight end (5 s at most) and close every connection; the state stays open."""
        if self._thread.is_alive():
            self._server.task_dispatcher.shutdown(timeout=5)
            # The loop ends when it watches nothing. Only then is anything closed: had the loop been awake
            # already, it would close the pipe under the very hand that pulls.
            self._server.trigger.pull_trigger(self._watched.clear)
            self._thread.join(timeout=5)
            self._close()

    def stop(self) -> None:
        """Hang up, and close the state file."""
        self.hang_up()
        self.app.extensions["wecom_sandbox"].store.close()

    def _close(self) -> None:
        for channel in list(self._server.active_channels.values()):
            channel.handle_close()
        self._server.close()


def run(app: Flask, host: str, port: int, **options: Any) -> Running:
    """Start serving in a thread. Raises OSError where the port is taken."""
    running = Running(app, host, port, options)
    running.begin()
    return running
