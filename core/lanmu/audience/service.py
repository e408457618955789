"""社群与会员: the audience of the shop, as the rooms above and plugins ask for it."""

from collections.abc import Sequence

from lanmu.audience.communities import Communities
from lanmu.audience.members import Members
from lanmu.audience.views import MemberRecord
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.host import MemberView
from lanmu.storage import Database


class AudienceService:
    """The audience: `communities` and `members`, and what a plugin's host may ask of them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.communities = Communities(database, clock)
        self.members = Members(database, clock)

    def member(self, member: str) -> MemberView | None:
        """A member as plugins see one, or None for a stranger."""
        found = self.members.look_up(member)
        return member_view(found) if found else None

    def page(self, search: str, after: str, limit: int) -> tuple[list[MemberView], str]:
        """Members by name, newest first, and the `after` of the next page. Raises Invalid."""
        found, more = self.members.page(search=search, cursor=after, limit=limit)
        return [member_view(each) for each in found], more

    def find_member(self, provider: str, user: str) -> MemberView | None:
        """Who is known at `provider` as `user`?"""
        found = self.members.find(provider, user)
        return member_view(found) if found else None

    def tag_member(self, member: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        """Add and take away a member's tags. Raises NotFound and Faults."""
        self.members.tag(member, add=add, remove=remove)

    def is_frozen(self, member: str) -> bool:
        """May this member's points not be spent?"""
        return self.members.is_frozen(member)


def member_view(member: MemberRecord) -> MemberView:
    """What plugins see of a member."""
    return MemberView(member.id, member.name, member.zone, member.frozen, member.tags)
