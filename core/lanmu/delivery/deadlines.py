"""Until when a push may go out that names no deadline of its own: so many hours in which it may be heard."""

from collections.abc import Collection, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from lanmu.delivery.door.quiet import AT_ANY_HOUR, QuietHours, zone_called
from lanmu.delivery.intake import DEFAULT_DEADLINE


class Deadlines:
    """The deadlines that nobody has set. `zone` is the shop's; `quiet` None: no hours are quiet.

    Quiet hours hold a message and do not drop it: so they do not count towards its deadline. A deadline that
    somebody has set is a hard one, whatever the hour.
    """

    def __init__(self, zone: str = "UTC", quiet: QuietHours | None = None) -> None:
        self._zone = ZoneInfo(zone)
        self._quiet = quiet

    def default(self, due_at: datetime, zones: Collection[str], options: Mapping[str, str]) -> datetime:
        """The deadline of a push that is due then, to recipients in these zones ("" is the shop's)."""
        if self._quiet is None or options.get(AT_ANY_HOUR) == "yes":
            return due_at + DEFAULT_DEADLINE
        found = {zone_called(zone, self._zone) for zone in zones} or {self._zone}
        return max(self._quiet.open_for(due_at, DEFAULT_DEADLINE, zone) for zone in found)

    def moved(
        self,
        deadline_at: datetime,
        due_at: datetime,
        to: datetime,
        zones: Collection[str],
        options: Mapping[str, str],
    ) -> datetime:
        """The deadline of a push whose time moves from `due_at` to another: it moves along, and one that
        nobody has set is the default of the new time."""
        if deadline_at in (self.default(due_at, zones, options), due_at + DEFAULT_DEADLINE):
            return self.default(to, zones, options)
        return to + (deadline_at - due_at)


NO_QUIET = Deadlines()
"""Where no hours are quiet."""
