"""The plugin's class: what it offers to the host."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import lanmu
from lanmu.i18n import _
from lanmu.interfaces.events import PointsRule
from lanmu.interfaces.host import MenuItem
from lanmu_points.rules import CheckInRule, MessageRule, PurchaseRule
from lanmu_points.settings import PointsSchema, PointsSettings

if TYPE_CHECKING:
    import click
    import flask


class PointsPlugin(lanmu.Plugin[PointsSettings]):
    """积分: rules for earning, and the phone page: check in, redeem, own coupons, statement."""

    settings_schema = PointsSchema

    @lanmu.hookimpl
    def lanmu_points_rules(self) -> Iterable[PointsRule]:
        return [CheckInRule(self.settings), MessageRule(self.settings), PurchaseRule(self.settings)]

    @lanmu.hookimpl
    def lanmu_blueprints(self) -> "Iterable[flask.Blueprint]":
        from lanmu_points import desk, pages  # Flask, where pages are served

        return [pages.blueprint(self.host, self.settings), desk.blueprint(self.host, self.settings)]

    @lanmu.hookimpl
    def lanmu_menu(self) -> Iterable[MenuItem]:
        return [
            MenuItem(_("Members' points"), "points_staff.members", "member.view", "people", "qrcode"),
            MenuItem(_("Use a coupon"), "points_staff.till", "coupon.redeem", "people", "ticket"),
        ]

    @lanmu.hookimpl
    def lanmu_commands(self) -> "Iterable[click.Command]":
        from lanmu_points.commands import check_in_command, link_command

        return [link_command(self.host, self.settings), check_in_command(self.host)]
