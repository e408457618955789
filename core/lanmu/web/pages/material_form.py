"""The form of a material: what it begins with, how it is read, and how it is shown again with its faults."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, BinaryIO, cast
from zoneinfo import ZoneInfo

from flask import current_app, render_template, request, url_for

from lanmu.i18n import _
from lanmu.interfaces.errors import LanmuError, NotFound
from lanmu.library.assets import IMAGE_MOST
from lanmu.library.content import Attachment, Content, Licence
from lanmu.library.placeholders import VARIABLES
from lanmu.library.views import MaterialView
from lanmu.web.pages import choices
from lanmu.web.pages.acts import Errors, by_field, day_of, in_words, local_moment, say
from lanmu.web.pages.materials import preview_of
from lanmu.web.people import server, signed_in, translate

FIELDS = {
    **{
        name: name
        for name in (
            "title", "topic", "content_class", "kind", "zone", "genre", "form", "origin", "owner", "tags",
            "body", "consent", "valid_from", "valid_until", "month", "licence_until",
        )
    },
    "licence.source": "licence_url",
    "licence.licensor": "licensor",
    "licence.until": "licence_until",
    "attachments": "files",
    "files": "files",
}  # fmt: skip
_TITLES = {
    "community.name": _("Name of the community"),
    "community.size": _("People in the community"),
    "shop.name": _("Name of the shop"),
    "member.nickname": _("Nickname"),
    "sender.name": _("Name of the sender"),
}


def blank() -> Content:
    """What a new material begins with."""
    taxonomy = server().library.taxonomy()
    now = server().clock.now().astimezone(ZoneInfo(server().config.server.zone))
    first = taxonomy.classes[0].code if taxonomy.classes else ""
    return Content(
        title="",
        body="",
        content_class=first,
        kind=next((term.code for term in taxonomy.kinds_of(first)), ""),
        zone="knowledge",
        genre="guide",
        topic="",
        form="text",
        month=now.strftime("%Y%m"),
        owner=signed_in().name,
    )


def read(before: Content) -> tuple[Content, Errors]:
    """The form as it was filled in, and what of it could not be read."""
    form, errors = request.form, Errors()
    zone = server().config.server.zone
    values: dict[str, Any] = {
        name: form.get(name, "")
        for name in (
            "title", "body", "content_class", "kind", "zone", "genre", "topic", "form", "owner", "origin",
            "consent",
        )
    }  # fmt: skip
    for name in ("valid_from", "valid_until"):
        try:
            values[name] = local_moment(name, zone)
        except LanmuError as error:
            errors |= by_field(error, FIELDS)
    values["tags"] = tuple(tag for tag in form.get("tags", "").replace("，", ",").split(",") if tag.strip())
    if values["origin"] == "reprint":
        try:
            until = day_of("licence_until")
            values["licence"] = Licence(
                form.get("licence_url", "").strip(), form.get("licensor", "").strip(), until
            )
        except LanmuError as error:
            errors |= by_field(error, FIELDS)
    else:
        values["licence"] = None
    kept = _kept(before, form.getlist("keep"))
    added = []
    for upload in request.files.getlist("files"):
        if not upload.filename:
            continue
        try:
            added.append(
                Attachment(server().library.assets.store(cast(BinaryIO, upload.stream), upload.filename).id)
            )
        except LanmuError as error:
            errors.setdefault("files", []).append(f"{upload.filename}: {in_words(error)}")
    values["attachments"] = (
        *kept,
        *(item for item in added if item.asset not in {old.asset for old in kept}),
    )
    return replace(before, **values), errors


def _kept(before: Content, chosen: Sequence[str]) -> list[Attachment]:
    """The images that the form names: those of the content before it, and those that came up with the form
    when it was sent back for another fault. What names no stored file is left out."""
    known = {item.asset: item for item in before.attachments}
    kept = []
    for asset in dict.fromkeys(chosen):
        try:
            kept.append(known[asset] if asset in known else Attachment(server().library.assets.get(asset).id))
        except NotFound:
            continue
    return kept


def page_of(material: MaterialView | None, content: Content, errors: Errors, lock: int) -> str:
    """The page with the form; `lock` is that of the version which the person began from."""
    taxonomy = server().library.taxonomy()
    limit, channel = _narrowest()
    attachments = [
        {
            "id": item.asset,
            "url": url_for("materials.file", asset=item.asset),
            "name": item.caption or item.asset,
        }
        for item in content.attachments
    ]
    licence = content.licence
    names = (
        "title",
        "topic",
        "content_class",
        "kind",
        "zone",
        "genre",
        "form",
        "origin",
        "owner",
        "body",
        "consent",
    )
    return render_template(
        "materials/edit.html",
        material={"public_id": material.id, "title": material.content.title} if material else None,
        form={
            **{name: getattr(content, name) for name in names},
            "tags": ", ".join(content.tags),
            "valid_from": _field(content.valid_from),
            "valid_until": _field(content.valid_until),
            "licence_url": licence.source if licence else "",
            "licensor": licence.licensor if licence else "",
            "licence_until": licence.until.isoformat() if licence and licence.until else "",
            "note": request.form.get("note", ""),
            "lock": lock,
        },
        errors=errors,
        classes=choices.of_terms(taxonomy.classes),
        kinds=choices.with_parents(taxonomy.kinds),
        zones=choices.of_terms(taxonomy.zones),
        genres=choices.with_parents(taxonomy.genres),
        forms=choices.of_terms(taxonomy.forms),
        origins=choices.of_terms(taxonomy.origins),
        assets=attachments,
        limit_bytes=limit,
        limit_channel=choices.channel_title(channel) if channel else "",
        upload=_upload(),
        placeholders=[(_written(name), translate(_TITLES.get(name, name))) for name in VARIABLES],
        preview=preview_of(content, ()),
    )


def _upload() -> dict[str, int]:
    """Bytes of an image that every channel takes, of the largest that is kept, and of all in one form."""
    settings = current_app.config
    return {
        "fits": min(
            (each.abilities.asset_bytes for each in server().plugins.channels.values()), default=IMAGE_MOST
        ),
        "most": IMAGE_MOST,
        "once": settings["MAX_CONTENT_LENGTH"] - settings["MAX_FORM_MEMORY_SIZE"],
    }


def _written(variable: str) -> str:
    # A community has no nickname, so what only a member has comes with words for the others.
    fallback = say(_("friend"))
    return (
        f"{{{{ {variable} | default('{fallback}') }}}}"
        if variable.startswith("member.")
        else f"{{{{ {variable} }}}}"
    )


def _narrowest() -> tuple[int, str]:
    """The channel that takes the fewest bytes: what fits it fits every channel."""
    limits = [(each.abilities.text_bytes, name) for name, each in server().plugins.channels.items()]
    return min(limits, default=(4000, ""))


def _field(at: datetime | None) -> str:
    return at.astimezone(ZoneInfo(server().config.server.zone)).strftime("%Y-%m-%dT%H:%M") if at else ""
