"""The access token that all processes of a server share."""

import sqlalchemy as sa
from alembic import op

from lanmu.storage import UtcDateTime

revision = "wecom_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plugin_wecom_token",
        sa.Column("account", sa.String(100), nullable=False),
        sa.Column("fingerprint", sa.String(16), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("fetched_at", UtcDateTime(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("lease", sa.String(32), nullable=False),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("refused_since", UtcDateTime(), nullable=True),
        sa.Column("refused_code", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_plugin_wecom_token"),
    )


def downgrade() -> None:
    op.drop_table("plugin_wecom_token")
