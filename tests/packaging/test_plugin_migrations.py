"""Every built-in plugin's tables, made by its own migrations, on SQLite and on PostgreSQL."""

from importlib.metadata import EntryPoint, entry_points

import pytest

from lanmu.storage import Database
from lanmu.storage.migrate import differences, upgrade
from lanmu.testing.loading import chain_of


def _built_in() -> list[EntryPoint]:
    points = entry_points(group="lanmu.plugins")
    return sorted((p for p in points if p.dist is not None and p.dist.name == "lanmu"), key=lambda p: p.name)


@pytest.mark.parametrize("point", _built_in(), ids=lambda point: point.name)
def test_the_migrations_add_up_to_the_models(point: EntryPoint, database: Database) -> None:
    try:
        chain = chain_of(point.load(), point.name)
    except ModuleNotFoundError as error:
        pytest.fail(f"{point.value} cannot be imported: {error}")
    if chain is None:
        pytest.skip("this plugin has no tables")
    upgrade(database, chain)
    upgrade(database, chain)  # a second start finds nothing to do
    assert differences(database, chain) == []
