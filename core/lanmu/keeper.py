"""Keeps house in a process that serves the web alone: it says that it is alive, and looks at the clock."""

import logging
import threading

from lanmu.server import Server
from lanmu.storage.away import cause_of

log = logging.getLogger(__name__)


class Keeper:
    """What a worker does on its sweeps, where there is none."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin. Raises Conflict where another host is at work on the same SQLite database."""
        self._server.home.tick()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=5)

    def _keep(self) -> None:
        away = False
        while not self._stopping.wait(self._server.config.delivery.sweep_seconds):
            try:
                self._server.home.tick()
                away = False
            except Exception as error:  # noqa: BLE001  whatever it is, the next look comes soon
                if not away:
                    told = "the database cannot be used; it is tried again until it can"
                    log.error(told, extra={"error": cause_of(error)})
                away = True
