"""The sandbox's memory: one SQLite file (or none), written by one connection under one lock."""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lanmu_wecom.sandbox.demo import SEED, Seed

Row = sqlite3.Row

_SCHEMA = """
create table if not exists note (name text primary key, value text not null);
create table if not exists employee (userid text primary key, name text, shop text);
create table if not exists customer (id text primary key, name text, last_chat text);
create table if not exists customer_tag (customer text, tag text, primary key (customer, tag));
create table if not exists follow (userid text, customer text, friend integer default 1,
  primary key (userid, customer));
create index if not exists follow_customer on follow (customer);
create table if not exists chat (id text primary key, name text, owner text, members integer, created real);
create table if not exists chat_member (chat text, customer text, primary key (chat, customer));
create table if not exists robot (key text primary key, name text, chat_name text, owner text,
  members integer, enabled integer default 1);
create table if not exists token (token text primary key, corpid text, agentid integer, expires real,
  void integer default 0);
create table if not exists media (id text primary key, kind text, name text, type text, bytes blob,
  created real, robot text default '', lasting integer default 0);
create table if not exists broadcast (msgid text primary key, chat_type text, sender text, created real,
  content text, cancelled real);
create index if not exists broadcast_created on broadcast (created);
create table if not exists task (msgid text, userid text, send_time real, declined integer default 0,
  primary key (msgid, userid));
create index if not exists task_user on task (userid);
create table if not exists target (msgid text, userid text, key text, status integer default 0,
  send_time real, primary key (msgid, key)) without rowid;
create table if not exists reminder (msgid text, at real);
create table if not exists quota (key text, month text, used integer, primary key (key, month));
create table if not exists bubble (id integer primary key, place text, author text, at real,
  content text, msgid text);
create index if not exists bubble_place on bubble (place, id);
create table if not exists app_call (hash text primary key, until real);
create table if not exists received (id integer primary key, at real, method text, call text, query text,
  body blob, status integer, errcode integer, effect integer, ref text);
"""


class Store:
    """Rows in, rows out. `lock` is held for the length of a call, so that each call is one step."""

    def __init__(self, path: Path | None, seed: Seed = SEED) -> None:
        self.lock = threading.RLock()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        # A look-alike may lose its last call when the machine loses power, but not when it is killed.
        self._db.executescript("pragma journal_mode = wal; pragma synchronous = off;")
        self._db.executescript(_SCHEMA)
        if self.note("seeded") is None:
            with self.change():
                self._sow(seed)
                self.set_note("seeded", True)

    def close(self) -> None:
        with self.lock:
            self._db.close()

    @contextmanager
    def change(self) -> Iterator[None]:
        """One transaction; it may stand inside another one."""
        with self.lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._db.execute("rollback")
                raise
            self._db.execute("commit")

    def run(self, sql: str, *values: object) -> int:
        """Write; answers how many rows it touched."""
        with self.lock:
            return self._db.execute(sql, values).rowcount

    def add(self, sql: str, *values: object) -> int:
        """Insert one row; answers its id."""
        with self.lock:
            return self._db.execute(sql, values).lastrowid or 0

    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        with self.lock:
            self._db.executemany(sql, rows)

    def all(self, sql: str, *values: object) -> list[Row]:
        with self.lock:
            return self._db.execute(sql, values).fetchall()

    def one(self, sql: str, *values: object) -> Row | None:
        with self.lock:
            row: Row | None = self._db.execute(sql, values).fetchone()
            return row

    def among(self, sql: str, keys: Sequence[str], *before: object) -> list[Row]:
        """Rows for many keys; `sql` holds `in (?*)` where they go."""
        rows: list[Row] = []
        for start in range(0, len(keys), 500):
            part = keys[start : start + 500]
            marks = ",".join("?" * len(part))
            rows += self.all(sql.replace("?*", marks), *before, *part)
        return rows

    def note(self, name: str) -> Any:
        row = self.one("select value from note where name = ?", name)
        return None if row is None else json.loads(row["value"])

    def set_note(self, name: str, value: object) -> None:
        self.run("insert or replace into note values (?, ?)", name, json.dumps(value))

    def _sow(self, seed: Seed) -> None:
        self.run_many(
            "insert into employee values (?, ?, ?)", [(e.userid, e.name, e.shop) for e in seed.employees]
        )
        self.run_many(
            "insert into customer values (?, ?, ?)",
            [(c.external_userid, c.name, c.followers[0]) for c in seed.customers],
        )
        self.run_many(
            "insert into customer_tag values (?, ?)",
            [(c.external_userid, tag) for c in seed.customers for tag in c.tags],
        )
        self.run_many(
            "insert into follow (userid, customer) values (?, ?)",
            [(userid, c.external_userid) for c in seed.customers for userid in c.followers],
        )
        self.run_many(
            "insert into chat values (?, ?, ?, ?, 0)",
            [(g.chat_id, g.name, g.owner, g.members) for g in seed.groups],
        )
        self.run_many(
            "insert into chat_member values (?, ?)",
            [(chat, c.external_userid) for c in seed.customers for chat in c.groups],
        )
        self.run_many(
            "insert into robot (key, name, chat_name, owner, members) values (?, ?, ?, ?, ?)",
            [(r.key, r.name, r.chat_name, r.owner, r.members) for r in seed.robots],
        )
