"""The `[plugins.llm_copy]` table of config.toml as checked values."""

import ipaddress
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates, validates_schema

from lanmu.i18n import _
from lanmu.interfaces.secrets import Secret


@dataclass(frozen=True, slots=True)
class LlmCopySettings:
    """What an operator can set; without a base_url the plugin writes by rules alone.

    `deadline_s` bounds one call in wall-clock seconds, answers that trickle in included. `daily_calls` and
    `daily_tokens` are budgets of one calendar day in `zone` (0: no bound). `fallback` says what happens
    when the model cannot answer: "rules" writes by rules and says so, "none" fails with the reason.
    """

    base_url: str = ""
    model: str = ""
    api_key: Secret = field(default_factory=lambda: Secret(""))
    deadline_s: float = 30.0
    daily_calls: int = 200
    daily_tokens: int = 0
    zone: str = "Asia/Shanghai"
    fallback: Literal["rules", "none"] = "rules"
    temperature: float = 0.8
    banned: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).hostname or ""

    @property
    def is_loopback(self) -> bool:
        """Does the model run on this machine?"""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class LlmCopySchema(Schema):
    """Checks the table; every fault is told with its key."""

    base_url = fields.String(load_default="")
    model = fields.String(load_default="")
    api_key = fields.String(load_default="", load_only=True)
    deadline_s = fields.Float(load_default=30.0, validate=validate.Range(min=1, max=300))
    daily_calls = fields.Integer(load_default=200, strict=True, validate=validate.Range(min=0))
    daily_tokens = fields.Integer(load_default=0, strict=True, validate=validate.Range(min=0))
    zone = fields.String(load_default="Asia/Shanghai")
    fallback = fields.String(load_default="rules", validate=validate.OneOf(["rules", "none"]))
    temperature = fields.Float(load_default=0.8, validate=validate.Range(min=0, max=2))
    banned = fields.List(fields.String(validate=validate.Length(min=1, max=40)), load_default=list)

    @validates("base_url")
    def _check_base_url(self, value: str, **_kwargs: Any) -> None:
        if not value:
            return
        try:
            parts = urlsplit(value)
            host, _port = parts.hostname, parts.port
        except ValueError:
            host, parts = None, urlsplit("")
        if parts.scheme not in {"http", "https"} or not host:
            raise ValidationError(_("Not an address. Write it like https://api.deepseek.com/v1."))
        if parts.username or parts.password or parts.query:
            raise ValidationError(_("No user, password or query in the address; the key goes into api_key."))
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            raise ValidationError(_("No model server has this address. Give the server's own."))

    @validates("zone")
    def _check_zone(self, value: str, **_kwargs: Any) -> None:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValidationError(_("No such time zone. Write it like Asia/Shanghai.")) from error

    @validates_schema
    def _check_pair(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if data.get("base_url") and not data.get("model"):
            raise ValidationError(
                _("Name the model that the server at base_url should use, for instance deepseek-chat."),
                "model",
            )
        if data.get("model") and not data.get("base_url"):
            raise ValidationError(
                _("Give the address of the server that has this model, or leave both out."), "base_url"
            )

    @post_load
    def _build(self, data: dict[str, Any], **_kwargs: Any) -> LlmCopySettings:
        data["api_key"] = Secret(data["api_key"].strip())
        data["banned"] = tuple(data["banned"])
        data["base_url"] = data["base_url"].rstrip("/")
        return LlmCopySettings(**data)
