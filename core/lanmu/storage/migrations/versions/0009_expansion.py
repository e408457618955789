"""Expansion: recipients that are to become units and targets; communities' targets alone in their index."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OF_COMMUNITIES = sa.text("community_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "push_portion",
        sa.Column("push_id", _ID, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("recipients", sa.Integer(), nullable=False),
        sa.Column("communities", sa.Integer(), nullable=False),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("units", sa.LargeBinary(), nullable=False),
        sa.Column("targets", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["push_id"], ["push.id"], name=op.f("fk_push_portion_push_id")),
        sa.PrimaryKeyConstraint("push_id", "number", name=op.f("pk_push_portion")),
    )
    op.create_index(
        "ix_target_community",
        "target",
        ["community_id", "id"],
        unique=False,
        sqlite_where=_OF_COMMUNITIES,
        postgresql_where=_OF_COMMUNITIES,
    )
    op.drop_index(op.f("ix_target_community_id_id"), table_name="target")
