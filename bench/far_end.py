"""A4 and F3: a far end that takes its time, beside the barest sender with as many connections.

    python -m bench.far_end [N] [--rounds 3] [--seconds 5] [--databases sqlite,postgresql] [--quick]

N messages are due (20,000 unless told) and are sent for some seconds. A4: the sink answers after 30 ms, 64
calls at once, and three batches of 64 under way in lanes of their own (`calls = 64`, `concurrency = 192`,
`workers = 3`): one is called, one recorded, one made ready; the floor claims, sends over as many kept
connections and records, with nothing else. F3: the sink answers after 50 and 200 ms, 4 and
8 calls at once, as shipped and with as many again ready; B2 = calls ÷ latency is what is possible at all,
B1 = bare commits a second on the same disk. All run in turn in each round; ratios are of medians.
Growth: the same seconds with 2 N and 10 N due.
"""

import argparse
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bench.databases import Databases, databases
from bench.dispatch_house import TEXT, House
from bench.dispatch_subjects import Job, fill_bare, settle_statistics
from bench.sink import Line, Sink, request
from sqlalchemy import event

PUSH_OF = 200
_CLAIM = 256


@dataclass(frozen=True)
class Run:
    """Messages and commits a second."""

    rate: float
    commits: float


class Bench:
    """Senders that send for some seconds to one sink."""

    def __init__(
        self, fresh: Databases, sink: Sink, n: int, seconds: float, lines: int, lanes: int, ahead: int = 1
    ) -> None:
        self._fresh, self._sink = fresh, sink
        self._seconds = seconds
        self._job = Job("", sink.port, n, 0.0, concurrency=lines, lanes=lanes)
        self._ahead = ahead

    def ours(self, times: int = 1) -> Run:
        job = replace(self._job, url=self._fresh.fresh(), n=self._job.n * times, due=time.time() - 1)
        house = House(job.url, job.port)
        house.fill(job.n, job.due_at, PUSH_OF)
        settle_statistics(job)
        commits = [0]
        event.listen(house.database.by_index.engine, "commit", lambda _connection: _count(commits))
        try:
            with (
                ThreadPoolExecutor(job.concurrency) as pool,
                ThreadPoolExecutor(job.concurrency) as preparing,
                ThreadPoolExecutor(job.lanes) as threads,
            ):
                batch = job.concurrency * self._ahead // job.lanes
                lanes = [house.dispatcher(pool, preparing, batch) for _lane in range(job.lanes)]
                run = self._time(
                    lambda over: sum(threads.map(lambda lane: lane.run_due(over), lanes)), commits
                )
            books = house.books()
            if books["accepted"] != books["targets"] or books["attempts"] != books["accepted"]:
                raise SystemExit(f"the books do not agree: {books}")
        finally:
            house.database.close()
        return run

    def floor(self) -> Run:
        job = replace(self._job, url=self._fresh.fresh(), due=time.time() - 1)
        fill_bare(job, TEXT)
        return self._time(lambda over: _send_bare(job, over), [0])

    def _time(self, send: Callable[[Callable[[], bool]], int], commits: list[int]) -> Run:
        self._sink.forget()
        begun = time.monotonic()
        sent = send(lambda: time.monotonic() > begun + self._seconds)
        took = time.monotonic() - begun
        came = self._sink.arrivals()
        if not came.count == came.different == sent:
            raise SystemExit(f"{sent} recorded, {came.count} came, {came.different} different")
        return Run(sent / took, commits[0] / took)


def _count(commits: list[int]) -> None:
    commits[0] += 1


def _send_bare(job: Job, over: Callable[[], bool]) -> int:
    """Claim, send over a connection for each thread, record: the barest that keeps all of them busy."""
    connection = job.connect()
    sqlite = job.url.startswith("sqlite")
    mark, lock = ("?", "") if sqlite else ("%s", "FOR UPDATE SKIP LOCKED")
    claim = f"""UPDATE message SET state = 'claimed' WHERE id IN (SELECT id FROM message
        WHERE state = 'pending' AND due <= {mark} ORDER BY due, id LIMIT {_CLAIM} {lock})
        RETURNING id, name, body"""
    record = f"UPDATE message SET state = 'sent', sent_at = {mark} WHERE id = {mark}"
    todo: deque[tuple[int, str, str]] = deque()
    done: deque[tuple[str, int]] = deque()
    ended = threading.Event()

    def hand() -> None:
        line = Line(job.port)
        while not ended.is_set():
            try:
                row, name, body = todo.popleft()
            except IndexError:
                time.sleep(0.001)
                continue
            line.write(request("/m", (name + body).encode()))
            line.read()
            done.append((datetime.now(UTC).isoformat(), row))
        line.close()

    hands = [threading.Thread(target=hand) for _hand in range(job.concurrency)]
    for each in hands:
        each.start()
    claimed = sent = 0
    while not (over() and sent == claimed):
        some = [done.popleft() for _each in range(len(done))]
        wanted = not over() and len(todo) < _CLAIM
        if some or wanted:
            cursor = connection.cursor()
            cursor.execute("BEGIN IMMEDIATE" if sqlite else "BEGIN")
            if some:
                cursor.executemany(record, some)
            if wanted:
                rows = cursor.execute(claim, (datetime.now(UTC).isoformat(),)).fetchall()
                claimed += len(rows)
                todo.extend(rows)
            cursor.execute("COMMIT")
            sent += len(some)
        time.sleep(0.005)
    ended.set()
    for each in hands:
        each.join()
    connection.close()
    return sent


def bare_commits(fresh: Databases, seconds: float = 1.0) -> float:
    """B1: commits of one row a second, by one connection with the same durability."""
    connection = Job(fresh.fresh(), 0, 0, 0.0).connect()
    connection.execute("CREATE TABLE bare (id INTEGER)")
    done, begun = 0, time.monotonic()
    while time.monotonic() < begun + seconds:
        connection.execute("INSERT INTO bare VALUES (1)")
        done += 1
    connection.close()
    return done / (time.monotonic() - begun)


def _median(runs: list[Run]) -> Run:
    return Run(statistics.median(run.rate for run in runs), statistics.median(run.commits for run in runs))


def slow_far_end(fresh: Databases, n: int, rounds: int, seconds: float, lanes: int, growth: bool) -> None:
    """A4."""
    lines, latency = 64, 0.03
    with Sink(latency) as sink:
        bench = Bench(fresh, sink, n, seconds, lines, lanes, ahead=lanes)
        pairs = [(bench.floor(), bench.ours()) for _round in range(rounds)]
        floor, ours = (_median([pair[place] for pair in pairs]) for place in range(2))
        possible = lines / latency
        print(
            f"  A4 {lines} connections, {latency * 1000:.0f} ms, {lanes} lanes: floor {floor.rate:,.0f}/s "
            f"({floor.rate / possible:.2f} of the possible), lanmu {ours.rate:,.0f}/s "
            f"({ours.rate / possible:.2f}); ÷ floor {ours.rate / floor.rate:.2f} (goal 0.9)",
            flush=True,
        )
        for times in (2, 10) if growth else ():
            more = bench.ours(times)
            print(f"     × {times} due: rate × {more.rate / ours.rate:.2f}", flush=True)


def throughput(fresh: Databases, n: int, rounds: int, seconds: float, growth: bool) -> None:
    """F3."""
    for latency in (0.05, 0.2):
        for lines in (4, 8):
            with Sink(latency) as sink:
                shipped = Bench(fresh, sink, n, seconds, lines, 1)
                more_ready = Bench(fresh, sink, n, seconds, lines, 2, ahead=2)
                runs = [(bare_commits(fresh), shipped.ours(), more_ready.ours()) for _round in range(rounds)]
                bare = statistics.median(run[0] for run in runs)
                ours, ahead = _median([run[1] for run in runs]), _median([run[2] for run in runs])
                possible = lines / latency
                print(
                    f"  F3 {lines} at once, {latency * 1000:.0f} ms: {ours.rate:.1f}/s, "
                    f"÷ B2 {ours.rate / possible:.2f}, with as many again ready {ahead.rate / possible:.2f} "
                    f"(goal 0.75), {ours.commits / ours.rate:.2f} commits a call (goal ≤ 3), "
                    f"{ours.commits / bare * 100:.1f} % of B1 (goal ≤ 25 %)",
                    flush=True,
                )
                for times in (2, 10) if growth and lines == 8 and latency == 0.05 else ():
                    more = shipped.ours(times)
                    print(f"     × {times} due: rate × {more.rate / ours.rate:.2f}", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("n", nargs="?", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=5.0)
    arguments.add_argument("--lanes", type=int, default=3, help="of A4; F3 has the one that is shipped")
    arguments.add_argument("--databases", default="sqlite,postgresql")
    arguments.add_argument("--no-growth", action="store_true")
    arguments.add_argument("--quick", action="store_true", help="a small size, one round, no growth")
    given = arguments.parse_args()
    if given.quick:
        given.n, given.rounds, given.seconds, given.no_growth = 4000, 1, 1.5, True
    for engine in given.databases.split(","):
        with databases(engine) as (fresh, _folder):
            print(f"{engine}: {given.n:,} due, {given.rounds} rounds of {given.seconds:g} s", flush=True)
            slow_far_end(fresh, given.n, given.rounds, given.seconds, given.lanes, not given.no_growth)
            throughput(fresh, min(given.n, 4000), given.rounds, given.seconds, not given.no_growth)


if __name__ == "__main__":
    main()
