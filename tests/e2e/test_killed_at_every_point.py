"""kill -9 at each named point of the way of a message, with real processes; the sandbox's books decide."""

import signal
import subprocess
from collections.abc import Callable

import pytest
from tests.e2e.installation import Lanmu, soon, until
from tests.e2e.test_the_whole_way import MOTHERS, plan_column, reached

from lanmu.delivery.crash_points import NAMES

SETTLE = 3
KILLED = -signal.SIGKILL
COLUMN = "验收栏目"
ALWAYS = ("after_intent",)
"""Where nobody can know whether it went out: what every run of the tests tries."""
RECOVERY = 150.0
"""Seconds: who dies while it finds out leaves the doubt taken for the minute of its lease."""
ELSEWHERE = ("during_doubts", "during_expansion")
"""Each has a test of its own: below, and in tests/delivery/test_delivery_expansion.py."""


def points() -> list[object]:
    return [
        pytest.param(name, marks=[] if name in ALWAYS else [pytest.mark.long])
        for name in NAMES
        if name not in ELSEWHERE
    ]


def states(lanmu: Lanmu, name: str = COLUMN) -> set[str]:
    rows = lanmu.query(
        f"SELECT DISTINCT u.state FROM unit u JOIN push p ON p.id = u.push_id WHERE p.column_name = '{name}'"
    )
    return {str(row[0]) for row in rows}


def dies_at(lanmu: Lanmu, point: str) -> subprocess.Popen[str]:
    """A worker that is to die there."""
    return lanmu.worker(LANMU_CRASH_POINTS="1", LANMU_CRASH_AT=point)


def dead(worker: subprocess.Popen[str]) -> None:
    until("the worker died", lambda: worker.poll() is not None)
    assert worker.returncode == KILLED


@pytest.fixture
def quick(lanmu: Lanmu) -> Lanmu:
    """A far end whose list tells of a message at once, so that a doubt is settled in seconds."""
    config = lanmu.folder / "config.toml"
    told = config.read_text(encoding="utf-8")
    config.write_text(
        told.replace("sandbox = true", f"sandbox = true\nsettle_seconds = {SETTLE}"), encoding="utf-8"
    )
    return lanmu


def served(lanmu: Lanmu) -> None:
    """The web, with a far end that does not keep who asks waiting.

    A broadcast under way makes its list answer "still dispatching", and asking again takes five minutes. The
    demo's own columns, due at a full minute, would do so to whoever is looking something up just then.
    """
    lanmu.serve("--no-worker")
    lanmu.sandbox("options", {"dispatch_seconds": 0})


@pytest.mark.parametrize("point", points())
def test_whoever_is_killed_where_everybody_has_it_once_in_the_end(
    quick: Lanmu, point: str, record_property: Callable[[str, object], None]
):
    served(quick)
    worker = dies_at(quick, point)
    plan_column(quick, soon(2))
    dead(worker)
    record_property("kills", 1)
    quick.worker()
    until("everybody has it", lambda: reached(quick, COLUMN) == MOTHERS, RECOVERY)
    until("the books say so", lambda: states(quick) == {"accepted"}, RECOVERY)
    assert reached(quick, COLUMN) == MOTHERS, "and nobody has it twice"


@pytest.mark.long
def test_a_worker_killed_while_it_finds_out_leaves_the_doubt_to_the_next(
    quick: Lanmu, record_property: Callable[[str, object], None]
):
    served(quick)
    first = dies_at(quick, "after_write")
    plan_column(quick, soon(2))
    dead(first)
    dead(dies_at(quick, "during_doubts"))
    record_property("kills", 2)
    quick.worker()
    until("the books say so", lambda: states(quick) == {"accepted"}, RECOVERY)
    assert reached(quick, COLUMN) == MOTHERS
