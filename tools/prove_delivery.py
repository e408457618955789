"""Proves the delivery path: `python -m tools.prove_delivery`, or `make prove-delivery`, within ten minutes.

Production code in a world of seeded faults, then without its guarantees one by one, then real processes
killed with kill -9 at each named point. Every figure is counted in the run; the last line gives them, and the
exit code is not 0 where one falls short.

    --units N     in the simulation, 2,000 a seed (100,000 unless told; 1,000,000 for the long proof)
    --seed S      the first seed, to see other worlds than the last time
    --hands H     processes at the same time (as many as there are cores)
    --no-kills    only the simulation and the mutants
"""

import argparse
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from tests.simulation.mutants import MUTANTS, noticed_after
from tests.simulation.sim_chances import STORMY, Chances
from tests.simulation.sim_material import Stocked, with_material
from tests.simulation.sim_run import Report, run

ROOT = Path(__file__).resolve().parent.parent
EACH = 2000
STORM_UNITS, STORMS = 200, 30
"""Units of a storm, and how many storms a mutant has to show itself in."""
CONTROLS = 20
"""Storms that the code as it is must weather."""
KILLS_FOR = 420
"""Seconds that the real processes may take, so that the whole stays within ten minutes."""
TELL_EVERY = 10.0


@dataclass
class Figures:
    """What the last line says."""

    units: int = 0
    seeds: int = 0
    double: int = 0
    lost: int = 0
    early: int = 0
    unseen: int = 0
    caught: int = 0
    kills: int = 0
    short: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"units {self.units} seeds {self.seeds} double {self.double} lost {self.lost} early {self.early} "
            f"unseen_ambiguous {self.unseen} mutants_caught {self.caught}/{len(MUTANTS)} kills {self.kills}"
        )

    def add(self, report: Report) -> None:
        """Count a run in."""
        found = report.found
        self.units += report.units
        self.seeds += 1
        self.double += found.double
        self.lost += found.lost
        self.early += found.early + found.late
        self.unseen += found.unseen
        if report.wrong:
            self.short.append(str(report))
            print(f"  {report}", flush=True)


class Stopwatch:
    """Tells now and then how far a part has come."""

    def __init__(self) -> None:
        self.began = self._told = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def tell(self, done: int, whole: int) -> None:
        now = time.monotonic()
        if done and now - self._told >= TELL_EVERY and done < whole:
            self._told = now
            left = self.seconds / done * (whole - done)
            print(
                f"  {done:>9,} of {whole:,} units, {self.seconds:.0f} s, about {left:.0f} s to go", flush=True
            )


def _lived(seed: int, stocked: Stocked, units: int, chances: Chances | None) -> Report:
    """One run in a process of its own."""
    logging.disable(logging.CRITICAL)
    return run(seed, *stocked, units, chances)


def _noticed(number: int, stocked: Stocked, folder: Path) -> int:
    """In how many storms one mutant was noticed."""
    logging.disable(logging.CRITICAL)
    own = folder / f"mutant-{number}"
    own.mkdir()
    return noticed_after(MUTANTS[number], stocked, own, STORM_UNITS, STORMS)


def simulate(hands: Executor, stocked: Stocked, units: int, first: int, figures: Figures) -> None:
    """As many seeds as it takes until so many units have been through it."""
    print(f"1/3  Simulation: {units:,} units in worlds of seeded faults", flush=True)
    watch, killed, happened = Stopwatch(), Counter[str](), Counter[str]()
    sizes = [EACH] * (units // EACH) + ([units % EACH] if units % EACH else [])
    lives = [hands.submit(_lived, seed, stocked, size, None) for seed, size in enumerate(sizes, start=first)]
    for life in as_completed(lives):
        report = life.result()
        figures.add(report)
        killed.update(report.killed_at)
        happened.update(report.happened)
        watch.tell(figures.units, units)
    print(f"  {figures.units:,} units in {figures.seeds} seeds, {watch.seconds:.0f} s", flush=True)
    print(f"  workers killed: {killed.total():,} ({_list(killed)})")
    print(f"  what befell them: {_list(happened)}", flush=True)


def take_out(hands: Executor, stocked: Stocked, folder: Path, figures: Figures) -> None:
    """Each guarantee in turn: the simulation must notice. The code as it is must weather the same storms."""
    print(f"2/3  Mutants: {len(MUTANTS)} guarantees, taken out one by one", flush=True)
    watch = Stopwatch()
    longest_first = sorted(range(len(MUTANTS)), key=lambda number: not MUTANTS[number].long)
    trials = {hands.submit(_noticed, number, stocked, folder): number for number in longest_first}
    controls = [hands.submit(_lived, seed, stocked, STORM_UNITS, STORMY) for seed in range(CONTROLS)]
    for trial in as_completed(trials):
        name, storms = MUTANTS[trials[trial]].name, trial.result()
        figures.caught += bool(storms)
        if not storms:
            figures.short.append(f"not noticed in {STORMS} storms: {name}")
        print(f"  {name}: {f'noticed in storm {storms}' if storms else 'NOT NOTICED'}", flush=True)
    bad = [str(report) for each in controls if (report := each.result()).wrong]
    figures.short += [f"the code as it is, in a storm: {report}" for report in bad]
    print(
        f"  the code as it is: {CONTROLS - len(bad)} of {CONTROLS} storms weathered, {watch.seconds:.0f} s",
        flush=True,
    )


def kill(hands: int, folder: Path, figures: Figures) -> None:
    """Real processes, killed at each point on SQLite and on PostgreSQL with Valkey."""
    print("3/3  Real processes, killed with kill -9 at each point", flush=True)
    report = folder / "kills.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    command += ["-n", str(hands), "--dist", "worksteal", "-m", "long or not long"]
    command += ["tests/e2e/test_killed_at_every_point.py"]
    watch = Stopwatch()
    # A session of its own, so that what it has started ends with it.
    tests = subprocess.Popen(command, cwd=ROOT, start_new_session=True)  # noqa: S603  our own tests
    try:
        if tests.wait(timeout=KILLS_FOR):
            figures.short.append("a killed process has left something behind")
    except subprocess.TimeoutExpired:
        figures.short.append(f"the killed processes have not recovered within {KILLS_FOR} s")
        os.killpg(tests.pid, signal.SIGTERM)
        tests.wait(timeout=30)
    figures.kills = _kills_in(report)
    if not figures.kills:
        figures.short.append("nobody was killed")
    print(f"  {figures.kills} killed, {watch.seconds:.0f} s", flush=True)


def _kills_in(report: Path) -> int:
    """How many kills all went well after, by the report of the tests."""
    if not report.exists():
        return 0
    return sum(
        int(each.get("value", "0"))
        for case in ElementTree.parse(report).iter("testcase")  # noqa: S314  written by our own tests
        if not [each for each in case if each.tag in ("failure", "error", "skipped")]
        for each in case.iter("property")
        if each.get("name") == "kills"
    )


def _list(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {times:,}" for name, times in counted.most_common())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hands", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--no-kills", action="store_true")
    wanted = parser.parse_args()
    logging.disable(logging.CRITICAL)
    figures, watch = Figures(), Stopwatch()
    folder = Path(tempfile.mkdtemp(prefix="lanmu-prove-"))
    try:
        template = folder / "lanmu.db"
        stocked = template, with_material(template)
        with ProcessPoolExecutor(wanted.hands) as hands:
            simulate(hands, stocked, wanted.units, wanted.seed, figures)
            take_out(hands, stocked, folder, figures)
        if not wanted.no_kills:
            kill(max(2, wanted.hands), folder, figures)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"All of it took {watch.seconds:.0f} s.")
    for fault in figures.short:
        print(f"falls short: {fault}")
    print(figures)
    return 1 if figures.short or figures.double or figures.lost or figures.early or figures.unseen else 0


if __name__ == "__main__":
    sys.exit(main())
