"""B1–B4: planning a month for many communities, beside a numpy greedy floor and a draw in random order.

    python -m bench.plan [N] [--rounds 3] [--tight 20] [--seconds 20] [--postgres]

N communities (1,000 unless told) × 30 days × 3 slots from 10,000 materials, each with 2 of 120 tags; a
community draws from 2 or 3 tags. The floor does the least that a plan must do, a slot at a time with numpy:
the class with the largest shortfall in the rolling week, then the material of its pool used longest ago. The
array floor does the same for all communities at once, each slot of the month in one sweep; it can say
nothing about any pick and plans no two communities alike in form, so it only shows what the arithmetic
costs. The draw is what `ORDER BY random()` a slot gives, on SQLite. All run in turn in every round; ratios
are of medians.

The quality of B2 (roomy) and B3 (tight: 2,000 materials with one tag each) is measured on plans of this
run, with a checker that shares no code with the planner. Where `ortools` is installed, CP-SAT plans the
first `--tight` communities of B3 with `--seconds` each: most places filled first, then the least deviation.

What is read from and written to a database is measured in `bench/plan_written.py`: on SQLite, and with
`--postgres` on a PostgreSQL that the run starts for itself.
"""

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from typing import Any

from bench.plan_shop import (
    CLASSES,
    DAYS,
    HOURS,
    MATERIALS,
    PARTS,
    SLOTS,
    WEEK,
    Shop,
    array_floor,
    b1,
    draw,
    floor,
    shop,
)
from bench.plan_written import written

from lanmu.schedule.planner import plan, plan_each

# ---------------------------------------------------------------- quality


def classes_of(made: Shop, result: Any) -> list[list[int]]:
    """Each community's classes by slot, -1 where empty; the picks are checked against every rule."""
    first = made.request.openings[0].local
    rows = [[-1] * SLOTS for _community in made.wants]
    used: dict[tuple[int, int], list[int]] = {}
    for pick in result.picks:
        community, number, wall = pick.opening.community_id, pick.material.id, pick.opening.local
        slot = (wall.date() - first.date()).days * len(HOURS) + HOURS.index(wall.hour)
        rows[community][slot] = made.classes[number]
        used.setdefault((community, number), []).append(slot // len(HOURS))
        if not set(made.tags[number]) & set(made.wants[community]):
            raise SystemExit(f"rule broken: material {number} is not in the pool of community {community}")
    for key, days in used.items():
        days.sort()
        if any(b - a < made.cooldown for a, b in pairwise(days)):
            raise SystemExit(f"rule broken: {key} within its cooldown")
    if len(result.picks) + len(result.empty) != len(made.request.openings):
        raise SystemExit("rule broken: an opening was not answered")
    return rows


def deviations(row: list[int]) -> list[float]:
    """For each whole rolling week the distances of the classes from their shares of what it holds, summed."""
    found = []
    for end in range(WEEK, SLOTS + 1):
        week = [code for code in row[end - WEEK : end] if code >= 0]
        found.append(sum(abs(week.count(code) - part * len(week) / 10) for code, part in enumerate(PARTS)))
    return found


def quality(rows: Iterable[list[int]]) -> tuple[float, float, float]:
    """Share of slots filled, mean and largest deviation."""
    rows = list(rows)
    every = [value for row in rows for value in deviations(row)]
    filled = sum(code >= 0 for row in rows for code in row) / (len(rows) * SLOTS)
    return filled, statistics.fmean(every), max(every)


def cp_sat(stock: list[int], cooldown: int, seconds: float) -> list[int]:
    """The classes by slot that CP-SAT finds for one community; needs `ortools`.

    Materials of a class are alike here, so it is enough that no stretch of cooldown days uses more of a
    class than there are. Weeks are counted as the planner counts them: up to each slot, and on past the last.
    """
    cp_model = importlib.import_module("ortools.sat.python.cp_model")  # heavy, and not a dependency
    model = cp_model.CpModel()
    takes = [[model.new_bool_var("") for _code in CLASSES] for _slot in range(SLOTS)]
    for slot in takes:
        model.add_at_most_one(slot)
    for code, size in enumerate(stock):
        for day in range(DAYS):
            stretch = takes[day * len(HOURS) : (day + cooldown) * len(HOURS)]
            if len(stretch) > size:
                model.add(sum(slot[code] for slot in stretch) <= size)
    filled = sum(taken for slot in takes for taken in slot)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = 1
    model.maximize(filled)
    solver.solve(model)
    model.add(filled == round(solver.objective_value))
    distances = []
    for end in range(SLOTS + WEEK):
        week = takes[max(0, end - WEEK + 1) : end + 1]
        held = sum(taken for slot in week for taken in slot)
        for code, part in enumerate(PARTS):
            far = model.new_int_var(0, 10 * WEEK, "")
            gap = 10 * sum(slot[code] for slot in week) - part * held
            model.add(far >= gap)
            model.add(far >= -gap)
            distances.append(far)
    model.minimize(sum(distances))
    solver.solve(model)
    return [next((code for code in range(3) if solver.value(slot[code])), -1) for slot in takes]


# ---------------------------------------------------------------- the run


def planned(made: Shop) -> int:
    """Plan, taking each community's part as it comes, as one that writes them does; picks made."""
    return sum(len(part.picks) for _community, part in plan_each(made.request))


def clocked(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, which other work on the machine does not stretch; nothing here waits."""
    began = time.process_time()
    answer = work()
    return time.process_time() - began, answer


def medians(works: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median CPU seconds of each, all in turn in every round."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _round in range(rounds):
        for name, work in works.items():
            seconds[name].append(clocked(work)[0])
    return {name: statistics.median(values) for name, values in seconds.items()}


def told(name: str, value: float, goal: str, met: bool) -> None:
    print(f"  {name:<52}{value:>9.2f}   goal {goal}: {'met' if met else 'MISSED'}")


def speed(count: int, rounds: int) -> None:
    base, twice, tenfold = b1(count, MATERIALS), b1(2 * count, MATERIALS), b1(count, 10 * MATERIALS)
    slots = count * SLOTS
    took = medians(
        {
            "plan": lambda: planned(base),
            "floor": lambda: floor(base),
            "arrays": lambda: array_floor(base),
            "twice": lambda: planned(twice),
            "tenfold": lambda: planned(tenfold),
            "floor tenfold": lambda: floor(tenfold),
        },
        rounds,
    )
    drawn = statistics.median(draw(base, 10) for _round in range(rounds))
    rate, least = slots / took["plan"], slots / took["floor"]
    print(f"B1  {count} communities × {SLOTS} slots from {MATERIALS} materials")
    print(f"  slots a CPU second: planner {rate:,.0f}, floor {least:,.0f}, ORDER BY random() {drawn:,.0f},")
    print(f"  array floor {slots / took['arrays']:,.0f}")
    told("planning alone ÷ floor", rate / least, "≥ 0.5", rate / least >= 0.5)
    told("planning alone ÷ ORDER BY random()", rate / drawn, "—", True)
    print("B4  growth")
    more, grown = took["twice"] / 2 / took["plan"], took["tenfold"] / took["plan"]
    told("slower a slot at 2 × communities", more, "≤ 1.2", more <= 1.2)
    told("slower a slot at 10 × materials", grown, "≤ 4", grown <= 4)
    print(f"  (floor at 10 × materials: {took['floor tenfold'] / took['floor']:.2f})")
    filled, mean, most = quality(classes_of(base, plan(base.request)))
    print("B2  roomy library, whole rolling weeks; every rule checked, 0 broken")
    told("share of slots filled", filled, "1", filled == 1)
    told("mean sum of deviations, slots of 21", mean, "1.0", abs(mean - 1) < 1e-9)
    told("largest sum of deviations", most, "1.0", abs(most - 1) < 1e-9)


def tight(rounds: int, compared: int, seconds: float) -> None:
    made = shop(100, 2000, tags_each=1, cooldown=16)
    took = medians(
        {"mended": lambda: plan(made.request), "greedy": lambda: plan(made.request, mend=False)}, rounds
    )
    mended = classes_of(made, plan(made.request))
    greedy = classes_of(made, plan(made.request, mend=False))
    print("B3  tight library: 2,000 materials with one of 120 tags, cooldown 16 days, 100 communities")
    for name, rows in (("greedy", greedy), ("mended", mended)):
        filled, mean, _most = quality(rows)
        each = took[name] * 10
        print(f"  {name}: filled {filled:.4f}, deviation {mean:.2f}, {each:.1f} ms a community")
    if importlib.util.find_spec("ortools") is None:
        print("  CP-SAT: not measured (ortools is not installed)")
        return
    best, spent = [], 0.0
    for wanted in made.wants[:compared]:
        stock = [0, 0, 0]
        for code, named in zip(made.classes, made.tags, strict=True):
            stock[code] += bool(set(named) & set(wanted))
        took_one, row = clocked(partial(cp_sat, stock, made.cooldown, seconds))
        best.append(row)
        spent += took_one
    ours, theirs = quality(mended[:compared]), quality(best)
    print(f"  first {compared}: ours {ours[0]:.4f} / {ours[1]:.2f}, CP-SAT {theirs[0]:.4f} / {theirs[1]:.2f}")
    fill, strays = ours[0] / theirs[0], ours[1] / theirs[1]
    faster = spent / compared / (took["mended"] / 100)
    told("filled ÷ CP-SAT", fill, "≥ 0.995", fill >= 0.995)
    told("deviation ÷ CP-SAT", strays, "≤ 1.25", strays <= 1.25)
    told("times faster than CP-SAT", faster, "≥ 1000", faster >= 1000)


def main() -> None:
    reader = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    reader.add_argument("communities", nargs="?", type=int, default=1000, metavar="N")
    reader.add_argument("--rounds", type=int, default=3)
    reader.add_argument("--tight", type=int, default=20, help="communities that CP-SAT plans too")
    reader.add_argument("--seconds", type=float, default=20.0, help="for each of them")
    reader.add_argument("--postgres", action="store_true", help="write to PostgreSQL too")
    given = reader.parse_args()
    speed(given.communities, given.rounds)
    written(given.communities, given.rounds, given.postgres)
    tight(given.rounds, given.tight, given.seconds)


if __name__ == "__main__":
    main()
