"""A member's link: it names the member, is signed by the server, and dies after some days."""

from datetime import timedelta

from lanmu.interfaces.host import Host, MemberView

PURPOSE = "points.member"


def member_link(host: Host, member: str, valid_for: timedelta) -> str:
    """The address of the member's phone page."""
    return f"{host.base_url}/p/points/m/{host.sign(PURPOSE, member, valid_for)}"


def member_of(host: Host, token: str) -> MemberView | None:
    """Whose link it is, or None when it is forged, has run out, or its member is gone."""
    member = host.unsign(PURPOSE, token)
    return host.member(member) if member else None
