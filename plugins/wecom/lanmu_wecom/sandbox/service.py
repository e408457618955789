"""The sandbox beside Lanmu in one process, at the address that the plugin sends to."""

from pathlib import Path
from typing import TYPE_CHECKING

from lanmu.i18n import _
from lanmu.interfaces.clock import Clock
from lanmu_wecom.sandbox import start
from lanmu_wecom.wire import Origin

if TYPE_CHECKING:
    from lanmu_wecom.sandbox.server import Running


class SandboxService:
    """Satisfies `lanmu.interfaces.host.Service`."""

    title = _("WeCom sandbox")

    def __init__(self, clock: Clock, base_url: str, state: Path) -> None:
        self._clock = clock
        self._origin = Origin.of(base_url)
        self._state = state
        self.url = base_url
        self._running: Running | None = None

    def start(self) -> None:
        self._running = start(self._clock, self._state, host=self._origin.host, port=self._origin.port)

    def stop(self) -> None:
        if self._running is not None:
            self._running.stop()
