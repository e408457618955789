"""The shop's own pages: members with their balances and links to hand out, and the till for coupons."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import segno
from flask import Blueprint, abort, render_template, request, url_for

from lanmu.interfaces.access import actor, requires
from lanmu.interfaces.errors import LanmuError
from lanmu.interfaces.host import CouponView, Host, MemberView
from lanmu_points.links import member_link
from lanmu_points.settings import PointsSettings

NAME = "points_staff"
_PAGE = 20
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class _Card:
    """A member's link to hand out: the address, and the same as a picture to scan."""

    member: MemberView
    url: str
    qr: str


def blueprint(host: Host, settings: PointsSettings) -> Blueprint:
    """The pages for staff."""
    pages = Blueprint(NAME, __name__, template_folder="templates")
    style_sheet = Path(__file__).parent / "static" / "desk.css"
    stamp = hashlib.sha256(style_sheet.read_bytes()).hexdigest()[:10]

    def style() -> str:
        return url_for("points_member.static", filename=style_sheet.name, v=stamp)

    def card(member: str) -> _Card:
        found = host.member(member)
        if found is None:
            abort(404)
        url = member_link(host, found.id, settings.link_life)
        return _Card(found, url, segno.make(url, error="m", micro=False).svg_data_uri(scale=4, border=2))

    def show_till(
        code: str = "",
        *,
        coupon: CouponView | None = None,
        used: CouponView | None = None,
        error: LanmuError | None = None,
    ) -> str:
        return render_template(
            "points/till.html", code=code, coupon=coupon, used=used, error=error, style=style
        )

    @pages.get("/members")
    @requires("member.view")
    def members() -> str:
        search, after, opened = (request.args.get(name, "").strip() for name in ("q", "after", "member"))
        found, more = host.list_members(search, after, _PAGE)
        return render_template(
            "points/members.html",
            members=found,
            balances=host.points.balances([member.id for member in found]),
            q=search,
            after=after,
            more=more,
            card=card(opened) if opened else None,
            link_days=settings.link_days,
            unreachable=urlsplit(host.base_url).hostname in _LOOPBACK,
            style=style,
        )

    @pages.get("/till")
    @requires("coupon.redeem")
    def till() -> str:
        return show_till()

    # The code travels in the form's body, for an address is kept in histories and logs.
    @pages.post("/till")
    @requires("coupon.redeem")
    def look() -> str | tuple[str, int]:
        code = request.form.get("code", "").strip()
        try:
            return show_till(code, coupon=host.points.look_at_coupon(code, actor()))
        except LanmuError as error:
            return show_till(code, error=error), error.status

    @pages.post("/till/use")
    @requires("coupon.redeem")
    def use() -> str | tuple[str, int]:
        # Sent twice, the second is told that they used it up just now: no harm, so no redirect is needed.
        code = request.form.get("code", "").strip()
        try:
            return show_till(used=host.points.use_coupon(code, actor()))
        except LanmuError as error:
            return show_till(code, error=error), error.status

    return pages
