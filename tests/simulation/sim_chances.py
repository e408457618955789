"""How likely what is in a simulated world."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chances:
    """How likely what is, at a point that is passed once a batch.

    `each_unit` is how much rarer it is at points that every unit passes, `faults` how many times as often as
    usual the far end fails, `away` how likely a transaction is to meet a database that goes away, `people`
    how many seconds lie between two looks of a person, `decide` how likely each is to get one of the
    `answers`. The wall clock is set by up to `clock_most` seconds, and one time in `jumps` by hours; `sets`
    times while pushes are due, whether anybody is at work or not.
    Of a run's units one channel may send the part `limit`, and each sender of another may reach the part
    `sender_limit` in recipients; a third may be called `pace` times a minute. Hours from due time to
    `deadlines`; seconds of `pauses`.
    """

    crash: float = 0.01
    stop: float = 0.02
    sleep: float = 0.01
    clock: float = 0.02
    switch: float = 0.3
    away: float = 0.003
    clock_most: float = 100.0
    jumps: float = 1 / 5
    sets: int = 1
    each_unit: float = 1 / 40
    faults: float = 1.0
    people: float = 600.0
    decide: float = 0.3
    answers: tuple[str, ...] = ("sent", "again", "give_up")
    lanes: tuple[int, ...] = (24, 48)
    limit: float = 0.25
    sender_limit: float = 0.16
    pace: int = 300
    workers: int = 3
    deadlines: tuple[float, ...] = (0.3, 2, 6, 6)
    pauses: tuple[tuple[float, float], ...] = ((0.5, 6), (6, 50), (61, 90), (600, 1500), (3000, 20000))


CALM = Chances()
STORMY = Chances(
    crash=0.05,
    stop=0.2,
    switch=0.6,
    away=0.005,
    each_unit=1 / 3,
    faults=6.0,
    people=100.0,
    lanes=(3, 8),
    workers=8,
    limit=0.15,
    sender_limit=0.12,
    pace=8,
    deadlines=(0.5, 3, 9),
)
"""For few units, each of which lives through much."""
