"""F5: a push of many recipients is taken in, beside a bare load of the same file; and what others feel of it.

    python -m bench.expansion [N] [--rounds 3] [--databases sqlite,postgresql] [--no-growth] [--quick]

A file names N recipients (100,000 unless told). The floor reads it with `csv` and writes it with one
`executemany` into a bare table; ours reads it and asks for a push, whose units and targets are written, with
a unit for each recipient and with one for a hundred: alone, and while another process commits one row after
the other, as it does beforehand while nothing else goes on. Growth: 2 N and 10 N, alone.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.databases import Databases, databases
from bench.dispatch_house import House, push_request
from bench.dispatch_subjects import Job

from lanmu.delivery.intake import Recipient

_PAUSE = 0.002
_IDLE = 2.0


def write_file(path: Path, n: int) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for number in range(n):
            writer.writerow((f"wmB4CQ{number:020d}", f"客户{number}", "linxiao"))


def load_bare(fresh: Databases, path: Path) -> float:
    """B3: seconds for a bare load of the file."""
    connection = Job(fresh.fresh(), 0, 0, 0.0).connect()
    mark = "?" if fresh.engine == "sqlite" else "%s"
    connection.execute(
        "CREATE TABLE bare (id INTEGER PRIMARY KEY, key TEXT NOT NULL, name TEXT, sender TEXT)"
        if fresh.engine == "sqlite"
        else "CREATE TABLE bare (id BIGSERIAL PRIMARY KEY, key TEXT NOT NULL, name TEXT, sender TEXT)"
    )
    begun = time.perf_counter()
    cursor = connection.cursor()
    cursor.execute("BEGIN")
    with path.open(newline="", encoding="utf-8") as file:
        cursor.executemany(
            f"INSERT INTO bare (key, name, sender) VALUES ({mark}, {mark}, {mark})", csv.reader(file)
        )
    cursor.execute("COMMIT")
    took = time.perf_counter() - begun
    connection.close()
    return took


class Other:
    """Another process that commits one row after the other."""

    def __init__(self, url: str) -> None:
        self.told: list[tuple[float, float]] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.expansion", "--write-beside", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def stop(self) -> None:
        self.told = json.loads(self._process.communicate("")[0])

    def p99(self, since: float, until: float) -> float:
        """Of the seconds that the commits took which were asked for in this time."""
        took = sorted(seconds for began, seconds in self.told if since <= began < until)
        return took[int(len(took) * 0.99)]


@contextmanager
def other_writer(url: str) -> Iterator[Other]:
    other = Other(url)
    try:
        yield other
    finally:
        other.stop()


def _write_beside(url: str) -> None:
    """What the other process does until its standard input closes."""
    import select

    connection = Job(url, 0, 0, 0.0).connect()
    connection.execute("CREATE TABLE beside (id INTEGER)")
    print("ready", flush=True)
    told = []
    while not select.select([sys.stdin], [], [], _PAUSE)[0]:
        began = time.time()
        connection.execute("INSERT INTO beside VALUES (1)")
        told.append((began, time.time() - began))
    print(json.dumps(told))


def take_in(fresh: Databases, path: Path, batch: int) -> float:
    """Seconds from the file to a push that is ready to go out."""
    house = House(fresh.fresh(), 0, batch_max=batch)
    house.prepare()
    took = _take_in(house, path)
    house.database.close()
    return took


def take_in_beside(fresh: Databases, path: Path, batch: int) -> tuple[float, float, float]:
    """The same beside another writer, and that one's p99 while nothing else went on and meanwhile."""
    url = fresh.fresh()
    house = House(url, 0, batch_max=batch)
    house.prepare()
    with other_writer(url) as other:
        time.sleep(_IDLE)
        begun = time.time()
        took, ended = _take_in(house, path), time.time()
        time.sleep(0.1)
    house.database.close()
    return took, other.p99(begun - _IDLE, begun), other.p99(begun, ended)


def _take_in(house: House, path: Path) -> float:
    began = time.perf_counter()
    with path.open(newline="", encoding="utf-8") as file:
        recipients = [Recipient(key, name, sender) for key, name, sender in csv.reader(file)]
    request = push_request("bench:large", recipients, datetime.now(UTC) + timedelta(days=1))
    if (state := house.service.send(request).state) != "scheduled":
        raise SystemExit(f"the push is {state}")
    return time.perf_counter() - began


def measure(fresh: Databases, folder: Path, n: int, rounds: int, batch: int, growth: bool) -> None:
    path = folder / "recipients.csv"
    write_file(path, n)
    runs = [
        (load_bare(fresh, path), take_in(fresh, path, batch), *take_in_beside(fresh, path, batch))
        for _round in range(rounds)
    ]
    alone = statistics.median(bare / ours for bare, ours, *_others in runs)
    others = statistics.median(meanwhile / idle for *_ours, idle, meanwhile in runs)
    ours, beside, idle, meanwhile = (statistics.median(run[place] for run in runs) for place in range(1, 5))
    print(
        f"  F5 {n:,} recipients, {batch} a unit: {n / ours:,.0f}/s, ÷ B3 {alone:.2f} (goal 0.25); beside "
        f"another writer {n / beside:,.0f}/s, whose p99 is {idle * 1000:.1f} ms idle and "
        f"{meanwhile * 1000:.1f} ms meanwhile, × {others:.1f} (goal 3)",
        flush=True,
    )
    for times in (2, 10) if growth else ():
        write_file(path, n * times)
        print(
            f"     × {times} recipients: cost of each × {take_in(fresh, path, batch) / times / ours:.2f}",
            flush=True,
        )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("n", nargs="?", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--databases", default="sqlite,postgresql")
    arguments.add_argument("--no-growth", action="store_true")
    arguments.add_argument("--quick", action="store_true", help="10,000 recipients, one round, no growth")
    arguments.add_argument("--write-beside", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.write_beside:
        _write_beside(given.write_beside)
        return
    if given.quick:
        given.n, given.rounds, given.no_growth = 10_000, 1, True
    for engine in given.databases.split(","):
        with databases(engine) as (fresh, folder):
            print(f"{engine}: {given.rounds} rounds", flush=True)
            for batch in (1, 100):
                measure(fresh, folder, given.n, given.rounds, batch, not given.no_growth)


if __name__ == "__main__":
    main()
