"""B1–B4: planning a month for many communities, beside a numpy greedy floor and a draw in random order.

    python -m bench.plan [N] [--rounds 3] [--tight 20] [--seconds 20]

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
"""

import argparse
import importlib.util
import random
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from lanmu.schedule.planner import plan, plan_each
from lanmu.schedule.problem import Candidate, ColumnRules, Opening, PlanRequest, Pool

CLASSES = ("engagement", "conversion", "brand")
PARTS = (5, 3, 2)
DAYS, HOURS = 30, (9, 15, 20)
SLOTS = DAYS * len(HOURS)
WEEK = 7 * len(HOURS)
MATERIALS = 10_000
TAGS = 120
NEVER = -10_000


@dataclass(frozen=True)
class Shop:
    """One problem in both shapes: what the planner is asked, and the bare numbers that the floor reads."""

    request: PlanRequest
    classes: list[int]
    tags: list[list[int]]
    wants: list[list[int]]
    cooldown: int


def shop(communities: int, materials: int, tags_each: int, cooldown: int, seed: int = 1) -> Shop:
    dice = random.Random(seed)
    classes = dice.choices(range(3), PARTS, k=materials)
    tags = [dice.sample(range(TAGS), tags_each) for _ in range(materials)]
    wants = [dice.sample(range(TAGS), dice.choice((2, 3))) for _ in range(communities)]
    items = [
        Candidate(number, CLASSES[code], tags=frozenset(f"t{tag}" for tag in named))
        for number, (code, named) in enumerate(zip(classes, tags, strict=True))
    ]
    start = datetime(2026, 3, 2)  # noqa: DTZ001 - a wall time
    walls = [start + timedelta(days=day, hours=hour) for day in range(DAYS) for hour in HOURS]
    instants = [(wall - timedelta(hours=8)).replace(tzinfo=UTC) for wall in walls]
    openings = []
    for community, wanted in enumerate(wants):
        column = ColumnRules(community, (), Pool(tags=frozenset(f"t{tag}" for tag in wanted)), cooldown)
        openings += [Opening(column, community, at, wall) for at, wall in zip(instants, walls, strict=True)]
    return Shop(PlanRequest(openings, items), classes, tags, wants, cooldown)


def b1(communities: int, materials: int) -> Shop:
    return shop(communities, materials, tags_each=2, cooldown=7)


# ---------------------------------------------------------------- floor and draw


def shelves_of(made: Shop) -> list[list[Any]]:
    """Each community's materials by class, as arrays."""
    classes = np.array(made.classes)
    tagged: list[list[int]] = [[] for _tag in range(TAGS)]
    for number, named in enumerate(made.tags):
        for tag in named:
            tagged[tag].append(number)
    rows = [np.array(row, dtype=np.int32) for row in tagged]
    pools = [np.unique(np.concatenate([rows[tag] for tag in wanted])) for wanted in made.wants]
    return [[pool[classes[pool] == code] for code in range(3)] for pool in pools]


def floor(made: Shop) -> list[tuple[int, int, int, int]]:
    """Greedy a slot at a time; answers community, slot, class and material, ready to be written."""
    shares = [part / sum(PARTS) for part in PARTS]
    rows = []
    for community, shelves in enumerate(shelves_of(made)):
        last = [np.full(len(shelf), NEVER, dtype=np.int32) for shelf in shelves]
        week = [0, 0, 0]
        taken: list[int] = []
        for slot in range(SLOTS):
            day = slot // len(HOURS)
            if slot >= WEEK and taken[slot - WEEK] >= 0:
                week[taken[slot - WEEK]] -= 1
            after = sum(week) + 1
            owed = [
                (share * after - had, code)
                for code, (share, had) in enumerate(zip(shares, week, strict=True))
            ]
            taken.append(-1)
            for _shortfall, code in sorted(owed, reverse=True):
                stock = last[code]
                if not len(stock):
                    continue
                best = int(stock.argmin())
                if day - stock[best] >= made.cooldown:
                    stock[best] = day
                    week[code] += 1
                    taken[slot] = code
                    rows.append((community, slot, code, int(shelves[code][best])))
                    break
    return rows


def array_floor(made: Shop) -> list[tuple[int, int, int, int]]:
    """The same for all communities at once."""
    count = len(made.wants)
    shelves = shelves_of(made)
    width = max(len(shelf) for row in shelves for shelf in row)
    members = np.full((count, 3, width), -1, dtype=np.int32)
    last = np.full((count, 3, width), 10_000, dtype=np.int16)  # beyond the shelf's end: never free
    for community, row in enumerate(shelves):
        for code, shelf in enumerate(row):
            members[community, code, : len(shelf)] = shelf
            last[community, code, : len(shelf)] = NEVER
    shares = np.array(PARTS) / sum(PARTS)
    everyone = np.arange(count)
    week = np.zeros((count, 3), dtype=np.int32)
    taken = np.full((SLOTS, count), -1, dtype=np.int8)
    picked = np.full((SLOTS, count), -1, dtype=np.int32)
    for slot in range(SLOTS):
        day = slot // len(HOURS)
        if slot >= WEEK:
            gone = taken[slot - WEEK]
            there = gone >= 0
            week[everyone[there], gone[there]] -= 1
        owed = shares * (week.sum(axis=1, keepdims=True) + 1) - week
        open_ = everyone
        for code in np.argsort(-owed, axis=1).T:
            if not len(open_):
                break
            mine = code[open_]
            stock = last[open_, mine]
            best = stock.argmin(axis=1)
            free = day - stock[np.arange(len(open_)), best] >= made.cooldown
            who, what, where = open_[free], mine[free], best[free]
            last[who, what, where] = day
            week[who, what] += 1
            taken[slot, who] = what
            picked[slot, who] = members[who, what, where]
            open_ = open_[~free]
    slots, who = np.nonzero(picked >= 0)
    columns = (who, slots, taken[slots, who], picked[slots, who])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def draw(made: Shop, communities: int) -> float:
    """`ORDER BY random()` a slot on SQLite, for the first communities; slots a second."""
    db = sqlite3.connect(":memory:")
    db.executescript(
        "CREATE TABLE material (id INTEGER PRIMARY KEY, class INTEGER);"
        "CREATE TABLE tag (tag INTEGER, material INTEGER, PRIMARY KEY (tag, material)) WITHOUT ROWID;"
        "CREATE TABLE used (community INTEGER, material INTEGER, day INTEGER);"
        "CREATE INDEX used_by ON used (community, material, day);"
    )
    db.executemany("INSERT INTO material VALUES (?, ?)", enumerate(made.classes))
    db.executemany(
        "INSERT INTO tag VALUES (?, ?)", ((t, m) for m, named in enumerate(made.tags) for t in named)
    )
    dice = random.Random(2)
    began = time.process_time()
    for community, wanted in enumerate(made.wants[:communities]):
        marks = ",".join("?" * len(wanted))
        for slot in range(SLOTS):
            day = slot // len(HOURS)
            row = db.execute(
                "SELECT id FROM material WHERE class = ?"
                f" AND id IN (SELECT material FROM tag WHERE tag IN ({marks}))"
                " AND NOT EXISTS (SELECT 1 FROM used WHERE community = ? AND material = id AND day > ?)"
                " ORDER BY random() LIMIT 1",
                (dice.choices(range(3), PARTS)[0], *wanted, community, day - made.cooldown),
            ).fetchone()
            if row is not None:
                db.execute("INSERT INTO used VALUES (?, ?, ?)", (community, row[0], day))
    return communities * SLOTS / (time.process_time() - began)


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
    given = reader.parse_args()
    speed(given.communities, given.rounds)
    tight(given.rounds, given.tight, given.seconds)


if __name__ == "__main__":
    main()
