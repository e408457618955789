"""The sink as a plugin, so that the real web and worker processes can be measured with it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.dispatch_house import SinkChannel
from marshmallow import Schema, fields, post_load

import lanmu
from lanmu.interfaces.channels import Channel


@dataclass(frozen=True)
class SinkSettings:
    """Where the sink listens."""

    port: int


class SinkSchema(Schema):
    """The `[plugins.sink]` table."""

    port = fields.Integer(required=True)

    @post_load
    def made(self, data: Mapping[str, Any], **_kwargs: Any) -> SinkSettings:
        return SinkSettings(data["port"])


class SinkPlugin(lanmu.Plugin[SinkSettings]):
    """One channel, to the sink."""

    settings_schema = SinkSchema

    @lanmu.hookimpl
    def lanmu_channels(self) -> Iterable[Channel]:
        return [SinkChannel(self.settings.port, fresh_lines=False)]
