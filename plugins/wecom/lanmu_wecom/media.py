"""Temporary media: a file handed over ahead of the message that uses it, known for three days."""

import hashlib
from datetime import UTC, datetime, timedelta

from lanmu.i18n import _
from lanmu.interfaces.channels import Asset, AssetRef, NotConnected
from lanmu_wecom.client import Refused, Unreachable
from lanmu_wecom.corp import Corp
from lanmu_wecom.errcodes import is_config, reason_of

MEDIA_TTL = timedelta(days=3)
"""How long the platform knows an uploaded file (path 90253)."""

IMAGE_BYTES = 5_000_000
"""The upload page allows 10 MB, the error table 5 MB: 5 is safe under both."""

VIDEO_BYTES = 10_000_000
FILE_BYTES = 20_000_000


def kind_of(media_type: str) -> str:
    """WeCom's word for a kind of file: image, video or file."""
    if media_type in ("image/png", "image/jpeg"):
        return "image"
    return "video" if media_type == "video/mp4" else "file"


def limit_of(kind: str) -> int:
    """The most bytes that a file of this kind may have."""
    return {"image": IMAGE_BYTES, "video": VIDEO_BYTES}.get(kind, FILE_BYTES)


def upload(corp: Corp, asset: Asset) -> AssetRef:
    """Upload one file. Raises NotConnected, whatever went wrong: nothing has been sent to anybody yet."""
    content = asset.path.read_bytes()
    body, content_type = multipart(asset.name, asset.media_type, content)
    try:
        answer = corp.post_file(f"media/upload?type={kind_of(asset.media_type)}", body, content_type)
    except Refused as refused:
        raise NotConnected(reason_of(refused.code), config=is_config(refused.code)) from refused
    except Unreachable as unreachable:
        raise NotConnected(str(unreachable)) from unreachable
    media_id = answer.get("media_id")
    if not isinstance(media_id, str) or not media_id:
        raise NotConnected(_("The upload was answered without a media_id."))
    # Counted from the platform's own stamp, since its clock is the one that forgets the file.
    stamp = str(answer.get("created_at", ""))
    created = datetime.fromtimestamp(int(stamp), UTC) if stamp.isdigit() else corp.clock.now()
    return AssetRef(media_id, created + MEDIA_TTL)


def multipart(name: str, media_type: str, content: bytes) -> tuple[bytes, str]:
    """A form with one file in the field `media`, and its content type.

    The boundary is made from the content, so that the same file gives the same bytes.
    """
    boundary = "lanmu-" + hashlib.sha256(content).hexdigest()[:32]
    clean = "".join(char for char in name if char.isprintable() and char not in '"\\/') or "file"
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="media"; filename="{clean}"; '
        f"filelength={len(content)}\r\n"
        f"Content-Type: {media_type}\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"
