"""Packs and their items."""

import sqlalchemy as sa
from alembic import op

from lanmu.storage import JsonDoc, UtcDateTime
from lanmu.storage.types import BigId

revision = "personal_wechat_export_0001"
down_revision = None
branch_labels = None
depends_on = None

PACK = "plugin_personal_wechat_export_pack"
ITEM = "plugin_personal_wechat_export_item"


def upgrade() -> None:
    op.create_table(
        PACK,
        sa.Column("id", BigId, nullable=False),
        sa.Column("public_id", sa.String(24), nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("push", sa.String(64), nullable=False),
        sa.Column("executor", sa.String(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("document", JsonDoc(), nullable=False),
        sa.Column("deadline", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("cancelled_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=f"pk_{PACK}"),
        sa.UniqueConstraint("public_id", name=f"uq_{PACK}_public_id"),
        sa.UniqueConstraint("token", name=f"uq_{PACK}_token"),
    )
    op.create_index(f"ix_{PACK}_created_at", PACK, ["created_at"])
    op.create_table(
        ITEM,
        sa.Column("id", BigId, nullable=False),
        sa.Column("pack_id", BigId, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=True),
        sa.Column("changed_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting','delivered','skipped','postponed')", name=op.f(f"ck_{ITEM}_state")
        ),
        sa.ForeignKeyConstraint(["pack_id"], [f"{PACK}.id"], name=f"fk_{ITEM}_pack_id"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{ITEM}"),
        sa.UniqueConstraint("pack_id", "key", name=f"uq_{ITEM}_pack_id_key"),
        sa.UniqueConstraint("pack_id", "position", name=f"uq_{ITEM}_pack_id_position"),
    )


def downgrade() -> None:
    op.drop_table(ITEM)
    op.drop_table(PACK)
