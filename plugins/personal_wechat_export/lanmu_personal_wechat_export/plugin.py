"""The plugin's class: what it offers to the host."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import lanmu
from lanmu.i18n import _
from lanmu.interfaces.channels import Channel
from lanmu.interfaces.host import Host, MenuItem
from lanmu_personal_wechat_export.channel import PackChannel
from lanmu_personal_wechat_export.files import FileStore
from lanmu_personal_wechat_export.models import PackBase
from lanmu_personal_wechat_export.settings import PackSchema, PackSettings
from lanmu_personal_wechat_export.store import PackStore

if TYPE_CHECKING:
    import click
    import flask


class PersonalWechatExportPlugin(lanmu.Plugin[PackSettings]):
    """个人微信: packs that a person copies from a phone page, sends by hand and ticks off."""

    settings_schema = PackSchema
    migrations = "migrations"
    models = PackBase.metadata

    def __init__(self, settings: PackSettings, host: Host) -> None:
        super().__init__(settings, host)
        self.store = PackStore(host.database, host.clock)
        self.files = FileStore(host.workspace)

    @lanmu.hookimpl
    def lanmu_channels(self) -> Iterable[Channel]:
        return [PackChannel(self.host, self.settings, self.store, self.files)]

    @lanmu.hookimpl
    def lanmu_blueprints(self) -> "Iterable[flask.Blueprint]":
        from lanmu_personal_wechat_export.pages import blueprint  # Flask, where pages are served

        return [blueprint(self.host, self.settings, self.store, self.files)]

    @lanmu.hookimpl
    def lanmu_menu(self) -> Iterable[MenuItem]:
        return [
            MenuItem(
                label=_("Packs to send by hand"),
                endpoint="personal_wechat_export.today",
                permission="push.view",
                group="delivery",
                icon="device-mobile",
            )
        ]

    @lanmu.hookimpl
    def lanmu_commands(self) -> "Iterable[click.Command]":
        from lanmu_personal_wechat_export.commands import packs_command, zip_command

        return [
            packs_command(self.settings, self.store, self.host.clock),
            zip_command(self.settings, self.store, self.files),
        ]
