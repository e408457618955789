"""Where recipients live, as the last door takes it when it asks whether it is night there."""

from zoneinfo import ZoneInfo

from lanmu.web.people import server


def home_of(zone: str) -> ZoneInfo:
    """Their zone; the shop's where none is kept, or where this machine does not know it."""
    try:
        return ZoneInfo(zone or server().config.server.zone)
    except (LookupError, ValueError, OSError):
        return ZoneInfo(server().config.server.zone)
