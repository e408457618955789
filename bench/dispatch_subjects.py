"""The ones who send in bench.dispatch, each in a process of its own: Lanmu, the floor, and a queue.

    python -m bench.dispatch_subjects NAME '{"url": …, "port": …, "n": …, "due": …}'

Each says `ready`, waits for the instant `due` and sends what is due then, with every message recorded; then
it prints its figures as JSON. The floor is the barest program that does the least that must be done on the
same database with the same durability. The queue is a Huey task for each message, on Huey's SQLite.
"""

import gc
import json
import os
import sqlite3
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.sink import Line, request

CLAIM = 500
LINES = 16
_TABLE = """CREATE TABLE message (id INTEGER PRIMARY KEY, state TEXT NOT NULL, due TEXT NOT NULL,
    name TEXT NOT NULL, body TEXT NOT NULL, sent_at TEXT)"""
_INDEX = "CREATE INDEX due ON message (due, id) WHERE state = 'pending'"


@dataclass(frozen=True)
class Job:
    """What to send, from where, to which port, and when (seconds since the epoch)."""

    url: str
    port: int
    n: int
    due: float
    concurrency: int = 64
    lanes: int = 2
    fresh_lines: bool = False

    @property
    def due_at(self) -> datetime:
        return datetime.fromtimestamp(self.due, UTC)

    def connect(self) -> Any:
        """A bare connection with the durability that Lanmu has."""
        if self.url.startswith("sqlite"):
            connection = sqlite3.connect(
                self.url.removeprefix("sqlite:///"), isolation_level=None, timeout=30, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            return connection
        import psycopg

        return psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True)


def fill_bare(job: Job, text: str) -> None:
    """The floor's and the queue's table with the messages that are due."""
    connection = job.connect()
    mark = "?" if job.url.startswith("sqlite") else "%s"
    connection.execute(_TABLE)
    connection.execute(_INDEX)
    cursor = connection.cursor()
    cursor.execute("BEGIN")
    cursor.executemany(
        f"INSERT INTO message (id, due, name, body, state) VALUES ({', '.join([mark] * 4)}, 'pending')",
        [(number, job.due_at.isoformat(), f"{number:016d}", text) for number in range(job.n)],
    )
    cursor.execute("COMMIT")
    connection.close()


def settle_statistics(job: Job) -> None:
    """What PostgreSQL does of itself within a minute; real pushes are planned hours before they are due."""
    if not job.url.startswith("sqlite"):
        with job.connect() as connection:
            connection.execute("ANALYZE")


def floor(job: Job) -> int:
    """Claim 500 in one transaction, send over kept connections, record each."""
    connection = job.connect()
    sqlite = job.url.startswith("sqlite")
    mark, lock = ("?", "") if sqlite else ("%s", "FOR UPDATE SKIP LOCKED")
    claim = f"""UPDATE message SET state = 'claimed' WHERE id IN (SELECT id FROM message
        WHERE state = 'pending' AND due <= {mark} ORDER BY due, id LIMIT {CLAIM} {lock})
        RETURNING id, name, body"""
    record = f"UPDATE message SET state = 'sent', sent_at = {mark} WHERE id = {mark}"
    begin = "BEGIN IMMEDIATE" if sqlite else "BEGIN"
    lines = [Line(job.port) for _each in range(LINES)]
    cursor = connection.cursor()
    wait_for(job)
    sent = 0
    while True:
        cursor.execute(begin)
        rows = cursor.execute(claim, (datetime.now(UTC).isoformat(),)).fetchall()
        cursor.execute("COMMIT")
        if not rows:
            return sent
        done = []
        for start in range(0, len(rows), LINES):
            batch = rows[start : start + LINES]
            for line, (_row, name, body) in zip(lines, batch, strict=False):
                line.write(request("/m", (name + body).encode()))
            for line, (row, _name, _body) in zip(lines, batch, strict=False):
                line.read()
                done.append((datetime.now(UTC).isoformat(), row))
        cursor.execute(begin)
        cursor.executemany(record, done)
        cursor.execute("COMMIT")
        sent += len(done)


def queue(job: Job) -> int:
    """A Huey task for each message: four workers, each message read, sent and recorded by itself."""
    from huey import SqliteHuey

    local, mark = threading.local(), "?" if job.url.startswith("sqlite") else "%s"
    left, over = [job.n], threading.Event()
    huey = SqliteHuey(filename=str(Path(tempfile.mkdtemp(), "huey.db")), fsync=True, results=False)

    @huey.task()
    def send(row: int) -> None:
        if not hasattr(local, "line"):
            local.line, local.connection = Line(job.port), job.connect()
        name, body = local.connection.execute(
            f"SELECT name, body FROM message WHERE id = {mark}", (row,)
        ).fetchone()
        local.line.write(request("/m", (name + body).encode()))
        local.line.read()
        local.connection.execute(
            f"UPDATE message SET state = 'sent', sent_at = {mark} WHERE id = {mark}",
            (datetime.now(UTC).isoformat(), row),
        )
        left[0] -= 1  # under the interpreter's lock
        if left[0] <= 0:
            over.set()

    for row in range(job.n):
        send.schedule((row,), eta=job.due_at)
    consumer = huey.create_consumer(workers=4, periodic=False, initial_delay=0.01, max_delay=0.1)
    wait_for(job, early=0.5)
    consumer.start()
    over.wait(600)
    consumer.stop(graceful=True)
    return job.n - left[0]


def lanmu(job: Job) -> int:
    """Lanmu's own dispatcher, in as many lanes as the worker has, woken as the timekeeper wakes it."""
    from bench.dispatch_house import House

    house = House(job.url, job.port, fresh_lines=job.fresh_lines)
    pools = ThreadPoolExecutor(job.concurrency), ThreadPoolExecutor(job.concurrency)
    lanes = [house.dispatcher(*pools, job.concurrency // job.lanes) for _lane in range(job.lanes)]
    lanes[0].warm_up()  # as the worker does when it starts, and the rest of it
    gc.collect()
    gc.freeze()
    wait_for(job, early=0.3)
    due = house.service.next_due()
    assert due is not None
    time.sleep(max(0.0, (due - house.clock.now()).total_seconds()))
    with ThreadPoolExecutor(job.lanes) as threads:
        return sum(threads.map(lambda lane: lane.run_due(), lanes))


SUBJECTS = {"floor": floor, "queue": queue, "lanmu": lanmu}


def wait_for(job: Job, early: float = 0.0) -> None:
    """Say that all is set up, and sleep to the instant (or `early` seconds before it)."""
    print("ready", flush=True)
    _figures["cpu"] = time.process_time()
    time.sleep(max(0.0, job.due - early - time.time()))


_figures: dict[str, float] = {}


def pss() -> float:
    """The process's own share of the memory, in MB."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _watch_memory(over: threading.Event) -> None:
    while not over.wait(0.5):  # a look takes a millisecond of what is measured
        _figures["pss"] = max(_figures.get("pss", 0.0), pss())


def main() -> None:
    name, given = sys.argv[1:]
    job = Job(**json.loads(given))
    over = threading.Event()
    threading.Thread(target=_watch_memory, args=(over,), daemon=True).start()
    sent = SUBJECTS[name](job)
    ended = time.time()
    over.set()
    print(
        json.dumps(
            {
                "sent": sent,
                "seconds": ended - job.due,
                "cpu": time.process_time() - _figures["cpu"],
                "pss": max(_figures.get("pss", 0.0), pss()),
            }
        ),
        flush=True,
    )
    os._exit(0)  # consumers and pools have nothing left to do


if __name__ == "__main__":
    main()
