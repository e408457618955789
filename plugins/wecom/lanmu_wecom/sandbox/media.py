"""Uploaded files: temporary for three days, pictures for ever, and a robot's own."""

import secrets
from dataclasses import dataclass

from lanmu_wecom.sandbox.store import Row
from lanmu_wecom.sandbox.world import WecomError, World

LIFE_S = 3 * 24 * 3600
_SIZES = {"image": 10_485_760, "voice": 2_097_152, "video": 10_485_760, "file": 20_971_520}
_PICTURE_BYTES = 2_097_152


@dataclass(frozen=True, slots=True)
class Upload:
    """The file of a multipart form, as it came."""

    name: str
    media_type: str
    content: bytes


def picture_type(content: bytes) -> str:
    """image/png or image/jpeg by the first bytes; empty for anything else."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return "image/jpeg" if content.startswith(b"\xff\xd8\xff") else ""


def upload(world: World, kind: str, file: Upload | None) -> dict[str, object]:
    """`media/upload`: valid for three days, for all apps of the corp."""
    return _keep(world, kind, file, robot="")


def upload_for_robot(world: World, kind: str, file: Upload | None, robot: str) -> dict[str, object]:
    """`webhook/upload_media`: for this robot alone, and only files and voice."""
    if kind not in ("file", "voice"):
        raise WecomError(40004, "invalid media type")
    return _keep(world, kind, file, robot)


def upload_picture(world: World, file: Upload | None) -> str:
    """`media/uploadimg`: answers the picture's id; it stays."""
    file = _given(file)
    if not picture_type(file.content):
        raise WecomError(40004, "invalid media type")
    if not 5 < len(file.content) <= _PICTURE_BYTES:
        raise WecomError(40006, "invalid file size")
    return store(world, "image", file.name, file.content, lasting=True)


def _keep(world: World, kind: str, file: Upload | None, robot: str) -> dict[str, object]:
    if kind not in _SIZES:
        raise WecomError(40005, "invalid type parameter")
    file = _given(file)
    if not 5 < len(file.content) <= _SIZES[kind]:
        raise WecomError(40009 if kind == "image" else 40006, "invalid media size")
    if kind == "image" and not picture_type(file.content):
        raise WecomError(40004, "invalid media file type")
    media_id = store(world, kind, file.name, file.content, robot=robot)
    return {"type": kind, "media_id": media_id, "created_at": str(int(world.stamp()))}


def _given(file: Upload | None) -> Upload:
    if file is None or not file.content:
        raise WecomError(44001, "empty media data")
    return file


def store(
    world: World, kind: str, name: str, content: bytes, *, robot: str = "", lasting: bool = False
) -> str:
    """Keep the bytes under a fresh id."""
    media_id = secrets.token_urlsafe(32)
    media_type = picture_type(content) or "application/octet-stream"
    with world.store.change():
        world.store.run(
            "insert into media values (?, ?, ?, ?, ?, ?, ?, ?)",
            media_id, kind, name, media_type, content, world.stamp(), robot, int(lasting),
        )  # fmt: skip
    return media_id


def known(world: World, media_id: str, kind: str, robot: str = "") -> None:
    """Check that a message may use this file. Raises 40007."""
    row = world.store.one("select kind, created, robot, lasting from media where id = ?", media_id)
    if row is None or row["kind"] != kind or row["robot"] != robot:
        raise WecomError(40007, "invalid media_id")
    if not row["lasting"] and world.stamp() - row["created"] >= LIFE_S:
        raise WecomError(40007, "invalid media_id")


def read(world: World, media_id: str) -> Row | None:
    """The file for a phone to show; phones go on showing what was sent after three days."""
    return world.store.one("select type, bytes, name from media where id = ?", media_id)
