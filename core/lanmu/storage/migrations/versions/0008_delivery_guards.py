"""Delivery's guards: limits and their use, doubts that are looked up, the installation's home and clock."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Written out here, so that a later change of the types does not change what this migration makes.
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.add_column("push", sa.Column("priority", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("push", sa.Column("binding", sa.Integer(), nullable=False, server_default=sa.text("1")))
    op.add_column("push", sa.Column("edited_by", sa.String(length=60), nullable=False, server_default=""))
    op.add_column("unit", sa.Column("zone", sa.String(length=60), nullable=False, server_default=""))
    op.add_column("unit", sa.Column("counted_at", _INSTANT, nullable=True))
    op.add_column("unit", sa.Column("kept_until", _INSTANT, nullable=True))
    op.add_column("unit", sa.Column("look_at", _INSTANT, nullable=True))
    op.add_column("unit", sa.Column("looks", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.create_index(
        "ix_unit_in_doubt",
        "unit",
        ["look_at"],
        unique=False,
        sqlite_where=sa.text("state = 'unknown'"),
        postgresql_where=sa.text("state = 'unknown'"),
    )
    op.create_index(
        "ix_push_priority",
        "push",
        ["priority"],
        unique=False,
        sqlite_where=sa.text("state IN ('scheduled','running')"),
        postgresql_where=sa.text("state IN ('scheduled','running')"),
    )
    op.create_index(
        "ix_target_member",
        "target",
        ["member_id"],
        unique=False,
        sqlite_where=sa.text("member_id IS NOT NULL"),
        postgresql_where=sa.text("member_id IS NOT NULL"),
    )
    _limits()
    _installation()


def _limits() -> None:
    op.create_table(
        "send_limit",
        sa.Column("id", _ID, nullable=False),
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("channel", sa.String(length=60), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("period", sa.String(length=8), nullable=False),
        sa.Column("zone", sa.String(length=60), nullable=False),
        sa.Column("most", sa.Integer(), nullable=True),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("checked_on", sa.Date(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("changed_by", sa.String(length=60), nullable=False),
        sa.Column("changed_at", _INSTANT, nullable=True),
        sa.CheckConstraint(
            "scope IN ('community','member','sender','channel','recipient')", name=op.f("ck_send_limit_scope")
        ),
        sa.CheckConstraint("period IN ('day','week','month')", name=op.f("ck_send_limit_period")),
        sa.CheckConstraint("most IS NULL OR most >= 0", name=op.f("ck_send_limit_most")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_send_limit")),
        sa.UniqueConstraint("code", name=op.f("uq_send_limit_code")),
    )
    op.create_table(
        "limit_use",
        sa.Column("limit_id", _ID, nullable=False),
        sa.Column("subject", sa.String(length=140), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["limit_id"], ["send_limit.id"], name=op.f("fk_limit_use_limit_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("limit_id", "subject", "starts_on", name=op.f("pk_limit_use")),
    )
    op.create_table(
        "rate_use",
        sa.Column("channel", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=140), nullable=False),
        sa.Column("per_seconds", sa.Integer(), nullable=False),
        sa.Column("full_at", sa.BigInteger(), nullable=False),
        sa.Column("line_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "subject", "per_seconds", name=op.f("pk_rate_use")),
    )
    op.create_table(
        "gate_count",
        sa.Column("push_id", _ID, nullable=False),
        sa.Column("door", sa.String(length=8), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("last_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["push_id"], ["push.id"], name=op.f("fk_gate_count_push_id")),
        sa.PrimaryKeyConstraint("push_id", "door", "code", name=op.f("pk_gate_count")),
    )
    op.create_table(
        "breaker",
        sa.Column("channel", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=140), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("opened_at", _INSTANT, nullable=False),
        sa.Column("until", _INSTANT, nullable=False),
        sa.Column("probe_until", _INSTANT, nullable=True),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('rate','config','concurrency')", name=op.f("ck_breaker_kind")),
        sa.PrimaryKeyConstraint("channel", "subject", "kind", name=op.f("pk_breaker")),
    )


def _installation() -> None:
    op.create_table(
        "instance",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("home", sa.Text(), nullable=False),
        sa.Column("host", sa.String(length=120), nullable=False),
        sa.Column("heartbeat_at", _INSTANT, nullable=True),
        sa.Column("beats", sa.BigInteger(), nullable=False),
        sa.Column("backup_at", _INSTANT, nullable=True),
        sa.Column("frozen_at", _INSTANT, nullable=True),
        sa.Column("frozen_reason", sa.Text(), nullable=False),
        sa.Column("released_at", _INSTANT, nullable=True),
        sa.Column("released_by", sa.String(length=60), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance")),
    )
    op.create_table(
        "clock_watch",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("max_wall_seen", _INSTANT, nullable=False),
        sa.Column("suspect_since", _INSTANT, nullable=True),
        sa.Column("suspect_reason", sa.Text(), nullable=False),
        sa.Column("good_ticks", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock_watch")),
    )
