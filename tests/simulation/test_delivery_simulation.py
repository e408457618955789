"""Production code in a world of faults: nobody twice, nothing lost, nothing early, every doubt in sight."""

import logging

import pytest
from tests.simulation.sim_material import Stocked
from tests.simulation.sim_run import run

UNITS = 2000
SEEDS = 50
GROUPS = 10


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


def test_the_storm_reaches_every_point_and_every_fault(stocked: Stocked):
    """A simulation in which nothing happens proves nothing."""
    reports = [run(1000 + seed, *stocked, 500) for seed in range(8)]
    happened = set().union(*(report.happened for report in reports))
    assert happened >= {
        *("clock set", "worker stopped", "machine slept", "second list refused"),
        *("unwritten", "refused", "later", "cut_before", "cut_after", "garbage", "unreachable"),
    }
    killed_at = set().union(*(report.killed_at for report in reports))
    assert len(killed_at) >= 6, killed_at
    states = set().union(*(report.found.states for report in reports))
    assert states >= {"accepted", "failed", "skipped"}


def test_a_seed_tells_the_same_story_every_time(stocked: Stocked):
    assert run(7, *stocked, 300) == run(7, *stocked, 300)
