"""The plugin: builds the writers and the check from the settings, and offers them."""

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from lanmu import Plugin, hookimpl
from lanmu.interfaces.host import Host
from lanmu.interfaces.rewriting import ContentCheck, Rewriter
from lanmu_llm_copy.calls import CallLedger, LlmCopyBase
from lanmu_llm_copy.settings import LlmCopySchema, LlmCopySettings

if TYPE_CHECKING:
    import click

    from lanmu_llm_copy.checks import CopyCheck
    from lanmu_llm_copy.rewriter import CopyRewriter


class LlmCopyPlugin(Plugin[LlmCopySettings]):
    """Polishes scripts and makes variants, by a model or by rules, and looks for risky words."""

    settings_schema = LlmCopySchema
    migrations = "migrations"
    models = LlmCopyBase.metadata

    def __init__(self, settings: LlmCopySettings, host: Host) -> None:
        super().__init__(settings, host)
        self.ledger = CallLedger(
            host.database,
            host.clock,
            zone=settings.zone,
            daily_calls=settings.daily_calls,
            daily_tokens=settings.daily_tokens,
        )

    # The patterns of facts take 0.1 s to import and compile; a server that starts does not wait for them.

    @cached_property
    def check(self) -> "CopyCheck":
        from lanmu_llm_copy.checks import CopyCheck

        return CopyCheck(self.settings.banned)

    @cached_property
    def rewriter(self) -> "CopyRewriter":
        from lanmu_llm_copy.model import ModelWriter
        from lanmu_llm_copy.rewriter import CopyRewriter
        from lanmu_llm_copy.rules import RuleWriter

        settings = self.settings
        model = ModelWriter(settings, self.ledger, self.host.clock) if settings.base_url else None
        return CopyRewriter(
            RuleWriter(),
            self.check,
            model,
            model_name=settings.model,
            fall_back=settings.fallback == "rules",
        )

    @hookimpl
    def lanmu_rewriters(self) -> Iterable[Rewriter]:
        return [self.rewriter]

    @hookimpl
    def lanmu_checks(self) -> Iterable[ContentCheck]:
        return [self.check]

    @hookimpl
    def lanmu_commands(self) -> "Iterable[click.Command]":
        from lanmu_llm_copy.commands import commands  # only the command line needs click

        return commands(self)
