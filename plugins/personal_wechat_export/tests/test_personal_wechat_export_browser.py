"""The phone page in a real browser, under a strict Content-Security-Policy: copying, ticking, the pause."""

import shutil
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import flask
import pytest
from werkzeug.serving import make_server

from lanmu.interfaces.channels import Message, Request, Target
from lanmu.testing.host import FakeHost
from lanmu_personal_wechat_export import PersonalWechatExportPlugin

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
POLICY = "; ".join(
    ["default-src 'none'"]
    + [f"{kind} 'self'" for kind in ("script-src", "style-src", "img-src", "connect-src", "form-action")]
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed, so no browser test can run"),
]


@pytest.fixture
def link(lanmu_load: Any, lanmu_host: FakeHost) -> Iterator[str]:
    plugin = lanmu_load(PersonalWechatExportPlugin)
    app = flask.Flask("phone", static_folder=None)
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_null_translations(newstyle=True)  # type: ignore[attr-defined]
    app.jinja_env.globals["static_file"] = lambda name: f"/static/{name}"
    app.context_processor(lambda: {"locale": "en"})

    @app.get("/static/<path:name>")
    def static(name: str) -> flask.Response:
        return flask.Response("", mimetype="text/css" if name.endswith(".css") else "image/svg+xml")

    @app.after_request
    def strict(response: flask.Response) -> flask.Response:
        response.headers["Content-Security-Policy"] = POLICY
        return response

    (pages,) = plugin.lanmu_blueprints()
    app.register_blueprint(pages, url_prefix="/p/personal_wechat_export")
    (channel,) = plugin.lanmu_channels()
    request = channel.compose(
        Message("psh_1", "tok1", "早安", "第一行\n第二行 🌿"), [Target("g1", "一群"), Target("g2", "二群")]
    )
    assert isinstance(request, Request)
    ref = channel.classify(channel.transmit(request, None)).ref
    token = lanmu_host.sign("personal_wechat_export.pack", ref.id, timedelta(days=7))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/p/personal_wechat_export/k/{token}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_executor_copies_ticks_and_undoes_on_a_phone(link: str) -> None:
    from playwright.sync_api import expect, sync_playwright  # only where a browser is

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 375, "height": 812}, has_touch=True)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        complaints: list[str] = []
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(link)

        page.get_by_role("button", name="Copy", exact=True).tap()
        expect(page.locator("#toast")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == "第一行\n第二行 🌿"

        ring = page.locator(".ring text")
        expect(ring).to_have_text("0/2")
        page.locator("#item-1").get_by_role("button", name="Sent").tap()
        expect(ring).to_have_text("1/2")
        expect(page.locator("[data-pause]")).to_contain_text("1:30")

        second = page.locator("#item-2")
        expect(second.get_by_text("The group is busy with something else")).to_be_hidden()
        second.get_by_role("button", name="Skip").tap()
        second.get_by_text("The group is busy with something else").tap()
        expect(page.get_by_text("All settled. Thank you!")).to_be_visible()
        page.locator("#item-1").get_by_role("button", name="Undo").tap()
        expect(ring).to_have_text("1/2")

        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert complaints == []
        context.close()
        browser.close()
