"""Fixtures for the tests of a plugin; pytest loads them wherever Lanmu is installed.

Everything of Lanmu is imported inside the fixtures: pytest loads this file before a coverage tool has
begun to count, and what is imported here would look as if no test had touched it.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lanmu.authoring import Plugin
    from lanmu.testing.clock import FakeClock
    from lanmu.testing.host import FakeHost


@pytest.fixture
def lanmu_clock() -> "FakeClock":
    """A clock that moves only when it is told to; it starts on Monday 2026-11-23, 08:00 in Shanghai."""
    from lanmu.testing.clock import FakeClock

    return FakeClock()


@pytest.fixture
def lanmu_host(lanmu_clock: "FakeClock", tmp_path: Path) -> "Iterator[FakeHost]":
    """A host whose tables lie in a temporary SQLite file."""
    from lanmu.storage import Database
    from lanmu.testing.host import FakeHost

    workspace = tmp_path / "workspace"
    workspace.mkdir()
    database = Database(f"sqlite:///{tmp_path / 'plugin.db'}")
    yield FakeHost("plugin", clock=lanmu_clock, database=database, workspace=workspace)
    database.close()


@pytest.fixture
def lanmu_load(lanmu_host: "FakeHost") -> "Callable[..., Plugin[Any]]":
    """Builds a plugin as the server does: `lanmu_load(EchoPlugin, {"file": "…"}, name="echo")`.

    Its settings go through its schema, its tables through its own migrations.
    """

    def load(
        plugin: "type[Plugin[Any]]", settings: Mapping[str, object] | None = None, *, name: str = ""
    ) -> "Plugin[Any]":
        from lanmu.testing.loading import build

        return build(plugin, settings or {}, lanmu_host, name=name)

    return load
