"""Delivery's rules: why an attempt that may be out was followed by another, and which columns give way, holidays."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempt", sa.Column("again", sa.String(length=8), nullable=False, server_default=""))
    op.add_column(
        "schedule_column", sa.Column("priority", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )
    op.create_table(
        "special_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("works", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_special_day")),
    )
