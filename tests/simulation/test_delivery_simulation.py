"""Production code in a world of faults: nobody twice, nothing lost, nothing early, every doubt in sight."""

import logging
from collections import Counter
from dataclasses import replace

import pytest
from tests.simulation.sim_chances import STORMY
from tests.simulation.sim_material import Stocked
from tests.simulation.sim_run import run

UNITS = 2000
SEEDS = 50
GROUPS = 25


@pytest.fixture(autouse=True)
def without_the_faulty_channels_complaints():
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("group", range(GROUPS))
def test_two_thousand_messages_a_seed_keep_the_promises(stocked: Stocked, group: int):
    seeds = [seed for seed in range(SEEDS) if seed % GROUPS == group]
    reports = [run(seed, *stocked, UNITS) for seed in seeds]
    bad = [str(report) for report in reports if report.wrong]
    assert not bad, "\n".join(bad)
    assert sum(sum(report.killed_at.values()) for report in reports) > len(seeds), "workers were killed"


EVERYTHING = replace(
    STORMY,
    faults=8.0,
    crash=0.04,
    stop=0.08,
    clock=0.05,
    jumps=0.4,
    away=0.02,
    limit=0.2,
    pace=20,
)
"""Storms in which each kind of fault comes ten times and more in eight seeds."""


def test_the_storm_reaches_every_point_and_every_fault(stocked: Stocked):
    """A simulation in which nothing happens proves nothing."""
    happened, killed_at, states = Counter[str](), Counter[str](), Counter[str]()
    for seed in range(1000, 1008):
        report = run(seed, *stocked, 400, EVERYTHING)
        assert not report.wrong, str(report)
        happened.update(report.happened)
        killed_at.update(report.killed_at)
        states.update(report.found.states)
    assert set(happened) >= {
        *("worker stopped", "machine slept", "second list refused"),
        *("clock set", "clock jumped ahead", "clock jumped back", "clock trusted by a person"),
        *("database went away", "a job met no database", "journal: kept"),
        *("unwritten", "refused", "later", "cut_before", "cut_after", "garbage", "unreachable", "twice"),
        *("find_lied", "find_failed"),
        *("door: quiet", "door: cap", "door: rate", "door: late", "door: expired", "door: stopped"),
        *("push paused", "push resumed", "push cancelled"),
        *("a person said sent", "a person said again", "a person said give_up"),
    }, sorted(happened)
    assert set(killed_at) >= {
        *("after_claim", "connecting", "before_intent", "after_intent", "during_write", "answering"),
        *("after_write", "before_record", "after_record", "looking", "during_doubts"),
    }, sorted(killed_at)
    assert set(states) >= {"accepted", "failed", "skipped", "cancelled", "unknown"}


def test_a_seed_tells_the_same_story_every_time(stocked: Stocked):
    """In this one a worker says only hours later that what was taken back since is out."""
    report = run(7, *stocked, 300)
    assert not report.wrong, str(report)
    assert run(7, *stocked, 300) == report
