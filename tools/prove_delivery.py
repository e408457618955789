"""Proves the delivery path: `python -m tools.prove_delivery`, or `make prove-delivery`, within ten minutes.

Production code in a world of seeded faults, then without its guarantees one by one, then real processes
killed with kill -9 at each named point. Every figure is counted in the run; the last line gives them, and the
exit code is not 0 where one falls short.

    --units N     in the simulation, 2,000 a seed (100,000 unless told; 1,000,000 takes an hour or less)
    --seed S      the first seed, to see other worlds than the last time
    --no-kills    only the simulation and the mutants
"""

import argparse
import logging
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.simulation.mutants import MUTANTS, noticed_after
from tests.simulation.sim_material import Stocked, with_material
from tests.simulation.sim_run import run
from tests.simulation.sim_world import STORMY

ROOT = Path(__file__).resolve().parent.parent
EACH = 2000
MUTANT_UNITS, MUTANT_STORMS = 200, 30
KILLS_FOR = 420
"""Seconds that the real processes may take, so that the whole stays within ten minutes."""


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


def simulate(stocked: Stocked, units: int, first: int, figures: Figures) -> None:
    """Seed after seed, until so many units have been through it."""
    began, killed = time.monotonic(), Counter[str]()
    for seed in range(first, first + -(-units // EACH)):
        report = run(seed, *stocked, min(EACH, units - figures.units))
        found = report.found
        figures.units += report.units
        figures.seeds += 1
        figures.double += found.double
        figures.lost += found.lost
        figures.early += found.early + found.late
        figures.unseen += found.unseen
        killed.update(report.killed_at)
        if report.wrong:
            figures.short.append(str(report))
            print(report, flush=True)
        if figures.seeds % 25 == 0:
            print(f"  {figures.units} units, {time.monotonic() - began:.0f} s", flush=True)
    print(
        f"Simulation: {figures.units} units, {figures.seeds} seeds, {killed.total()} workers killed at "
        f"{len(killed)} points, in {time.monotonic() - began:.0f} s.",
        flush=True,
    )


def take_out(stocked: Stocked, folder: Path, figures: Figures) -> None:
    """Each guarantee in turn: the simulation must notice."""
    for mutant in MUTANTS:
        storms = noticed_after(mutant, stocked, folder, MUTANT_UNITS, MUTANT_STORMS)
        print(f"  {mutant.name}: {f'noticed in storm {storms}' if storms else 'NOT NOTICED'}", flush=True)
        figures.caught += bool(storms)
    control = [run(seed, *stocked, MUTANT_UNITS, STORMY) for seed in range(5)]
    figures.short += [f"the code as it is: {report}" for report in control if report.wrong]
    if figures.caught < len(MUTANTS):
        figures.short.append("a mutant was not noticed")


def kill(folder: Path, figures: Figures) -> None:
    """Real processes, killed at each point on SQLite and on PostgreSQL with Valkey."""
    report = folder / "kills.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    command += ["-m", "long or not long", "tests/e2e/test_killed_at_every_point.py"]
    began = time.monotonic()
    try:
        done = subprocess.run(command, cwd=ROOT, timeout=KILLS_FOR, check=False)  # noqa: S603  our own tests
        if done.returncode:
            figures.short.append("a killed process has left something behind")
    except subprocess.TimeoutExpired:
        figures.short.append(f"the killed processes have not recovered within {KILLS_FOR} s")
    if report.exists():
        for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314  written by the line above
            if not [each for each in case if each.tag in ("failure", "error", "skipped")]:
                figures.kills += sum(
                    int(each.get("value", "0"))
                    for each in case.iter("property")
                    if each.get("name") == "kills"
                )
    if not figures.kills:
        figures.short.append("nobody was killed")
    print(f"Processes: {figures.kills} killed with kill -9, in {time.monotonic() - began:.0f} s.", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-kills", action="store_true")
    wanted = parser.parse_args()
    logging.disable(logging.CRITICAL)
    figures = Figures()
    folder = Path(tempfile.mkdtemp(prefix="lanmu-prove-"))
    try:
        template = folder / "lanmu.db"
        stocked = template, with_material(template)
        simulate(stocked, wanted.units, wanted.seed, figures)
        take_out(stocked, folder, figures)
        if not wanted.no_kills:
            kill(folder, figures)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for fault in figures.short:
        print(f"falls short: {fault}")
    print(figures)
    return 1 if figures.short or figures.double or figures.lost or figures.early or figures.unseen else 0


if __name__ == "__main__":
    sys.exit(main())
