"""The house's contracts, passed by each channel against the sandbox, and by the plugin."""

from collections.abc import Sequence
from typing import ClassVar

import pytest

from lanmu.interfaces.channels import Channel, Target
from lanmu.interfaces.secrets import Secret
from lanmu.testing.clock import FakeClock
from lanmu.testing.contracts import Behaviour, ChannelContract, FarEnd
from lanmu.testing.doubt_contract import DoubtContract
from lanmu.testing.plugin_contract import PluginContract
from lanmu_wecom import WecomPlugin
from lanmu_wecom.app_message import AppChannel
from lanmu_wecom.broadcast import CustomerChannel, GroupChannel
from lanmu_wecom.client import Client
from lanmu_wecom.corp import Corp
from lanmu_wecom.robot import RobotChannel
from lanmu_wecom.sandbox.demo import SEED

from .wecom_kit import Sandbox

_ORDERS: dict[Behaviour, dict[str, object]] = {
    Behaviour.REFUSE: {"kind": "errcode", "code": 45009},
    Behaviour.DROP: {"kind": "drop", "when": "after"},
    Behaviour.SLOW: {"kind": "slow", "when": "after", "seconds": 1},
    Behaviour.GARBAGE: {"kind": "garbage", "when": "after"},
    Behaviour.BROKEN: {"kind": "html502", "when": "after"},
}


class SandboxFarEnd:
    """The sandbox as the contract's far end: it misbehaves in all that is sent and asked, but for tokens."""

    def __init__(self, sandbox: Sandbox, call: str, *asked: str) -> None:
        self._sandbox = sandbox
        self._call = call
        self._asked = asked

    def behave(self, behaviour: Behaviour) -> None:
        if behaviour is Behaviour.UNREACHABLE:
            self._sandbox.running.hang_up()
            return
        self._sandbox.world.faults.clear()
        if behaviour in _ORDERS:
            for call in (self._call, *self._asked):
                self._sandbox.fault(call=call, times=-1, **_ORDERS[behaviour])

    @property
    def writes(self) -> Sequence[bytes]:
        rows = self._sandbox.world.store.all("select body from received where call = ?", self._call)
        return [bytes(row["body"]) for row in rows]

    def shown(self, place: str) -> int:
        """How many messages the phones show in places of this kind."""
        row = self._sandbox.world.store.one(
            "select count(*) as n from bubble where place like ?", f"{place}%"
        )
        assert row is not None
        return int(row["n"])


@pytest.fixture
def lanmu_clock(clock: FakeClock) -> FakeClock:
    """The contract's clock is the sandbox's."""
    return clock


class _BroadcastContract(DoubtContract):
    asked: ClassVar[tuple[str, ...]] = tuple(
        f"externalcontact/{call}" for call in ("get_groupmsg_list_v2", "cancel_groupmsg_send")
    )

    @pytest.fixture
    def far_end(self, sandbox: Sandbox, corp: Corp) -> SandboxFarEnd:
        world = sandbox.world
        world.options.dispatch_seconds = 0
        keys = [target.key for target in self.targets(GroupChannel(corp))]
        world.store.run("insert into employee values ('XiaoMan', '小满', '小满母婴')")
        world.store.run_many("insert into chat values (?, ?, 'XiaoMan', 9, 0)", [(key, key) for key in keys])
        world.store.run_many("insert into customer values (?, ?, 'XiaoMan')", [(key, key) for key in keys])
        world.store.run_many("insert into follow values ('XiaoMan', ?, 1)", [(key,) for key in keys])
        corp.client._timeout = 0.5
        return SandboxFarEnd(sandbox, "externalcontact/add_msg_template", *self.asked)


class _BroadcastsDetails(_BroadcastContract):
    """The list answers, and what is asked about each of its rows does not."""

    asked = tuple(f"externalcontact/{call}" for call in ("get_groupmsg_task", "cancel_groupmsg_send"))


class _BroadcastsResults(_BroadcastContract):
    asked = tuple(f"externalcontact/{call}" for call in ("get_groupmsg_send_result", "cancel_groupmsg_send"))


class TestGroupChannel(_BroadcastContract):
    @pytest.fixture
    def channel(self, corp: Corp) -> Channel:
        return GroupChannel(corp)


class TestCustomerChannel(_BroadcastContract):
    @pytest.fixture
    def channel(self, corp: Corp) -> Channel:
        return CustomerChannel(corp)


class TestGroupChannelWhoseTasksFail(_BroadcastsDetails):
    examples = 5

    @pytest.fixture
    def channel(self, corp: Corp) -> Channel:
        return GroupChannel(corp)


class TestGroupChannelWhoseResultsFail(_BroadcastsResults):
    examples = 5

    @pytest.fixture
    def channel(self, corp: Corp) -> Channel:
        return GroupChannel(corp)


class TestRobotChannel(ChannelContract):
    @pytest.fixture
    def channel(self, client: Client) -> Channel:
        client._timeout = 0.5
        return RobotChannel(client, {robot.name: Secret(robot.key) for robot in SEED.robots}, False)

    @pytest.fixture
    def far_end(self, sandbox: Sandbox) -> SandboxFarEnd:
        return SandboxFarEnd(sandbox, "webhook/send")

    def targets(self, channel: Channel) -> Sequence[Target]:
        return [Target(SEED.robots[0].name)]


class TestAppChannel(DoubtContract):
    @pytest.fixture
    def channel(self, corp: Corp) -> Channel:
        corp.client._timeout = 0.5
        return AppChannel(corp)

    @pytest.fixture
    def far_end(self, sandbox: Sandbox) -> SandboxFarEnd:
        return SandboxFarEnd(sandbox, "message/send")

    def targets(self, channel: Channel) -> Sequence[Target]:
        return [Target(person.userid) for person in SEED.employees]

    def effects(self, far_end: FarEnd) -> int:
        assert isinstance(far_end, SandboxFarEnd)
        return far_end.shown("app:")


class TestPlugin(PluginContract):
    plugin = WecomPlugin
    settings = {
        "corpid": "ww1",
        "secret": "the-apps-own-secret",
        "agentid": 1000002,
        "base_url": "https://qyapi.weixin.qq.com",
        "robots": {"值班群": "693a91f6-7xxx-4xxx"},
    }
