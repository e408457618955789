"""Who has chosen no language has none: until now everybody was noted down with Chinese, chosen or not."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    staff = sa.table("staff", sa.column("locale", sa.String()))
    op.execute(staff.update().where(staff.c.locale == "zh-CN").values(locale=""))
