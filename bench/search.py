"""D1: the list of materials with search, filters and total over HTTP, beside the barest program that does it.

    python bench/search.py [N] [--rounds 3] [--seconds 6] [--growth]

The floor is bare Flask around a raw SQLite connection: an index of character pairs with the filters as index
words, a page of 20 and a count for every request. The subject is the library behind a Flask route that reads
filters and cursor and answers the same fields. Both run under waitress with 8 threads, in turn, on the same
machine in the same run; eight connections ask all the time.

Two loads: "varied" asks a different question each time, so that no total is known beforehand; "usual" asks a
few hundred questions again and again, as people do who page through lists. Every hit is checked against a
look through all texts.
"""

import argparse
import http.client
import json
import logging
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask import Flask, jsonify, request
from sqlalchemy import insert, text
from waitress import serve

import lanmu.every_model  # noqa: F401
from lanmu.library import bigrams, presets
from lanmu.library.content import Content, content_hash, fields_of
from lanmu.library.models import Material, MaterialTag, Revision
from lanmu.library.search import Filters
from lanmu.library.service import Library
from lanmu.storage import Database
from lanmu.storage.migrate import CORE, upgrade
from lanmu.testing.clock import FakeClock

CONNECTIONS = 8
PAGE = 20
CHUNK = 2000
TAGS = [f"标签{number}" for number in range(60)]
OWNERS = ("周敏", "林晓", "何川", "许言", "杜若")
FIELDS = (
    "id", "title", "excerpt", "class", "kind", "zone", "genre", "topic", "form", "month", "origin", "owner",
    "state", "updated_at",
)  # fmt: skip
Question = dict[str, str]


# ---------------------------------------------------------------- the shop


def vocabulary(dice: random.Random) -> tuple[list[str], list[float]]:
    """Words of two to four characters, few of them common, as in any language."""
    characters = [chr(0x4E00 + dice.randrange(0x3000)) for _ in range(1500)]
    words = ["".join(dice.choices(characters, k=dice.choice((2, 2, 2, 3, 4)))) for _ in range(4000)]
    return words, [1 / (rank + 5) for rank in range(len(words))]


def contents(count: int) -> "list[Content]":
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


def build_subject(path: Path, made: list[Content]) -> None:
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
        *(bigrams.mark("tag", tag) for tag in content.tags),
        bigrams.IN_USE,
    ]
    return [*bigrams.words(whole), *marks]


def build_floor(path: Path, made: list[Content]) -> None:
    """One table of what a list shows, and the index."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(
        "CREATE TABLE doc (id INTEGER PRIMARY KEY, title, excerpt, class, kind, zone, genre, topic, form, "
        "month, origin, owner, state, updated_at, tags)"
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
            "INSERT INTO doc_search (rowid, words) VALUES (?, ?)", (key, " ".join(index_words(content)))
        )
    connection.execute("INSERT INTO doc_search (doc_search) VALUES ('optimize')")
    connection.execute("ANALYZE")
    connection.commit()
    connection.close()


# ---------------------------------------------------------------- the two servers


def floor_app(path: Path) -> Flask:
    """The least that answers the question."""
    app = Flask(__name__)
    own = threading.local()
    columns = ", ".join(f"d.{name}" for name in FIELDS)

    @app.get("/materials")
    def materials():
        connection = getattr(own, "connection", None)
        if connection is None:
            connection = own.connection = sqlite3.connect(path, isolation_level=None)
        asked = request.args
        words = []
        typed = asked.get("q", "")
        if typed:
            words.append('"' + " ".join(typed[at : at + 2] for at in range(len(typed) - 1)) + '"')
        words += [f'"{axis[0]}_{asked[axis]}"' for axis in ("class", "zone") if axis in asked]
        if "tag" in asked:
            words.append('"' + bigrams.mark("tag", asked["tag"]) + '"')
        said = " AND ".join(words) or '"s_approved"'
        rows = connection.execute(
            f"SELECT {columns}, d.tags FROM doc_search s CROSS JOIN doc d ON d.id = s.rowid "
            "WHERE doc_search MATCH ? ORDER BY s.rowid DESC LIMIT ?",
            (said, PAGE),
        ).fetchall()
        (total,) = connection.execute(
            "SELECT count(*) FROM doc_search WHERE doc_search MATCH ?", (said,)
        ).fetchone()
        items = [dict(zip((*FIELDS, "tags"), (*row[:-1], json.loads(row[-1])), strict=True)) for row in rows]
        return jsonify({"items": items, "total": total})

    return app


def subject_app(path: Path) -> Flask:
    """The library's service behind a route."""
    app = Flask(__name__)
    library = Library(Database(f"sqlite:///{path}"), FakeClock(), path.parent / "data")

    @app.get("/materials")
    def materials():
        asked = request.args
        page = library.search.find(
            Filters(
                text=asked.get("q", ""),
                content_class=tuple(asked.getlist("class")),
                zone=tuple(asked.getlist("zone")),
                tags=tuple(asked.getlist("tag")),
            ),
            cursor=asked.get("cursor", ""),
            limit=int(asked.get("limit", PAGE)),
        )
        items = [
            {
                "id": row.id, "title": row.title, "excerpt": row.excerpt, "class": row.content_class,
                "kind": row.kind, "zone": row.zone, "genre": row.genre, "topic": row.topic, "form": row.form,
                "month": row.month, "origin": row.origin, "owner": row.owner, "state": row.state,
                "updated_at": row.updated_at.isoformat(), "tags": list(row.tags), "name": row.name,
                "in_use": row.in_use,
            }
            for row in page.items
        ]  # fmt: skip
        return jsonify({"items": items, "total": page.total, "next_cursor": page.next_cursor})

    return app


@dataclass
class Server:
    """A server in a process of its own."""

    name: str
    port: int
    process: subprocess.Popen[bytes]

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(name: str, port: int, path: Path) -> Server:
    process = subprocess.Popen([sys.executable, __file__, "--serve", name, str(port), str(path)])
    server = Server(name, port, process)
    for _attempt in range(300):
        try:
            ask(http.client.HTTPConnection("127.0.0.1", port, timeout=30), {"q": "你好"})
        except OSError:
            time.sleep(0.1)
        else:
            return server
    raise SystemExit(f"the {name} did not start")


# ---------------------------------------------------------------- asking


def questions(made: list[Content], count: int, seed: int) -> list[Question]:
    """What people ask: words that are there, words with filters, and filters alone."""
    dice = random.Random(seed)
    found = []
    for _ in range(count):
        content = dice.choice(made)
        question: Question = {}
        shape = dice.random()
        if shape < 0.8:
            run = dice.choice(content.body.rstrip("。").split("，"))
            length = dice.choice((2, 2, 3, 4))
            at = dice.randrange(max(1, len(run) - length + 1))
            question["q"] = run[at : at + length]
        if shape > 0.2:
            question["class"] = content.content_class
        if shape > 0.35:
            question["zone"] = content.zone
        if shape > 0.5:
            question["tag"] = dice.choice(content.tags)
        found.append(question)
    return found


def ask(connection: http.client.HTTPConnection, question: Question) -> Any:
    connection.request("GET", "/materials?" + urlencode(question))
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise SystemExit(f"{response.status}: {body[:300]!r}")
    return json.loads(body)


def load(port: int, asked: list[Question], seconds: float) -> tuple[float, float, float]:
    """Requests a second, p50 and p95 in milliseconds, over eight connections."""
    waits: list[list[float]] = [[] for _ in range(CONNECTIONS)]
    paths = ["/materials?" + urlencode(question) for question in asked]
    begin = time.perf_counter()
    until = begin + seconds

    def run(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        at = number
        while time.perf_counter() < until:
            since = time.perf_counter()
            connection.request("GET", paths[at % len(paths)])
            response = connection.getresponse()
            response.read()
            waits[number].append(time.perf_counter() - since)
            assert response.status == 200
            at += CONNECTIONS

    threads = [threading.Thread(target=run, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = sorted(wait for some in waits for wait in some)
    rate = len(every) / (time.perf_counter() - begin)
    return rate, every[len(every) // 2] * 1000, every[int(len(every) * 0.95)] * 1000


def check(port: int, made: list[Content], asked: list[Question]) -> tuple[int, int]:
    """Hits that the pages of the subject show, and hits there are: by a look through every text."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    shown = true = 0
    for question in asked:
        wanted = {
            f"mat_{key:016d}"
            for key, content in enumerate(made, 1)
            if content.content_class == question.get("class", content.content_class)
            and content.zone == question.get("zone", content.zone)
            and ("tag" not in question or question["tag"] in content.tags)
            and question.get("q", "") in f"{content.title}\n{content.topic}\n{content.body}\n{content.owner}"
        }
        seen: list[str] = []
        cursor = ""
        while True:
            page = ask(connection, question | {"limit": "200", "cursor": cursor})
            seen += [item["id"] for item in page["items"]]
            cursor = page["next_cursor"]
            if not cursor or len(seen) > 3000:
                break
        assert len(seen) == len(set(seen)), question
        assert page["total"] == len(wanted), (question, page["total"], len(wanted))
        assert set(seen) <= wanted if cursor else set(seen) == wanted, question
        shown += page["total"]
        true += len(wanted)
    return shown, true


# ---------------------------------------------------------------- the run


def measure(count: int, rounds: int, seconds: float, *, subject_only: bool = False) -> dict[str, float]:
    """Build, check, load in turn, print; answers the subject's rates."""
    made = contents(count)
    with tempfile.TemporaryDirectory(prefix="lanmu-bench-") as folder:
        subject_path, floor_path = Path(folder, "subject.db"), Path(folder, "floor.db")
        since = time.perf_counter()
        build_subject(subject_path, made)
        if not subject_only:
            build_floor(floor_path, made)
        print(f"\n{count:,} materials, built in {time.perf_counter() - since:.0f} s", flush=True)
        servers = [start("subject", 18731, subject_path)]
        if not subject_only:
            servers.insert(0, start("floor", 18732, floor_path))
        try:
            shown, true = check(servers[-1].port, made, questions(made, 40, seed=7))
            print(f"checked: {shown:,} hits of {true:,} true ones in 40 questions", flush=True)
            rates = {}
            for name, different in (("varied", 200_000), ("usual", 300)):
                rates[name] = one_load(servers, name, made, different, rounds, seconds)
            return rates
        finally:
            for server in servers:
                server.process.terminate()
                server.process.wait()


def one_load(
    servers: list[Server], name: str, made: list[Content], different: int, rounds: int, seconds: float
) -> float:
    results: dict[str, list[tuple[float, float, float, float]]] = {server.name: [] for server in servers}
    for number in range(rounds):
        asked = questions(made, min(different, 20_000), seed=100 + (number if different > 1000 else 0))
        for server in servers:
            load(server.port, asked[-200:], 0.5)  # caches of the file system and of statements
            cpu = server.cpu()
            rate, p50, p95 = load(server.port, asked, seconds)
            spent = (server.cpu() - cpu) / (rate * seconds) * 1000
            results[server.name].append((rate, p50, p95, spent))
    middle: dict[str, list[float]] = {
        who: [statistics.median(column) for column in zip(*rows, strict=True)]
        for who, rows in results.items()
    }
    print(f"{name:8}{'requests/s':>12}{'p50 ms':>9}{'p95 ms':>9}{'CPU ms each':>13}")
    for who, (rate, p50, p95, spent) in middle.items():
        print(f"{who:8}{rate:12.0f}{p50:9.1f}{p95:9.1f}{spent:13.2f}")
    if "floor" in middle:
        floor, subject = middle["floor"], middle["subject"]
        print(
            f"{'ratio':8}"
            + "".join(f"{subject[at] / floor[at]:{width}.2f}" for at, width in enumerate((12, 9, 9, 13)))
            + "   (goal: >= 0.70 and p95 <= 1.50)",
            flush=True,
        )
    return middle["subject"][0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", nargs="?", type=int, default=100_000, help="materials (100000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6, help="of each load (6)")
    parser.add_argument("--growth", action="store_true", help="measure the subject at 2x and 10x as well")
    parser.add_argument("--serve", nargs=3, metavar=("WHO", "PORT", "PATH"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        who, port, path = given.serve
        logging.getLogger("waitress").setLevel(logging.ERROR)  # eight connections do queue for eight threads
        app = floor_app(Path(path)) if who == "floor" else subject_app(Path(path))
        serve(app, host="127.0.0.1", port=int(port), threads=CONNECTIONS)
        return
    rates = measure(given.count, given.rounds, given.seconds)
    if given.growth:
        for times in (2, 10):
            grown = measure(given.count * times, given.rounds, given.seconds, subject_only=True)
            for name, rate in grown.items():
                print(f"{times} x the materials, {name}: rate / {rates[name] / rate:.1f}")


if __name__ == "__main__":
    main()
