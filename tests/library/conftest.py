"""A library on each database, and a material to change a little."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from lanmu.library.content import Content
from lanmu.library.service import Library
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock


class MakeContent(Protocol):
    def __call__(self, **changes: Any) -> Content: ...


@pytest.fixture
def library(database: Database, clock: FakeClock, tmp_path: Path) -> Library:
    made = Library(database, clock, tmp_path / "data")
    made.seed()
    return made


@pytest.fixture
def small_library(sqlite_database: Database, clock: FakeClock, tmp_path: Path) -> Library:
    """On SQLite alone, for what does not depend on the database."""
    made = Library(sqlite_database, clock, tmp_path / "data")
    made.seed()
    return made


@pytest.fixture
def content() -> MakeContent:
    def make(**changes: Any) -> Content:
        usual = Content(
            title="新手妈妈必知的 5 个育儿误区",
            body="{{ member.nickname | default('宝妈') }}，捂热出汗不等于保暖。",
            content_class="engagement",
            kind="industry_insight",
            zone="knowledge",
            genre="guide",
            topic="育儿干货",
            form="text",
            month="202503",
            owner="周敏",
            tags=("母婴", "0-1岁"),
        )
        return replace(usual, **changes)

    return make


@pytest.fixture
def png() -> bytes:
    return make_png(2, 2)


def make_png(width: int, height: int, shade: int = 0) -> bytes:
    """The smallest PNG of a size: its header is whole, its pixels are as many as are cheap."""
    rows = (b"\0" + bytes([shade]) * min(width, 64)) * min(height, 64)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
