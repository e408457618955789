"""The plugin's settings, as `[plugins.personal_wechat_export]` gives them."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from marshmallow import Schema, ValidationError, fields, post_load, validate

from lanmu.i18n import _


@dataclass(frozen=True)
class PackSettings:
    """`link_days`: how long an executor's link works. `pace_seconds`: the pause that the page advises
    between two groups. `zone`: where the executors live; 今晚 and 明早 are theirs."""

    link_days: int = 7
    pace_seconds: int = 90
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))

    @property
    def link_life(self) -> timedelta:
        return timedelta(days=self.link_days)


class _Zone(fields.Field[ZoneInfo]):
    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> ZoneInfo:
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            raise ValidationError(_("Not a time zone's name. Write one such as Asia/Shanghai.")) from None


class PackSchema(Schema):
    """Loads the settings; a key that is not known is refused."""

    link_days = fields.Integer(strict=True, validate=validate.Range(1, 30))
    pace_seconds = fields.Integer(strict=True, validate=validate.Range(0, 3600))
    zone = _Zone()

    @post_load
    def settings(self, data: dict[str, Any], **_kwargs: object) -> PackSettings:
        return PackSettings(**data)
