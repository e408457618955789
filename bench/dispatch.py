"""A1, A2, A3, A5: messages a second, their cost, lateness and memory, beside a floor and a task queue.

    python -m bench.dispatch [N] [--rounds 3] [--databases sqlite,postgresql] [--workers N] [--no-growth]

N messages (20,000 unless told) are due at one instant and go to a sink that answers at once; every one is
recorded. In each round the floor, Lanmu and (with a tenth of N, since it takes long) a Huey task for each
message run in turn; ratios are of medians. After each run the sink's and the database's books are compared.
CPU seconds are those of the sender and of PostgreSQL, not of the sink. Growth: Lanmu alone with 2 N and 10 N.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import IO

from bench.databases import Databases, databases
from bench.dispatch_house import TEXT, House
from bench.dispatch_subjects import Job, fill_bare, settle_statistics
from bench.sink import Sink


@dataclass(frozen=True)
class Run:
    """One run's figures: messages a second, CPU seconds for 1,000, lateness in seconds, memory in MB."""

    rate: float
    cpu: float
    first: float
    p99: float
    early: int
    pss: float


class Bench:
    """Runs subjects against one sink."""

    def __init__(
        self, databases: Databases, sink: Sink, lines: bool, concurrency: int, lanes: int, workers: int
    ) -> None:
        self._databases = databases
        self._sink = sink
        self._workers = workers
        self._job = Job("", sink.port, 0, 0.0, concurrency=concurrency, lanes=lanes, fresh_lines=lines)

    def floor(self, n: int) -> Run:
        return self._run("floor", n, lambda job: fill_bare(job, TEXT), 2.0 + n / 20_000)

    def queue(self, n: int) -> Run:
        return self._run("queue", n, lambda job: fill_bare(job, TEXT), 4.0 + n / 500)

    def lanmu(self, n: int) -> Run:
        house: list[House] = []

        def fill(job: Job) -> None:
            house.append(House(job.url, job.port))
            house[0].fill(n, job.due_at)

        run = self._run("lanmu", n, fill, 8.0 + n / 900, self._workers)
        books = house[0].books()
        house[0].database.close()
        if books != {"accepted": n, "targets": n, "attempts": n, "unfinished": 0}:
            raise SystemExit(f"the books do not agree with {n} messages sent: {books}")
        return run

    def _run(self, name: str, n: int, fill: Callable[[Job], None], set_up: float, processes: int = 1) -> Run:
        """`set_up` is how long (in seconds) filling the database and starting may take before the instant."""
        while True:
            job = replace(
                self._job, url=self._databases.fresh(), n=n, due=float(int(time.time() + set_up) + 1)
            )
            fill(job)
            settle_statistics(job)
            self._sink.forget()
            command = [sys.executable, "-m", "bench.dispatch_subjects", name, json.dumps(asdict(job))]
            with ExitStack() as stack:
                said = [_heard(stack, command) for _process in range(processes)]
                for each in said:
                    each.readline()
                in_time = time.time() < job.due - 0.5
                before = self._databases.cpu()
                told = [json.loads(each.readline()) for each in said]
            if in_time:
                break
            set_up *= 2  # the machine was busy: the instant had passed before all was ready
        server = self._databases.cpu() - before
        came = self._sink.arrivals()
        sent = sum(each["sent"] for each in told)
        if not (sent == came.count == came.different == n):
            raise SystemExit(f"{name}: {n} due, {sent} recorded, {came.count} came to the sink")
        late = sorted(moment - job.due for moment in came.times)
        return Run(
            rate=n / max(each["seconds"] for each in told),
            cpu=(sum(each["cpu"] for each in told) + server) / n * 1000,
            first=late[0],
            p99=late[int(len(late) * 0.99)],
            early=sum(moment < 0 for moment in late),
            pss=sum(each["pss"] for each in told),
        )


def _heard(stack: ExitStack, command: list[str]) -> IO[str]:
    """What a process says that runs until the stack ends."""
    process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    assert process.stdout is not None
    return process.stdout


def _median(runs: list[Run]) -> Run:
    middle = {
        name: statistics.median(getattr(run, name) for run in runs) for name in Run.__dataclass_fields__
    }
    return Run(**{**middle, "early": sum(run.early for run in runs)})


def _line(name: str, run: Run, extra: str = "") -> None:
    print(
        f"  {name:<22}{run.rate:>9,.0f}/s  {run.cpu:.3f} CPU-s/1,000  first {run.first:+.3f} s  "
        f"p99 {run.p99:.2f} s  early {run.early}  {run.pss:.0f} MB  {extra}",
        flush=True,
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("n", nargs="?", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--databases", default="sqlite,postgresql")
    arguments.add_argument("--concurrency", type=int, default=256)
    arguments.add_argument(
        "--workers",
        type=int,
        help="Lanmu's processes: 1 on SQLite, which one at a time writes, 2 on PostgreSQL",
    )
    arguments.add_argument("--lanes", type=int, default=1, help="a worker's, which share its concurrency")
    arguments.add_argument("--fresh-lines", action="store_true", help="a new connection for each message")
    arguments.add_argument("--no-growth", action="store_true")
    given = arguments.parse_args()
    n: int = given.n
    for engine in given.databases.split(","):
        with databases(engine) as (fresh, _folder), Sink() as sink:
            workers = given.workers or (1 if engine == "sqlite" else 2)
            bench = Bench(fresh, sink, given.fresh_lines, given.concurrency, given.lanes, workers)
            print(
                f"{engine}: {n:,} messages due at one instant, {given.rounds} rounds, "
                f"{workers} worker{'s' if workers > 1 else ''}",
                flush=True,
            )
            rounds = [(bench.floor(n), bench.lanmu(n), bench.queue(n // 10)) for _each in range(given.rounds)]
            floor, ours, queue = (_median([round_[place] for round_ in rounds]) for place in range(3))
            _line("floor", floor)
            _line(f"queue ({n // 10:,})", queue)
            _line("lanmu", ours)
            print(
                f"  A1 rate ÷ floor {ours.rate / floor.rate:.3f} (goal 0.25), "
                f"÷ queue {ours.rate / queue.rate:.1f} (goal 8)\n"
                f"  A2 {ours.cpu:.3f} CPU-s (goal 0.2), ÷ floor {ours.cpu / floor.cpu:.1f}\n"
                f"  A3 p99 ÷ floor {ours.p99 / floor.p99:.1f} (goal 4), "
                f"first {ours.first:+.3f} s (goal 0.1), early {ours.early} (goal 0)"
            )
            if not given.no_growth:
                for times in (2, 10):
                    more = bench.lanmu(n * times)
                    _line(f"lanmu × {times}", more, f"cost a message × {ours.rate / more.rate:.2f}")
                small, large = bench.lanmu(n // 10), bench.lanmu(n * 5)
                print(
                    f"  A5 memory {large.pss:.0f} MB at {n * 5:,} due, {large.pss - small.pss:+.0f} MB from "
                    f"{n // 10:,} (goal ≤ 15)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
