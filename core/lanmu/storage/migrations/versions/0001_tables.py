"""The core's tables."""

from alembic import op

import lanmu.every_model  # noqa: F401
from lanmu.storage import Base

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    Base.metadata.create_all(op.get_bind())
