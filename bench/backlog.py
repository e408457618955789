"""F4, F10, F14: lateness, recovery after kill -9, and start, with the real worker and many units waiting.

    python -m bench.backlog [N] [--rounds 3] [--databases sqlite,postgresql] [--no-growth] [--quick]

F4: N units (10,000 unless told) are due at one instant and go out with the shipped settings; told is when
each was first written after the instant, beside the floor of bench.dispatch with as many. Then small pushes
that come due while N others wait for later. F10: N are due, the worker is killed in the middle and another
started at once; told is the time from the kill to the first new message, beside that from a start to the
first message where nobody was killed. No message may come twice, none be lost, and at most the concurrency
be in doubt. F14: `lanmu serve` on 10 N waiting units to its first 200, beside `import flask, sqlalchemy`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from bench.databases import Databases, databases
from bench.dispatch_house import TEXT
from bench.dispatch_subjects import Job, fill_bare, settle_statistics
from bench.shop import Shop, wait_for
from bench.sink import Sink

CONCURRENCY = 16
_SMALL = 40
_APART = timedelta(milliseconds=200)


class Bench:
    """Shops on one engine that send to one sink."""

    def __init__(self, fresh: Databases, folder: Path, sink: Sink) -> None:
        self._fresh, self._folder, self._sink = fresh, folder, sink
        self._numbers = count()

    def shop(self) -> tuple[Shop, str]:
        url = self._fresh.fresh()
        return Shop(self._folder / f"shop-{next(self._numbers)}", url, self._sink), url

    def floor(self, n: int) -> list[float]:
        """Seconds after the instant at which each message of the barest sender came."""
        job = Job(self._fresh.fresh(), self._sink.port, n, float(int(time.time() + n / 20_000) + 3))
        fill_bare(job, TEXT)
        self._sink.forget()
        command = [sys.executable, "-m", "bench.dispatch_subjects", "floor", json.dumps(asdict(job))]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        return sorted(moment - job.due for moment in self._sink.arrivals().times)

    def at_once(self, n: int) -> list[float]:
        """Seconds after the instant at which each of our messages came."""
        shop, url = self.shop()
        due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=20 + n / 2000)
        shop.fill(n, due)
        settle_statistics(Job(url, 0, 0, 0.0))
        self._sink.forget()
        with shop.running("worker"):
            _in_time(shop, due)
            wait_for("all messages", lambda: self._sink.count() >= n, shop)
        return self._lateness(n, [due.timestamp()])

    def beside(self, n: int) -> list[float]:
        """The same of single messages that come due one after another while `n` others wait for later."""
        shop, url = self.shop()
        shop.fill(n, datetime.now(UTC) + timedelta(days=1))
        first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=22)
        instants = [first + number * _APART for number in range(_SMALL)]
        for instant in instants:
            shop.fill(1, instant)
        settle_statistics(Job(url, 0, 0, 0.0))
        self._sink.forget()
        with shop.running("worker"):
            _in_time(shop, first)
            wait_for("all messages", lambda: self._sink.count() >= _SMALL, shop)
        return self._lateness(_SMALL, [instant.timestamp() for instant in instants])

    def _lateness(self, n: int, due: list[float]) -> list[float]:
        came = self._sink.arrivals()
        if not came.count == came.different == n:
            raise SystemExit(f"{n} due, {came.count} came, {came.different} different")
        instants = due * n if len(due) == 1 else due
        return sorted(moment - instant for moment, instant in zip(sorted(came.times), instants, strict=True))

    def recover(self, n: int, *, kill: bool) -> float:
        """Seconds from the kill (or from the start) to the first new message of the worker started then."""
        shop, url = self.shop()
        shop.fill(n, datetime.now(UTC) - timedelta(seconds=1))
        settle_statistics(Job(url, 0, 0, 0.0))
        self._sink.forget()
        if kill:
            with shop.running("worker") as doomed:
                wait_for("a tenth of the messages", lambda: self._sink.count() > n // 10, shop)
                doomed.kill()
                doomed.wait()
        begun = time.time()
        with shop.running("worker"):
            wait_for("the rest", lambda: self._sink.count() >= n - CONCURRENCY, shop)
            wait_for("the books", lambda: _settled(shop.books()), shop)
        came, books = self._sink.arrivals(), shop.books()
        doubt = books.get("unknown", 0) + books.get("held", 0)
        if came.count != came.different or doubt > CONCURRENCY or books.get("accepted", 0) + doubt != n:
            raise SystemExit(f"after a kill: {n} due, {came.count} came, {came.different} different, {books}")
        if faults := [line for line in shop.logs().splitlines() if "OperationalError" in line]:
            raise SystemExit("\n".join(["the database failed after the kill:", *faults[:5]]))
        if kill:
            print(f"  F10 {came.count:,} of {n:,} came, each once; {doubt} in doubt", flush=True)
        return min(moment for moment in came.times if moment > begun) - begun

    def start(self, shop: Shop) -> float:
        """Seconds from exec to the first 200 of `lanmu serve`."""
        begun = time.perf_counter()
        with shop.running("serve"):
            wait_for("the web", shop.answers, shop)
            return time.perf_counter() - begun

    def imports(self) -> float:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import flask, sqlalchemy"], check=True)
        return time.perf_counter() - begun

    def waiting(self, n: int) -> Shop:
        shop, _url = self.shop()
        shop.fill(n, datetime.now(UTC) + timedelta(days=1), 500)
        self.start(shop)  # the first start writes what later ones find
        return shop


def _in_time(shop: Shop, due: datetime) -> None:
    """Lateness is that of a worker that runs; one that comes up after the instant tells of something else."""
    wait_for("the worker", lambda: "The worker runs" in shop.logs(), shop)
    if datetime.now(UTC) > due - timedelta(seconds=1):
        raise SystemExit("the worker was ready only after the instant: the machine is busy")


def _settled(books: dict[str, int]) -> bool:
    return not any(books.get(state) for state in ("pending", "leased", "calling", "retry_wait"))


def _p99(late: list[float]) -> float:
    return late[int(len(late) * 0.99)]


def _middle(rounds: Iterable[list[float]]) -> tuple[float, float, int]:
    """First and p99 in seconds by their medians, and how many came early in all."""
    seen = list(rounds)
    return (
        statistics.median(late[0] for late in seen),
        statistics.median(_p99(late) for late in seen),
        sum(seconds < 0 for late in seen for seconds in late),
    )


def lateness(bench: Bench, n: int, rounds: int, growth: bool) -> None:
    """F4."""
    pairs = [(bench.floor(n), bench.at_once(n)) for _round in range(rounds)]
    bare, ours = (_middle(pair[place] for pair in pairs) for place in range(2))
    print(
        f"  F4 {n:,} due at once: first +{ours[0]:.3f} s, p99 {ours[1]:.2f} s (goal ≤ 5), early {ours[2]} "
        f"(goal 0); floor p99 {bare[1]:.2f} s",
        flush=True,
    )
    first, p99, early = _middle(bench.beside(n) for _round in range(rounds))
    print(
        f"  F4 single ones, {n:,} waiting for later: first +{first:.3f} s, p99 {p99:.3f} s, early {early}",
        flush=True,
    )
    for times in (2, 10) if growth else ():
        _first, p99, early = _middle([bench.beside(n * times)])
        print(f"     × {times} waiting: p99 {p99:.3f} s, early {early}", flush=True)


def recovery(bench: Bench, n: int, rounds: int, growth: bool) -> None:
    """F10."""
    pairs = [(bench.recover(n, kill=False), bench.recover(n, kill=True)) for _round in range(rounds)]
    bare, ours = (statistics.median(pair[place] for pair in pairs) for place in range(2))
    print(
        f"  F10 first new message {ours:.2f} s after the kill (goal ≤ 15), without a kill {bare:.2f} s",
        flush=True,
    )
    for times in (2, 10) if growth else ():
        print(f"     × {times} pending: {bench.recover(n * times, kill=True):.2f} s", flush=True)


def start(bench: Bench, n: int, rounds: int, growth: bool) -> None:
    """F14."""
    shop = bench.waiting(n)
    pairs = [(bench.imports(), bench.start(shop)) for _round in range(rounds)]
    bare, ours = (statistics.median(pair[place] for pair in pairs) for place in range(2))
    print(
        f"  F14 {n:,} waiting: ready after {ours:.2f} s (goal ≤ {3 * bare + 1:.2f}: three times the imports' "
        f"{bare:.2f} s and one)",
        flush=True,
    )
    for times in (2, 10) if growth else ():
        print(f"     × {times} waiting: {bench.start(bench.waiting(n * times)):.2f} s", flush=True)


FIGURES = {"lateness": lateness, "recovery": recovery, "start": start}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("n", nargs="?", type=int, default=10_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--databases", default="sqlite,postgresql")
    arguments.add_argument("--only", choices=FIGURES, help="one of the three alone")
    arguments.add_argument("--no-growth", action="store_true")
    arguments.add_argument("--quick", action="store_true", help="2,000 units, one round, no growth")
    given = arguments.parse_args()
    if given.quick:
        given.n, given.rounds, given.no_growth = 2000, 1, True
    for engine in given.databases.split(","):
        with databases(engine) as (fresh, folder), Sink() as sink:
            print(f"{engine}: {given.n:,} units, {given.rounds} rounds", flush=True)
            bench = Bench(fresh, folder, sink)
            for name, measure in FIGURES.items():
                if given.only in (None, name):
                    size = given.n * 10 if name == "start" else given.n
                    measure(bench, size, given.rounds, not given.no_growth)


if __name__ == "__main__":
    main()
