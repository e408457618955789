"""What the simulations share: a migrated database to copy, with the one material that all pushes carry."""

import shutil
from pathlib import Path

import pytest
from tests.simulation.sim_material import Stocked, with_material


@pytest.fixture(scope="session")
def stocked(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Stocked:
    path = tmp_path_factory.mktemp("simulation") / "lanmu.db"
    shutil.copy(sqlite_template, path)
    return path, with_material(path)
