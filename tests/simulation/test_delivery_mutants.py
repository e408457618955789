"""The simulation notices when a guarantee is taken out of the code: else it would prove nothing."""

from pathlib import Path

import pytest
from tests.simulation.mutants import MUTANTS, Mutant, noticed_after
from tests.simulation.sim_chances import STORMY
from tests.simulation.sim_material import Stocked
from tests.simulation.sim_run import run

UNITS = 200
SEEDS = 30


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(mutant, id=mutant.name, marks=[pytest.mark.long] if mutant.long else [])
        for mutant in MUTANTS
    ],
)
def test_the_simulation_notices_what_is_taken_out(stocked: Stocked, mutant: Mutant, tmp_path: Path):
    assert noticed_after(mutant, stocked, tmp_path, UNITS, SEEDS)


def test_the_code_as_it_is_passes_the_storm_in_which_mutants_fall(stocked: Stocked):
    """These storms have found faults that were mended since."""
    bad = [str(report) for seed in (4, 9, 37) if (report := run(seed, *stocked, UNITS, STORMY)).wrong]
    assert not bad, "\n".join(bad)
