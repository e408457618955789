"""The plugin's settings, as `[plugins.points]` gives them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from marshmallow import Schema, fields, post_load, validate

_POINTS = validate.Range(0, 100_000)


@dataclass(frozen=True)
class PointsSettings:
    """0 points switch a rule off, a cap of 0 means none, and 0 days mean that points never expire.

    `message_interval_minutes`: within it only the first message earns, so that flooding does not pay.
    `link_days`: how long a member's link works; who has it can redeem, so it should not live long.
    """

    check_in_points: int = 5
    message_points: int = 10
    message_daily_cap: int = 50
    message_interval_minutes: int = 10
    purchase_points_per_yuan: int = 1
    expiry_days: int = 365
    link_days: int = 7

    @property
    def expires_after_days(self) -> int | None:
        return self.expiry_days or None

    @property
    def link_life(self) -> timedelta:
        return timedelta(days=self.link_days)


class PointsSchema(Schema):
    """Loads the settings; a key that is not known is refused."""

    check_in_points = fields.Integer(strict=True, validate=_POINTS)
    message_points = fields.Integer(strict=True, validate=_POINTS)
    message_daily_cap = fields.Integer(strict=True, validate=_POINTS)
    message_interval_minutes = fields.Integer(strict=True, validate=validate.Range(0, 24 * 60))
    purchase_points_per_yuan = fields.Integer(strict=True, validate=validate.Range(0, 1000))
    expiry_days = fields.Integer(strict=True, validate=validate.Range(0, 3650))
    link_days = fields.Integer(strict=True, validate=validate.Range(1, 30))

    @post_load
    def settings(self, data: dict[str, Any], **_kwargs: object) -> PointsSettings:
        return PointsSettings(**data)
