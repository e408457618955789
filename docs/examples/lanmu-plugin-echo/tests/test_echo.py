"""The house's contracts, passed by a stranger's plugin: the channel, and its far end played by a file."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from lanmu_echo import EchoChannel, EchoPlugin

from lanmu.testing.contracts import Behaviour, ChannelContract
from lanmu.testing.plugin_contract import PluginContract


class EchoFile:
    """The far end: a file in a folder, which is gone when nobody is to be reached."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir()

    def behave(self, behaviour: Behaviour) -> None:
        if behaviour is Behaviour.UNREACHABLE:
            self.path.parent.rmdir()

    @property
    def writes(self) -> Sequence[bytes]:
        return self.path.read_bytes().splitlines() if self.path.exists() else []


class TestEchoChannel(ChannelContract):
    @pytest.fixture
    def far_end(self, tmp_path: Path) -> EchoFile:
        return EchoFile(tmp_path / "out" / "echo.jsonl")

    @pytest.fixture
    def channel(self, far_end: EchoFile) -> EchoChannel:
        return EchoChannel(far_end.path)


class TestEchoPlugin(PluginContract):
    plugin = EchoPlugin
    settings = {"file": "echo.jsonl"}
