"""The books only grow: the database itself refuses to change or remove what is posted.

A migration that rebuilds one of these tables on SQLite must make its triggers again.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

APPEND_ONLY = ("ledger_tx", "ledger_entry", "lot_move", "ledger_seal", "audit_record")

# A lot's remainder is a cache and moves; who has it, how large it was and when it expires, never.
LOT_FIXED = ("account_id", "tx_id", "original", "expires_at")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _on_postgresql()
    else:
        _on_sqlite()


def _on_postgresql() -> None:
    op.execute(
        """
        CREATE FUNCTION lanmu_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = '23000';
        END $$
        """
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION lanmu_append_only()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_never_empty BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION lanmu_append_only()"
        )
    op.execute(
        f"CREATE TRIGGER lot_fixed BEFORE UPDATE OF {', '.join(LOT_FIXED)} ON lot "
        "FOR EACH ROW EXECUTE FUNCTION lanmu_append_only()"
    )
    op.execute(
        "CREATE TRIGGER lot_kept BEFORE DELETE ON lot FOR EACH ROW EXECUTE FUNCTION lanmu_append_only()"
    )


def _on_sqlite() -> None:
    for table in APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            _refuse(f"{table}_no_{verb.lower()}", f"{verb} ON {table}", table)
    _refuse("lot_fixed", f"UPDATE OF {', '.join(LOT_FIXED)} ON lot", "lot")
    _refuse("lot_kept", "DELETE ON lot", "lot")


def _refuse(name: str, when: str, table: str) -> None:
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {when} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )
