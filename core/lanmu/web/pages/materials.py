"""素材: the list with its search, one material with everything known of it, and its files."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, render_template, request, send_file, url_for

from lanmu.i18n import _
from lanmu.interfaces.access import requires
from lanmu.interfaces.errors import LanmuError
from lanmu.interfaces.rewriting import ContentCheck, Finding
from lanmu.library.content import Content, usable_until
from lanmu.library.placeholders import render
from lanmu.library.search import Filters
from lanmu.library.views import AttachmentView, MaterialRow, MaterialView, RevisionView
from lanmu.plugin_faults import mistakes
from lanmu.web.pages import choices, push_shown
from lanmu.web.pages.acts import Errors, say
from lanmu.web.pages.marks import marked
from lanmu.web.people import server, signed_in, translate

log = logging.getLogger(__name__)

blueprint = Blueprint("materials", __name__)

_PAGE = 20
_STATES = ("draft", "in_review", "approved", "retired")
_AXES = ("state", "content_class", "zone", "kind")


@blueprint.get("/materials")
@requires("content.view")
def index() -> str:
    chosen = {name: request.args.get(name, "") for name in ("q", "tag", *_AXES)}
    return _list(chosen)


@blueprint.get("/review")
@requires("content.view")
def review() -> str:
    """审核: what waits for a review."""
    chosen = {name: request.args.get(name, "") for name in ("q", "tag", *_AXES)}
    return _list(chosen | {"state": "in_review"})


@blueprint.get("/materials/<material>")
@requires("content.view")
def detail(material: str) -> str:
    """A material; `revision` shows an earlier version of it."""
    return page(material, {})


@blueprint.get("/files/<asset>")
@requires("content.view")
def file(asset: str) -> Response:
    found = server().library.assets.get(asset)
    answer = send_file(found.path, mimetype=found.media_type, download_name=found.name, max_age=86400)
    # A picture is only ever shown as one, whatever a browser may find in its bytes.
    answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    answer.headers["Cache-Control"] = "private, max-age=86400"
    return answer


def page(material: str, errors: Errors) -> str:
    """A material's page; `errors` are those of its review form."""
    found = server().library.materials.get(material)
    revisions = server().library.materials.revisions(material)
    shown = revision_asked(revisions, found.revision)
    newest = shown.number == found.revision
    findings = findings_of(shown.content.body, found) if newest else []
    who = signed_in()
    people = push_shown.names()
    editable = who.may("content.edit") and found.state != "retired"
    waits = newest and found.state == "in_review"
    mine = found.author == who.username and not server().config.server.solo_approval
    return render_template(
        "materials/detail.html",
        material=_whole(found, shown.content),
        revision={
            "number": shown.number,
            "author": people.get(shown.author, shown.author),
            "generator": shown.generator,
            "created_at": shown.created_at,
            "newest": newest,
        },
        parts=marked(shown.content.body, findings),
        assets=[_asset(item) for item in shown.attachments],
        revisions=[_revision(each, found, shown.number, people) for each in revisions],
        reviews=[replace(each, reviewer=people.get(each.reviewer, each.reviewer)) for each in found.reviews],
        findings=findings,
        checked=bool(server().checks()),
        preview=preview_of(shown.content, shown.attachments),
        can={
            "edit": newest and editable,
            "edit_from": editable and not newest,
            "submit": newest and who.may("content.edit") and found.state == "draft",
            "review": waits and who.may("content.approve") and not mine,
            "mine": waits and who.may("content.approve") and mine,
            "retire": editable,
            "restore": who.may("content.edit") and found.state == "retired",
        },
        rewriters=[(each.name, translate(each.title)) for each in server().rewriters()],
        channels=choices.channels(),
        stages=choices.stages(),
        experiment=server().experiments.of(material),
        proposals=None,
        errors=errors,
        comment=request.form.get("comment", ""),
        chosen={name: request.form.get(name, "") for name in ("compliance", "relevance", "appeal")},
    )


def findings_of(body: str, material: MaterialView) -> list[Finding]:
    """What every check finds in a text, in the text's order and the reader's language."""
    context = {"content_class": material.content.content_class, "kind": material.content.kind}
    found = [finding for check in server().checks() for finding in _findings_by(check, body, context)]
    return in_language(sorted(found, key=lambda each: (each.start, -each.end)))


def _findings_by(check: ContentCheck, body: str, context: Mapping[str, str]) -> Sequence[Finding]:
    """What one check finds. That it failed is a finding too: a reviewer must know where nobody has looked."""
    try:
        found = list(check.check(body, context))
        if all(map(_is_finding, found)):
            return found
        log.error("a content check answers no findings", extra={"check": _called(check)})
    except mistakes():
        log.exception("a content check failed", extra={"check": _called(check)})
    failed = _("This check could not be made, so nobody has looked for what it finds; the log says why.")
    return [Finding(0, 0, translate(_called(check)), "failed", "review", failed)]


def _called(check: ContentCheck) -> str:
    """What to call a check of which nothing is sure."""
    named = getattr(check, "title", None) or getattr(check, "name", None)
    return named if isinstance(named, str) else type(check).__name__


def _is_finding(found: object) -> bool:
    """Whether a page can place it and show it, and a decision weigh it."""
    return (
        isinstance(found, Finding)
        and type(found.start) is int
        and type(found.end) is int
        and found.severity in ("block", "review", "hint")
        and all(isinstance(text, str) for text in (found.term, found.reason, found.suggestion))
    )


def in_language(findings: Iterable[Finding]) -> list[Finding]:
    """The findings with their reasons in the reader's language."""
    return [replace(each, reason=translate(each.reason)) for each in findings]


def preview_of(content: Content, attachments: Sequence[AttachmentView]) -> dict[str, Any]:
    """A message as a phone shows it, with a made-up community and recipient."""
    shop = server().config.server.shop_name
    community = say(_("A community of yours"))
    return {
        "sender": shop,
        "chat": community,
        "text": _filled(content.body, community, shop),
        "images": [_asset(item) for item in attachments if item.asset.media_type.startswith("image/")],
        "at": None,
    }


def _filled(body: str, community: str, shop: str) -> str:
    values = {
        "community.name": community,
        "community.size": 200,
        "shop.name": shop,
        "sender.name": shop,
        "member.nickname": say(_("Lele's mother")),
    }
    try:
        return render(body, values)
    except LanmuError:
        return body


def _list(chosen: dict[str, str]) -> str:
    axes: dict[str, Any] = {name: (chosen[name],) if chosen[name] else () for name in _AXES}
    filters = Filters(text=chosen["q"], tags=(chosen["tag"],) if chosen["tag"] else (), **axes)
    cursor = request.args.get("after", "")
    found = server().library.search.find(filters, sort="updated", cursor=cursor, limit=_PAGE)
    used = server().reports.usage([row.key for row in found.items])
    here = request.endpoint or "materials.index"
    fixed = "state" if here == "materials.review" else ""
    same: dict[str, Any] = {name: value for name, value in chosen.items() if value and name != fixed}
    context = {
        "chosen": chosen,
        "page": {
            "items": [_row(row, used.get(row.key, 0)) for row in found.items],
            "next_url": url_for(here, after=found.next_cursor, **same) if found.next_cursor else "",
            "first_url": url_for(here, **same) if cursor else "",
            "total": found.total,
        },
    }
    if request.headers.get("HX-Request"):
        return render_template("materials/_results.html", **context)
    taxonomy = server().library.taxonomy()
    facets = server().library.search.facets().counts
    counts = {state: facets["state"].get(state, 0) for state in _STATES}
    return render_template(
        "materials/index.html",
        **context,
        search_words=chosen["q"],
        reviewing=here == "materials.review",
        counts={**counts, "all": sum(counts.values())},
        classes=choices.of_terms(taxonomy.classes),
        zones=choices.of_terms(taxonomy.zones),
        kinds=choices.of_terms(taxonomy.kinds),
        all_tags=choices.tags(dict.fromkeys([*([chosen["tag"]] if chosen["tag"] else []), *facets["tag"]])),
    )


def _row(row: MaterialRow, used: int) -> dict[str, Any]:
    names = ("name", "title", "content_class", "zone", "kind", "form", "tags", "state", "owner", "updated_at")
    ends = row.valid_until
    return {
        **{name: getattr(row, name) for name in names},
        "public_id": row.id,
        "used": used,
        "thumb": url_for("materials.file", asset=row.cover) if row.cover else "",
        "expired": ends is not None and ends <= server().clock.now(),
    }


def _whole(found: MaterialView, content: Content) -> dict[str, Any]:
    names = (
        "title", "content_class", "kind", "zone", "genre", "form", "origin", "owner", "tags", "valid_from",
        "valid_until", "licence", "consent",
    )  # fmt: skip
    zone = ZoneInfo(server().config.server.zone)
    ends = usable_until(content.valid_until, content.licence, zone)
    return {
        **{name: getattr(content, name) for name in names},
        "public_id": found.id,
        "name": found.name,
        "state": found.state,
        "valid_last": _last(content.valid_until, zone) if content.valid_until else None,
        "retired_reason": found.retired_reason,
        "used": found.used,
        "expired": ends is not None and ends <= server().clock.now(),
    }


def _last(end: datetime, zone: ZoneInfo) -> datetime:
    """An end as people say it. It is the first instant at which nothing may go out any more: a midnight is
    the end of the day before, any other time is told as it was written."""
    local = end.astimezone(zone)
    return end - timedelta(seconds=1) if local.time() == time.min else end


def _asset(item: AttachmentView) -> dict[str, Any]:
    return {
        "id": item.asset.id,
        "url": url_for("materials.file", asset=item.asset.id),
        "name": item.asset.name,
        "caption": item.caption,
        "size": item.asset.size,
        "is_image": item.asset.media_type.startswith("image/"),
        "too_large_for": [
            choices.channel_title(name)
            for name, channel in server().plugins.channels.items()
            if item.asset.size > channel.abilities.asset_bytes
        ],
    }


def revision_asked(revisions: Sequence[RevisionView], newest: int) -> RevisionView:
    """The version that the address names with `revision`, else the newest."""
    asked = request.args.get("revision", "")
    number = int(asked) if asked.isdecimal() else newest
    by_number = {each.number: each for each in revisions}
    return by_number.get(number, by_number[newest])


def _revision(
    each: RevisionView, material: MaterialView, shown: int, people: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "number": each.number,
        "author": people.get(each.author, each.author),
        "note": each.note,
        "generator": each.generator,
        "created_at": each.created_at,
        "conflict": each.conflict,
        "approved": each.number == material.approved_number,
        "current": each.number == shown,
        "url": ""
        if each.number == shown
        else url_for("materials.detail", material=material.id, revision=each.number),
    }
