"""What answers bench.search: the floor, the library behind a bare route, and the server's own API.

python -m bench.search_servers WHO PORT DATABASE
"""

import json
import logging
import sqlite3
import sys
import threading
from pathlib import Path

from flask import Flask, jsonify, request
from waitress import serve

from lanmu import logs
from lanmu.clock import SystemClock
from lanmu.config import parse
from lanmu.library import bigrams
from lanmu.library.search import Filters
from lanmu.library.service import Library
from lanmu.server import Server
from lanmu.staff.service import StaffService
from lanmu.staff.tokens import TokenService
from lanmu.storage import Database
from lanmu.web.app import create_app

PAGE = 20
PATH = "/api/v1/materials"
THREADS = 8
FIELDS = (
    "id", "title", "excerpt", "content_class", "kind", "zone", "genre", "topic", "form", "month", "origin",
    "owner", "state", "updated_at",
)  # fmt: skip


def floor_app(path: Path) -> Flask:
    """The least that answers the question."""
    app = Flask(__name__)
    own = threading.local()
    columns = ", ".join(f"d.{name}" for name in FIELDS)

    @app.get(PATH)
    def materials():
        connection = getattr(own, "connection", None)
        if connection is None:
            connection = own.connection = sqlite3.connect(path, isolation_level=None)
        asked = request.args
        words = []
        typed = asked.get("q", "")
        if typed:
            words.append('"' + " ".join(typed[at : at + 2] for at in range(len(typed) - 1)) + '"')
        words += [f'"{axis[0]}_{asked[axis]}"' for axis in ("content_class", "zone") if axis in asked]
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


def library_app(path: Path) -> Flask:
    """The library's service behind a bare route: what the room itself costs."""
    app = Flask(__name__)
    library = Library(Database(f"sqlite:///{path}"), SystemClock(), path.parent)

    @app.get(PATH)
    def materials():
        asked = request.args
        page = library.search.find(
            Filters(
                text=asked.get("q", ""),
                content_class=tuple(asked.getlist("content_class")),
                zone=tuple(asked.getlist("zone")),
                tags=tuple(asked.getlist("tag")),
            ),
            cursor=asked.get("cursor", ""),
            limit=int(asked.get("limit", PAGE)),
        )
        items = [
            row._asdict() | {"updated_at": row.updated_at.isoformat(), "tags": list(row.tags)}
            for row in page.items
        ]
        return jsonify({"items": items, "total": page.total, "next_cursor": page.next_cursor})

    return app


def api_app(path: Path) -> Flask:
    """The server's own API, with all that stands before and around it."""
    logs.configure("info", "console")  # as the server does by default
    made = parse({"server": {"data_dir": str(path.parent)}}, None, {})
    return create_app(Server(made))


def fresh_token(path: Path) -> str:
    """A token that may read materials."""
    database = Database(f"sqlite:///{path}")
    StaffService(database, SystemClock()).ensure_admin("Bench")
    token = TokenService(database, SystemClock()).create("admin", "bench", ["content:read"])
    database.close()
    return token


def main() -> None:
    who, port, path = sys.argv[1:]
    app = {"floor": floor_app, "library": library_app, "api": api_app}[who](Path(path))
    logging.getLogger("waitress").setLevel(logging.ERROR)  # eight connections do queue for eight threads
    serve(app, host="127.0.0.1", port=int(port), threads=THREADS)


if __name__ == "__main__":
    main()
