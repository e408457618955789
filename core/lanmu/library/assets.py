"""Storing files: once for their content, judged by their bytes, under a name that nobody chose."""

import hashlib
import io
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid, NotFound
from lanmu.library import media, records
from lanmu.library.context import LibraryContext
from lanmu.library.models import Asset
from lanmu.library.views import AssetView

IMAGE_MOST = 10 * 1024 * 1024
"""Bytes; as much as WeCom takes for an image."""

VIDEO_MOST = 10 * 1024 * 1024
"""Bytes; as much as WeCom takes for a video."""

PIXELS_MOST = 40_000_000
SIDE_MOST = 20_000
_CHUNK = 256 * 1024


class Assets:
    """附件: files of materials."""

    def __init__(self, context: LibraryContext) -> None:
        self._context = context

    def store(self, data: bytes | BinaryIO, name: str) -> AssetView:
        """Store a file, or find the one of the same content. Raises Invalid, naming the file.

        Nothing of a refused file stays. The type is what its bytes say; pictures of more than
        40 megapixels are refused by the size they declare, before anybody decodes them.
        """
        stream = io.BytesIO(data) if isinstance(data, bytes) else data
        folder = self._context.assets
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".upload-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                sha256, size, head = _copy(stream, file, name)
                file.flush()
                os.fsync(file.fileno())
            found = _judge(head, size, name)
            target = records.asset_path(folder, sha256)
            target.parent.mkdir(exist_ok=True)
            os.chmod(temporary, 0o644)
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return self._record(sha256, media.safe_name(name, found.extension), size, found)

    def get(self, asset: str) -> AssetView:
        """A file by its id. Raises NotFound."""
        with self._context.database.read() as session:
            row = session.scalars(select(Asset).where(Asset.public_id == asset)).first()
            if row is None:
                raise NotFound("asset", _("there is no file “%(id)s”."), id=asset[:40])
            return records.asset_view(row, self._context.assets)

    def holds(self, sha256: str) -> bool:
        """Does a file of this content lie in the folder?"""
        return records.asset_path(self._context.assets, sha256).is_file()

    def _record(self, sha256: str, name: str, size: int, found: media.Media) -> AssetView:
        known = self._known(sha256)
        if known is not None:
            return known
        try:
            with self._context.database.write() as session:
                row = Asset(
                    public_id=Asset.fresh_id(),
                    sha256=sha256,
                    name=name,
                    media_type=found.media_type,
                    size=size,
                    width=found.width,
                    height=found.height,
                    created_at=self._context.clock.now(),
                )
                session.add(row)
                session.flush()
                return records.asset_view(row, self._context.assets)
        except IntegrityError:  # somebody stored the same file at the same time
            known = self._known(sha256)
            if known is None:
                raise
            return known

    def _known(self, sha256: str) -> AssetView | None:
        with self._context.database.read() as session:
            row = session.scalars(select(Asset).where(Asset.sha256 == sha256)).first()
            return None if row is None else records.asset_view(row, self._context.assets)


def _copy(stream: BinaryIO, file: BinaryIO, name: str) -> tuple[str, int, bytes]:
    digest = hashlib.sha256()
    size = 0
    head = b""
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        if size > max(IMAGE_MOST, VIDEO_MOST):
            raise _too_large(name, max(IMAGE_MOST, VIDEO_MOST))
        if len(head) < media.HEAD:
            head += chunk[: media.HEAD - len(head)]
        digest.update(chunk)
        file.write(chunk)
    return digest.hexdigest(), size, head


def _judge(head: bytes, size: int, name: str) -> media.Media:
    found = media.sniff(head)
    if found is None:
        raise Invalid(
            name[:80],
            _("its content is not a PNG, JPEG, GIF or WebP image and not an MP4 video."),
            _("Export it in one of these formats; renaming the file does not change its content."),
        )
    most = VIDEO_MOST if found.width is None else IMAGE_MOST
    if size > most:
        raise _too_large(name, most)
    width, height = found.width, found.height
    if width is not None and height is not None:
        if width == 0 or height == 0:
            raise Invalid(name[:80], _("the image is damaged: it has no size."), _("Export it again."))
        if width * height > PIXELS_MOST or max(width, height) > SIDE_MOST:
            raise Invalid(
                name[:80],
                _("the image has %(width)d × %(height)d pixels, which is too many."),
                _("Make it smaller; %(most)d million pixels are allowed."),
                width=width,
                height=height,
                most=PIXELS_MOST // 1_000_000,
            )
    return found


def _too_large(name: str, most: int) -> Invalid:
    return Invalid(
        name[:80],
        _("it is larger than %(most)d MB."),
        _("Make it smaller."),
        most=most // (1024 * 1024),
    )
