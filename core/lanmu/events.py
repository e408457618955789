"""A member's event on its way: kept as a fact once, points posted by the rules, plugins told."""

from lanmu.interfaces.events import MemberEvent, PointsRule
from lanmu.interfaces.host import PointsPosted
from lanmu.ledger.service import LedgerService
from lanmu.metrics.service import MetricsService
from lanmu.plugins import Plugins


class Events:
    """Records what members do."""

    def __init__(self, metrics: MetricsService, ledger: LedgerService, plugins: Plugins) -> None:
        self._metrics = metrics
        self._ledger = ledger
        self._plugins = plugins

    def record(self, event: MemberEvent) -> PointsPosted:
        """Store the event and post its points, both once for their keys.

        The points are proposed anew on a repetition too: if the server stopped between the two, they are
        posted now, and if not, the ledger knows their keys.
        """
        new = self._metrics.record_event(event)
        earned, capped, replayed = 0, False, not new
        for _plugin, offered in self._plugins.offers("lanmu_points_rules"):
            rule: PointsRule = offered
            for award in rule.propose(event):
                posted = self._ledger.earn(award, occurred_at=event.at)
                earned += posted.earned
                capped = capped or posted.capped
        if new:
            self._plugins.tell("lanmu_member_event", event=event)
        return PointsPosted(earned, self._ledger.balance(event.member), replayed, capped)
