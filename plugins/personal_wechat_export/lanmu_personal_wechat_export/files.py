"""The files of the packs: copied into the plugin's workspace by their SHA-256, served from there."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from lanmu_personal_wechat_export.document import PackFile


class FileChanged(Exception):
    """A file is not the one that was approved, or is gone."""


class FileStore:
    """Files by their SHA-256 under one folder. A file is put in whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "files"

    def path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def put(self, source: Path, file: PackFile) -> None:
        """Copy a file in, unless it is there. Raises FileChanged, or OSError where the disk refuses.

        Copied, not linked: an edit of the original in place must not reach what was approved.
        """
        if self.has(file.sha256):
            return
        goal = self.path(file.sha256)
        goal.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=goal.parent)
        try:
            with os.fdopen(handle, "wb") as copy, source.open("rb") as original:
                shutil.copyfileobj(original, copy)
            if _digest(Path(name)) != file.sha256:
                raise FileChanged(file.name)
            os.replace(name, goal)
        except FileNotFoundError as error:
            raise FileChanged(file.name) from error
        finally:
            Path(name).unlink(missing_ok=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
