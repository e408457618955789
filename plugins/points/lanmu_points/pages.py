"""The member's phone page: points, check-in, mall, coupons, statement. Reached by a signed link alone."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import segno
from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from lanmu.interfaces.access import SIGNED, requires
from lanmu.interfaces.errors import LanmuError
from lanmu.interfaces.host import CouponView, Host, MemberView, OfferView, StatementLine
from lanmu_points.links import member_of
from lanmu_points.rules import CHECK_IN, KNOWN_REASONS, check_in
from lanmu_points.settings import PointsSettings

_ONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_COST = re.compile(r"[0-9]{0,13}")
_STATEMENT_LINES = 200


@dataclass(frozen=True, slots=True)
class _Visit:
    """A request by a link that holds: whose it is, and the token that its own links carry on."""

    token: str
    member: MemberView


def blueprint(host: Host, settings: PointsSettings) -> Blueprint:
    """The plugin's pages."""
    pages = Blueprint("points_member", __name__, template_folder="templates", static_folder="static")
    stamp = hashlib.sha256(Path(pages.static_folder or "", "points.css").read_bytes()).hexdigest()[:10]

    def style() -> str:
        return url_for("points_member.static", filename="points.css", v=stamp)

    def show(name: str, visit: _Visit, **values: object) -> str:
        zone = ZoneInfo(visit.member.zone)
        today = host.clock.now().astimezone(zone).date()
        return render_template(
            f"points/{name}.html",
            token=visit.token,
            member=visit.member,
            shop=host.shop_name,
            form_key=_form_key(visit.token),
            balance=host.points.balance(visit.member.id),
            style=style,
            when=lambda at: _when(at.astimezone(zone), today),
            day=lambda at: f"{at.astimezone(zone):%Y-%m-%d}",
            groups=_groups,
            **values,
        )

    def visited(token: str) -> _Visit:
        member = member_of(host, token)
        if member is None:
            abort(Response(render_template("points/gone.html", shop=host.shop_name, style=style), 410))
        if request.method == "POST":
            given = request.form.get("key", "")
            if not hmac.compare_digest(given.encode(), _form_key(token).encode()):
                abort(403)
        return _Visit(token, member)

    def offer_of(visit: _Visit, offer: str) -> OfferView | None:
        return next((each for each in host.points.offers(visit.member.id) if each.id == offer), None)

    @pages.get("/m/<token>")
    @requires(SIGNED)
    def home(token: str) -> str:
        visit = visited(token)
        member = visit.member
        recent = host.points.statement(member.id, _STATEMENT_LINES)
        return show(
            "home",
            visit,
            checked_in=_checked_in(recent, member, host.clock.now()),
            check_in_points=settings.check_in_points,
            just=request.args.get("just", ""),
            offers=host.points.offers(member.id),
            usable=sum(coupon.state == "issued" for coupon in host.points.coupons(member.id)),
        )

    @pages.post("/m/<token>/check-in")
    @requires(SIGNED)
    def check_in_now(token: str) -> AnyResponse:
        member = visited(token).member
        posted = host.record(check_in(member.id, member.zone, host.clock.now()))
        just = "checked-in" if posted.earned else "already"
        return redirect(url_for("points_member.home", token=token, just=just), 303)

    @pages.get("/m/<token>/offers/<offer>")
    @requires(SIGNED)
    def offer(token: str, offer: str) -> str | tuple[str, int]:
        visit = visited(token)
        found = offer_of(visit, offer)
        if found is None:
            return show("nothing", visit), 404
        return show("offer", visit, offer=found, once=secrets.token_urlsafe(18), error=None)

    @pages.post("/m/<token>/offers/<offer>/redeem")
    @requires(SIGNED)
    def redeem(token: str, offer: str) -> AnyResponse | tuple[str, int]:
        visit = visited(token)
        once, shown = request.form.get("once", ""), request.form.get("cost", "")
        if not _ONCE.fullmatch(once) or not _COST.fullmatch(shown):
            abort(400)
        try:
            # A second tap sends the same `once` and so gets the same coupon, paid for once.
            coupon = host.points.redeem(visit.member.id, offer, once, int(shown) if shown else None)
        except LanmuError as error:
            found = offer_of(visit, offer)
            if found is None:
                return show("nothing", visit), error.status
            fresh = secrets.token_urlsafe(18)
            return show("offer", visit, offer=found, once=fresh, error=error), error.status
        return redirect(url_for("points_member.coupon", token=token, coupon=coupon.id, just="redeemed"), 303)

    @pages.get("/m/<token>/coupons")
    @requires(SIGNED)
    def coupons(token: str) -> str:
        visit = visited(token)
        every = host.points.coupons(visit.member.id)
        usable = [each for each in every if each.state == "issued"]
        return show("coupons", visit, usable=usable, past=[each for each in every if each not in usable])

    @pages.get("/m/<token>/coupons/<coupon>")
    @requires(SIGNED)
    def coupon(token: str, coupon: str) -> str | tuple[str, int]:
        visit = visited(token)
        found = host.points.coupon(visit.member.id, coupon)
        if found is None:
            return show("nothing", visit), 404
        return show("coupon", visit, coupon=found, qr=_qr(found), just=request.args.get("just", ""))

    @pages.get("/m/<token>/statement")
    @requires(SIGNED)
    def statement(token: str) -> str:
        visit = visited(token)
        lines = host.points.statement(visit.member.id, _STATEMENT_LINES)
        return show("statement", visit, lines=lines, known_reasons=KNOWN_REASONS)

    @pages.after_request
    def keep_private(response: Response) -> Response:
        if request.endpoint != "points_member.static":
            response.headers["Cache-Control"] = "no-store"
            response.headers["Referrer-Policy"] = "no-referrer"  # the address is the member's key
            response.headers["X-Robots-Tag"] = "noindex"
        return response

    return pages


def _checked_in(lines: Sequence[StatementLine], member: MemberView, now: datetime) -> bool:
    """Has the member's own day a check-in? Read from the statement, which cannot disagree with the points."""
    zone = ZoneInfo(member.zone)
    today = now.astimezone(zone).date()
    return any(line.reason == CHECK_IN and line.at.astimezone(zone).date() == today for line in lines)


def _form_key(token: str) -> str:
    """What a form must carry. The token is a secret of the link's holder, so nobody else can derive it."""
    return hmac.new(token.encode(), b"points form", hashlib.sha256).hexdigest()[:32]


def _qr(coupon: CouponView) -> Markup | None:
    if not coupon.code:
        return None
    drawn = segno.make(coupon.code, error="m", micro=False)
    svg = drawn.svg_inline(scale=1, omitsize=True, border=1, svgclass="qr", lineclass="")
    return Markup(svg)  # noqa: S704  segno writes the SVG; the code is only its dots


def _groups(code: str) -> list[str]:
    return [code[start : start + 4] for start in range(0, len(code), 4)]


def _when(at: datetime, today: date) -> str:
    return f"{at:%m-%d %H:%M}" if at.year == today.year else f"{at:%Y-%m-%d %H:%M}"
