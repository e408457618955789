"""The base classes of a plugin author: a plugin built with its settings, and a channel with defaults."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from marshmallow import Schema
from sqlalchemy import MetaData

from lanmu.interfaces.channels import (
    Abilities,
    Asset,
    AssetRef,
    CancelResult,
    Line,
    Message,
    Observation,
    Outcome,
    Ref,
    Refusal,
    Request,
    Target,
    TargetResult,
    Verdict,
    Window,
)
from lanmu.interfaces.host import Host


@dataclass(frozen=True)
class NoSettings:
    """For a plugin that has nothing to set."""


class NoSettingsSchema(Schema):
    """Accepts an empty table and nothing else."""


SettingsT = TypeVar("SettingsT")


class Plugin(Generic[SettingsT]):
    """A plugin: built once, with its own checked settings and the host.

    `settings_schema` loads the `[plugins.NAME]` table of config.toml; what it answers (a frozen dataclass
    by an own `post_load`) becomes `self.settings`. `migrations` names the package's own Alembic folder
    (relative to the package), None where the plugin has no tables; `models` is then their metadata.
    """

    settings_schema: ClassVar[type[Schema]] = NoSettingsSchema
    migrations: ClassVar[str | None] = None
    models: ClassVar[MetaData | None] = None

    def __init__(self, settings: SettingsT, host: Host) -> None:
        self.settings = settings
        self.host = host


class BaseChannel:
    """A channel for which `compose` and `transmit` are enough.

    The defaults are those of a far end that answers at once and for good, and can be asked nothing
    afterwards: `classify` takes a 2xx status as accepted and everything unclear as ambiguous. A channel that
    declares `lookup`, `asset_ttl`, `cancel` or `acceptance="async"` writes the method that goes with it; else
    its plugin is set aside.
    """

    name: str = ""
    title: str = ""
    abilities: Abilities = Abilities()

    def upload(self, asset: Asset) -> AssetRef:
        raise NotImplementedError(f"{self.name} declares no asset_ttl, so nothing is uploaded through it")

    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        raise NotImplementedError

    def connect(self, request: Request) -> Line | None:
        return None

    def transmit(self, request: Request, line: Line | None) -> Observation:
        raise NotImplementedError

    def classify(self, observation: Observation) -> Verdict:
        if not observation.wrote:
            return Verdict(Outcome.NOT_SENT, reason=observation.fault)
        if observation.status is not None and 200 <= observation.status < 300:
            return Verdict(Outcome.ACCEPTED)
        return Verdict(Outcome.AMBIGUOUS, reason=observation.fault or f"HTTP {observation.status}")

    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        # Never (): "nothing found" has the message sent again, and nobody has looked.
        raise NotImplementedError(f"{self.name} declares lookup, and has no find of its own")

    def results(self, ref: Ref) -> Iterable[TargetResult]:
        return ()

    def cancel(self, ref: Ref) -> CancelResult:
        return CancelResult(cancelled=False, reason="This channel cannot take a message back.")


AnyPlugin = Plugin[Any]
