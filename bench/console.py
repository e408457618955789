"""F7: how long the console's pages take while many messages are being sent, beside the same while it is idle.

    python -m bench.console [N] [--rounds 3] [--databases sqlite,postgresql] [--no-growth] [--quick]

Web and worker are processes of their own with the shipped settings. One person looks at one page after the
other: first while N units (50,000 unless told) wait for later, then while they are sent. Ratios are of the
medians of p95 over all pages. Growth: 2 N and 10 N.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from itertools import count
from pathlib import Path

from bench.databases import Databases, databases
from bench.dispatch_subjects import Job, settle_statistics
from bench.shop import Shop, wait_for
from bench.sink import Sink

from lanmu.delivery.service import PushFilter

_IDLE = 6.0
_LONGEST = 40.0
_PASSWORD = "a password for the bench alone"


def one_run(fresh: Databases, folder: Path, sink: Sink, n: int) -> tuple[float, float, float]:
    """p95 in seconds while idle and while sending, and messages a second meanwhile."""
    url = fresh.fresh()
    shop = Shop(folder, url, sink)
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=18 + n / 4000)
    shop.fill(n, due, 500)
    settle_statistics(Job(url, 0, 0, 0.0))
    server = shop.inside()
    server.staff.create("bench", "Bench", _PASSWORD, ["admin"])
    token, _person = server.staff.login("bench", _PASSWORD, "127.0.0.1")
    push = server.delivery.pushes(PushFilter(), limit=1)[0]
    server.close()
    pages = ("/", "/pushes", f"/pushes/{push.id}", "/materials", "/calendar", "/settings/plugins")
    sink.forget()
    with shop.running("serve", "--no-worker"), shop.running("worker"):
        wait_for("the web", shop.answers, shop)
        look = Looker(shop.port, token)
        look.at(pages, lambda: False, 2.0)
        if (left := (due - datetime.now(UTC)).total_seconds()) < _IDLE:
            raise SystemExit(f"all was ready only {left:.1f} s before the instant: the machine is busy")
        idle = look.at(pages, lambda: False, _IDLE)
        wait_for("the first message", lambda: sink.count() > 0, shop)
        begun = time.monotonic()
        sending = look.at(pages, lambda: sink.count() >= n, _LONGEST)
        rate = sink.count() / (time.monotonic() - begun)
    return _p95(idle), _p95(sending), rate


class Looker:
    """Somebody signed in, who looks at page after page."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = {"Cookie": f"lanmu_session={token}", "Accept": "text/html"}

    def at(self, pages: tuple[str, ...], over: Callable[[], bool], seconds: float) -> list[float]:
        """How long each page took, in seconds, until it is over or the time is up."""
        took: list[float] = []
        end = time.monotonic() + seconds
        for number in count():
            if time.monotonic() > end or (number % 10 == 0 and over()):
                return took
            page = pages[number % len(pages)]
            begun = time.perf_counter()
            self._connection.request("GET", page, headers=self._headers)
            answer = self._connection.getresponse()
            answer.read()
            took.append(time.perf_counter() - begun)
            if answer.status != 200:
                raise SystemExit(f"{page}: {answer.status}")
            time.sleep(0.02)
        return took


def _p95(took: list[float]) -> float:
    return sorted(took)[int(len(took) * 0.95)]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("n", nargs="?", type=int, default=50_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--databases", default="sqlite,postgresql")
    arguments.add_argument("--no-growth", action="store_true")
    arguments.add_argument("--quick", action="store_true", help="8,000 units, one round, no growth")
    given = arguments.parse_args()
    if given.quick:
        given.n, given.rounds, given.no_growth = 8000, 1, True
    for engine in given.databases.split(","):
        with databases(engine) as (fresh, folder), Sink() as sink:
            for times in (1,) if given.no_growth else (1, 2, 10):
                n = given.n * times
                rounds = given.rounds if times == 1 else 1
                runs = [one_run(fresh, folder / f"shop-{n}-{number}", sink, n) for number in range(rounds)]
                idle, sending, rate = (statistics.median(run[place] for run in runs) for place in range(3))
                print(
                    f"{engine}: F7 {n:,} units, {rate:,.0f}/s: console p95 {idle * 1000:.1f} ms idle, "
                    f"{sending * 1000:.1f} ms while sending, × {sending / idle:.2f} (goal 3)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
