"""The pages: an executor's pack on the phone, the same as a zip, and today's packs in the console."""

import hashlib
import hmac
import io
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import segno
from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from lanmu.i18n import DEFAULT_LOCALE
from lanmu.interfaces.access import SIGNED, requires
from lanmu.interfaces.errors import LanmuError, NotFound
from lanmu.interfaces.host import Host
from lanmu_personal_wechat_export import moments
from lanmu_personal_wechat_export.archive import write_zip
from lanmu_personal_wechat_export.channel import NAME as CHANNEL
from lanmu_personal_wechat_export.files import FileStore
from lanmu_personal_wechat_export.settings import PackSettings
from lanmu_personal_wechat_export.store import SKIP_REASONS, PackStore, PackView, Tick

NAME = "personal_wechat_export"
_PURPOSE = f"{NAME}.pack"
_INLINE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "video/mp4"})


@dataclass(frozen=True, slots=True)
class _Card:
    """A pack as the console lists it, with the link that its executor opens."""

    pack: PackView
    url: str
    qr: Markup


def blueprint(host: Host, settings: PackSettings, store: PackStore, files: FileStore) -> Blueprint:
    """The plugin's pages."""
    pages = Blueprint(NAME, __name__, template_folder="templates", static_folder="static")
    stamp = _stamp(Path(pages.static_folder or ""))

    def style(name: str) -> str:
        return url_for(f"{NAME}.static", filename=name, v=stamp)

    def pack_of(token: str) -> PackView:
        public_id = host.unsign(_PURPOSE, token)
        if public_id is None:
            abort(Response(render_template(f"{NAME}/gone.html", style=style), 410))
        return store.get(public_id)

    def show(token: str, pack: PackView, error: LanmuError | None = None) -> str:
        now = host.clock.now()
        last = max(
            (i.changed_at for i in pack.items if i.state == "delivered" and i.changed_at), default=None
        )
        return render_template(
            f"{NAME}/pack.html",
            token=token,
            pack=pack,
            error=error,
            form_key=_form_key(token),
            shop=host.shop_name,
            reasons=SKIP_REASONS,
            choices=moments.choices(now, pack.deadline, settings.zone),
            earliest=f"{now.astimezone(settings.zone):%Y-%m-%dT%H:%M}",
            late=pack.deadline is not None and now > pack.deadline,
            due=lambda at: at <= now,
            near=lambda at: moments.near(at, now, settings.zone),
            pace=settings.pace_seconds,
            rest=_rest(last, now, settings.pace_seconds),
            style=style,
        )

    @pages.get("/k/<token>")
    @requires(SIGNED)
    def pack(token: str) -> str:
        found = pack_of(token)
        store.opened(found.id)
        return show(token, found)

    @pages.post("/k/<token>")
    @requires(SIGNED)
    def tick(token: str) -> AnyResponse | tuple[str, int]:
        found = pack_of(token)
        form = request.form
        if not hmac.compare_digest(form.get("key", "").encode(), _form_key(token).encode()):
            abort(403)
        act, position = form.get("act", ""), form.get("item", "")
        if act not in ("done", "skip", "postpone", "undo") or not position.isdecimal():
            abort(400)
        until = moments.chosen(form.get("until") or form.get("at", ""), settings.zone)
        try:
            store.tick(found.id, int(position), Tick(act, form.get("reason", ""), until))  # type: ignore[arg-type]
        except LanmuError as error:
            return show(token, found, error), error.status
        host.results_changed(CHANNEL, found.id)
        return redirect(f"{url_for(f'{NAME}.pack', token=token)}#item-{position}", 303)

    @pages.get("/k/<token>/file/<int:number>")
    @requires(SIGNED)
    def file(token: str, number: int) -> Response:
        found = pack_of(token)
        if not 1 <= number <= len(found.document.files):
            abort(404)
        wanted = found.document.files[number - 1]
        if not files.has(wanted.sha256):
            abort(404)
        inline = wanted.media_type in _INLINE and "download" not in request.args
        answer = send_file(
            files.path(wanted.sha256),
            mimetype=wanted.media_type,
            as_attachment=not inline,
            download_name=wanted.name,
            etag=wanted.sha256,
        )
        answer.headers["Cache-Control"] = "private, max-age=86400"
        return answer

    @pages.get("/k/<token>/pack.zip")
    @requires(SIGNED)
    def archive(token: str) -> Response:
        found = pack_of(token)
        return _zip_answer(found, files, settings)

    @pages.get("/")
    @requires("push.view")
    def today() -> str:
        now = host.clock.now()
        packs = store.listing(moments.start_of_day(now, settings.zone))
        packs = sorted(packs, key=lambda pack: pack.finished or pack.cancelled_at is not None)
        return render_template(
            f"{NAME}/today.html",
            cards=[card(each) for each in packs],
            near=lambda at: moments.near(at, now, settings.zone),
            link_days=settings.link_days,
            unreachable=urlsplit(host.base_url).hostname in ("127.0.0.1", "localhost", "::1"),
            style=style,
        )

    def card(pack: PackView) -> _Card:
        token = host.sign(_PURPOSE, pack.id, settings.link_life)
        url = host.base_url + url_for(f"{NAME}.pack", token=token)
        qr = segno.make(url, error="m", micro=False).svg_inline(
            scale=1, omitsize=True, border=2, svgclass="qr"
        )
        return _Card(pack, url, Markup(qr))  # noqa: S704  segno writes the SVG; the address is only its dots

    @pages.get("/packs/<pack_id>.zip")
    @requires("push.view")
    def archive_for_staff(pack_id: str) -> Response:
        try:
            return _zip_answer(store.get(pack_id), files, settings)
        except NotFound:
            abort(404)

    return pages


def _zip_answer(pack: PackView, files: FileStore, settings: PackSettings) -> Response:
    buffer = io.BytesIO()
    write_zip(buffer, pack, files, settings.zone, _locale())
    answer = Response(buffer.getvalue(), mimetype="application/zip")
    name = quote(f"{pack.title or pack.id}.zip", safe="")
    answer.headers["Content-Disposition"] = f"attachment; filename=\"{pack.id}.zip\"; filename*=UTF-8''{name}"
    return answer


def _locale() -> str:
    """The language that the page would be shown in."""
    context: dict[str, Any] = {}
    current_app.update_template_context(context)
    return str(context.get("locale", DEFAULT_LOCALE))


def _form_key(token: str) -> str:
    """What a form must carry. The token is a secret of the link's holder, so nobody else can derive it."""
    return hmac.new(token.encode(), b"tick", hashlib.sha256).hexdigest()[:32]


def _rest(last: datetime | None, now: datetime, pace: int) -> int:
    """Seconds of the advised pause that are left."""
    return 0 if last is None else max(0, round(pace - (now - last).total_seconds()))


def _stamp(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:10]
