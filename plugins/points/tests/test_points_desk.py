"""The shop's own pages: a member's link to hand out, and the till, where a coupon is used up once."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import DictLoader

from lanmu.i18n import Catalog
from lanmu.interfaces.access import act_as
from lanmu.interfaces.host import OfferView
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock
from lanmu.testing.host import FakeHost
from lanmu.testing.loading import build
from lanmu_points import PointsPlugin

LI = "mem_li"

# The console's frame as far as these pages lean on it.
_FRAME = {
    "base.html": '{% import "ui.html" as ui %}{% block content %}{% endblock %}',
    "ui.html": """
{% macro icon(name, size='') %}{% endmacro %}{% macro csrf() %}<input name="csrf_token">{% endmacro %}
{% macro head(title, under='') %}<h1>{{ title }}</h1><p>{{ under }}</p>{% endmacro %}
{% macro flash(kind, text) %}<p class="{{ kind }}">{{ text }}</p>{% endmacro %}
{% macro tag_list(tags, most=0) %}{{ tags|join(' ') }}{% endmacro %}
{% macro at(when) %}{{ when }}{% endmacro %}
{% macro pager(first, next, n) %}<a class="next" href="{{ next }}"></a>{% endmacro %}
{% macro empty_state(icon, title, text='') %}{{ title }} {{ text }}{% endmacro %}""",
}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[FakeHost]:
    clock = FakeClock()
    database = Database(f"sqlite:///{tmp_path}/points.db")
    host = FakeHost("points", clock=clock, database=database, workspace=tmp_path)
    host.add_member(LI, "李晓晴", tags=("母婴",))
    host.points.add_offer(OfferView("off_cup", "保温杯", "到店自取", 100, 2, None))
    host.points.grant(LI, 1250)
    yield host
    act_as("")
    database.close()


@pytest.fixture
def client(host: FakeHost) -> FlaskClient:
    plugin = build(PointsPlugin, {}, host)
    app = Flask(__name__)
    app.jinja_loader = DictLoader(_FRAME)
    catalog = Catalog(("lanmu_points", "lanmu"))
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: catalog.gettext("zh-CN", text), lambda one, _many, _n: one, newstyle=True
    )
    assert isinstance(plugin, PointsPlugin)
    for blueprint in plugin.lanmu_blueprints():
        app.register_blueprint(blueprint, url_prefix="/p/points")
    return app.test_client()


@pytest.fixture
def code(host: FakeHost) -> str:
    """A coupon in the member's hands."""
    return host.points.redeem(LI, "off_cup", "k1").code


def test_members_are_listed_with_their_balance_and_found_by_name(client: FlaskClient, host: FakeHost) -> None:
    host.add_member("mem_wang", "王芳", frozen=True)
    page = client.get("/p/points/members").text
    assert page.index("王芳") < page.index("李晓晴"), "the newest comes first"
    assert "1,250" in page
    assert "已冻结" in page
    found = client.get("/p/points/members?q=晓").text
    assert "李晓晴" in found
    assert "王芳" not in found
    assert "没有找到会员" in client.get("/p/points/members?q=没有").text


def test_a_long_list_comes_in_pages(client: FlaskClient, host: FakeHost) -> None:
    for number in range(25):
        host.add_member(f"mem_{number}", f"会员{number:02}")
    first = client.get("/p/points/members").text
    assert "会员24" in first
    assert "会员04" not in first
    following = re.findall(r'class="next" href="([^"]+)"', first)[0].replace("&amp;", "&")
    second = client.get(following).text
    assert "会员04" in second
    assert re.findall(r'class="next" href="([^"]*)"', second) == [""]


def test_the_link_of_a_member_is_shown_with_a_code_to_scan(client: FlaskClient, host: FakeHost) -> None:
    page = client.get(f"/p/points/members?member={LI}").text
    assert '<img class="handout-qr" src="data:image/svg+xml' in page
    links = set(re.findall(r'href="http://127\.0\.0\.1:8420(/p/points/m/[^"]+)"', page))
    assert len(links) == 1
    assert "手机打不开" in page, "the address is this computer's own"
    host.clock.advance(timedelta(days=7, seconds=1))
    token = links.pop().removeprefix("/p/points/m/")
    assert host.unsign("points.member", token) is None
    assert client.get("/p/points/members?member=mem_nobody").status_code == 404


def test_the_till_shows_a_coupon_before_it_is_used(client: FlaskClient, host: FakeHost, code: str) -> None:
    page = client.post("/p/points/till", data={"code": f" {code.lower()} "})
    assert page.status_code == 200
    assert "保温杯" in page.text
    assert "确认核销" in page.text
    assert host.points.used == []


def test_a_coupon_is_used_up_once_by_the_one_who_is_signed_in(
    client: FlaskClient, host: FakeHost, code: str
) -> None:
    act_as("xiaomei")
    done = client.post("/p/points/till/use", data={"code": code})
    assert "核销成功：保温杯" in done.text
    assert host.points.used == [("cpn_0001", "xiaomei")]
    again = client.post("/p/points/till/use", data={"code": code})
    assert (again.status_code, 'role="alert"' in again.text) == (422, True)
    assert len(host.points.used) == 1
    assert client.post("/p/points/till", data={"code": code}).status_code == 422


@pytest.mark.parametrize("typed", ["", "  ", "XXXX", "<b>1</b>"])
def test_a_code_that_is_none_is_told_and_stays_in_the_field(client: FlaskClient, typed: str) -> None:
    page = client.post("/p/points/till", data={"code": typed})
    assert page.status_code == 422
    assert 'role="alert"' in page.text
    assert "<b>1" not in page.text
    assert 'name="code"' in client.get("/p/points/till").text
