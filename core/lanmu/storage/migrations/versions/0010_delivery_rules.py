"""Delivery's rules: why an attempt that may be out was followed by another, and which columns give way."""

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
