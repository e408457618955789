"""The plugin's class: what it offers to the host."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import lanmu
from lanmu.interfaces.channels import Channel
from lanmu.interfaces.host import Host, Service
from lanmu_wecom.app_message import AppChannel
from lanmu_wecom.broadcast import CustomerChannel, GroupChannel
from lanmu_wecom.client import Client
from lanmu_wecom.corp import Corp
from lanmu_wecom.models import WecomBase
from lanmu_wecom.robot import RobotChannel
from lanmu_wecom.settings import WecomSchema, WecomSettings
from lanmu_wecom.wire import Origin

if TYPE_CHECKING:
    import click


class WecomPlugin(lanmu.Plugin[WecomSettings]):
    """企业微信: broadcasts that an employee confirms, group robots, app messages, and the sandbox."""

    settings_schema = WecomSchema
    migrations = "migrations"
    models = WecomBase.metadata

    def __init__(self, settings: WecomSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._client = Client(
            settings.base_url,
            timeout=settings.timeout,
            connect_timeout=settings.connect_timeout,
            # The sandbox has this machine's clock, which cannot bear itself out.
            clock=None if settings.sandbox else host.clock,
        )

    @lanmu.hookimpl
    def lanmu_channels(self) -> Iterable[Channel]:
        settings = self.settings
        channels: list[Channel] = []
        if settings.corpid:
            corp = Corp(
                self._client,
                settings.corpid,
                settings.secret,
                settings.agentid,
                self.host.database,
                self.host.clock,
            )
            settle = timedelta(seconds=settings.settle_seconds)
            for broadcast in (CustomerChannel(corp), GroupChannel(corp)):
                broadcast.abilities = replace(broadcast.abilities, settle=settle)
                channels.append(broadcast)
            channels.append(AppChannel(corp))
        if settings.robots:
            leave_out = settings.robot_pictures == "leave_out"
            channels.append(RobotChannel(self._client, settings.robots, leave_out))
        sandbox = Origin.of(settings.base_url).loopback
        for channel in channels:
            channel.abilities = replace(channel.abilities, sandbox=sandbox)
        return channels

    @lanmu.hookimpl
    def lanmu_services(self) -> Iterable[Service]:
        if not self.settings.sandbox:
            return []
        from lanmu_wecom.sandbox.service import SandboxService  # see lanmu_commands

        return [SandboxService(self.host.clock, self.settings.base_url, self.host.workspace / "sandbox.db")]

    @lanmu.hookimpl
    def lanmu_commands(self) -> "Iterable[click.Command]":
        # waitress and Flask come along with the sandbox, and most commands have no use for them
        from lanmu_wecom.commands import sandbox_command

        return [sandbox_command(self.host.clock)]
