"""The index of materials' words: FTS5 on SQLite, a tsvector under GIN on PostgreSQL.

Both get their words ready cut (lanmu.library.bigrams), so neither's own idea of a word matters. On SQLite the
`ascii` tokenizer takes every character beyond ASCII for a letter, whatever its age in Unicode.
`material_search_version` counts the changes: totals are remembered under it.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE material_search USING fts5("
            "words, tokenize = \"ascii tokenchars '_'\", columnsize = 0)"
        )
    else:
        op.execute(
            "CREATE TABLE material_search ("
            "material_id BIGINT PRIMARY KEY REFERENCES material(id) ON DELETE CASCADE, "
            "words TSVECTOR NOT NULL)"
        )
        op.execute("CREATE INDEX ix_material_search_words ON material_search USING GIN (words)")
    op.execute("CREATE TABLE material_search_version (id INTEGER PRIMARY KEY, version BIGINT NOT NULL)")
    op.execute("INSERT INTO material_search_version (id, version) VALUES (1, 1)")
