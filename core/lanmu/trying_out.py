"""Who a test may be sent to: the communities that the shop has marked as its own, and no customer of its."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import or_, select

from lanmu.audience.communities import Communities
from lanmu.audience.models import Identity, MemberTag
from lanmu.audience.views import Address, CommunityView
from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid
from lanmu.storage import Database

MARKS = ("测试", "test")
"""The tags by which a shop marks a community, or a member, that tests may go to."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A community that tests may go to, at one channel. `id` names both, for a form."""

    id: str
    community: str
    channel: str
    key: str
    sender: str


def offered(communities: Communities, channels: Iterable[str]) -> list[Trial]:
    """All marked communities, once for each of these channels that reaches them."""
    running = set(channels)
    return [
        Trial(f"{each.id}/{channel}", each.name, channel, address.key, address.sender)
        for each in communities.find()
        if is_marked(each)
        for channel, address in each.addresses.items()
        if channel in running
    ]


def is_marked(community: CommunityView) -> bool:
    """Whether the shop has marked it for tests."""
    return any(mark in community.tags for mark in MARKS)


def address_of(communities: Communities, channel: str, to: str) -> Address:
    """Where a test goes: to a community's address at the channel for its id (com_…), else to that very key.

    Raises NotFound for an id that is no community's, Invalid for a community without an address there.
    """
    if not to.startswith("com_"):
        return Address(to)
    community = communities.get(to)
    address = community.addresses.get(channel)
    if address is None:
        raise Invalid(
            "to",
            _("“%(name)s” has no address at %(channel)s."),
            _("Give it one on its page, or choose a channel that it has: %(known)s."),
            name=community.name,
            channel=channel,
            known=", ".join(sorted(community.addresses)) or "–",
        )
    return address


def refuse_customers(database: Database, communities: Communities, channel: str, key: str) -> None:
    """Raises Invalid where `key` is the address of a community or a member that is not marked for tests."""
    reached = [
        each
        for each in communities.find(active=None)
        if (address := each.addresses.get(channel)) and address.key == key
    ]
    if any(not is_marked(each) for each in reached):
        raise _refused(reached[0].name)
    marked = select(MemberTag.member_id).where(or_(*(MemberTag.tag == mark for mark in MARKS)))
    with database.read() as session:
        theirs = session.scalar(
            select(Identity.id).where(Identity.user == key, Identity.member_id.not_in(marked)).limit(1)
        )
    if theirs is not None:
        raise _refused(key)


def _refused(name: str) -> Invalid:
    return Invalid(
        "to",
        _("“%(name)s” is an audience of the shop's, and a test never goes to one."),
        _("Give a community of your own the tag “test”, and send the test there."),
        name=name,
    )
