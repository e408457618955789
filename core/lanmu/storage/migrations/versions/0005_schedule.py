"""The schedule's tables."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Written out here, so that a later change of the types does not change what this migration makes.
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "schedule_column",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("goal", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(length=60), nullable=False),
        sa.Column("classes", sa.Text(), nullable=False),
        sa.Column("targets", sa.Text(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("channel", sa.String(length=60), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("zone", sa.String(length=60), nullable=False),
        sa.Column("cooldown_days", sa.Integer(), nullable=False),
        sa.Column("approval", sa.String(length=8), nullable=False),
        sa.Column("late_policy", sa.String(length=8), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("lock", sa.Integer(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.Column("public_id", sa.String(length=24), nullable=False),
        sa.CheckConstraint("approval IN ('auto','each')", name=op.f("ck_schedule_column_approval")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_column")),
        sa.UniqueConstraint("name", name=op.f("uq_schedule_column_name")),
        sa.UniqueConstraint("public_id", name=op.f("uq_schedule_column_public_id")),
    )
    op.create_table(
        "slot",
        sa.Column("id", _ID, nullable=False),
        sa.Column("column_id", _ID, nullable=False),
        sa.Column("weekdays", sa.String(length=60), nullable=False),
        sa.Column("time", sa.String(length=8), nullable=False),
        sa.Column("rrule", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(
            ["column_id"], ["schedule_column.id"], name=op.f("fk_slot_column_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slot")),
    )
    op.create_index(op.f("ix_slot_column_id"), "slot", ["column_id"], unique=False)
    op.create_table(
        "occurrence",
        sa.Column("id", _ID, nullable=False),
        sa.Column("column_id", _ID, nullable=False),
        sa.Column("community_id", _ID, nullable=False),
        sa.Column("local_time", sa.String(length=16), nullable=False),
        sa.Column("fold", sa.Integer(), nullable=False),
        sa.Column("zone", sa.String(length=60), nullable=False),
        sa.Column("due_at", _INSTANT, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.Column("content_class", sa.String(length=32), nullable=False),
        sa.Column("material_id", _ID, nullable=True),
        sa.Column("revision_id", _ID, nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.String(length=60), nullable=False),
        sa.Column("approved_at", _INSTANT, nullable=True),
        sa.Column("push_id", _ID, nullable=True),
        sa.Column("public_id", sa.String(length=24), nullable=False),
        sa.CheckConstraint(
            "state IN ('planned','empty','approved','handed_over','skipped','missed')",
            name=op.f("ck_occurrence_state"),
        ),
        sa.ForeignKeyConstraint(["column_id"], ["schedule_column.id"], name=op.f("fk_occurrence_column_id")),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name=op.f("fk_occurrence_community_id")),
        sa.ForeignKeyConstraint(["material_id"], ["material.id"], name=op.f("fk_occurrence_material_id")),
        sa.ForeignKeyConstraint(["push_id"], ["push.id"], name=op.f("fk_occurrence_push_id")),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name=op.f("fk_occurrence_revision_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_occurrence")),
        sa.UniqueConstraint(
            "column_id",
            "community_id",
            "local_time",
            "fold",
            name=op.f("uq_occurrence_column_id_community_id_local_time_fold"),
        ),
        sa.UniqueConstraint("public_id", name=op.f("uq_occurrence_public_id")),
    )
    op.create_index(
        op.f("ix_occurrence_community_id_due_at"), "occurrence", ["community_id", "due_at"], unique=False
    )
    op.create_index(op.f("ix_occurrence_due_at_state"), "occurrence", ["due_at", "state"], unique=False)
