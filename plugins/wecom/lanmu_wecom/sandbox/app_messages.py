"""应用消息 in the look-alike: partly wrong recipients, duplicates and silent loss (path 90236)."""

import hashlib
import secrets
from typing import Any

from lanmu_wecom.sandbox import media
from lanmu_wecom.sandbox.reading import Fields, required, short
from lanmu_wecom.sandbox.staff import show
from lanmu_wecom.sandbox.world import WecomError, World

_DUPLICATE_MAX_S = 14_400
_PER_MEMBER = (("minute", 60.0, 30), ("hour", 3600.0, 1000))


def send(world: World, fields: Fields, body: bytes, agentid: int) -> dict[str, Any]:
    """`message/send`: shown at once; excess to one member vanishes in silence."""
    wanted = fields.number("agentid")
    if not wanted:
        raise WecomError(41011, "missing agentid")
    if wanted != agentid:
        raise WecomError(301002, "not allow operate another agent with this accesstoken")
    kind = fields.text("msgtype")
    content = _content(world, kind, fields.part(kind) if kind else fields)
    names = [name for name in fields.text("touser").split("|") if name]
    if not names and not fields.text("toparty") and not fields.text("totag"):
        raise WecomError(82001, "all touser & toparty & totag are empty")
    if len(names) > 1000:
        raise WecomError(40032, "invalid userid list size")
    staff = {row["userid"].lower(): row["userid"] for row in world.store.all("select userid from employee")}
    if "@all" in names:
        names = list(staff.values())
    invalid = [name.lower() for name in names if name.lower() not in staff]
    valid = [staff[name.lower()] for name in names if name.lower() in staff]
    if not valid:
        raise WecomError(81013, "user & party & tag all invalid", invaliduser="|".join(invalid))
    if not _repeated(world, fields, body):
        for userid in valid:
            _deliver(world, userid, {"msgtype": kind, kind: content})
    return {
        "invaliduser": "|".join(invalid),
        "invalidparty": "",
        "invalidtag": "",
        "unlicenseduser": "",
        "msgid": secrets.token_urlsafe(24),
    }


def _repeated(world: World, fields: Fields, body: bytes) -> bool:
    """Whether the same request was taken within its window already."""
    if not fields.number("enable_duplicate_check"):
        return False
    seconds = min(fields.number("duplicate_check_interval", 1800), _DUPLICATE_MAX_S)
    digest, now = hashlib.sha256(body).hexdigest(), world.stamp()
    row = world.store.one("select until from app_call where hash = ?", digest)
    if row is not None and now < row["until"]:
        return True
    world.store.run("insert or replace into app_call values (?, ?)", digest, now + seconds)
    return False


def _deliver(world: World, userid: str, content: dict[str, object]) -> None:
    try:
        for window, seconds, limit in _PER_MEMBER:
            world.count(f"member:{userid}", window, seconds, limit)
    except WecomError:
        return
    show(world, f"app:{userid}", "app", content)


def _content(world: World, kind: str, part: Fields) -> dict[str, Any]:
    if kind in ("text", "markdown"):
        text = part.text("content")
        if not text:
            raise WecomError(44004, "empty content")
        if kind == "markdown":
            return {"content": short(text, 2048, "markdown.content")}
        return {"content": text.encode()[:2048].decode("utf-8", "ignore")}  # longer is cut
    if kind in ("image", "voice", "file", "video"):
        media_id = required(part.text("media_id"), f"{kind}.media_id")
        media.known(world, media_id, kind)
        return {"media_id": media_id}
    if kind == "textcard":
        return {
            "title": short(required(part.text("title"), "title"), 128, "textcard.title"),
            "description": short(
                required(part.text("description"), "description"), 512, "textcard.description"
            ),
            "url": short(required(part.text("url"), "url"), 2048, "textcard.url"),
        }
    if kind == "news":
        rows = part.parts("articles")
        if not 1 <= len(rows) <= 8:
            raise WecomError(45008, "article count exceed limit")
        return {
            "articles": [
                {
                    "title": short(required(row.text("title"), "title"), 128, "news.articles.title"),
                    "description": short(row.text("description"), 512, "news.articles.description"),
                    "url": row.text("url"),
                    "picurl": row.text("picurl"),
                }
                for row in rows
            ]
        }
    raise WecomError(40008, "invalid message type")
