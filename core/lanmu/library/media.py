"""What kind of file this is and how large its picture, read from its first bytes and never from its name."""

import re
import struct
import unicodedata
from dataclasses import dataclass

HEAD = 512 * 1024
"""As many first bytes as are needed: a JPEG may carry a large profile before it tells its size."""

_NAME_MOST = 80
_SIGNS_OF_JPEG_SIZE = frozenset(
    {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
)
_VIDEO_BRANDS = frozenset(
    {b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"dash"}
)


@dataclass(frozen=True, slots=True)
class Media:
    """A kind of file that may be stored; `width` and `height` in pixels, None for a video."""

    media_type: str
    extension: str
    width: int | None
    height: int | None


def sniff(head: bytes) -> Media | None:
    """PNG, JPEG, GIF, WebP or MP4 with the picture's size; None for everything else, SVG among it."""
    try:
        return _png(head) or _jpeg(head) or _gif(head) or _webp(head) or _mp4(head)
    except (struct.error, IndexError):  # cut off where its size should stand
        return None


def safe_name(name: str, extension: str) -> str:
    """A file name to show and to send: no folders, no control characters, the kind's own ending."""
    plain = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(sign for sign in plain if unicodedata.category(sign)[0] != "C" and sign not in '<>:"|?*;%')
    stem = re.sub(r"\.(png|jpe?g|gif|webp|mp4|m4v)$", "", kept.strip(), flags=re.IGNORECASE).strip(" .")
    return f"{stem[:_NAME_MOST].strip(' .') or 'file'}.{extension}"


def _png(head: bytes) -> Media | None:
    if head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", head[16:24])
    return Media("image/png", "png", width, height)


def _gif(head: bytes) -> Media | None:
    if head[:6] not in (b"GIF87a", b"GIF89a"):
        return None
    width, height = struct.unpack("<HH", head[6:10])
    return Media("image/gif", "gif", width, height)


def _jpeg(head: bytes) -> Media | None:
    if head[:3] != b"\xff\xd8\xff":
        return None
    at = 2
    while at + 9 <= len(head):
        if head[at] != 0xFF:
            return None
        sign = head[at + 1]
        if sign == 0xFF:  # filling before a sign
            at += 1
        elif sign in _SIGNS_OF_JPEG_SIZE:
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return Media("image/jpeg", "jpg", width, height)
        elif sign == 0x01 or 0xD0 <= sign <= 0xD8:  # signs without a length
            at += 2
        elif sign in (0xD9, 0xDA):  # the picture begins or ends, and no size was told
            return None
        else:
            at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None


def _webp(head: bytes) -> Media | None:
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP" or len(head) < 30:
        return None
    kind = head[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(head[24:27], "little") + 1
        height = int.from_bytes(head[27:30], "little") + 1
    elif kind == b"VP8L":
        bits = struct.unpack("<I", head[21:25])[0]
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", head[26:30]))
    else:
        return None
    return Media("image/webp", "webp", width, height)


def _mp4(head: bytes) -> Media | None:
    if head[4:8] != b"ftyp" or head[8:12] not in _VIDEO_BRANDS:
        return None
    return Media("video/mp4", "mp4", None, None)
