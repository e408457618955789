"""Which channels run in which worker, so that one that lacks a plugin leaves its units to those that have it."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("worker", sa.Column("channels", sa.Text(), server_default=sa.text("'[]'"), nullable=False))
