"""What a broadcast may hold: text and attachments, checked in bytes as the platform does (path 92135)."""

from typing import Any

from lanmu_wecom.sandbox import media
from lanmu_wecom.sandbox.reading import Fields, required, short
from lanmu_wecom.sandbox.world import WecomError, World

TEXT_BYTES = 4000
ATTACHMENTS_MAX = 9


def broadcast_content(world: World, fields: Fields) -> dict[str, Any]:
    """The content as it will be listed and shown. Raises WecomError."""
    text = short(fields.part("text").text("content"), TEXT_BYTES, "text.content")
    rows = fields.parts("attachments")
    if not text and not rows:
        raise WecomError(40063, "some parameters are empty")
    if len(rows) > ATTACHMENTS_MAX:
        raise WecomError(41064, "attachments count exceed limit")
    attachments = [_attachment(world, row) for row in rows]
    content: dict[str, Any] = {}
    if text:
        content["text"] = {"content": text}
    if attachments:
        content["attachments"] = attachments
    return content


def _attachment(world: World, row: Fields) -> dict[str, Any]:
    kind = row.text("msgtype")
    part = row.part(kind) if kind else row
    if kind == "image":
        return {"msgtype": kind, "image": _image(world, part)}
    if kind in ("video", "file"):
        media_id = required(part.text("media_id"), f"{kind}.media_id")
        media.known(world, media_id, kind)
        return {"msgtype": kind, kind: {"media_id": media_id}}
    if kind == "link":
        return {"msgtype": kind, "link": _link(part)}
    if kind == "miniprogram":
        return {"msgtype": kind, "miniprogram": _miniprogram(world, part)}
    raise WecomError(41065, "invalid attachments msgtype")


def _image(world: World, part: Fields) -> dict[str, str]:
    media_id = part.text("media_id")
    if media_id:  # both given: media_id wins
        media.known(world, media_id, "image")
        return {"media_id": media_id}
    url = required(part.text("pic_url"), "image.media_id")
    media.known(world, url.rsplit("/", 1)[-1], "image")
    return {"pic_url": url}


def _link(part: Fields) -> dict[str, str]:
    link = {
        "title": short(required(part.text("title"), "link.title"), 128, "link.title"),
        "picurl": short(part.text("picurl"), 2048, "link.picurl"),
        "desc": short(part.text("desc"), 512, "link.desc"),
        "url": short(required(part.text("url"), "link.url"), 2048, "link.url"),
    }
    return {name: value for name, value in link.items() if value}


def _miniprogram(world: World, part: Fields) -> dict[str, str]:
    cover = required(part.text("pic_media_id"), "miniprogram.pic_media_id")
    media.known(world, cover, "image")
    return {
        "title": short(required(part.text("title"), "miniprogram.title"), 64, "miniprogram.title"),
        "pic_media_id": cover,
        "appid": required(part.text("appid"), "miniprogram.appid"),
        "page": required(part.text("page"), "miniprogram.page"),
    }
