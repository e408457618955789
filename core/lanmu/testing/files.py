"""Small files to go along with a test's messages."""

import hashlib
import struct
import zlib
from pathlib import Path

from lanmu.interfaces.channels import Asset


def sample_file(folder: Path, name: str, media_type: str) -> Asset:
    """A file on the disk, as a message carries it; another name makes another content.

    PNGs are real ones, of a single pixel.
    """
    content = f"a file named {name}".encode()
    if media_type == "image/png":
        content = _png(hashlib.sha256(content).digest()[:3])
    path = folder / name
    path.write_bytes(content)
    return Asset(
        name=name,
        media_type=media_type,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        path=path,
    )


def _png(colour: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00" + colour)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
