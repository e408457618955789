"""The `[plugins.wecom]` table of config.toml."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from lanmu.i18n import _
from lanmu.interfaces.secrets import Secret
from lanmu_wecom.sandbox.demo import SEED
from lanmu_wecom.wire import Origin

OFFICIAL = "https://qyapi.weixin.qq.com"
SETTLE_SECONDS = 600


@dataclass(frozen=True)
class WecomSettings:
    """Whom we are at WeCom. Without a corp id only the robots work; `robots` maps a name to its key.

    `settle_seconds`: how long a broadcast that was created may be missing from WeCom's list.
    """

    corpid: str = ""
    secret: Secret = field(default_factory=lambda: Secret(""))
    agentid: int = 0
    base_url: str = OFFICIAL
    timeout: float = 15.0
    connect_timeout: float = 5.0
    robots: Mapping[str, Secret] = field(default_factory=dict)
    robot_pictures: str = "refuse"
    settle_seconds: int = SETTLE_SECONDS
    sandbox: bool = False


class WecomSchema(Schema):
    """Checks the table; with a base_url on this machine the sandbox's corp stands in for a missing one."""

    corpid = fields.String(load_default="")
    secret = fields.String(load_default="")
    agentid = fields.Integer(load_default=0, strict=True, validate=validate.Range(min=0))
    base_url = fields.String(load_default=OFFICIAL)
    timeout = fields.Float(load_default=15.0, validate=validate.Range(min=1, max=15))
    connect_timeout = fields.Float(load_default=5.0, validate=validate.Range(min=0.5, max=15))
    robots = fields.Dict(
        keys=fields.String(validate=validate.Length(min=1, max=64)),
        values=fields.String(validate=validate.Length(min=1)),
        load_default=dict,
    )
    robot_pictures = fields.String(load_default="refuse", validate=validate.OneOf(["refuse", "leave_out"]))
    settle_seconds = fields.Integer(
        load_default=SETTLE_SECONDS, strict=True, validate=validate.Range(min=1, max=3600)
    )
    sandbox = fields.Boolean(load_default=False)

    @validates_schema
    def check(self, data: dict[str, Any], **_kwargs: object) -> None:
        faults: dict[str, list[str]] = {}
        try:
            Origin.of(data["base_url"])
        except ValueError as error:
            way_out = _("Write https://HOST, or http:// with this machine's own address (the sandbox).")
            faults["base_url"] = [f"{error}. {way_out}"]
        else:
            if data["sandbox"] and not Origin.of(data["base_url"]).loopback:
                faults["sandbox"] = [_("can only be true where base_url is an address of this machine.")]
            if data["settle_seconds"] < SETTLE_SECONDS and not Origin.of(data["base_url"]).loopback:
                faults["settle_seconds"] = [_("must be at least 600: WeCom's list may lag so far behind.")]
        if data["corpid"] and not data["secret"]:
            faults["secret"] = [_("is missing although corpid is set. It stands on the app's page.")]
        if data["secret"] and not data["corpid"]:
            faults["corpid"] = [_("is missing although secret is set.")]
        if data["corpid"] and not data["agentid"]:
            faults["agentid"] = [_("is missing although corpid is set. It stands on the app's page.")]
        if faults:
            raise ValidationError(faults)

    @post_load
    def make(self, data: dict[str, Any], **_kwargs: object) -> WecomSettings:
        if Origin.of(data["base_url"]).loopback and not data["corpid"]:
            corp = SEED.corp
            data["corpid"], data["secret"], data["agentid"] = corp.corpid, corp.secret, corp.agentid
            data["robots"] = data["robots"] or {robot.name: robot.key for robot in SEED.robots}
        data["secret"] = Secret(data["secret"])
        data["robots"] = {name: Secret(_key(value)) for name, value in data["robots"].items()}
        return WecomSettings(**data)


def _key(value: str) -> str:
    """A robot's key; people often paste the whole webhook address."""
    if "://" not in value:
        return value.strip()
    return parse_qs(urlsplit(value.strip()).query).get("key", [""])[0]
