"""积分: rules, offers, members' balances, postings, and adjusting by hand."""

import logging
import secrets
from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from lanmu.i18n import _
from lanmu.interfaces.access import requires
from lanmu.interfaces.errors import Invalid, LanmuError, NotFound
from lanmu.interfaces.events import DescribedRule, PointsRule
from lanmu.ledger.refusals import Refused
from lanmu.ledger.views import KIND_WORDS, PostingLine, RuleSetting
from lanmu.plugin_faults import mistakes
from lanmu.web.pages.acts import Errors, act, by_field, in_words, note, say, whole
from lanmu.web.people import server, signed_in, translate

log = logging.getLogger(__name__)

blueprint = Blueprint("points", __name__)

_MONTH = timedelta(days=30)
_PAGE = 20
_OFFER_FIELDS = ("title", "detail", "cost", "cap", "per_member", "coupon_days")


@blueprint.get("/points")
@requires("points.view")
def index() -> str:
    return _page({})


@blueprint.post("/points/rules/<rule>")
@requires("rule.edit")
def rule(rule: str) -> Response:
    """Switch a rule and set its cap a day."""

    def do() -> str:
        if rule not in {offered.name for offered in _offered()}:
            raise NotFound("rule", _("there is no such rule."))
        before = server().ledger.rules.all().get(rule)
        if "active" in request.form:
            active, per_day = bool(request.form["active"]), before.per_day if before else None
        else:
            active, per_day = before.active if before else True, whole("per_day")
        server().ledger.rules.set(rule, active=active, per_day=per_day)
        return say(_("The rule is stored."))

    return act(do, url_for("points.index"), permission="rule.edit", on=rule)


@blueprint.post("/points/offers")
@requires("rule.edit")
def offer() -> str | Response | tuple[str, int]:
    """Put an offer up."""
    try:
        made = server().ledger.shelf.create(
            request.form.get("title", ""),
            whole("cost", needed=True) or 0,
            detail=request.form.get("detail", ""),
            cap=whole("cap"),
            per_member=whole("per_member"),
            coupon_days=whole("coupon_days"),
        )
    except LanmuError as error:
        return _page(by_field(error, {name: name for name in _OFFER_FIELDS})), error.status
    note("rule.edit", made.id)
    flash(say(_("“%(title)s” can be redeemed now."), title=made.title), "success")
    return redirect(url_for("points.index"), 303)


@blueprint.post("/points/offers/<offer>")
@requires("rule.edit")
def offer_switch(offer: str) -> Response:
    def do() -> str:
        server().ledger.shelf.edit(offer, active=bool(request.form.get("active")))
        return say(_("The offer is stored."))

    return act(do, url_for("points.index"), permission="rule.edit", on=offer)


@blueprint.post("/points/adjust")
@requires("points.adjust")
def adjust() -> Response | tuple[str, int]:
    """Give or take points by hand, once for the form's key. What was typed stays where it is refused."""
    form = request.form
    member = form.get("member", "")
    try:
        points = whole("amount", needed=True) or 0
        if not points:
            raise Invalid("amount", _("must not be 0."))
        key = form.get("key", "") or secrets.token_hex(8)
        server().audience.members.get(member)
        server().ledger.adjust(member, points, key, reason=form.get("reason", ""), actor=signed_in().username)
    except LanmuError as error:
        flash(in_words(error), "error")
        return _page({}), error.status
    note("points.adjust", member)
    flash(say(_("Posted. The new balance is %(n)s."), n=server().ledger.balance(member)), "success")
    return redirect(url_for("points.index"), 303)


@blueprint.post("/points/postings/<int(max=999999999999):posting>/cancel")
@requires("points.adjust")
def cancel(posting: int) -> Response:
    """Take a coupon back that was not used, and give its points back; twice is as good as once."""

    def do() -> str:
        spent = server().ledger.posting(posting)
        if spent.kind != "redeem":
            raise Refused("no_such_posting")
        server().ledger.refund(
            posting, -spent.amount, f"cancel:{posting}", reason="", actor=signed_in().username
        )
        return say(_("Cancelled: the coupon is void, and %(n)s points are given back."), n=-spent.amount)

    return act(do, _back(), permission="points.adjust", on=f"posting:{posting}")


@blueprint.post("/points/members/<member>/freeze")
@requires("points.adjust")
def freeze(member: str) -> Response:
    """Let a member's points be spent no more, for instance where their link is in wrong hands; or again."""

    def do() -> str:
        frozen = bool(request.form.get("frozen"))
        told = server().audience.members.freeze(member, frozen)
        if frozen:
            return say(_("%(name)s can earn points, and spend none."), name=told.name)
        return say(_("%(name)s can spend points again."), name=told.name)

    back = url_for("points.index", member=member)
    return act(
        do, back, permission="points.adjust", on=member, detail={"frozen": bool(request.form.get("frozen"))}
    )


def _back() -> str:
    """Where the postings stood: all of them, or those of one member."""
    return url_for("points.index", member=request.form.get("member", "") or None)


def _offered() -> list[PointsRule]:
    """The rules that have a name: one without it cannot be switched, nor can its awards be posted."""
    every = server().plugins.offers("lanmu_points_rules")
    return [rule for _plugin, rule in every if isinstance(getattr(rule, "name", None), str) and rule.name]


def _rule(offered: PointsRule, setting: RuleSetting | None) -> dict[str, Any]:
    title = getattr(offered, "title", None)
    return {
        "name": offered.name,
        "title": translate(title) if isinstance(title, str) else offered.name,
        "told": _told(offered),
        "active": setting.active if setting else True,
        "per_day": setting.per_day if setting else None,
    }


def _told(offered: PointsRule) -> list[str]:
    """What a rule says that it gives; one that fails at it is shown by its title alone."""
    try:
        told = offered.describe() if isinstance(offered, DescribedRule) else ()
        return [translate(each) for each in told]
    except mistakes():
        log.exception("a points rule cannot be described", extra={"rule": offered.name})
    return []


def _page(errors: Errors) -> str:
    now = server().clock.now()
    ledger = server().ledger
    search = request.args.get("q", "")
    cursor = request.args.get("after", "")
    members, more = server().audience.members.page(search=search, cursor=cursor, limit=_PAGE)
    balances = ledger.balances([member.id for member in members])
    totals = ledger.totals()
    flows = {flow.kind: flow.points for flow in ledger.flows(now - _MONTH, now)}
    chosen = request.args.get("member", "")
    lines = ledger.lines(member=chosen, limit=15)
    unused = ledger.desk.unused([line.id for line in lines])
    names = server().audience.members.names([line.member for line in lines])
    set_ = ledger.rules.all()
    return render_template(
        "points/index.html",
        rules=[_rule(offered, set_.get(offered.name)) for offered in _offered()],
        offers=ledger.shelf.all(),
        members={
            "items": [
                {"id": each.id, "name": each.name, "frozen": each.frozen, "balance": balances[each.id]}
                for each in members
            ],
            "next_url": url_for("points.index", after=more, q=search or None) if more else "",
            "first_url": url_for("points.index", q=search or None) if cursor else "",
        },
        q=search,
        lines=[_line(line, names, line.id in unused) for line in lines],
        totals={
            "outstanding": totals.outstanding,
            "members": totals.members,
            "issued": flows.get("earn", 0),
            "spent": -flows.get("redeem", 0) - flows.get("spend", 0),
        },
        offer_form={name: request.form.get(name, "") for name in _OFFER_FIELDS} if errors else {},
        errors=errors,
        chosen=server().audience.members.look_up(chosen) if chosen else None,
        adjust_form=_adjusting([(member.id, member.name) for member in members]),
    )


def _adjusting(members: list[tuple[str, str]]) -> dict[str, Any]:
    """The form to adjust with: fresh, or as it was typed where it was refused."""
    typed = request.form if request.endpoint == "points.adjust" else {}
    member = typed.get("member") or request.args.get("member", "")
    if member not in dict(members):
        members = [*server().audience.members.names([member]).items(), *members]
    return {
        "member": member,
        "members": members,
        "amount": typed.get("amount", ""),
        "reason": typed.get("reason", ""),
        "key": secrets.token_hex(12),
    }


def _line(line: PostingLine, names: dict[str, str], unused: bool) -> dict[str, Any]:
    return {
        "id": line.id,
        "cancels": unused,
        "at": line.at,
        "member": names.get(line.member, line.member),
        "reason": translate(line.reason or KIND_WORDS.get(line.kind, line.kind)),
        "amount": line.amount,
    }
