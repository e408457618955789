"""A folder with a config.toml, and `lanmu` called in it as from a shell, in this process."""

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lanmu.cli import words
from lanmu.cli.main import main
from lanmu.i18n import Catalog

CONFIG = """
[server]
port = 8740

[library]
folder = "content_library"

[plugins.personal_wechat_export]

[plugins.points]
"""

Lanmu = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that `lanmu` is called in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "data").mkdir()
    shutil.copy(sqlite_template, tmp_path / "data" / "lanmu.db")
    handlers, level = logging.root.handlers[:], logging.root.level
    yield tmp_path
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    words.learn(Catalog())


@pytest.fixture
def lanmu(folder: Path) -> Lanmu:
    """Calls `lanmu` with arguments; `lang` is what LANMU_LANG says."""

    def call(*arguments: str, lang: str = "en") -> Result:
        return CliRunner().invoke(main, list(arguments), prog_name="lanmu", env={"LANMU_LANG": lang})

    return call
