"""A channel that appends each message to a file: the smallest whole plugin."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marshmallow import Schema, fields, post_load

import lanmu
from lanmu.interfaces.channels import Abilities, Line, Message, Observation, Refusal, Request, Target


@dataclass(frozen=True)
class EchoSettings:
    file: Path


class EchoSchema(Schema):
    file = fields.String(required=True)

    @post_load
    def settings(self, data: dict[str, Any], **_kwargs: object) -> EchoSettings:
        return EchoSettings(Path(data["file"]))


class EchoChannel(lanmu.BaseChannel):
    name = "echo"
    title = "Echo to a file"
    abilities = Abilities(local=True, batch_max=100, text_bytes=1000, asset_max=0)

    def __init__(self, file: Path) -> None:
        self.file = file

    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        size = len(message.text.encode())
        if size > self.abilities.text_bytes:
            return Refusal("The text has %(size)d bytes; 1000 are allowed.", params={"size": size})
        if message.assets:
            return Refusal("Echo takes text alone.", "Remove the files.")
        keys = tuple(target.key for target in targets)
        return Request("append", json.dumps({"text": message.text, "to": keys}).encode(), keys)

    def transmit(self, request: Request, line: Line | None) -> Observation:
        try:
            with self.file.open("ab", buffering=0) as file:
                file.write(request.body + b"\n")
        except OSError as error:
            return Observation(wrote=False, fault=str(error))
        return Observation(wrote=True, status=200)


class EchoPlugin(lanmu.Plugin[EchoSettings]):
    settings_schema = EchoSchema

    @lanmu.hookimpl
    def lanmu_channels(self) -> Iterable[EchoChannel]:
        return [EchoChannel(self.settings.file)]
