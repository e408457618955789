"""The tables of experiments and pushes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Written out here, so that a later change of the types does not change what this migration makes.
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "uploaded_asset",
        sa.Column("channel", sa.String(length=60), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("ref", sa.String(length=400), nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("channel", "account", "sha256", name=op.f("pk_uploaded_asset")),
    )
    op.create_table(
        "worker",
        sa.Column("owner", sa.String(length=120), nullable=False),
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", _INSTANT, nullable=False),
        sa.Column("heartbeat_at", _INSTANT, nullable=False),
        sa.Column("stopped_at", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_worker")),
    )
    op.create_table(
        "experiment",
        sa.Column("id", _ID, nullable=False),
        sa.Column("material_id", _ID, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.Column("created_by", sa.String(length=60), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("public_id", sa.String(length=24), nullable=False),
        sa.CheckConstraint("state IN ('draft','running','stopped')", name=op.f("ck_experiment_state")),
        sa.ForeignKeyConstraint(
            ["material_id"], ["material.id"], name=op.f("fk_experiment_material_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiment")),
        sa.UniqueConstraint("public_id", name=op.f("uq_experiment_public_id")),
    )
    op.create_index(op.f("ix_experiment_material_id"), "experiment", ["material_id"], unique=False)
    op.create_table(
        "arm",
        sa.Column("id", _ID, nullable=False),
        sa.Column("experiment_id", _ID, nullable=False),
        sa.Column("key", sa.String(length=2), nullable=False),
        sa.Column("revision_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiment.id"], name=op.f("fk_arm_experiment_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name=op.f("fk_arm_revision_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arm")),
        sa.UniqueConstraint("experiment_id", "key", name=op.f("uq_arm_experiment_id_key")),
    )
    op.create_table(
        "push",
        sa.Column("id", _ID, nullable=False),
        sa.Column("source_key", sa.String(length=160), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("column_name", sa.String(length=100), nullable=False),
        sa.Column("content_class", sa.String(length=32), nullable=False),
        sa.Column("channel", sa.String(length=60), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("material_id", _ID, nullable=True),
        sa.Column("revision_id", _ID, nullable=True),
        sa.Column("test_text", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("held_reason", sa.Text(), nullable=False),
        sa.Column("due_at", _INSTANT, nullable=False),
        sa.Column("zone", sa.String(length=60), nullable=False),
        sa.Column("late_after", sa.Integer(), nullable=False),
        sa.Column("late_policy", sa.String(length=8), nullable=False),
        sa.Column("late_decided", sa.Boolean(), nullable=False),
        sa.Column("deadline_at", _INSTANT, nullable=False),
        sa.Column("planned", sa.Integer(), nullable=False),
        sa.Column("audience_hash", sa.String(length=64), nullable=False),
        sa.Column("approved_hash", sa.String(length=64), nullable=False),
        sa.Column("approved_by", sa.String(length=60), nullable=False),
        sa.Column("approved_at", _INSTANT, nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(length=60), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("finished_at", _INSTANT, nullable=True),
        sa.Column("public_id", sa.String(length=24), nullable=False),
        sa.CheckConstraint("late_policy IN ('ask','send','skip')", name=op.f("ck_push_late_policy")),
        sa.CheckConstraint(
            "state IN ('draft','in_review','approved','scheduled','expanding','running','paused','held','finished','finished_with_issues','cancelled','expired')",
            name=op.f("ck_push_state"),
        ),
        sa.ForeignKeyConstraint(["material_id"], ["material.id"], name=op.f("fk_push_material_id")),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name=op.f("fk_push_revision_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push")),
        sa.UniqueConstraint("public_id", name=op.f("uq_push_public_id")),
        sa.UniqueConstraint("source_key", name=op.f("uq_push_source_key")),
    )
    op.create_index(op.f("ix_push_due_at_id"), "push", ["due_at", "id"], unique=False)
    op.create_index(
        "ix_push_sending",
        "push",
        ["due_at", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('scheduled','running')"),
        postgresql_where=sa.text("state IN ('scheduled','running')"),
    )
    op.create_table(
        "unit",
        sa.Column("id", _ID, nullable=False),
        sa.Column("push_id", _ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=60), nullable=False),
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=24), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("not_before", _INSTANT, nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=120), nullable=False),
        sa.Column("lease_until", _INSTANT, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("ref", sa.String(length=200), nullable=False),
        sa.Column("ref_detail", sa.Text(), nullable=True),
        sa.Column("results_at", _INSTANT, nullable=True),
        sa.Column("accepted_at", _INSTANT, nullable=True),
        sa.Column("finished_at", _INSTANT, nullable=True),
        sa.CheckConstraint(
            "state IN ('pending','leased','calling','retry_wait','unknown','accepted','handed_over','delivered','partial','undelivered','failed','skipped','cancelled','held')",
            name=op.f("ck_unit_state"),
        ),
        sa.ForeignKeyConstraint(["push_id"], ["push.id"], name=op.f("fk_unit_push_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit")),
        sa.UniqueConstraint("push_id", "number", name=op.f("uq_unit_push_id_number")),
        sa.UniqueConstraint("token", name=op.f("uq_unit_token")),
    )
    op.create_index(
        "ix_unit_awaited",
        "unit",
        ["results_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('accepted','handed_over') AND results_at IS NOT NULL"),
        postgresql_where=sa.text("state IN ('accepted','handed_over') AND results_at IS NOT NULL"),
    )
    op.create_index(
        "ix_unit_due",
        "unit",
        ["push_id", "not_before", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('pending','retry_wait')"),
        postgresql_where=sa.text("state IN ('pending','retry_wait')"),
    )
    op.create_index(
        "ix_unit_open",
        "unit",
        ["push_id"],
        unique=False,
        sqlite_where=sa.text("state IN ('pending','leased','calling','retry_wait','unknown','held')"),
        postgresql_where=sa.text("state IN ('pending','leased','calling','retry_wait','unknown','held')"),
    )
    op.create_index(
        "ix_unit_owned",
        "unit",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("state IN ('leased','calling')"),
        postgresql_where=sa.text("state IN ('leased','calling')"),
    )
    op.create_index(
        "ix_unit_ref",
        "unit",
        ["channel", "ref"],
        unique=False,
        sqlite_where=sa.text("ref <> ''"),
        postgresql_where=sa.text("ref <> ''"),
    )
    op.create_table(
        "attempt",
        sa.Column("id", _ID, nullable=False),
        sa.Column("unit_id", _ID, nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=120), nullable=False),
        sa.Column("call", sa.String(length=60), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("request_sha256", sa.String(length=64), nullable=False),
        sa.Column("meta", sa.Text(), nullable=False),
        sa.Column("started_at", _INSTANT, nullable=False),
        sa.Column("finished_at", _INSTANT, nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_attempt_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
        sa.UniqueConstraint("unit_id", "fence", name=op.f("uq_attempt_unit_id_fence")),
    )
    op.create_table(
        "target",
        sa.Column("id", _ID, nullable=False),
        sa.Column("push_id", _ID, nullable=False),
        sa.Column("unit_id", _ID, nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("recipient_key", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("community_id", _ID, nullable=True),
        sa.Column("member_id", _ID, nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changed_at", _INSTANT, nullable=True),
        sa.CheckConstraint(
            "state IN ('planned','accepted','handed_over','delivered','undelivered','failed','skipped','cancelled','unknown','postponed')",
            name=op.f("ck_target_state"),
        ),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name=op.f("fk_target_community_id")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_target_member_id")),
        sa.ForeignKeyConstraint(["push_id"], ["push.id"], name=op.f("fk_target_push_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_target_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_target")),
        sa.UniqueConstraint(
            "push_id", "account", "recipient_key", name=op.f("uq_target_push_id_account_recipient_key")
        ),
    )
    op.create_index(op.f("ix_target_community_id_id"), "target", ["community_id", "id"], unique=False)
    op.create_index(op.f("ix_target_unit_id"), "target", ["unit_id"], unique=False)
