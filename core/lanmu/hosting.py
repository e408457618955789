"""The server as one plugin sees it: the narrow way in, and nothing of the core's tables."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from lanmu.audience.service import AudienceService
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.events import MemberEvent
from lanmu.interfaces.host import MemberView, Points, PointsPosted, Transactions
from lanmu.signing import Signer


class PluginHost:
    """Satisfies `lanmu.interfaces.host.Host` for the plugin called `name`."""

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        base_url: str,
        shop_name: str,
        workspace: Path,
        database: Transactions,
        points: Points,
        audience: AudienceService,
        signer: Signer,
        record: Callable[[MemberEvent], PointsPosted],
        results_changed: Callable[[str, str], None],
    ) -> None:
        self.name = name
        self.clock = clock
        self.base_url = base_url
        self.shop_name = shop_name
        self.workspace = workspace
        self.database = database
        self.points = points
        self._audience = audience
        self._signer = signer
        self._record = record
        self._results_changed = results_changed

    def sign(self, purpose: str, value: str, valid_for: timedelta) -> str:
        return self._signer.sign(f"plugin/{self.name}/{purpose}", value, valid_for)

    def unsign(self, purpose: str, token: str) -> str | None:
        return self._signer.unsign(f"plugin/{self.name}/{purpose}", token)

    def member(self, member: str) -> MemberView | None:
        return self._audience.member(member)

    def list_members(
        self, search: str = "", after: str = "", limit: int = 50
    ) -> tuple[Sequence[MemberView], str]:
        return self._audience.page(search, after, limit)

    def find_member(self, provider: str, user: str) -> MemberView | None:
        return self._audience.find_member(provider, user)

    def tag_member(self, member: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        self._audience.tag_member(member, add=add, remove=remove)

    def record(self, event: MemberEvent) -> PointsPosted:
        return self._record(event)

    def results_changed(self, channel: str, ref: str) -> None:
        self._results_changed(channel, ref)
