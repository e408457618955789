"""The plugin host: whatever a plugin does wrong is its own misfortune, told with the reason."""

import asyncio
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Blueprint
from marshmallow import Schema, fields, post_load
from sqlalchemy.orm import Mapped, mapped_column
from tests.interleaving import between_the_steps_of

import lanmu
from lanmu import config, hookimpl
from lanmu.audience.views import IdentityKey, MemberDraft
from lanmu.authoring import BaseChannel
from lanmu.interfaces.access import PUBLIC, requires
from lanmu.interfaces.channels import Abilities, Message, Rate, Ref, Request, Window
from lanmu.interfaces.events import Award, MemberEvent, Objection, Receipt
from lanmu.interfaces.host import MenuItem
from lanmu.plugins import GROUP, Plugins, PluginStatus
from lanmu.server import Server
from lanmu.storage import plugin_base
from lanmu.testing.clock import FakeClock
from lanmu.web.app import create_app


@dataclass(frozen=True)
class _Point:
    """An entry point as an installed distribution would bring it."""

    name: str
    target: Any
    distribution: str = "stranger"

    value = "stranger:Plugin"
    module = "stranger"

    @property
    def dist(self) -> SimpleNamespace:
        return SimpleNamespace(name=self.distribution, version="1.2")

    def load(self) -> Any:
        if isinstance(self.target, BaseException):
            raise self.target
        return self.target


Start = Callable[..., Server]


@pytest.fixture
def start(
    monkeypatch: pytest.MonkeyPatch, sqlite_template: Path, tmp_path: Path, clock: FakeClock
) -> Iterator[Start]:
    """Start a server on which these are installed and switched on."""
    servers = []
    installed = metadata.entry_points
    shutil.copy(sqlite_template, tmp_path / "lanmu.db")

    def started(*points: _Point, **tables: dict[str, Any]) -> Server:
        def found(**wanted: str) -> Any:
            return list(points) if wanted.get("group") == GROUP else installed(**wanted)

        monkeypatch.setattr(metadata, "entry_points", found)
        names = {point.name: tables.get(point.name, {}) for point in points} | tables
        raw = {"server": {"data_dir": str(tmp_path)}, "plugins": names}
        server = Server(config.parse(raw, None, {}), clock)
        servers.append(server)
        return server

    yield started
    for server in servers:
        server.close()


class Good(lanmu.Plugin[Any]):
    """Answers every hook as it should."""

    def __init__(self, settings: Any, host: Any) -> None:
        super().__init__(settings, host)
        self.heard: list[str] = []

    @hookimpl
    def lanmu_channels(self) -> Iterable[BaseChannel]:
        channel = BaseChannel()
        channel.name = f"{self.host.name}.one"
        return [channel]

    @hookimpl
    def lanmu_points_rules(self) -> Iterable[Any]:
        def propose(event: MemberEvent) -> list[Award]:
            return [Award("good", f"{event.key}:good", event.member, 5, "check_in", event.local_date)]

        return [SimpleNamespace(name="rule", title="Rule", propose=propose)]

    @hookimpl
    def lanmu_member_event(self, event: MemberEvent) -> None:
        self.heard.append(event.key)

    @hookimpl
    def lanmu_objections(self, message: Message, channel: str) -> Iterable[Any]:
        return []


def _status(server: Server, name: str) -> PluginStatus:
    return next(status for status in server.plugins.statuses() if status.name == name)


def _aside(server: Server, name: str, *words: str) -> None:
    """It was set aside for a reason that holds these words, and the good one runs."""
    status = _status(server, name)
    assert status.state == "set_aside"
    for word in words:
        assert word in status.reason
    assert _status(server, "good").state == "running"
    assert server.plugins.channels.keys() == {"good.one"}


GOOD = _Point("good", Good)


@pytest.mark.parametrize(
    ("target", "word"),
    [
        (ModuleNotFoundError("No module named 'left_pad'"), "left_pad"),
        (SyntaxError("invalid syntax"), "invalid syntax"),
        (SystemExit(3), "SystemExit"),
        (dict, "lanmu.Plugin"),
        ("text", "lanmu.Plugin"),
    ],
    ids=["missing", "syntax", "exit", "no-plugin", "no-class"],
)
def test_one_that_cannot_be_loaded_is_set_aside(start: Start, target: Any, word: str):
    _aside(start(_Point("bad", target), GOOD), "bad", word)


@pytest.mark.parametrize(
    ("offered", "words"),
    [
        (BaseChannel, ("offers the class BaseChannel", "Offer an object of it")),
        (SimpleNamespace(), ("a SimpleNamespace without a name",)),
        (SimpleNamespace(name="bad.one", abilities=Abilities()), ("bad.one", "lacks upload, compose")),
        ("bad.one", ("offers a str without a name",)),
    ],
    ids=["class", "nameless", "no-channel", "text"],
)
def test_what_is_no_channel_sets_its_plugin_aside_and_is_told_without_its_address(
    start: Start, offered: Any, words: tuple[str, ...]
):
    class Bad(lanmu.Plugin[Any]):
        @hookimpl
        def lanmu_channels(self) -> Iterable[Any]:
            return [offered]

    server = start(_Point("bad", Bad), GOOD)
    _aside(server, "bad", *words)
    assert " at 0x" not in _status(server, "bad").reason


def test_abilities_that_are_none_set_their_plugin_aside(start: Start):
    class Loose(BaseChannel):
        name = "bad.one"
        abilities = {"local": True}  # type: ignore[assignment]

    class Bad(lanmu.Plugin[Any]):
        @hookimpl
        def lanmu_channels(self) -> Iterable[Any]:
            return [Loose()]

    _aside(start(_Point("bad", Bad), GOOD), "bad", "bad.one", "abilities are a dict", "Abilities(…)")


@pytest.mark.parametrize(
    ("ability", "value"),
    [
        ("limits", [Rate(1, timedelta(minutes=1))]),
        ("limits", (Rate(0, timedelta(minutes=1)),)),
        ("silent_limits", (60,)),
        ("asset_types", {"image/png"}),
        ("idempotency", 60),
        ("settle", 5),
        ("settle", timedelta(seconds=-1)),
        ("lookup", "yes"),
        ("batch_max", 0),
        ("text_bytes", "2000"),
        ("acceptance", "later"),
        ("sending", "auto"),
    ],
)
def test_an_ability_of_a_wrong_kind_sets_its_plugin_aside(start: Start, ability: str, value: Any):
    class Loose(BaseChannel):
        name = "bad.one"
        abilities = replace(Abilities(), **{ability: value})

    class Bad(lanmu.Plugin[Any]):
        @hookimpl
        def lanmu_channels(self) -> Iterable[Any]:
            return [Loose()]

    _aside(start(_Point("bad", Bad), GOOD), "bad", "bad.one", f"declare {ability} ")


class _Declares(BaseChannel):
    name = "bad.one"
    title = "Bad"


class _Finds(_Declares):
    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        return ()


@pytest.mark.parametrize(
    ("kind", "abilities", "words"),
    [
        (_Finds, Abilities(lookup=True), ("lookup without settle", "until it lists")),
        (_Declares, Abilities(lookup=True, settle=timedelta(minutes=1)), ("declares lookup", "find is that")),
        (_Declares, Abilities(lookup=True, local=True), ("declares lookup", "find is that")),
        (_Declares, Abilities(acceptance="async"), ("async", "Write results")),
        (_Declares, Abilities(cancel=True), ("declares cancel", "Write cancel")),
        (_Declares, Abilities(asset_ttl=timedelta(days=1)), ("declares asset_ttl", "Write upload")),
    ],
)
def test_a_channel_that_cannot_keep_what_it_declares_sets_its_plugin_aside(
    start: Start, kind: type[BaseChannel], abilities: Abilities, words: tuple[str, ...]
):
    channel = kind()
    channel.abilities = abilities
    plugin = type("Bad", (lanmu.Plugin,), {"lanmu_channels": hookimpl(lambda self: [channel])})
    _aside(start(_Point("bad", plugin), GOOD), "bad", "bad.one", *words)


def test_a_local_channel_may_be_looked_up_at_once(start: Start):
    channel = _Finds()
    channel.abilities = Abilities(lookup=True, local=True)
    plugin = type("Bad", (lanmu.Plugin,), {"lanmu_channels": hookimpl(lambda self: [channel])})
    assert "bad.one" in start(_Point("bad", plugin), GOOD).plugins.channels


def test_a_base_channel_finds_nothing_out_and_says_so(clock: FakeClock):
    with pytest.raises(NotImplementedError, match="declares lookup"):
        _Declares().find(Request("send", b"", ()), Window(clock.now(), clock.now()))


def test_the_place_in_its_own_code_is_told_of_a_plugin_that_fails(start: Start, tmp_path: Path):
    source = "def pick():\n    return {}['price']\n"
    scope: dict[str, Any] = {"__name__": "stranger.prices"}
    exec(compile(source, "/home/li/lanmu_stranger/prices.py", "exec"), scope)

    class Bad(lanmu.Plugin[Any]):
        def __init__(self, settings: Any, host: Any) -> None:
            scope["pick"]()

    server = start(_Point("bad", Bad), GOOD)
    assert _status(server, "bad").where == ("lanmu_stranger/prices.py:2 pick",)


def test_no_secret_of_a_settings_error_is_told(start: Start):
    class Bad(lanmu.Plugin[Any]):
        def __init__(self, settings: Any, host: Any) -> None:
            raise OSError("https://far.example/?access_token=UNNAMED")

    server = start(_Point("bad", Bad), GOOD)
    _aside(server, "bad", "access_token=***")


@pytest.mark.parametrize("answer", ["no prices", ["no prices"], [None], 7, Objection(7)], ids=repr)  # type: ignore[arg-type]
def test_an_objector_that_answers_no_objection_objects_under_its_own_name(start: Start, answer: Any):
    class Bad(lanmu.Plugin[Any]):
        @hookimpl
        def lanmu_objections(self, message: Message, channel: str) -> Any:
            return answer

    server = start(_Point("bad", Bad), GOOD)
    (found,) = server.plugins.objections(Message("psh_1", "token", "早安", "早上好"), "good.one")
    assert "plugin bad" in found.reason
    assert ("no prices" in found.reason) == ("no prices" in str(answer))


def test_a_plugin_that_raises_no_error_in_a_worker_keeps_nobody_else_from_their_turn(start: Start):
    class Bad(lanmu.Plugin[Any]):
        @hookimpl
        def lanmu_objections(self, message: Message, channel: str) -> Any:
            raise asyncio.CancelledError

        @hookimpl
        def lanmu_pushed(self, receipt: Receipt) -> None:
            raise KeyboardInterrupt

    plugins = start(_Point("bad", Bad), GOOD).plugins
    with ThreadPoolExecutor(1) as worker:
        message = Message("psh_1", "token", "早安", "早上好")
        (found,) = worker.submit(plugins.objections, message, "good.one").result()
        worker.submit(plugins.tell, "lanmu_pushed", receipt=None).result()
    assert found.reason.startswith("bad: CancelledError")


def test_what_a_plugin_offers_with_no_error_in_a_worker_sets_it_aside_alone(start: Start):
    class Bad(lanmu.Plugin[Any]):
        @hookimpl
        def lanmu_points_rules(self) -> Iterable[Any]:
            raise asyncio.CancelledError

        @hookimpl
        def lanmu_checks(self) -> Iterable[Any]:
            raise KeyboardInterrupt

    for hook in ("lanmu_points_rules", "lanmu_checks"):
        server = start(_Point("bad", Bad), GOOD)
        with ThreadPoolExecutor(1) as worker:
            offered = worker.submit(server.plugins.offers, hook).result()
        assert {plugin for plugin, _offer in offered} <= {"good"}
        assert _status(server, "bad").state == "set_aside"


@pytest.mark.parametrize(("ends", "heard"), [(True, True), (False, False), ("no", False)])
def test_an_exit_that_a_plugin_states_is_handed_on_as_one(start: Start, ends: Any, heard: bool):
    class Flow(lanmu.Plugin[Any]):
        @hookimpl
        def lanmu_objections(self, message: Message, channel: str) -> Any:
            return [Objection("ordered already", ends)]

    server = start(_Point("flow", Flow), GOOD)
    (found,) = server.plugins.objections(Message("psh_1", "token", "早安", "早上好"), "good.one")
    assert (found.reason, found.ends) == ("ordered already", heard)


def test_a_plugin_asked_for_by_a_slip_of_its_name_is_told_the_right_one(start: Start):
    server = start(GOOD, goood={})
    assert "Did you mean good?" in _status(server, "goood").reason


def test_one_that_raises_when_built_is_set_aside(start: Start):
    class Bad(lanmu.Plugin[Any]):
        def __init__(self, settings: Any, host: Any) -> None:
            raise OSError("no space left")

    _aside(start(_Point("bad", Bad), GOOD), "bad", "OSError", "no space left")


class _Settings(Schema):
    base_url = fields.Url(required=True)
    retries = fields.Integer(strict=True, load_default=3)

    @post_load
    def build(self, data: dict[str, Any], **_kwargs: object) -> SimpleNamespace:
        return SimpleNamespace(**data)


class _Set(lanmu.Plugin[Any]):
    settings_schema = _Settings


def test_wrong_settings_are_told_at_once_with_their_paths(start: Start):
    server = start(_Point("set", _Set), GOOD, set={"retries": "3", "base_ulr": "x"})
    _aside(server, "set", "plugins.set.base_url", "plugins.set.retries", "plugins.set.base_ulr")


def test_right_settings_reach_the_plugin_as_its_own(start: Start):
    server = start(_Point("set", _Set), set={"base_url": "http://a.example"})
    assert _status(server, "set").state == "running"


@pytest.mark.parametrize("hook", ["lanmu_channels", "lanmu_points_rules", "lanmu_blueprints", "lanmu_menu"])
def test_one_that_raises_when_it_offers_is_set_aside_and_the_others_offers_stand(start: Start, hook: str):
    def burst(self: Any) -> Any:
        yield from ()
        raise ValueError(f"no {hook} today")

    bad = type("Bad", (lanmu.Plugin,), {hook: hookimpl(burst)})
    server = start(_Point("bad", bad), GOOD)
    server.plugins.offers(hook)
    _aside(server, "bad", "ValueError", f"no {hook} today")


_OFFERS = (
    "lanmu_rewriters", "lanmu_checks", "lanmu_points_rules", "lanmu_services", "lanmu_menu",
    "lanmu_commands", "lanmu_blueprints",
)  # fmt: skip


@pytest.mark.parametrize("hook", _OFFERS)
def test_one_that_offers_something_else_than_its_hook_asks_for_is_set_aside(start: Start, hook: str):
    """A word in the menu would else take every page of the console with it, and one among the services the
    whole server."""
    bad = type("Bad", (lanmu.Plugin,), {hook: hookimpl(lambda self: ["a word"])})
    server = start(_Point("bad", bad), GOOD)
    assert [plugin for plugin, _offered in server.plugins.offers(hook)] in ([], ["good"])
    _aside(server, "bad", f"plugins.bad.{hook}", "offers a str")


def test_what_a_plugin_answers_is_its_own_also_while_another_is_set_aside(start: Start):
    """It is found out in any thread, such as that of a page, while others call the rest."""

    def offering(name: str) -> _Point:
        rule = SimpleNamespace(name=name, title=name, propose=lambda event: [])
        plugin = type("Offers", (lanmu.Plugin,), {"lanmu_points_rules": hookimpl(lambda self: [rule])})
        return _Point(name, plugin)

    plugins = start(offering("leaving"), offering("staying"), GOOD).plugins

    def ask() -> None:
        offers = [(plugin, rule.name) for plugin, rule in plugins.offers("lanmu_points_rules")]
        assert offers in (
            [("leaving", "leaving"), ("staying", "staying"), ("good", "rule")],
            [("staying", "staying"), ("good", "rule")],
        )

    with between_the_steps_of(Plugins.set_aside, ask):
        plugins.set_aside("leaving", RuntimeError("it has broken"))
        plugins.set_aside("leaving", RuntimeError("again"))
    told = {each.name: (each.state, each.distribution, each.reason) for each in plugins.statuses()}
    assert told["leaving"] == ("set_aside", "stranger", "RuntimeError: it has broken")


def test_an_objector_that_raises_objects_and_the_message_stays(start: Start):
    class Bad(lanmu.Plugin[Any]):
        @hookimpl
        def lanmu_objections(self, message: Message, channel: str) -> Iterable[Any]:
            raise KeyError("price")

    server = start(_Point("bad", Bad), GOOD)
    (found,) = server.plugins.objections(Message("psh_1", "token", "早安", "早上好"), "good.one")
    assert "bad" in found.reason
    assert "price" in found.reason


def _check_in(server: Server, clock: FakeClock) -> tuple[str, Any]:
    member = server.audience.members.create(MemberDraft("甲", (IdentityKey("wecom", "wm1"),))).id
    event = MemberEvent("checkin:1", "check_in", member, clock.now(), clock.now().date(), {})
    return member, server.events.record(event)


def test_a_listener_and_a_rule_that_raise_keep_no_event_from_anybody(start: Start, clock: FakeClock):
    class Bad(lanmu.Plugin[Any]):
        @hookimpl
        def lanmu_member_event(self, event: MemberEvent) -> None:
            raise RuntimeError("deaf")

        @hookimpl
        def lanmu_points_rules(self) -> Iterable[Any]:
            def propose(event: MemberEvent) -> list[Award]:
                raise ZeroDivisionError

            return [SimpleNamespace(name="rule", title="Rule", propose=propose)]

    server = start(_Point("bad", Bad), GOOD)
    member, posted = _check_in(server, clock)
    assert (posted.earned, server.ledger.balance(member)) == (5, 5)
    assert _status(server, "bad").state == "running"


def _with_channels(*names: Any) -> type[lanmu.Plugin[Any]]:
    class Offers(lanmu.Plugin[Any]):
        @hookimpl
        def lanmu_channels(self) -> Iterable[Any]:
            for name in names:
                channel = BaseChannel()
                channel.name = name
                yield channel if isinstance(name, str) else object()

    return Offers


def test_of_two_plugins_that_claim_one_channel_the_later_is_set_aside_and_both_are_named(start: Start):
    server = start(
        _Point("x", _with_channels("x.y"), "dist-one"), _Point("x.y", _with_channels("x.y"), "dist-two"), GOOD
    )
    status = _status(server, "x.y")
    assert (status.state, _status(server, "x").state) == ("set_aside", "running")
    for word in ("x.y", "plugin x", "dist-one", "dist-two"):
        assert word in status.reason
    assert server.plugins.channels.keys() == {"x.y", "good.one"}


def test_a_plugin_that_offers_two_channels_of_one_name_is_set_aside(start: Start):
    _aside(start(_Point("bad", _with_channels("bad.one", "bad.one")), GOOD), "bad", "two channels", "bad.one")


@pytest.mark.parametrize(
    "names", [("other.one",), ("bad.one", "good.one", "bad.two"), ("badly",), (None,), ("",)], ids=str
)
def test_a_channel_with_anothers_name_sets_its_plugin_aside_with_all_its_channels(
    start: Start, names: tuple[Any, ...]
):
    _aside(start(_Point("bad", _with_channels(*names)), GOOD), "bad")


def test_ours_comes_first_where_a_stranger_has_its_name(start: Start, caplog: pytest.LogCaptureFixture):
    stranger = _Point("good", _with_channels("good.one", "good.stolen"))
    server = start(stranger, _Point("good", Good, "lanmu"))
    assert server.plugins.channels.keys() == {"good.one"}
    assert _status(server, "good").distribution == "lanmu"
    (twin,) = [status for status in server.plugins.statuses() if status.state == "set_aside"]
    assert (twin.name, twin.distribution) == ("good", "stranger")
    assert "plugin of lanmu already" in twin.reason
    assert "stranger" in twin.reason
    (warned,) = (record for record in caplog.records if record.message == "two plugins of one name")
    assert warned.ignored == "stranger"  # type: ignore[attr-defined]


@pytest.mark.parametrize("hook", ["lanmu_pushed", "lanmu_member_event", "lanmu_material_approved"])
def test_a_hook_that_is_told_must_not_yield(start: Start, hook: str):
    argument = {
        "lanmu_pushed": "receipt",
        "lanmu_member_event": "event",
        "lanmu_material_approved": "material",
    }
    scope: dict[str, Any] = {}
    exec(f"def hook(self, {argument[hook]}): yield", scope)
    bad = type("Bad", (lanmu.Plugin,), {hook: hookimpl(scope["hook"])})
    _aside(start(_Point("bad", bad), GOOD), "bad", hook)


def test_a_hook_of_another_version_is_refused_by_its_name(start: Start):
    class Bad(lanmu.Plugin[Any]):
        @hookimpl
        def lanmu_chanels(self) -> None: ...

    class Worse(lanmu.Plugin[Any]):
        @hookimpl
        def lanmu_member_event(self, event: MemberEvent, colour: str) -> None: ...

    server = start(_Point("bad", Bad), _Point("worse", Worse), GOOD)
    _aside(server, "bad", "lanmu_chanels", "Did you mean lanmu_channels?")
    _aside(server, "worse", "colour", "It passes: event.")


def _with_tables(tmp_path: Path, step: str, table: str = "plugin_tabled_note") -> type[lanmu.Plugin[Any]]:
    package = tmp_path / "stranger"
    (package / "migrations").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "migrations" / "0001_notes.py").write_text(
        'import sqlalchemy as sa\nfrom alembic import op\nrevision = "0001"\ndown_revision = None\n'
        f"def upgrade():\n    {step}\n"
    )
    base = plugin_base("tabled")

    class Note(base):  # type: ignore[misc, valid-type]
        __tablename__ = table
        id: Mapped[int] = mapped_column(primary_key=True)

    class Tabled(lanmu.Plugin[Any]):
        migrations = "migrations"
        models = base.metadata

    Tabled.__module__ = "stranger.plugin"
    return Tabled


@pytest.mark.parametrize(
    ("step", "table", "words"),
    [
        ("raise RuntimeError('half way')", "plugin_tabled_note", ("RuntimeError", "half way")),
        ("op.execute('SELEKT 1')", "plugin_tabled_note", ("SELEKT",)),
        ("op.create_table('staff', sa.Column('id', sa.Integer))", "plugin_tabled_note", ("staff",)),
        ("pass", "staff_of_mine", ("staff_of_mine", "plugin_tabled_")),
    ],
    ids=["raises", "no-sql", "anothers-table", "anothers-name"],
)
def test_one_whose_tables_cannot_be_made_is_set_aside(
    start: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    table: str,
    words: tuple[str, ...],
):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "stranger", raising=False)
    _aside(start(_Point("tabled", _with_tables(tmp_path, step, table)), GOOD), "tabled", *words)


def test_one_that_is_asked_for_and_not_installed_and_one_that_is_not_asked_for(start: Start):
    server = start(GOOD, missing={})
    assert _status(server, "missing").state == "missing"
    assert "missing" in _status(server, "missing").reason
    server = start(GOOD, _Point("quiet", Good))
    assert {status.name: status.state for status in server.plugins.statuses()} == {
        "good": "running",
        "quiet": "running",
    }


def test_a_menu_entry_whose_address_cannot_be_made_sets_its_plugin_aside(start: Start):
    class Bad(lanmu.Plugin[Any]):
        @hookimpl
        def lanmu_blueprints(self) -> Iterable[Any]:
            pages = Blueprint("bad", "stranger")
            pages.add_url_rule("/<number>", "one", requires(PUBLIC)(lambda number: number))
            return [pages]

        @hookimpl
        def lanmu_menu(self) -> Iterable[Any]:
            return [MenuItem("One", "bad.one", "push.view", "home")]

    server = start(_Point("bad", Bad), GOOD)
    create_app(server)
    _aside(server, "bad", "bad.one")
    assert server.plugins.offers("lanmu_menu") == []


def test_pages_that_cannot_be_mounted_set_their_plugin_aside_and_the_console_opens(start: Start):
    class Bad(lanmu.Plugin[Any]):
        @hookimpl
        def lanmu_blueprints(self) -> Iterable[Any]:
            return [Blueprint("materials", "stranger")]  # the core's own name

    class Worse(lanmu.Plugin[Any]):
        @hookimpl
        def lanmu_blueprints(self) -> Iterable[Any]:
            return ["no blueprint"]

    class Fine(Good):
        @hookimpl
        def lanmu_blueprints(self) -> Iterable[Any]:
            pages = Blueprint("fine", "stranger")
            pages.add_url_rule("/open", "open", requires(PUBLIC)(lambda: "open"))
            pages.add_url_rule("/closed", "closed", lambda: "closed")
            return [pages]

    server = start(_Point("bad", Bad), _Point("worse", Worse), _Point("good", Fine))
    client = create_app(server).test_client()
    _aside(server, "bad", "materials")
    _aside(server, "worse")
    assert client.get("/p/good/open").text == "open"
    assert client.get("/p/good/closed").status_code == 403
    assert client.get("/login").status_code == 200
