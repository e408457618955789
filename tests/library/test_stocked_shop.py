"""The shop that other rooms' tests plan for has, made at once, what people would have made one by one."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from tests.shop import Shop

from lanmu.library.models import Material, MaterialTag, Review, Revision
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock

CLASSES = ("engagement", "conversion", "brand")


@pytest.fixture
def shop(database: Database, clock: FakeClock, tmp_path: Path) -> Shop:
    return Shop(database, clock, tmp_path / "data")


def _rows(shop: Shop, model: type[Any], *but: str) -> list[dict[str, Any]]:
    table = model.__table__
    with shop.database.read() as session:
        rows = session.execute(select(table).order_by(*table.primary_key)).mappings().all()
    return [{name: value for name, value in row.items() if name not in but} for row in rows]


def _found_by(shop: Shop) -> list[Any]:
    """The words under which each material is found, in order."""
    key = "rowid" if shop.database.dialect == "sqlite" else "material_id"
    with shop.database.read() as session:
        rows = session.execute(text(f"SELECT CAST(words AS text) FROM material_search ORDER BY {key}"))
        return [row[0] for row in rows]


def test_what_is_stocked_at_once_is_what_people_make_one_by_one(shop: Shop):
    same = {"title": "早安", "body": "今天说一件小事。", "tags": ("母婴", "早安")}
    for content_class in CLASSES:
        shop.material(content_class, **same)
    shop.stock(1, **same)
    for rows in (
        _rows(shop, Material, "id", "public_id", "current_revision_id", "approved_revision_id"),
        _rows(shop, Revision, "id", "material_id"),
        _rows(shop, Review, "id", "material_id", "revision_id"),
        _rows(shop, MaterialTag, "material_id"),
        _found_by(shop),
    ):
        half = len(rows) // 2
        assert half >= len(CLASSES)
        assert rows[:half] == rows[half:]


def test_each_row_that_is_stocked_belongs_to_its_own_material(shop: Shop):
    shop.stock(2)
    with shop.database.read() as session:
        for material in session.scalars(select(Material)):
            revision = session.get_one(Revision, material.current_revision_id)
            review = session.scalars(select(Review).where(Review.material_id == material.id)).one()
            assert (material.title, material.id) == (revision.title, revision.material_id)
            assert material.approved_revision_id == review.revision_id == revision.id
