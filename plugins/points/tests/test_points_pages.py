"""The member's phone page: reached by a signed link alone, and safe to tap twice."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient

from lanmu.i18n import Catalog
from lanmu.interfaces.access import SIGNED
from lanmu.interfaces.errors import NotFound
from lanmu.interfaces.host import OfferView
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock
from lanmu.testing.host import FakeHost
from lanmu.testing.loading import build
from lanmu_points import PointsPlugin
from lanmu_points.links import member_link

LI = "mem_li"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[FakeHost]:
    clock = FakeClock()
    database = Database(f"sqlite:///{tmp_path}/points.db")
    host = FakeHost("points", clock=clock, database=database, workspace=tmp_path)
    host.add_member(LI, "李晓晴")
    host.points.add_offer(OfferView("off_cup", "保温杯", "到店自取", 100, 2, None))
    host.points.add_offer(OfferView("off_gone", "积木", "", 10, 0, None))
    yield host
    database.close()


@pytest.fixture
def plugin(host: FakeHost) -> PointsPlugin:
    plugin = build(PointsPlugin, {}, host)
    assert isinstance(plugin, PointsPlugin)
    host.rules += plugin.lanmu_points_rules()
    return plugin


@pytest.fixture
def app(plugin: PointsPlugin) -> Flask:
    app = Flask(__name__)
    catalog = Catalog(("lanmu_points",))
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: catalog.gettext("zh-CN", text), lambda one, _many, _n: one, newstyle=True
    )
    app.jinja_env.globals.update(static_file=lambda name: f"/static/{name}", locale="zh-CN")
    for blueprint in plugin.lanmu_blueprints():
        app.register_blueprint(blueprint, url_prefix="/p/points")
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def home(host: FakeHost) -> str:
    return member_link(host, LI, timedelta(days=7)).removeprefix(host.base_url)


def fields(page: str) -> dict[str, str]:
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page))


def test_every_view_names_its_permission(app: Flask) -> None:
    views = {name: view for name, view in app.view_functions.items() if not name.endswith("static")}
    assert views
    named = {name: getattr(view, "lanmu_permission", None) for name, view in views.items()}
    assert {named[name] for name in named if name.startswith("points_member.")} == {SIGNED}
    assert {named[name] for name in named if name.startswith("points_staff.")} == {
        "member.view",
        "coupon.redeem",
    }
    assert None not in named.values()


def test_the_link_opens_the_page_and_dies(client: FlaskClient, home: str, host: FakeHost) -> None:
    page = client.get(home)
    assert page.status_code == 200
    assert "李晓晴" in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    host.clock.advance(timedelta(days=7, seconds=1))
    late = client.get(home)
    assert (late.status_code, "链接已失效" in late.text) == (410, True)
    assert client.get("/p/points/m/forged.token").status_code == 410


def test_the_pages_hold_no_script_and_no_style_of_their_own(client: FlaskClient, home: str) -> None:
    for path in ("", "/offers/off_cup", "/offers/off_gone", "/coupons", "/statement"):
        text = client.get(home + path).text
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", text), path


def test_a_check_in_gives_points_once_a_day(client: FlaskClient, home: str, host: FakeHost) -> None:
    form = fields(client.get(home).text)
    for _tap in range(2):
        answer = client.post(f"{home}/check-in", data=form)
        assert answer.status_code == 303
    assert host.points.balance(LI) == 5
    page = client.get(answer.location).text
    assert "已经签到过啦" in page
    assert "<form" not in page.split('id="mall"')[0]
    host.clock.advance(timedelta(days=1))
    assert "<form" in client.get(home).text


def test_a_double_tap_redeems_once_and_shows_the_code(client: FlaskClient, home: str, host: FakeHost) -> None:
    host.points.grant(LI, 250)
    confirm = client.get(f"{home}/offers/off_cup").text
    assert "确认兑换（100 积分）" in confirm
    answers = [client.post(f"{home}/offers/off_cup/redeem", data=fields(confirm)) for _tap in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert answers[0].location == answers[1].location
    assert host.points.balance(LI) == 150
    coupon = client.get(answers[0].location).text
    assert "TEST" in coupon
    assert "<svg" in coupon
    assert "保温杯" in client.get(f"{home}/coupons").text
    assert "-100" in client.get(f"{home}/statement").text


def test_a_refusal_is_told_and_costs_nothing(client: FlaskClient, home: str, host: FakeHost) -> None:
    host.points.grant(LI, 50)
    page = client.get(f"{home}/offers/off_cup").text
    assert "还差 50 积分" in page
    form = {**fields(client.get(home).text), "once": "x" * 24}
    refused = client.post(f"{home}/offers/off_cup/redeem", data=form)
    assert refused.status_code == 409
    assert 'role="alert"' in refused.text
    assert host.points.balance(LI) == 50
    assert client.post(f"{home}/offers/off_nothing/redeem", data=form).status_code == 404
    assert client.get(f"{home}/offers/off_nothing").status_code == 404


def test_a_page_of_before_takes_no_price_that_it_did_not_show(
    client: FlaskClient, home: str, host: FakeHost
) -> None:
    host.points.grant(LI, 250)
    shown = fields(client.get(f"{home}/offers/off_cup").text)
    host.points.add_offer(OfferView("off_cup", "保温杯", "到店自取", 200, 2, None))
    stale = client.post(f"{home}/offers/off_cup/redeem", data=shown)
    assert (stale.status_code, host.points.balance(LI)) == (409, 250)
    assert "确认兑换（200 积分）" in stale.text
    assert client.post(f"{home}/offers/off_cup/redeem", data=fields(stale.text)).status_code == 303
    assert host.points.balance(LI) == 50
    for cost in ("-1", "1.5", "１００", "9" * 14):
        form = {**shown, "once": "y" * 24, "cost": cost}
        assert client.post(f"{home}/offers/off_cup/redeem", data=form).status_code == 400


def test_a_form_without_its_key_is_refused(client: FlaskClient, home: str, host: FakeHost) -> None:
    host.points.grant(LI, 250)
    assert client.post(f"{home}/check-in").status_code == 403
    assert client.post(f"{home}/check-in", data={"key": "钥匙"}).status_code == 403
    redeem = f"{home}/offers/off_cup/redeem"
    key = fields(client.get(f"{home}/offers/off_cup").text)["key"]
    assert client.post(redeem, data={"key": key, "once": "short"}).status_code == 400
    assert client.post(redeem, data={"once": "x" * 24}).status_code == 403
    assert host.points.balance(LI) == 250


def test_one_member_sees_nothing_of_another(client: FlaskClient, home: str, host: FakeHost) -> None:
    host.add_member("mem_wang", "王芳")
    host.points.grant("mem_wang", 100)
    coupon = host.points.redeem("mem_wang", "off_cup", "k")
    assert client.get(f"{home}/coupons/{coupon.id}").status_code == 404


def test_what_people_wrote_is_shown_as_text(client: FlaskClient, home: str, host: FakeHost) -> None:
    host.points.grant(LI, 7, "<b>5% off</b>")
    host.points.add_offer(OfferView("off_x", "<i>100% cotton</i>", "%(x)s", 5, None, None))
    for path in ("", "/statement", "/offers/off_x"):
        page = client.get(home + path)
        assert page.status_code == 200
        assert "<b>5%" not in page.text
        assert "<i>100%" not in page.text
    assert "&lt;b&gt;5% off&lt;/b&gt;" in client.get(f"{home}/statement").text


def test_the_empty_pages_say_what_to_do(client: FlaskClient, home: str) -> None:
    assert "还没有券" in client.get(f"{home}/coupons").text
    assert "还没有积分记录" in client.get(f"{home}/statement").text


def test_the_commands_print_a_link_and_check_in(plugin: PointsPlugin, client: FlaskClient) -> None:
    commands = {command.name: command for command in plugin.lanmu_commands()}
    runner = CliRunner()
    printed = runner.invoke(commands["link"], [LI]).output.strip()
    assert printed.startswith("http://127.0.0.1:8420/p/points/m/")
    assert client.get(printed.removeprefix("http://127.0.0.1:8420")).status_code == 200
    answer = runner.invoke(commands["check-in"], [LI, "--json"]).output
    assert answer == '{"earned": 5, "balance": 5, "replayed": false}\n'
    assert isinstance(runner.invoke(commands["link"], ["mem_nobody"]).exception, NotFound)


def test_every_text_has_its_chinese() -> None:
    package = Path(__file__).parent.parent / "lanmu_points"
    sources = [*package.glob("*.py"), *package.glob("templates/points/*.html")]
    marked = {
        text
        for path in sources
        for text in re.findall(r"""\b_\(\s*(?:'([^']+)'|"([^"]+)")""", path.read_text())
    }
    catalog = Catalog(("lanmu_points",))
    texts = {one or other for one, other in marked}
    assert len(texts) > 50
    assert {text for text in texts if catalog.gettext("zh-CN", text) == text} == set()
