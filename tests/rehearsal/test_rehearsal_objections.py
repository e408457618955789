"""A rehearsal asks the plugins' objections as a real send does, and lets nothing be changed meanwhile."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select, text, update
from tests.rehearsal.conftest import rehearsed, stocked
from tests.shop import CHANNEL, Shop

import lanmu
from lanmu import config, hookimpl
from lanmu.audience.models import Member
from lanmu.audience.views import MemberDraft
from lanmu.delivery.sending.preflight import Objections
from lanmu.i18n import _ as marked
from lanmu.interfaces.channels import Message
from lanmu.interfaces.events import Objection
from lanmu.plugins import GROUP
from lanmu.rehearsal import asking
from lanmu.rehearsal.comparing import Kind
from lanmu.rehearsal.service import house_of
from lanmu.schedule.columns import SlotDraft
from lanmu.schedule.models import Column
from lanmu.server import Server
from lanmu.storage import Base, Database
from lanmu.testing.clock import FakeClock

_MORNING = SlotDraft("daily", "12:00")
Start = Callable[[type[lanmu.Plugin[Any]]], Server]
Write = Callable[[Shop], None]


def _of(reason: str, *, ends: bool = False, where: str = "") -> Objections:
    """Objects to what goes out by this channel; to everything where none is named."""

    def ask(message: Message, channel: str) -> Sequence[Objection]:
        return [Objection(reason, ends)] if where in ("", channel) and message.text else []

    return ask


def test_what_a_plugin_will_keep_back_is_a_finding_in_its_words_and_does_not_count_as_sent(shop: Shop):
    shop.column("早安", _MORNING)
    assert rehearsed(shop, days=2, recipients=4).produced > 0
    report = rehearsed(shop, days=2, recipients=4, objections=_of("库存为零", where=CHANNEL))
    assert not report.green
    assert report.produced == 0
    assert set(report.counts) == {Kind.KEPT_BACK}
    assert {fault.why for fault in report.faults} == {"库存为零"}


def test_what_a_plugin_will_drop_is_explained_and_does_not_count_as_sent(shop: Shop):
    shop.column("早安", _MORNING)
    report = rehearsed(shop, days=2, objections=_of("已经下单", ends=True))
    assert report.green, report.faults
    assert report.produced == 0
    assert "已经下单" in {reason.text for reason in report.columns[0].reasons}


def test_an_objection_to_some_messages_lets_the_others_go(shop: Shop):
    shop.column("早安", _MORNING)

    def of_one(message: Message, _channel: str) -> Sequence[Objection]:
        return [Objection("不行")] if message.sender == "virtual-001" else []

    report = rehearsed(shop, days=2, objections=of_one)
    assert [(fault.recipient, fault.kind) for fault in report.faults] == [("virtual-001", "kept_back")] * 2
    assert report.produced + report.explained == report.expected - 2
    assert report.produced > report.explained


def test_what_quiet_hours_let_wait_and_a_plugin_then_keeps_back_has_the_plugins_reason(shop: Shop):
    shop.column("夜里", SlotDraft("daily", "07:50"), late_policy="send")
    asked: list[str] = []

    def later(message: Message, _channel: str) -> Sequence[Objection]:
        asked.append(message.token)
        return [Objection("不行")] if asked.count(message.token) > 1 else []

    report = rehearsed(shop, days=2, objections=later)
    assert report.counts.get(Kind.KEPT_BACK, 0) > 0, "asked once more when the quiet hours are over"
    assert {fault.why for fault in report.faults} == {"不行"}


def _by_the_right_way(shop: Shop) -> None:
    shop.audience.members.create(MemberDraft("新人"))


def _in_a_session_that_reads(shop: Shop) -> None:
    with shop.database.read() as session:
        session.execute(update(Column).values(name="改了"))


def _by_bare_sql(shop: Shop) -> None:
    with shop.database.glance() as connection:
        connection.execute(text("DELETE FROM slot"))


WAYS = [_by_the_right_way, _in_a_session_that_reads, _by_bare_sql]


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("source", ["sqlite", "postgresql"])
def test_a_plugin_that_wants_to_write_when_asked_writes_nothing_and_is_told_of(
    source: str, write: Write, request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path
):
    database: Database = request.getfixturevalue(f"{'sqlite' if source == 'sqlite' else 'postgres'}_database")
    shop = stocked(database, clock, tmp_path / "data")
    shop.column("早安", _MORNING)
    before = _rows(database)

    def greedy(_message: Message, _channel: str) -> Sequence[Objection]:
        with database.read() as session:
            assert session.scalars(select(Member.id)).all() == []
        try:
            write(shop)
        except Exception as error:  # noqa: BLE001  as the host does
            return [Objection(f"greedy: {type(error).__name__}: {error}")]
        return []

    report = rehearsed(shop, days=1, objections=greedy)
    assert _rows(database) == before
    assert {fault.why for fault in report.faults} == {marked(asking.CHANGES)}
    shop.audience.members.create(MemberDraft("新人"))  # afterwards everybody writes as ever


def _rows(database: Database) -> dict[str, list[Any]]:
    with database.read() as session:
        return {
            table.name: sorted(map(repr, session.execute(select(table)).all()))
            for table in Base.metadata.sorted_tables
        }


@pytest.fixture
def start(
    monkeypatch: pytest.MonkeyPatch, sqlite_template: Path, tmp_path: Path, clock: FakeClock
) -> Iterator[Start]:
    """A server with one plugin, which has a channel of its own."""
    started: list[Server] = []
    installed = metadata.entry_points
    shutil.copy(sqlite_template, tmp_path / "lanmu.db")

    def starting(plugin: type[lanmu.Plugin[Any]]) -> Server:
        point = SimpleNamespace(
            name="stranger", value="stranger:Plugin", module="stranger", load=lambda: plugin,
            dist=SimpleNamespace(name="stranger", version="1"),
        )  # fmt: skip

        def found(**wanted: str) -> Any:
            return [point] if wanted.get("group") == GROUP else installed(**wanted)

        monkeypatch.setattr(metadata, "entry_points", found)
        raw = {"server": {"data_dir": str(tmp_path)}, "plugins": {"stranger": {}}}
        started.append(Server(config.parse(raw, None, {}), clock))
        return started[0]

    yield starting
    for server in started:
        server.close()


def test_a_plugin_that_fails_when_asked_is_a_finding_that_names_it_and_the_log_has_it_once(
    start: Start, shop: Shop, caplog: pytest.LogCaptureFixture
):
    class Broken(lanmu.Plugin[Any]):
        @hookimpl
        def lanmu_objections(self, message: Message, channel: str) -> Iterable[Objection]:
            raise KeyError("price")

    shop.column("早安", _MORNING)
    ask = house_of(start(Broken)).objections
    for each in (1, 2):
        report = rehearsed(shop, days=1, objections=ask)
        logged = [record.message for record in caplog.records if record.name == "lanmu.plugins"]
        assert logged == ["plugin failed when asked"] * each, "once for each rehearsal"
    ask(Message("psh_1", "token", "早安", "早上好"), CHANNEL)
    assert sum(record.name == "lanmu.plugins" for record in caplog.records) == 3, "a real send tells each"
    assert not report.green
    assert report.produced == 0
    assert "stranger" in report.faults[0].why
    assert "price" in report.faults[0].why
