"""F1 and F2: from exec to the first 200 of the web process, and its memory at rest, beside two floors.

    python -m bench.coldstart [N] [--rounds 5] [--growth]

`lanmu serve --no-worker` starts on a folder that has been served before: all tables are made and N library
files (all that are shipped unless told; more are made by copying) are in, so that a start has to look for
changes in every one. All four built-in plugins run; the demo is off.

The floor is Flask with the same stack imported: the libraries of pyproject.toml that a web process needs,
Alembic among them, and one bare view behind waitress. The lean floor imports only what ours has imported
when it gives its first answer; what lies between the two is what ours has put off. All run in turn in every
round, with their bytecode cached as after an installation; ratios are of medians.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEAN = (
    "argon2", "click", "dateutil.rrule", "flask", "flask_smorest", "marshmallow", "pluggy",
    "prometheus_client", "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.sqlite", "sqlalchemy.orm",
    "structlog", "yaml", "waitress.server",
)  # fmt: skip
STACK = (
    *LEAN,
    "alembic.command",
    "babel.messages.pofile",
    "frontmatter",
    "jinja2.sandbox",
    "packaging",
    "segno",
)
BARE = """
import {imports}
app = flask.Flask("bare")
app.add_url_rule("/healthz", view_func=lambda: {{"status": "ok"}})
waitress.server.create_server(app, host="127.0.0.1", port={port}).run()
"""
AT_REST = 2.0
GOAL_START, GOAL_MEMORY = 1.3, 1.2


@dataclass(frozen=True)
class Started:
    """Seconds to the first 200 by the wall and by the processor, and MB of memory (PSS) at rest."""

    seconds: float
    cpu: float
    memory: float


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bare(imports: tuple[str, ...], port: int) -> list[str]:
    return [sys.executable, "-c", BARE.format(imports=", ".join(imports), port=port)]


def ours(folder: Path, port: int) -> list[str]:
    config = folder / "config.toml"
    config.write_text(
        f'[server]\nport = {port}\ndata_dir = "data"\n[library]\nfolder = "library"\n'
        "[plugins.wecom]\n[plugins.personal_wechat_export]\n[plugins.llm_copy]\n[plugins.points]\n",
        encoding="utf-8",
    )
    code = "from lanmu.cli.main import main; main()"
    return [sys.executable, "-c", code, "--config", str(config), "serve", "--no-worker"]


@contextmanager
def running(command: list[str], port: int, environment: dict[str, str]) -> Iterator[tuple[int, float]]:
    """The process once it has answered 200, with the seconds that this took; stopped at the end."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, env=environment, stdout=said, stderr=said, cwd=environment["HOME"]
        )
        try:
            while not answers(port):
                if process.poll() is not None:
                    said.seek(0)
                    raise SystemExit(said.read().decode(errors="replace"))
                time.sleep(0.002)
            yield process.pid, time.perf_counter() - began
        finally:
            process.terminate()
            process.wait()


def answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def start(command: list[str], port: int, environment: dict[str, str]) -> Started:
    with running(command, port, environment) as (pid, seconds):
        cpu = cpu_seconds(pid)
        time.sleep(AT_REST)
        return Started(seconds, cpu, memory(pid))


def cpu_seconds(pid: int) -> float:
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) / 1024 for line in rollup.splitlines() if line.startswith("Pss:"))


def make_library(folder: Path, count: int) -> int:
    """The shipped library with `count` materials (0: as it is); answers how many there are."""
    shutil.copytree(ROOT / "content_library", folder)
    shipped = sorted(path for path in folder.glob("*/*.md") if path.name != "README.md")
    for number in range(len(shipped), count):
        origin = shipped[number % len(shipped)]
        text = origin.read_text(encoding="utf-8").replace("\ntitle: ", f"\ntitle: {number} ", 1)
        origin.with_name(f"{number}-{origin.name}").write_text(text, encoding="utf-8")
    return max(len(shipped), count)


def measure(count: int, rounds: int, environment: dict[str, str], *, alone: bool = False) -> list[Started]:
    """Start each in turn, `rounds` times after one that is not counted; answers ours."""
    home = Path(environment["HOME"])
    folder = home / f"shop{count}"
    folder.mkdir()
    held = make_library(folder / "library", count)
    results: dict[str, list[Started]] = {} if alone else {"floor": [], "lean floor": []}
    results["subject"] = []
    for number in range(rounds + 1):
        for who, seen in results.items():
            port = free_port()
            command = (
                ours(folder, port) if who == "subject" else bare(STACK if who == "floor" else LEAN, port)
            )
            started = start(command, port, environment)
            if number:  # the first one writes bytecode, tables and the library
                seen.append(started)
    print(f"{held} library files, {rounds} rounds{'':8}first 200, s   CPU s   memory at rest, MB")
    middle = {who: middle_of(seen) for who, seen in results.items()}
    for who, typical in middle.items():
        print(f"{who:36}{typical.seconds:10.2f}{typical.cpu:10.2f}{typical.memory:14.1f}")
    for who in ("floor", "lean floor") if not alone else ():
        base, subject = middle[who], middle["subject"]
        goal = f"   (goal: <= {GOAL_START} and <= {GOAL_MEMORY})" if who == "floor" else ""
        print(
            f"{'ratio to the ' + who:36}{subject.seconds / base.seconds:10.2f}{subject.cpu / base.cpu:10.2f}"
            f"{subject.memory / base.memory:14.2f}{goal}",
            flush=True,
        )
    return results["subject"]


def middle_of(seen: list[Started]) -> Started:
    return Started(
        statistics.median(each.seconds for each in seen),
        statistics.median(each.cpu for each in seen),
        statistics.median(each.memory for each in seen),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", nargs="?", type=int, default=0, help="library files (those shipped)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--growth", action="store_true", help="start ours with 2x and 10x the files as well")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lanmu-coldstart-") as home:
        environment = {**os.environ, "HOME": home, "PYTHONPYCACHEPREFIX": f"{home}/bytecode"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        once = middle_of(measure(given.count, given.rounds, environment))
        if given.growth:
            held = given.count or sum(1 for _ in (ROOT / "content_library").glob("*/*.md"))
            for times in (2, 10):
                grown = middle_of(measure(held * times, given.rounds, environment, alone=True))
                cpu, held_memory = grown.cpu / once.cpu, grown.memory / once.memory
                print(f"{times} x the files: CPU x {cpu:.2f}, memory x {held_memory:.2f}")


if __name__ == "__main__":
    main()
