"""The house's contracts, passed by the pack channel and its plugin."""

import os
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from lanmu.interfaces.channels import Channel
from lanmu.storage import Database
from lanmu.testing.contracts import Behaviour, FarEnd
from lanmu.testing.doubt_contract import DoubtContract
from lanmu.testing.host import FakeHost
from lanmu.testing.plugin_contract import PluginContract
from lanmu_personal_wechat_export import PersonalWechatExportPlugin
from lanmu_personal_wechat_export.channel import PackChannel
from lanmu_personal_wechat_export.document import dump, from_plain
from lanmu_personal_wechat_export.models import Pack


class PackTable:
    """The far end is a table: what stands in it was written. Without its file nobody is there."""

    def __init__(self, host: FakeHost) -> None:
        self._host = host
        self._read = host.database.read

    def behave(self, behaviour: Behaviour) -> None:
        if behaviour is Behaviour.UNREACHABLE:
            folder = os.path.join(self._host.workspace, "not there")
            gone = Database(f"sqlite:///{folder}/lanmu.db")
            for way in ("read", "write"):  # whoever holds the database, not the host alone
                setattr(self._host.database, way, getattr(gone, way))

    @property
    def writes(self) -> Sequence[bytes]:
        with self._read() as session:
            return [dump(from_plain(pack.document)) for pack in session.scalars(select(Pack))]


class TestPackChannel(DoubtContract):
    @pytest.fixture
    def channel(self, lanmu_load: Any) -> Channel:
        (channel,) = lanmu_load(PersonalWechatExportPlugin).lanmu_channels()
        assert isinstance(channel, PackChannel)
        return channel

    @pytest.fixture
    def far_end(self, lanmu_host: FakeHost) -> PackTable:
        return PackTable(lanmu_host)

    def effects(self, far_end: FarEnd) -> int:
        return len(far_end.writes)


class TestPlugin(PluginContract):
    plugin = PersonalWechatExportPlugin
    settings = {"link_days": 3, "pace_seconds": 60, "zone": "Asia/Shanghai"}
