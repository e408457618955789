"""The content folder on disk: what lies in it, read and written without ever leaving it."""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid, LanmuError
from lanmu.library.front_matter import image_paths

FILE_MOST = 256 * 1024
"""Most bytes of a material's file; ten thousand characters with their front matter are far below it."""

IMAGE_READ_MOST = 11 * 1024 * 1024
_PATH_MOST = 400
_CONFLICT = re.compile(r"\.conflict(-\d+)?\.md$")
_OTHERS = frozenset({"columns", "images", "node_modules"})


@dataclass(frozen=True, slots=True)
class Found:
    """A material's file as it was read. `hash` covers its bytes and those of the images it names."""

    path: str
    raw: bytes
    hash: str


class ContentFolder:
    """A folder of materials. Paths are relative to it, with slashes."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._digests: dict[Path, str] = {}

    def paths(self) -> Iterator[str]:
        """The path of every material's file, sorted; links are not followed."""
        found = []
        for folder, names, files in os.walk(self._root, followlinks=False):
            names[:] = [
                name
                for name in names
                if name not in _OTHERS and not name.startswith(".") and not Path(folder, name).is_symlink()
            ]
            for name in files:
                if _is_material(name):
                    found.append(Path(folder, name).relative_to(self._root).as_posix())
        return iter(sorted(found))

    def read(self, path: str) -> Found:
        """A material's file. Raises Invalid, placed at its path, for links, giants and unreadable ones."""
        if len(path) > _PATH_MOST or not path.isprintable():
            raise Invalid(
                path[:80].encode(errors="replace").decode(),
                _("its path is too long or holds control characters."),
                _("Give it a shorter name."),
            )
        place = self._root / path
        if place.is_symlink():
            raise Invalid(path, _("it is a link."), _("Put the file itself here."))
        try:
            if place.stat().st_size > FILE_MOST:
                raise Invalid(
                    path, _("it is larger than %(most)d KB."), _("Shorten it."), most=FILE_MOST // 1024
                )
            raw = place.read_bytes()
        except OSError as error:
            raise Invalid(
                path, _("it cannot be read: %(reason)s."), _("Look at its permissions."),
                reason=error.strerror or "?",
            ) from error  # fmt: skip
        return Found(path, raw, self._hash(path, raw))

    def hash_of(self, path: str) -> str:
        """The hash of a file as it lies there now, empty where there is none."""
        try:
            return self.read(path).hash
        except Invalid:
            return ""

    def image(self, path: str, image: str) -> Path:
        """The image that a file names. Raises Invalid (placed at no line) unless it lies in this folder."""
        try:
            place = (self._root / PurePosixPath(path).parent / image).resolve()
            inside = place.is_relative_to(self._root)
            there = inside and place.is_file()
        except (OSError, ValueError, RuntimeError):
            inside = there = False
        if not inside:
            raise Invalid(
                "attachments",
                _("“%(image)s” does not lie in the content folder."),
                _("Put the image beside the file, in a folder images/."),
                image=image[:100],
            )
        if not there:
            raise Invalid(
                "attachments",
                _("there is no image “%(image)s”."),
                _("Put it beside the file, or correct the line."),
                image=image[:100],
            )
        return place

    def digest(self, place: Path) -> str:
        """SHA-256 of an image, read once for all the files that name it."""
        known = self._digests.get(place)
        if known is None:
            digest = hashlib.sha256()
            with place.open("rb") as file:
                digest.update(file.read(IMAGE_READ_MOST))  # more than that is refused anyway
            known = self._digests[place] = digest.hexdigest()
        return known

    def write(self, path: str, data: bytes) -> None:
        """Write a file at once or not at all. Raises Invalid where its place is outside the folder."""
        place = self._root / path
        if not place.parent.resolve().is_relative_to(self._root) or place.is_symlink():
            raise Invalid(path, _("its place is outside the content folder."), _("Remove the link there."))
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=place.parent, prefix=".writing-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, place)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        self._digests.pop(place, None)

    def free_path(self, wanted: str) -> str:
        """`wanted`, or with -2, -3 … where that is taken."""
        stem, suffix = wanted.removesuffix(".md"), ".md"
        path, number = wanted, 1
        while os.path.lexists(self._root / path):
            number += 1
            path = f"{stem}-{number}{suffix}"
        return path

    def has(self, path: str) -> bool:
        return os.path.lexists(self._root / path)

    def _hash(self, path: str, raw: bytes) -> str:
        whole = hashlib.sha256(raw)
        for image in image_paths(raw):
            try:
                whole.update(self.digest(self.image(path, image)).encode())
            except (LanmuError, OSError):
                whole.update(b"missing")
        return whole.hexdigest()


def conflict_path(path: str) -> str:
    """Where the server's side of a file in conflict is laid down; the sync does not read such files."""
    return path.removesuffix(".md") + ".conflict.md"


def _is_material(name: str) -> bool:
    return (
        name.endswith(".md")
        and not name.startswith(".")
        and name.upper() != "README.MD"
        and not _CONFLICT.search(name)
    )
