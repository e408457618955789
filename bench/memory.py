"""A5: the memory of web and worker while they send, from few due to many, beside the barest sender's.

    python -m bench.memory [N] [--rounds 1] [--databases sqlite,postgresql] [--quick]

N messages (100,000 unless told), a fifth and a fiftieth of them are due at one instant, for web and worker
as two processes and, as they are shipped, as one. Told is their highest PSS while they sent with a
concurrency of 128; the floor is the process of bench.dispatch's floor with as many. Every message must have
come once.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.databases import Databases, databases
from bench.dispatch_house import TEXT
from bench.dispatch_subjects import Job, fill_bare
from bench.shop import Shop, memory, wait_for
from bench.sink import Sink

WAYS = {
    "one process": (("serve",),),
    "two processes": (("serve", "--no-worker"), ("worker",)),
}


def ours(fresh: Databases, folder: Path, sink: Sink, n: int, commands: Sequence[Sequence[str]]) -> float:
    """The highest memory of these processes together, in MB, while they sent `n`."""
    shop = Shop(folder, fresh.fresh(), sink, concurrency=128)
    shop.fill(n, datetime.now(UTC) - timedelta(seconds=1), 500)
    sink.forget()
    with ExitStack() as stack:
        processes = [stack.enter_context(shop.running(*command)) for command in commands]
        wait_for("the web", shop.answers, shop)
        highest = 0.0
        looked_at, came = time.monotonic(), 0
        while came < n:
            time.sleep(0.2)
            highest = max(highest, sum(memory(process.pid) for process in processes))
            if time.monotonic() - looked_at > 1:
                looked_at, came = time.monotonic(), sink.count()
        time.sleep(1)
    if (told := sink.arrivals()).different != n or told.count != n:
        raise SystemExit(f"{n} due, {told.count} came, {told.different} different")
    return highest


def floor(fresh: Databases, sink: Sink, n: int) -> float:
    """The memory of the barest sender, in MB."""
    job = Job(fresh.fresh(), sink.port, n, float(int(time.time()) + 2))
    fill_bare(job, TEXT)
    command = [sys.executable, "-m", "bench.dispatch_subjects", "floor", json.dumps(asdict(job))]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return float(json.loads(told.splitlines()[-1])["pss"])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("n", nargs="?", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--databases", default="sqlite,postgresql")
    arguments.add_argument("--quick", action="store_true", help="10,000 messages")
    given = arguments.parse_args()
    n: int = 10_000 if given.quick else given.n
    for engine in given.databases.split(","):
        with databases(engine) as (fresh, folder), Sink() as sink:
            sums: dict[tuple[str, int], list[float]] = {}
            for round_ in range(given.rounds):
                for size in (n // 50, n // 5, n):
                    bare = floor(fresh, sink, size)
                    for way, commands in WAYS.items():
                        place = folder / f"shop-{round_}-{size}-{len(commands)}"
                        used = ours(fresh, place, sink, size, commands)
                        sums.setdefault((way, size), []).append(used)
                        print(
                            f"{engine}: A5 {size:,} due, {way}: {used:.0f} MB (goal ≤ 150); "
                            f"the barest sender {bare:.0f} MB",
                            flush=True,
                        )
            for way in WAYS:
                small, large = (statistics.median(sums[way, size]) for size in (n // 50, n))
                print(
                    f"  A5 {way}, growth from {n // 50:,} to {n:,} due: {large - small:+.0f} MB (goal ≤ 15)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
