"""What a person may choose from, as (code, words) pairs in the reader's language."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from lanmu.audience.presets import STAGES, TYPES
from lanmu.library.presets import Term
from lanmu.web.pages.formats import zone_name
from lanmu.web.people import locale, server, translate

Choices = list[tuple[str, str]]

_ZONES = ("Asia/Shanghai", "Asia/Urumqi", "Asia/Hong_Kong", "Asia/Taipei", "Asia/Singapore", "Asia/Tokyo")


def of_terms(terms: Iterable[Term]) -> Choices:
    return [(term.code, term.title(locale())) for term in terms]


def with_parents(terms: Iterable[Term]) -> list[tuple[str, str, str]]:
    """Terms with the code that they belong to: a kind's class, a genre's zone."""
    return [(term.code, term.title(locale()), term.parent) for term in terms]


def channels() -> Choices:
    """The channels that run."""
    return [(name, channel_title(name)) for name in server().plugins.channels]


def channel_title(name: str) -> str:
    """What people call a channel; its name where it does not run any more."""
    channel = server().plugins.channels.get(name)
    return translate(channel.title) if channel and channel.title else name


def stages() -> Choices:
    return [(code, translate(preset.title)) for code, preset in STAGES.items()]


def types() -> Choices:
    """The operating types on offer, then those that the shop has written itself."""
    own = {community.type for community in server().audience.communities.find(active=None)} - set(TYPES)
    return [(code, translate(title)) for code, title in TYPES.items()] + [
        (code, code) for code in sorted(own)
    ]


def zones(chosen: str = "") -> Choices:
    """Time zones near the shop, and the one that is chosen."""
    now = server().clock.now()
    names = dict.fromkeys((server().config.server.zone, *([chosen] if chosen else []), *_ZONES))
    return [(name, zone_name(name, locale(), now)) for name in names if _known(name)]


def tags(names: Iterable[str]) -> Choices:
    return [(name, name) for name in names]


def _known(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True
