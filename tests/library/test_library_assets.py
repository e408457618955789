"""Files are judged by their bytes, stored once for their content, and named by nobody's wish."""

import io
import struct

import pytest
from tests.library.conftest import make_png

from lanmu.interfaces.errors import Invalid, NotFound
from lanmu.library import assets
from lanmu.library.media import safe_name, sniff

GIF = b"GIF89a" + struct.pack("<HH", 3, 4) + b"\0" * 20
JPEG = (
    b"\xff\xd8\xff\xe0\0\x10JFIF" + b"\0" * 10 + b"\xff\xc0\0\x11\x08" + struct.pack(">HH", 6, 5) + b"\0" * 20
)
WEBP_X = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0" + b"\0" * 4 + b"\x06\0\0\x07\0\0" + b"\0" * 9
WEBP_L = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", 8 | 9 << 14) + b"\0" * 9
WEBP = b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 10 + struct.pack("<HH", 11, 12) + b"\0" * 9
MP4 = b"\0\0\0\x18ftypisom\0\0\0\0isommp42"


@pytest.mark.parametrize(
    ("data", "media_type", "size"),
    [
        (make_png(2, 3), "image/png", (2, 3)),
        (GIF, "image/gif", (3, 4)),
        (JPEG, "image/jpeg", (5, 6)),
        (WEBP_X, "image/webp", (7, 8)),
        (WEBP_L, "image/webp", (9, 10)),
        (WEBP, "image/webp", (11, 12)),
        (MP4, "video/mp4", (None, None)),
    ],
)
def test_a_files_kind_and_size_are_read_from_its_bytes(data, media_type, size):
    found = sniff(data)
    assert found is not None
    assert (found.media_type, (found.width, found.height)) == (media_type, size)


@pytest.mark.parametrize(
    "data",
    [
        b"<html><script>alert(1)</script></html>",
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xda" + b"\0" * 40,
        b"RIFF\0\0\0\0WEBPVP8X",
        b"PK\x03\x04",
        b"%PDF-1.7",
    ],
)
def test_what_is_no_image_and_no_video_is_refused_whatever_its_name(small_library, tmp_path, data):
    with pytest.raises(Invalid):
        small_library.assets.store(data, "x.jpg")
    assert not [path for path in (tmp_path / "data" / "assets").rglob("*") if path.is_file()]


def test_the_same_content_is_stored_once(library, png):
    first = library.assets.store(png, "封面.png")
    second = library.assets.store(io.BytesIO(png), "别名.png")
    assert second == first
    assert first.path.read_bytes() == png
    assert first.path.parts[-3:] == ("assets", first.sha256[:2], first.sha256)
    assert (first.width, first.height, first.size) == (2, 2, len(png))
    assert library.assets.get(first.id) == first


def test_a_picture_of_too_many_pixels_is_refused_by_what_it_declares(small_library):
    with pytest.raises(Invalid, match="60000"):
        small_library.assets.store(make_png(60_000, 60_000), "x.png")
    with pytest.raises(Invalid):
        small_library.assets.store(make_png(0, 10), "x.png")


def test_a_file_that_is_too_large_is_refused_and_nothing_of_it_stays(small_library, tmp_path, monkeypatch):
    monkeypatch.setattr(assets, "IMAGE_MOST", 1000)
    monkeypatch.setattr(assets, "VIDEO_MOST", 1000)
    with pytest.raises(Invalid, match=r"x\.png"):
        small_library.assets.store(make_png(2, 2) + b"\0" * 1000, "x.png")
    assert not list((tmp_path / "data" / "assets").rglob("*.*"))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/cron.d/x", "x.png"),
        ("..\\..\\boot.ini", "boot.ini.png"),
        ("封面.JPG", "封面.png"),
        ("a\0b\n\u202ec.png", "abc.png"),
        ("", "file.png"),
        (".png", "file.png"),
        ("长" * 500, "长" * 80 + ".png"),
    ],
)
def test_a_name_keeps_no_folder_no_control_character_and_no_false_ending(given, kept):
    assert safe_name(given, "png") == kept


def test_a_file_that_is_not_there_is_said_so(library):
    with pytest.raises(NotFound):
        library.assets.get("ast_nothere")
