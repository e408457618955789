"""D1: the list of materials with search, filters and total over HTTP, beside the barest program that does it.

    python -m bench.search [N] [--rounds 3] [--seconds 6] [--growth]

The floor is bare Flask around a raw SQLite connection: an index of character pairs with the filters as index
words, a page of 20 and a count for every request, for anybody. "api" is GET /api/v1/materials of the whole
server with a token; "library" is the room's service behind a bare Flask route, which shows what the room and
what the web around it costs. All run under waitress with 8 threads, in turn in every round; eight connections
ask all the time. Ratios are of medians.

Two loads: "varied" asks a different question each time, so that no total is known beforehand; "usual" asks
300 questions again and again, as people do who page through lists. Every hit of 40 questions is checked
against a look through all texts.
"""

import argparse
import http.client
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.search_servers import PAGE, PATH, fresh_token
from bench.search_shop import build_floor, build_library, contents

from lanmu.library.content import Content

CONNECTIONS = 8
Question = dict[str, str]


@dataclass
class Server:
    """A server in a process of its own."""

    name: str
    port: int
    headers: dict[str, str]
    process: subprocess.Popen[bytes]

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(name: str, path: Path, headers: dict[str, str]) -> Server:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen([sys.executable, "-m", "bench.search_servers", name, str(port), str(path)])
    server = Server(name, port, headers, process)
    for _attempt in range(300):
        try:
            ask(http.client.HTTPConnection("127.0.0.1", port, timeout=30), {"q": "你好"}, headers)
        except OSError:
            time.sleep(0.1)
        else:
            return server
    raise SystemExit(f"{name} did not start")


def questions(made: list[Content], count: int, seed: int) -> list[Question]:
    """What people ask: words that are there, words with filters, and filters alone."""
    dice = random.Random(seed)
    found = []
    for _ in range(count):
        content = dice.choice(made)
        question: Question = {}
        shape = dice.random()
        if shape < 0.8:
            run = dice.choice(content.body.rstrip("。").split("，"))
            length = dice.choice((2, 2, 3, 4))
            at = dice.randrange(max(1, len(run) - length + 1))
            question["q"] = run[at : at + length]
        if shape > 0.2:
            question["content_class"] = content.content_class
        if shape > 0.35:
            question["zone"] = content.zone
        if shape > 0.5:
            question["tag"] = dice.choice(content.tags)
        found.append(question)
    return found


def address(question: Question) -> str:
    return f"{PATH}?" + urlencode({"limit": PAGE} | question)


def ask(connection: http.client.HTTPConnection, question: Question, headers: dict[str, str]) -> Any:
    connection.request("GET", address(question), headers=headers)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise SystemExit(f"{response.status}: {body[:300]!r}")
    return json.loads(body)


def load(server: Server, asked: list[Question], seconds: float) -> tuple[float, float, float]:
    """Requests a second, p50 and p95 in milliseconds, over eight connections."""
    waits: list[list[float]] = [[] for _ in range(CONNECTIONS)]
    paths = [address(question) for question in asked]
    begin = time.perf_counter()
    until = begin + seconds

    def run(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        at = number
        while time.perf_counter() < until:
            since = time.perf_counter()
            connection.request("GET", paths[at % len(paths)], headers=server.headers)
            response = connection.getresponse()
            response.read()
            waits[number].append(time.perf_counter() - since)
            assert response.status == 200
            at += CONNECTIONS

    threads = [threading.Thread(target=run, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = sorted(wait for some in waits for wait in some)
    rate = len(every) / (time.perf_counter() - begin)
    return rate, every[len(every) // 2] * 1000, every[int(len(every) * 0.95)] * 1000


def check(server: Server, made: list[Content], asked: list[Question]) -> tuple[int, int]:
    """Hits that the pages of the subject show, and hits there are: by a look through every text."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    shown = true = 0
    for question in asked:
        wanted = {
            f"mat_{key:016d}"
            for key, content in enumerate(made, 1)
            if content.content_class == question.get("content_class", content.content_class)
            and content.zone == question.get("zone", content.zone)
            and ("tag" not in question or question["tag"] in content.tags)
            and question.get("q", "") in f"{content.title}\n{content.topic}\n{content.body}\n{content.owner}"
        }
        seen: list[str] = []
        cursor = ""
        while True:
            page = ask(connection, question | {"limit": "200", "cursor": cursor}, server.headers)
            seen += [item["id"] for item in page["items"]]
            cursor = page["next_cursor"]
            if not cursor or len(seen) > 3000:
                break
        assert len(seen) == len(set(seen)), question
        assert page["total"] == len(wanted), (question, page["total"], len(wanted))
        assert set(seen) <= wanted if cursor else set(seen) == wanted, question
        shown += page["total"]
        true += len(wanted)
    return shown, true


def measure(count: int, rounds: int, seconds: float, *, growing: bool = False) -> dict[str, float]:
    """Build, check, load in turn, print; answers the API's rates. When `growing`, the API runs alone."""
    made = contents(count)
    with tempfile.TemporaryDirectory(prefix="lanmu-bench-") as folder, ExitStack() as stack:
        library_path, floor_path = Path(folder, "lanmu.db"), Path(folder, "floor.db")
        since = time.perf_counter()
        build_library(library_path, made)
        if not growing:
            build_floor(floor_path, made)
        print(f"\n{count:,} materials, built in {time.perf_counter() - since:.0f} s", flush=True)
        headers = {"Authorization": f"Bearer {fresh_token(library_path)}"}
        wanted = [("api", library_path)]
        if not growing:
            wanted = [("floor", floor_path), ("library", library_path), *wanted]
        servers = [start(name, path, headers) for name, path in wanted]
        for server in servers:
            stack.callback(server.process.wait)
            stack.callback(server.process.terminate)
        shown, true = check(servers[-1], made, questions(made, 40, seed=7))
        print(f"checked: {shown:,} hits of {true:,} true ones in 40 questions", flush=True)
        return {
            name: one_load(servers, name, made, different, rounds, seconds)
            for name, different in (("varied", 20_000), ("usual", 300))
        }


def one_load(
    servers: list[Server], name: str, made: list[Content], different: int, rounds: int, seconds: float
) -> float:
    results: dict[str, list[tuple[float, float, float, float]]] = {server.name: [] for server in servers}
    for number in range(rounds):
        asked = questions(made, different, seed=100 + (number if different > 1000 else 0))
        for server in servers:
            load(server, asked[-200:], 0.5)  # warms the caches of files and of statements
            cpu = server.cpu()
            rate, p50, p95 = load(server, asked, seconds)
            spent = (server.cpu() - cpu) / (rate * seconds) * 1000
            results[server.name].append((rate, p50, p95, spent))
    middle: dict[str, list[float]] = {
        who: [statistics.median(column) for column in zip(*rows, strict=True)]
        for who, rows in results.items()
    }
    print(f"{name:16}{'requests/s':>12}{'p50 ms':>9}{'p95 ms':>9}{'CPU ms each':>13}")
    for who, figures in middle.items():
        print(line(who, figures, 0))
        if who != "floor" and "floor" in middle:
            ratios = [figures[at] / middle["floor"][at] for at in range(4)]
            print(line("  / floor", ratios, 2), "  (goal: >= 0.70, p95 <= 1.50)", flush=True)
    return middle["api"][0]


def line(who: str, figures: list[float], digits: int) -> str:
    rate, p50, p95, cpu = figures
    return f"{who:16}{rate:12.{digits}f}{p50:9.{digits or 1}f}{p95:9.{digits or 1}f}{cpu:13.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", nargs="?", type=int, default=100_000, help="materials (100000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6, help="of each load (6)")
    parser.add_argument("--growth", action="store_true", help="measure the API at 2x and 10x as well")
    given = parser.parse_args()
    rates = measure(given.count, given.rounds, given.seconds)
    if given.growth:
        for times in (2, 10):
            grown = measure(given.count * times, given.rounds, given.seconds, growing=True)
            for name, rate in grown.items():
                print(
                    f"{times} x the materials, {name}: rate / {rates[name] / rate:.1f} (goal at 10 x: <= 6)"
                )


if __name__ == "__main__":
    main()
