"""A made-up shop of many Chinese materials, in the library's own tables and in the floor's."""

import json
import random
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert, text

import lanmu.every_model  # noqa: F401  the tables must be known before they are migrated
from lanmu.library import bigrams, presets
from lanmu.library.content import Content, content_hash, fields_of
from lanmu.library.models import Material, MaterialTag, Revision
from lanmu.storage import Database
from lanmu.storage.migrate import CORE, upgrade

CHUNK = 2000
TAGS = [f"标签{number}" for number in range(60)]
OWNERS = ("周敏", "林晓", "何川", "许言", "杜若")


def vocabulary(dice: random.Random) -> tuple[list[str], list[float]]:
    """Words of two to four characters, few of them common, as in any language."""
    characters = [chr(0x4E00 + dice.randrange(0x3000)) for _ in range(1500)]
    words = ["".join(dice.choices(characters, k=dice.choice((2, 2, 2, 3, 4)))) for _ in range(4000)]
    return words, [1 / (rank + 5) for rank in range(len(words))]


def contents(count: int) -> list[Content]:
    dice = random.Random(20261123)
    words, weights = vocabulary(dice)
    kinds = {kind.code: kind.parent for kind in presets.LIFECYCLE.kinds}
    genres = {genre.code: genre.parent for genre in presets.GENRES}
    class_weights = {"engagement": 5, "conversion": 3, "brand": 2}
    made = []
    for number in range(count):
        said = dice.choices(words, weights, k=dice.randrange(20, 40))
        kind = dice.choices(list(kinds), [class_weights[kinds[code]] for code in kinds])[0]
        genre = dice.choice(list(genres))
        made.append(
            Content(
                title="".join(said[:5]),
                body="，".join("".join(said[at : at + 3]) for at in range(5, len(said), 3)) + "。",
                content_class=kinds[kind],
                kind=kind,
                zone=genres[genre],
                genre=genre,
                topic=said[0],
                form=dice.choice(("text", "image_text", "link")),
                month=f"2026{number % 12 + 1:02d}",
                owner=dice.choice(OWNERS),
                tags=tuple(dice.sample(TAGS, dice.randrange(1, 4))),
            )
        )
    return made


def build_library(path: Path, made: list[Content]) -> None:
    """The library's own tables, written in bulk."""
    database = Database(f"sqlite:///{path}")
    upgrade(database, CORE)
    now = datetime(2026, 11, 23, tzinfo=UTC)
    for start in range(0, len(made), CHUNK):
        materials, revisions, tags, words = [], [], [], []
        for key, content in enumerate(made[start : start + CHUNK], start + 1):
            fields = fields_of(content)
            stored = {name: fields[name] for name in fields if not name.startswith("valid_")}
            materials.append(
                stored | {
                    "id": key, "public_id": f"mat_{key:016d}", "title": content.title, "state": "approved",
                    "excerpt": content.body[:120],
                    "current_revision_id": key, "approved_revision_id": key, "created_at": now,
                    "updated_at": now,
                }
            )  # fmt: skip
            revisions.append(
                {
                    "id": key, "material_id": key, "number": 1, "title": content.title, "body": content.body,
                    "author": content.owner, "fields": fields, "content_hash": content_hash(content, []),
                    "created_at": now,
                }
            )  # fmt: skip
            tags += [{"material_id": key, "tag": tag, "position": at} for at, tag in enumerate(content.tags)]
            words.append({"id": key, "words": " ".join(index_words(content))})
        with database.write() as session:
            session.execute(insert(Material), materials)
            session.execute(insert(Revision), revisions)
            session.execute(insert(MaterialTag), tags)
            session.execute(text("INSERT INTO material_search (rowid, words) VALUES (:id, :words)"), words)
    with database.write() as session:
        session.execute(text("INSERT INTO material_search (material_search) VALUES ('optimize')"))
        session.execute(text("ANALYZE"))
    database.close()


def index_words(content: Content) -> list[str]:
    """As `lanmu.library.records.index` makes them."""
    whole = "\n".join((content.title, content.topic, " ".join(content.tags), content.body, content.owner))
    marks = [
        bigrams.mark(axis, getattr(content, axis))
        for axis in ("content_class", "kind", "zone", "genre", "form", "month", "origin", "owner")
    ]
    marks += [
        bigrams.mark("state", "approved"),
        bigrams.shelf_mark(content.content_class, content.zone),
        *(bigrams.mark("tag", tag) for tag in content.tags),
        bigrams.IN_USE,
    ]
    return [*bigrams.words(whole), *marks]


def build_floor(path: Path, made: list[Content]) -> None:
    """One table of what a list shows, and the index."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(
        "CREATE TABLE doc (id INTEGER PRIMARY KEY, title, excerpt, content_class, kind, zone, genre, topic, "
        "form, month, origin, owner, state, updated_at, tags)"
    )
    connection.execute(
        "CREATE VIRTUAL TABLE doc_search USING fts5(words, tokenize = \"ascii tokenchars '_'\")"
    )
    for key, content in enumerate(made, 1):
        connection.execute(
            "INSERT INTO doc VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                key, content.title, content.body[:120], content.content_class, content.kind, content.zone,
                content.genre, content.topic, content.form, content.month, content.origin, content.owner,
                "approved", "2026-11-23T00:00:00+00:00", json.dumps(content.tags),
            ),
        )  # fmt: skip
        connection.execute(
            "INSERT INTO doc_search (rowid, words) VALUES (?, ?)",
            (key, " ".join(word for word in index_words(content) if not word.startswith("y_"))),
        )
    connection.execute("INSERT INTO doc_search (doc_search) VALUES ('optimize')")
    connection.execute("ANALYZE")
    connection.commit()
    connection.close()
