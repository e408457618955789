"""Where the clock stood when it was last trusted, so that a process that starts after a jump knows of it."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "clock_anchor",
        sa.Column("boot_id", sa.String(length=64), nullable=False),
        sa.Column("wall", _INSTANT, nullable=False),
        sa.Column("boot", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("boot_id", name=op.f("pk_clock_anchor")),
    )
