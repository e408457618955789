"""The shops that the planner's benchmark plans, and its floors: greedy, arrays, a draw in random order."""

import random
import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

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
