"""A member's event on its way: kept as a fact once, points posted by the rules, plugins told."""

import logging
from collections.abc import Iterable, Iterator

from lanmu.i18n import told
from lanmu.interfaces.errors import Invalid, LanmuError
from lanmu.interfaces.events import Award, MemberEvent, PointsRule
from lanmu.interfaces.host import PointsPosted
from lanmu.ledger.asked import check_award
from lanmu.ledger.refusals import KeyReused
from lanmu.ledger.service import LedgerService
from lanmu.metrics.service import MetricsService
from lanmu.plugin_faults import mistakes, safe
from lanmu.plugins import Plugins

log = logging.getLogger(__name__)


class Events:
    """Records what members do."""

    def __init__(self, metrics: MetricsService, ledger: LedgerService, plugins: Plugins) -> None:
        self._metrics = metrics
        self._ledger = ledger
        self._plugins = plugins

    def record(self, event: MemberEvent) -> PointsPosted:
        """Store the event and post its points, both once for their keys.

        The rules propose first, so that an event that one of them cannot read is refused and not stored. On
        a repetition they propose anew: if the server stopped between storing and posting, the points are
        posted now, and if not, the ledger knows their keys.
        """
        awards = self._proposed(event)
        new = self._metrics.record_event(event)
        earned, capped = 0, False
        for award in awards:
            try:
                posted = self._ledger.earn(award, occurred_at=event.at)
            except KeyReused:
                if new:
                    raise
                continue  # posted then, under the settings of then
            earned += posted.earned
            capped = capped or posted.capped
        if new:
            self._plugins.tell("lanmu_member_event", event=event)
        return PointsPosted(earned, self._ledger.balance(event.member), not new, capped)

    def _proposed(self, event: MemberEvent) -> list[Award]:
        awards: list[Award] = []
        for plugin, offered in self._plugins.offers("lanmu_points_rules"):
            rule: PointsRule = offered
            try:
                proposed: list[object] = list(rule.propose(event))
            except LanmuError:
                raise  # it cannot read the event and says why
            except mistakes():
                log.exception(
                    "a points rule failed; the event counts by the others", extra={"plugin": plugin}
                )
                continue
            awards.extend(_sound(proposed, plugin))
        return awards


def _sound(proposed: Iterable[object], plugin: str) -> Iterator[Award]:
    """Those that can be posted; one that makes no sense must cost neither the event nor another's award."""
    for award in proposed:
        try:
            yield check_award(award)
        except Invalid as fault:
            log.error(
                "a points rule proposes what cannot be posted; the other awards count",
                extra={"plugin": plugin, "fault": safe(told(fault))},
            )
