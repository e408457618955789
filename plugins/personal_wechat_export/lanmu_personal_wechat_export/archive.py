"""A pack as a zip: the texts, the pictures in their order, the names of the groups, and how to do it."""

import zipfile
from pathlib import PurePath
from typing import IO
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader

from lanmu.i18n import Catalog, _
from lanmu_personal_wechat_export.files import FileStore
from lanmu_personal_wechat_export.store import PackView

_EXTENSIONS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "video/mp4": ".mp4",
    "application/pdf": ".pdf",
}
_CATALOG = Catalog(("lanmu_personal_wechat_export",))


def write_zip(out: IO[bytes], pack: PackView, files: FileStore, zone: ZoneInfo, locale: str) -> None:
    """Write the pack, byte for byte the same each time. A file that is gone is named in the page instead.

    Texts are UTF-8 with a byte order mark and CRLF, since the editor of older Windows reads them
    right only so.
    """

    def translate(text: str) -> str:
        return _CATALOG.gettext(locale, text)

    document = pack.document
    made = pack.created_at.astimezone(zone)
    when = (made.year, made.month, made.day, made.hour, made.minute, made.second // 2 * 2)
    word = translate(_("text"))
    texts = {f"{n:02d}-{word}.txt": text for n, text in enumerate(document.texts, 1)}
    pictures, missing = {}, []
    for n, file in enumerate(document.files, len(texts) + 1):
        word = translate(_("picture")) if file.is_image else translate(_("file"))
        extension = _EXTENSIONS.get(file.media_type, PurePath(file.name).suffix[:8])
        if files.has(file.sha256):
            pictures[f"{n:02d}-{word}{extension}"] = files.path(file.sha256)
        else:
            missing.append(file.name)
    groups = "\n".join(f"{item.position}. {item.name}" for item in pack.items) + "\n"

    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:

        def put(name: str, content: bytes) -> None:
            entry = zipfile.ZipInfo(name, when)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)

        for name, text in texts.items():
            put(name, _for_windows(text))
        for name, path in pictures.items():
            put(name, path.read_bytes())
        put(translate(_("groups")) + ".txt", _for_windows(groups))
        page = (
            _environment(locale)
            .get_template("personal_wechat_export/leaflet.html")
            .render(
                pack=pack,
                texts=texts,
                pictures=list(pictures),
                missing=missing,
                locale=locale,
                deadline=f"{pack.deadline.astimezone(zone):%Y-%m-%d %H:%M}" if pack.deadline else "",
            )
        )
        put(translate(_("read me first")) + ".html", page.encode())


def _for_windows(text: str) -> bytes:
    return b"\xef\xbb\xbf" + text.replace("\r\n", "\n").replace("\n", "\r\n").encode()


def _environment(locale: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("lanmu_personal_wechat_export"), autoescape=True, extensions=["jinja2.ext.i18n"]
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: _CATALOG.gettext(locale, text),
        lambda one, many, n: _CATALOG.gettext(locale, one if n == 1 else many),
        newstyle=True,
    )
    return environment
