"""群机器人 in the look-alike: what the webhook takes, and its order of checks (path 99110)."""

import base64
import binascii
import hashlib
from typing import Any

from lanmu_wecom.sandbox import media
from lanmu_wecom.sandbox.reading import Fields, required, short
from lanmu_wecom.sandbox.staff import show
from lanmu_wecom.sandbox.store import Row
from lanmu_wecom.sandbox.world import WecomError, World

_IMAGE_BYTES = 2_097_152


def robot_of(world: World, key: str) -> Row:
    """The robot of a key. Raises 93000 or 93004."""
    row = world.store.one("select * from robot where key = ?", key)
    if row is None:
        raise WecomError(93000, "invalid webhook url")
    if not row["enabled"]:
        raise WecomError(93004, "robot is disabled")
    return row


def send(world: World, key: str, fields: Fields) -> dict[str, Any]:
    """`webhook/send`: shown in the group at once."""
    kind = fields.text("msgtype")
    part = fields.part(kind) if kind else fields
    _not_empty(kind, part)  # checked before the key, as seen live
    robot = robot_of(world, key)
    world.count(f"robot:{key}", "minute", 60, world.options.robot_per_minute)
    content = _content(world, kind, part, key)
    show(world, f"robot:{key}", robot["name"], {"msgtype": kind, kind: content})
    return {}


def _not_empty(kind: str, part: Fields) -> None:
    if kind in ("text", "markdown", "markdown_v2") and not part.text("content"):
        raise WecomError(44004, "empty content")
    if kind == "image" and not part.text("base64"):
        raise WecomError(44001, "empty media data")


def _content(world: World, kind: str, part: Fields, key: str) -> dict[str, Any]:
    if kind == "text":
        text = short(part.text("content"), 2048, "text.content")
        return {"content": text, "mentioned_list": part.texts("mentioned_list")}
    if kind in ("markdown", "markdown_v2"):
        return {"content": short(part.text("content"), 4096, f"{kind}.content")}
    if kind == "image":
        return {"media": _image(world, part)}
    if kind == "news":
        return {"articles": _articles(part)}
    if kind in ("file", "voice"):
        media_id = required(part.text("media_id"), f"{kind}.media_id")
        media.known(world, media_id, kind, robot=key)
        return {"media_id": media_id}
    if kind == "template_card":
        return _card(part)
    raise WecomError(40008, "invalid message type")


def _image(world: World, part: Fields) -> str:
    try:
        raw = base64.b64decode(part.text("base64"), validate=True)
    except (binascii.Error, ValueError):
        raise WecomError(40058, "image.base64 invalid. invalid Request Parameter") from None
    if len(raw) > _IMAGE_BYTES:
        raise WecomError(40009, "invalid image size")
    if not media.picture_type(raw):
        raise WecomError(40004, "invalid media file type")
    if hashlib.md5(raw, usedforsecurity=False).hexdigest() != part.text("md5").lower():
        raise WecomError(40058, "image.md5 not match. invalid Request Parameter")
    return media.store(world, "image", "image", raw, robot="shown", lasting=True)


def _articles(part: Fields) -> list[dict[str, str]]:
    rows = part.parts("articles")
    if len(rows) > 8:
        raise WecomError(45008, "article count exceed limit")
    if not rows:
        raise WecomError(40063, "some parameters are empty (news.articles)")
    return [
        {
            "title": short(required(row.text("title"), "title"), 128, "news.articles.title"),
            "description": short(row.text("description"), 512, "news.articles.description"),
            "url": required(row.text("url"), "url"),
            "picurl": row.text("picurl"),
        }
        for row in rows
    ]


def _card(part: Fields) -> dict[str, Any]:
    if part.text("card_type") not in ("text_notice", "news_notice"):
        raise WecomError(40058, "template_card.card_type invalid. invalid Request Parameter")
    title = part.part("main_title")
    if not title.text("title") and not part.text("sub_title_text"):
        raise WecomError(40063, "some parameters are empty (template_card.main_title)")
    if not part.part("card_action").number("type"):
        raise WecomError(40063, "some parameters are empty (template_card.card_action)")
    if part.text("card_type") == "news_notice":
        required(part.part("card_image").text("url"), "template_card.card_image")
    return part.raw()
