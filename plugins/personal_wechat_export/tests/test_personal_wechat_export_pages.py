"""The phone page and the console page, through a small Flask app as the server would build it."""

import io
import re
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import flask
import jinja2
import pytest
from flask.testing import FlaskClient

from lanmu.i18n import Catalog
from lanmu.interfaces.channels import Message, Request, Target
from lanmu.testing.clock import FakeClock
from lanmu.testing.files import sample_file
from lanmu.testing.host import FakeHost
from lanmu_personal_wechat_export import PersonalWechatExportPlugin

CONSOLE = {  # as much of the console's frame as the plugin's page leans on
    "base.html": "{% import 'ui.html' as ui with context %}{% block content %}{% endblock %}",
    "ui.html": "{% macro head(t, under) %}<h1>{{ t }}</h1>{% endmacro %}"
    "{% macro icon(n, s='') %}{% endmacro %}"
    "{% macro flash(c, m) %}{{ m }}{% endmacro %}{% macro empty_state(i, t, x) %}{{ t }}{% endmacro %}",
}
PREFIX = "/p/personal_wechat_export"


class Phone:
    """An executor with a link in a browser."""

    def __init__(self, client: FlaskClient, host: FakeHost, pack: str) -> None:
        self.client, self.host, self.pack = client, host, pack
        self.token = host.sign("personal_wechat_export.pack", pack, timedelta(days=7))
        self.url = f"{PREFIX}/k/{self.token}"

    def page(self, lang: str = "zh-CN") -> str:
        answer = self.client.get(f"{self.url}?lang={lang}")
        assert answer.status_code == 200
        return answer.text

    def tap(self, item: int, act: str, **more: str) -> Any:
        found = re.search(r'name="key" value="([^"]+)"', self.page())
        assert found is not None
        form = {"key": found[1], "item": str(item), "act": act, **more}
        return self.client.post(self.url, data=form, follow_redirects=True)


@pytest.fixture
def phone(lanmu_load: Any, lanmu_host: FakeHost, tmp_path: Path) -> Phone:
    plugin = lanmu_load(PersonalWechatExportPlugin)
    app = flask.Flask("pages")
    app.jinja_env.add_extension("jinja2.ext.i18n")
    catalog = Catalog(("lanmu_personal_wechat_export",))

    def locale() -> str:
        return flask.request.args.get("lang", "zh-CN")

    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: catalog.gettext(locale(), text), lambda one, many, n: one, newstyle=True
    )
    app.jinja_env.globals["static_file"] = lambda name: f"/static/{name}"
    app.context_processor(lambda: {"locale": locale()})
    app.jinja_loader = jinja2.DictLoader(CONSOLE)
    (pages,) = plugin.lanmu_blueprints()
    app.register_blueprint(pages, url_prefix=PREFIX)
    (channel,) = plugin.lanmu_channels()
    picture = sample_file(tmp_path, "海报.png", "image/png")
    message = Message("psh_1", "tok1", "早安 <b>", "早上好 <script>", (picture,), "小雨")
    request = channel.compose(message, [Target("g1", "一群"), Target("g2", "二群")])
    assert isinstance(request, Request)
    channel.connect(request)
    ref = channel.classify(channel.transmit(request, None)).ref
    return Phone(app.test_client(), lanmu_host, ref.id)


def test_the_page_speaks_both_languages_and_escapes_what_was_typed(phone: Phone) -> None:
    chinese, english = phone.page(), phone.page("en")
    assert "复制文案" in chinese
    assert "Copy the text" in english
    assert "早上好 &lt;script&gt;" in chinese
    assert "早安 &lt;b&gt;" in chinese


def test_the_page_needs_no_inline_script_or_style(phone: Phone) -> None:
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon[a-z]+=", phone.page())


def test_a_forged_or_dead_link_shows_that_it_has_run_out(phone: Phone, lanmu_clock: FakeClock) -> None:
    assert phone.client.get(f"{PREFIX}/k/{phone.token[:-1]}x").status_code == 410
    assert phone.client.get(f"{PREFIX}/k/nonsense").status_code == 410
    lanmu_clock.advance(timedelta(days=8))
    answer = phone.client.get(phone.url)
    assert answer.status_code == 410
    assert "链接已失效" in answer.text


def test_a_tap_is_told_to_the_core_at_once(phone: Phone) -> None:
    answer = phone.tap(1, "done")
    assert "1/2" in answer.text
    assert phone.host.changed == [("personal_wechat_export.pack", phone.pack)]


def test_a_form_without_the_links_key_is_refused(phone: Phone) -> None:
    answer = phone.client.post(phone.url, data={"key": "guess", "item": "1", "act": "done"})
    assert answer.status_code == 403
    assert "0/2" in phone.page()


def test_a_skip_without_a_reason_is_told_on_the_page(phone: Phone) -> None:
    answer = phone.tap(1, "skip")
    assert answer.status_code == 422
    assert "请说明为什么跳过" in answer.text
    assert phone.host.changed == []


def test_a_postponed_group_says_when_and_then_that_it_is_time(phone: Phone, lanmu_clock: FakeClock) -> None:
    assert "延到" in phone.tap(2, "postpone", at="2026-11-23T20:00").text
    lanmu_clock.advance(timedelta(hours=13))
    assert "到时间了" in phone.page()


def test_the_last_tick_says_thank_you_and_an_undo_takes_it_back(phone: Phone) -> None:
    phone.tap(1, "done")
    assert "全部搞定" in phone.tap(2, "skip", reason="busy").text
    assert "全部搞定" not in phone.tap(2, "undo").text


@pytest.mark.parametrize("form", [{"act": "fly"}, {"item": "x"}, {"item": "-1"}])
def test_a_form_that_no_page_makes_is_refused(phone: Phone, form: dict[str, str]) -> None:
    assert phone.tap(**{"item": 1, "act": "done", **form}).status_code == 400  # type: ignore[arg-type]


def test_pictures_are_shown_in_place_and_saved_on_request(phone: Phone) -> None:
    shown = phone.client.get(f"{phone.url}/file/1", buffered=True)
    assert shown.mimetype == "image/png"
    assert "attachment" not in shown.headers.get("Content-Disposition", "")
    saved = phone.client.get(f"{phone.url}/file/1?download=1", buffered=True)
    assert "attachment" in saved.headers["Content-Disposition"]
    assert phone.client.get(f"{phone.url}/file/2").status_code == 404
    assert phone.client.get(f"{phone.url}/file/0").status_code == 404


def test_the_zip_speaks_the_readers_language(phone: Phone) -> None:
    answer = phone.client.get(f"{phone.url}/pack.zip?lang=en")
    assert zipfile.ZipFile(io.BytesIO(answer.data)).namelist()[0] == "01-text.txt"
    assert "filename*=UTF-8''%E6%97%A9" in answer.headers["Content-Disposition"]


def test_the_console_shows_each_pack_with_a_code_to_scan(phone: Phone) -> None:
    page = phone.client.get(f"{PREFIX}/").text
    assert "还没打开" in page
    assert 'class="qr"' in page
    (link,) = re.findall(r'href="(http://127\.0\.0\.1:8420/p/[^"]+)" target', page)
    assert phone.client.get(link.removeprefix("http://127.0.0.1:8420")).status_code == 200
    assert "发送中" in phone.client.get(f"{PREFIX}/").text


def test_staff_take_the_zip_from_the_console(phone: Phone) -> None:
    assert phone.client.get(f"{PREFIX}/packs/{phone.pack}.zip").mimetype == "application/zip"
    assert phone.client.get(f"{PREFIX}/packs/pck_none.zip").status_code == 404


def test_a_day_without_packs_says_how_one_comes_about(phone: Phone, lanmu_clock: FakeClock) -> None:
    for position in (1, 2):
        phone.tap(position, "done")
    lanmu_clock.advance(timedelta(days=1))
    assert "今天没有待发包" in phone.client.get(f"{PREFIX}/").text
