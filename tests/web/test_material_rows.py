"""The list of materials is written by hand for speed, and must say what its schema says."""

from lanmu.interfaces.clock import utc
from lanmu.library.views import MaterialRow
from lanmu.web.api.materials import MaterialRowSchema, row_document


def test_a_row_is_written_as_its_schema_would_write_it():
    row = MaterialRow(
        id="mat_x",
        key=7,
        name="202503 促活-育儿干货-短文",
        title="标题",
        excerpt="正文",
        content_class="engagement",
        kind="industry_insight",
        zone="knowledge",
        genre="guide",
        topic="育儿干货",
        form="text",
        month="202503",
        origin="original",
        owner="周敏",
        state="approved",
        in_use=True,
        weight=100,
        tags=("母婴", "0-1岁"),
        valid_from=None,
        valid_until=utc(2026, 12, 1, 16),
        cover="",
        updated_at=utc(2026, 11, 23, 1, 2, 3),
    )
    written = row_document(row)
    assert {**written, "tags": list(written["tags"])} == MaterialRowSchema().dump(row)
