"""The library's tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Written out here, so that a later change of the types does not change what this migration makes.
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "asset",
        sa.Column("id", _ID, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("media_type", sa.String(length=60), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("public_id", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset")),
        sa.UniqueConstraint("public_id", name=op.f("uq_asset_public_id")),
        sa.UniqueConstraint("sha256", name=op.f("uq_asset_sha256")),
    )
    op.create_table(
        "content_class",
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("title_zh", sa.String(length=40), nullable=False),
        sa.Column("title_en", sa.String(length=40), nullable=False),
        sa.Column("share", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_content_class")),
    )
    op.create_table(
        "material",
        sa.Column("id", _ID, nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("content_class", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("zone", sa.String(length=32), nullable=False),
        sa.Column("genre", sa.String(length=32), nullable=False),
        sa.Column("topic", sa.String(length=60), nullable=False),
        sa.Column("form", sa.String(length=32), nullable=False),
        sa.Column("month", sa.String(length=6), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=60), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("excerpt", sa.String(length=120), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("cover", sa.String(length=24), nullable=False),
        sa.Column("valid_from", _INSTANT, nullable=True),
        sa.Column("valid_until", _INSTANT, nullable=True),
        sa.Column("licence", sa.Text(), nullable=True),
        sa.Column("consent", sa.Text(), nullable=False),
        sa.Column("retired_reason", sa.Text(), nullable=False),
        sa.Column("current_revision_id", _ID, nullable=True),
        sa.Column("approved_revision_id", _ID, nullable=True),
        sa.Column("lock", sa.Integer(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.Column("public_id", sa.String(length=24), nullable=False),
        sa.CheckConstraint(
            "state IN ('draft','in_review','approved','retired')", name=op.f("ck_material_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_material")),
        sa.UniqueConstraint("public_id", name=op.f("uq_material_public_id")),
    )
    op.create_index(
        op.f("ix_material_state_content_class"), "material", ["state", "content_class"], unique=False
    )
    op.create_index(op.f("ix_material_updated_at_id"), "material", ["updated_at", "id"], unique=False)
    op.create_table(
        "taxonomy_term",
        sa.Column("axis", sa.String(length=8), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("parent", sa.String(length=32), nullable=False),
        sa.Column("title_zh", sa.String(length=40), nullable=False),
        sa.Column("title_en", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("axis", "code", name=op.f("pk_taxonomy_term")),
    )
    op.create_table(
        "material_tag",
        sa.Column("material_id", _ID, nullable=False),
        sa.Column("tag", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["material_id"], ["material.id"], name=op.f("fk_material_tag_material_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("material_id", "tag", name=op.f("pk_material_tag")),
    )
    op.create_index(op.f("ix_material_tag_tag"), "material_tag", ["tag"], unique=False)
    op.create_table(
        "revision",
        sa.Column("id", _ID, nullable=False),
        sa.Column("material_id", _ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=60), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("generator", sa.String(length=60), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("conflict", sa.Boolean(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["material_id"], ["material.id"], name=op.f("fk_revision_material_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revision")),
        sa.UniqueConstraint("material_id", "number", name=op.f("uq_revision_material_id_number")),
    )
    op.create_table(
        "synced_file",
        sa.Column("path", sa.String(length=400), nullable=False),
        sa.Column("material_id", _ID, nullable=False),
        sa.Column("file_hash", sa.String(length=64), nullable=False),
        sa.Column("revision_id", _ID, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("synced_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["material_id"], ["material.id"], name=op.f("fk_synced_file_material_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_synced_file")),
        sa.UniqueConstraint("material_id", name=op.f("uq_synced_file_material_id")),
    )
    op.create_table(
        "review",
        sa.Column("id", _ID, nullable=False),
        sa.Column("material_id", _ID, nullable=False),
        sa.Column("revision_id", _ID, nullable=False),
        sa.Column("reviewer", sa.String(length=60), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("compliance", sa.Boolean(), nullable=False),
        sa.Column("relevance", sa.Boolean(), nullable=False),
        sa.Column("appeal", sa.Boolean(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("decided_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["material_id"], ["material.id"], name=op.f("fk_review_material_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["revision_id"], ["revision.id"], name=op.f("fk_review_revision_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
    )
    op.create_table(
        "revision_asset",
        sa.Column("revision_id", _ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("asset_id", _ID, nullable=False),
        sa.Column("caption", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"], name=op.f("fk_revision_asset_asset_id")),
        sa.ForeignKeyConstraint(
            ["revision_id"], ["revision.id"], name=op.f("fk_revision_asset_revision_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("revision_id", "position", name=op.f("pk_revision_asset")),
    )
