"""Backup, restore and release: a copy sends nothing until a person says so, and then nothing twice."""

import io
import json
import stat
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, make_url, select, text

from lanmu import config
from lanmu.backup import back_up, ends_in
from lanmu.chain_ends import verify_chain_ends
from lanmu.config import Config
from lanmu.delivery import expansion
from lanmu.delivery.door.questions import Gatekeeper
from lanmu.delivery.followup.doubts import Doubts
from lanmu.delivery.installation.owner import this_process
from lanmu.delivery.intake import PushRequest, Recipient
from lanmu.delivery.models import Attempt, Unit
from lanmu.delivery.sending.preflight import Preflight
from lanmu.interfaces.channels import Abilities
from lanmu.interfaces.errors import Conflict, Invalid
from lanmu.interfaces.events import Award
from lanmu.library.content import Content
from lanmu.releasing import About, Releasing
from lanmu.restoring import restore_here, restore_into
from lanmu.secret_settings import without_secrets
from lanmu.server import Server
from lanmu.staff.audit import verify as verify_audit
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock
from lanmu.testing.fakes import FakeChannel

FINDABLE = Abilities(batch_max=1, lookup=True, settle=timedelta(minutes=10))
KEYS = [f"g{number:02}" for number in range(12)]


class House:
    """One installation, and the far end that it shares with its copies."""

    def __init__(self, settings: Config, clock: FakeClock, channel: FakeChannel) -> None:
        self.config, self.clock, self.channel = settings, clock, channel
        self.server = Server(settings, clock)
        self.server.plugins.channels["fake"] = channel

    def push(self, *keys: str, wait: timedelta = timedelta()) -> str:
        content = Content(
            title="早安", body="早上好", content_class="brand", kind="values", zone="knowledge",
            genre="guide", topic="早安", form="text", month="202611", owner="li",
        )  # fmt: skip
        made = self.server.library.materials.create(content, "li")
        self.server.library.reviews.submit(made.id)
        self.server.library.reviews.approve(made.id, 1, "wang")
        candidate = max(self.server.library.materials.candidates(), key=lambda each: each.revision_key)
        snapshot = self.server.library.materials.snapshot(candidate.revision_key)
        request = PushRequest(
            source_key=f"test:{made.id}",
            title="早安",
            channel="fake",
            revision_id=snapshot.revision_key,
            material_id=snapshot.key,
            content_hash=snapshot.content_hash,
            body=snapshot.body,
            due_at=self.clock.now() + wait,
            zone="Asia/Shanghai",
            recipients=[Recipient(key, key) for key in keys],
            approved_by="wang",
            approved_at=self.clock.now(),
            created_by="li",
            late_policy="send",
        )
        return self.server.delivery.send(request).id

    def send(self, batches: int = 1000, batch: int = 4) -> int:
        """Send what is due, in so many batches at most."""
        self.server.home.tick()
        with ThreadPoolExecutor(4) as pool:
            dispatcher = self.server.dispatcher(this_process(), pool, batch=batch)
            asked = iter([False] * batches)
            return dispatcher.run_due(lambda: next(asked, True))

    def look_into_doubts(self) -> None:
        server = self.server
        preflight = Preflight(
            server.database, self.clock, server.library.materials.snapshot, lambda _m, _c: (), "shop"
        )
        keeper = Gatekeeper(server.plugins.channels, "Asia/Shanghai", None)
        Doubts(server.database, self.clock, server.plugins.channels, preflight, keeper, this_process()).look()

    def states(self) -> dict[str, int]:
        with self.server.database.read() as session:
            states = list(session.scalars(select(Unit.state)))
        return {state: states.count(state) for state in sorted(set(states))}

    def back_up(self, path: Path) -> Path:
        back_up(self.config, self.server.database, self.clock, path)
        return path


Open = Callable[..., House]


@pytest.fixture
def open_house(
    clock: FakeClock, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., House]]:
    made: list[House] = []
    channel = FakeChannel("fake", abilities=FINDABLE, clock=clock)

    def opened(settings: Config | None = None, **changes: Any) -> House:
        house = House(settings or parsed(tmp_path / "home"), clock, changes.pop("channel", channel))
        made.append(house)
        return house

    yield opened
    for each in made:
        each.server.close()


def parsed(folder: Path, url: str | URL = "", **server: Any) -> Config:
    raw: dict[str, Any] = {"server": {"data_dir": str(folder / "data"), **server}, "library": {"folder": ""}}
    if url:
        raw["database"] = {"url": url if isinstance(url, str) else url.render_as_string(hide_password=False)}
    return config.parse(raw, None, {})


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Config, Config]:
    """Where the original is, and where its copy will be."""
    if request.param == "sqlite":
        return parsed(tmp_path / "home"), parsed(tmp_path / "copy")
    original: Database = request.getfixturevalue("postgres_database")
    url: str = request.getfixturevalue("postgres_url")
    make = request.getfixturevalue("empty_postgres")
    return parsed(tmp_path / "home", original.url), parsed(tmp_path / "copy", make(url))


@pytest.fixture
def empty_postgres(postgres_url: str) -> Iterator[Callable[[str], URL]]:
    from sqlalchemy import create_engine

    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")

    def make(url: str) -> URL:
        with engine.connect() as connection:
            connection.execute(text("CREATE DATABASE lanmu_restored"))
        return make_url(url).set(database="lanmu_restored")

    yield make
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS lanmu_restored WITH (FORCE)"))
    engine.dispose()


def restore(file: Path, settings: Config, clock: FakeClock, *, force_empty: bool = False) -> None:
    def prepare() -> None:
        Server(settings, clock).close()

    restore_here(file, settings, clock, force_empty=force_empty, prepare=prepare)


def test_a_copy_sends_nothing_until_it_is_released_and_then_exactly_the_rest(
    open_house: Open, places: tuple[Config, Config], clock: FakeClock, tmp_path: Path
):
    here, there = places
    original = open_house(here)
    original.push(*KEYS)
    original.push("later", wait=timedelta(hours=1))
    original.send(batches=1)
    file = original.back_up(tmp_path / "backup.tar.gz")
    clock.advance(timedelta(minutes=1))
    original.send(batches=1)
    out = original.channel.sends()
    assert sum(out.values()) == 8
    original.server.close()

    clock.advance(timedelta(minutes=5))
    restore(file, there, clock)
    copy = open_house(there)
    assert copy.server.home.state().kind == "frozen"
    assert copy.send() == 0
    assert copy.channel.sends() == out

    releasing = Releasing(copy.server)
    outlook = releasing.outlook()
    assert (outlook.due, outlook.recipients, outlook.findable, outlook.to_come) == (8, 8, 8, 1)
    done = releasing.release("li", About.LOOK_UP)
    assert (done.found, done.looked_up, done.to_people) == (4, 4, 0)
    assert copy.states() == {"accepted": 8, "pending": 1, "unknown": 4}
    assert copy.send() == 0
    for _look in range(4):
        clock.advance(timedelta(minutes=6))
        copy.look_into_doubts()
    copy.send()
    assert copy.channel.sends() == dict.fromkeys(KEYS, 1)
    clock.advance(timedelta(hours=1))
    copy.send()
    assert copy.channel.sends() == dict.fromkeys([*KEYS, "later"], 1)
    assert set(copy.states()) == {"accepted"}


def test_what_was_being_prepared_at_the_backup_is_looked_up_too(
    open_house: Open, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(expansion, "AT_ONCE", 3)
    original = open_house()
    with monkeypatch.context() as nobody_goes_on:
        nobody_goes_on.setattr(expansion.Expansion, "run", lambda *_push: 0)
        original.push("g1", "g2", "g3", "g4")
        file = original.back_up(tmp_path / "backup.tar.gz")
    original.server.delivery.expand()
    original.send()
    original.server.close()
    there = parsed(tmp_path / "there")
    restore(file, there, clock)
    copy = open_house(there)
    assert copy.states() == {}
    assert Releasing(copy.server).release("li", About.LOOK_UP).found == 4
    copy.send()
    assert copy.channel.sends() == dict.fromkeys(["g1", "g2", "g3", "g4"], 1)


def test_what_a_restored_copy_adds_follows_on(
    open_house: Open, places: tuple[Config, Config], clock: FakeClock, tmp_path: Path
):
    here, there = places
    original = open_house(here)
    original.push("a", "b")
    file = original.back_up(tmp_path / "backup.tar.gz")
    restore(file, there, clock)
    copy = open_house(there)
    Releasing(copy.server).release("li", About.UNSENT)
    copy.push("c")
    assert copy.send() == 3
    assert copy.channel.sends() == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("about", [About.ASK_PEOPLE, About.LOOK_UP])
def test_what_cannot_be_looked_up_waits_for_a_person(
    open_house: Open, clock: FakeClock, tmp_path: Path, about: About
):
    channel = FakeChannel("fake", abilities=replace(FINDABLE, lookup=about is About.ASK_PEOPLE), clock=clock)
    original = open_house(channel=channel)
    push = original.push(*KEYS[:3])
    original.send(batches=1, batch=1)
    file = original.back_up(tmp_path / "backup.tar.gz")
    original.send(batches=1, batch=1)
    there = parsed(tmp_path / "copy")
    restore(file, there, clock)
    copy = open_house(there, channel=channel)
    done = Releasing(copy.server).release("li", about)
    assert (done.found, done.looked_up, done.to_people) == (0, 0, 2)
    clock.advance(timedelta(hours=1))
    copy.look_into_doubts()
    assert copy.send() == 0
    assert copy.states() == {"accepted": 1, "unknown": 2}
    view = copy.server.delivery.get(push)
    assert view.progress.planned == sum(view.progress.targets.values()) == 3
    with copy.server.database.read() as session:
        assert set(session.scalars(select(Unit.code).where(Unit.state == "unknown"))) == {"restored"}
        assert session.scalars(select(Unit).where(Unit.look_at.is_not(None))).all() == []


def test_a_lookup_that_fails_sends_nothing(open_house: Open, clock: FakeClock, tmp_path: Path):
    original = open_house()
    original.push("a", "b")
    file = original.back_up(tmp_path / "backup.tar.gz")
    there = parsed(tmp_path / "copy")
    restore(file, there, clock)
    copy = open_house(there)
    copy.channel.find_fails = True
    assert Releasing(copy.server).release("li", About.LOOK_UP).to_people == 2
    assert copy.send() == 0


def test_a_released_unit_that_was_found_is_proven_by_one_attempt(
    open_house: Open, clock: FakeClock, tmp_path: Path
):
    from lanmu.delivery.verify import verify

    original = open_house()
    original.push("a", "b")
    file = original.back_up(tmp_path / "backup.tar.gz")
    original.send(batches=1, batch=1)
    there = parsed(tmp_path / "copy")
    restore(file, there, clock)
    copy = open_house(there)
    Releasing(copy.server).release("li", About.LOOK_UP)
    with copy.server.database.read() as session:
        assert sorted(session.scalars(select(Attempt.outcome))) == ["accepted", "unknown"]
    assert [check.first_wrong for check in verify(copy.server.database) if not check.ok] == []


def test_a_release_that_is_broken_off_may_be_begun_again(open_house: Open, clock: FakeClock, tmp_path: Path):
    original = open_house()
    original.push(*KEYS)
    file = original.back_up(tmp_path / "backup.tar.gz")
    original.send(batches=1)
    there = parsed(tmp_path / "copy")
    restore(file, there, clock)
    copy = open_house(there)
    asked = 0
    find = copy.channel.find

    def dying(*args: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise KeyboardInterrupt
        return find(*args)

    copy.channel.find = dying  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        Releasing(copy.server).release("li", About.LOOK_UP)
    assert copy.server.home.state().kind == "frozen"
    assert copy.send() == 0
    done = Releasing(copy.server).release("li", About.LOOK_UP)
    assert (done.found, done.looked_up) == (4, 8)


def test_a_backup_beside_a_busy_dispatcher_is_one_consistent_state(
    open_house: Open, places: tuple[Config, Config], clock: FakeClock, tmp_path: Path
):
    here, there = places
    original = open_house(here)
    push = original.push(*[f"r{number:03}" for number in range(120)])
    file = tmp_path / "backup.tar.gz"
    turns = count()

    def midway(_request: object) -> None:
        if next(turns) == 50:
            original.back_up(file)

    original.channel.before_write = midway
    original.send()
    assert len(original.channel.effects) == 120
    original.server.close()
    restore(file, there, clock)
    copy = open_house(there)
    view = copy.server.delivery.get(push)
    assert view.progress.planned == sum(view.progress.targets.values()) == 120
    assert "calling" in copy.states()


def test_a_backup_is_for_its_owner_alone_and_holds_no_secret_of_the_settings(
    open_house: Open, tmp_path: Path, clock: FakeClock
):
    folder = tmp_path / "home"
    folder.mkdir()
    path = folder / "config.toml"
    path.write_text(
        '[server]\nshop_name = "小店"\nsecret_key = "a-secret-that-is-long-enough-for-this"\n'
        '[queue]\nbackend = "redis"\nurl = "redis://:pa55@127.0.0.1:6379/0"\n'
        '[plugins.wecom]\ncorp_secret = "wecom-secret"\ntoken = "${WECOM_TOKEN}"\ncorp_id = "ww1"\n'
    )
    path.chmod(0o600)
    settings = config.load(path, {"WECOM_TOKEN": "x"})
    (folder / "data").mkdir()
    database = Database(settings.database_url)
    from lanmu.storage.migrate import CORE, upgrade

    upgrade(database, CORE)
    (folder / "data" / "assets").mkdir()
    (folder / "data" / "assets" / "one.png").write_bytes(b"png")
    (folder / "data" / "huey.db").write_bytes(b"a queue")
    file = tmp_path / "backup.tar.gz"
    back_up(settings, database, clock, file)
    database.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as tar:
        names = tar.getnames()
        kept = tar.extractfile("config.toml")
        assert kept is not None
        told = kept.read().decode()
    assert names == ["database/lanmu.db", "data/assets/one.png", "config.toml", "manifest.json"]
    for secret in ("a-secret-that", "pa55", "wecom-secret"):
        assert secret not in told
    assert 'shop_name = "小店"' in told
    assert "${WECOM_TOKEN}" in told
    assert list(tmp_path.glob(".lanmu-*")) == []


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ('[a]\nkey = "k"\nlist = [{token = "tt-t"}, {name = "n"}]', '[a]\nkey = ""\nlist = [{token = ""}'),
        ('[a]\npassword = """\nline one\nline two"""\n', '[a]\npassword = """\n"""'),
    ],
)
def test_secrets_are_taken_out_wherever_they_stand(settings: str, left: str):
    assert without_secrets(settings, {})[0].startswith(left)


def test_nothing_is_written_over(open_house: Open, tmp_path: Path, clock: FakeClock):
    original = open_house()
    file = original.back_up(tmp_path / "backup.tar.gz")
    with pytest.raises(Invalid, match="there already"):
        original.back_up(file)
    with pytest.raises(Invalid, match="cannot be written"):
        original.back_up(tmp_path / "no folder" / "backup.tar.gz")
    with pytest.raises(Conflict, match="holds data already"):
        restore(file, original.config, clock)
    with pytest.raises(Conflict, match="not empty"):
        restore_into(file, tmp_path / "home", clock)


def test_data_in_use_is_never_touched(open_house: Open, tmp_path: Path, clock: FakeClock):
    original = open_house()
    file = original.back_up(tmp_path / "backup.tar.gz")
    original.server.home.tick()
    with pytest.raises(Conflict, match="is running"):
        restore(file, original.config, clock, force_empty=True)


def test_what_was_there_is_moved_aside_and_kept(open_house: Open, tmp_path: Path, clock: FakeClock):
    original = open_house()
    original.push("a")
    file = original.back_up(tmp_path / "backup.tar.gz")
    original.push("b")
    original.server.close()
    restore(file, original.config, clock, force_empty=True)
    (aside,) = (tmp_path / "home").glob("data.before-*")
    old = Database(f"sqlite:///{aside / 'lanmu.db'}")
    with old.read() as session:
        assert len(session.scalars(select(Unit)).all()) == 2
    old.close()
    assert open_house().states() == {"pending": 1}


def test_a_whole_new_folder_is_made_of_a_backup(open_house: Open, tmp_path: Path, clock: FakeClock):
    folder = tmp_path / "home"
    (folder / "content_library").mkdir(parents=True)
    (folder / "content_library" / "one.md").write_text("one")
    path = folder / "config.toml"
    path.write_text('[server]\nshop_name = "小店"\n')
    original = open_house(config.load(path, {}))
    original.push("a")
    file = original.back_up(tmp_path / "backup.tar.gz")
    made = restore_into(file, tmp_path / "new", clock)
    assert made.config == tmp_path / "new" / "config.toml"
    assert (tmp_path / "new" / "content_library" / "one.md").read_text() == "one"
    copy = open_house(config.load(made.config, {}))
    assert copy.server.home.state().kind == "frozen"
    assert copy.states() == {"pending": 1}


def test_settings_with_places_of_their_own_are_not_used_for_the_copy(
    open_house: Open, tmp_path: Path, clock: FakeClock
):
    (tmp_path / "home").mkdir()
    path = tmp_path / "home" / "config.toml"
    path.write_text(f'[server]\ndata_dir = "{tmp_path}/elsewhere"\n')
    file = open_house(config.load(path, {})).back_up(tmp_path / "backup.tar.gz")
    made = restore_into(file, tmp_path / "new", clock)
    assert made.config == tmp_path / "new" / "config.from-backup.toml"
    assert (tmp_path / "new" / "data" / "lanmu.db").is_file()


def test_a_damaged_backup_is_refused_before_anything_is_touched(
    open_house: Open, tmp_path: Path, clock: FakeClock
):
    file = open_house().back_up(tmp_path / "backup.tar.gz")
    whole = file.read_bytes()
    for place in (len(whole) // 3, len(whole) // 2, 2 * len(whole) // 3):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        file.write_bytes(damaged)
        with pytest.raises(Invalid):
            restore_into(file, tmp_path / "new", clock)
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Invalid):
        restore_into(file, tmp_path / "new", clock)
    assert not (tmp_path / "new").exists()
    assert list(tmp_path.glob(".lanmu-*")) == []


def _rewritten(file: Path, change: Callable[[str, bytes], tuple[str, bytes]]) -> None:
    import io

    with tarfile.open(file) as tar:
        parts = [(each.name, tar.extractfile(each).read()) for each in tar]  # type: ignore[union-attr]
    with tarfile.open(file, "w:gz") as tar:
        for part in parts:
            name, data = change(*part)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def test_what_was_cut_off_the_chains_since_a_backup_shows_beside_it(
    open_house: Open, tmp_path: Path, clock: FakeClock
):
    house = open_house()
    server = house.server
    for day in (1, 2):
        server.ledger.earn(Award("hand", f"hand:{day}", "mem_li", 10, "", clock.now().date()))
        server.audit.record("li", "push.pause", f"psh_{day}")
    server.sealer.seal()
    back_up(house.config, server.database, clock, tmp_path / "one.tar.gz")
    ends = ends_in(tmp_path / "one.tar.gz")
    server.audit.record("li", "push.resume", "psh_1")
    (kept,) = verify_chain_ends(server.database, ends)
    assert kept.ok
    assert kept.rows == 2

    with server.database.write() as session:
        guards = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_record'"
        for name in session.scalars(text(guards)).all():
            session.execute(text(f"DROP TRIGGER {name}"))
        session.execute(text("DELETE FROM audit_record WHERE id > 1"))
    assert all(check.ok for check in verify_audit(server.database)), "the chain by itself does not tell"
    (cut,) = verify_chain_ends(server.database, ends)
    assert not cut.ok
    assert cut.first_wrong == "link 2 in the chain of the audit log is missing, or was changed"


@pytest.mark.parametrize(
    "manifest", ["{}", "[]", '{"chain_ends": {"audit": {"row": "x", "hash": ""}}}', None]
)
def test_a_file_without_the_ends_of_the_chains_is_refused_by_name(tmp_path: Path, manifest: str | None):
    file = tmp_path / "one.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        if manifest is not None:
            info = tarfile.TarInfo("manifest.json")
            info.size = len(manifest)
            tar.addfile(info, io.BytesIO(manifest.encode()))
    with pytest.raises(Invalid, match="does not say where the chains of hashes ended") as refused:
        ends_in(file)
    assert refused.value.place == str(file)


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "a/../../b"])
def test_a_backup_cannot_write_outside_of_its_folder(
    open_house: Open, tmp_path: Path, clock: FakeClock, name: str
):
    file = open_house().back_up(tmp_path / "backup.tar.gz")
    _rewritten(file, lambda was, data: (name if was.endswith(".db") else was, data))
    with pytest.raises(Invalid, match="damaged or was changed"):
        restore_into(file, tmp_path / "new", clock)


def test_a_changed_file_is_named(open_house: Open, tmp_path: Path, clock: FakeClock):
    file = open_house().back_up(tmp_path / "backup.tar.gz")
    _rewritten(file, lambda name, data: (name, data + b"x" if name.endswith(".db") else data))
    with pytest.raises(Invalid) as refused:
        restore_into(file, tmp_path / "new", clock)
    assert refused.value.params["name"] == "database/lanmu.db"


def test_a_backup_of_a_newer_lanmu_is_refused(open_house: Open, tmp_path: Path, clock: FakeClock):
    file = open_house().back_up(tmp_path / "backup.tar.gz")

    def newer(name: str, data: bytes) -> tuple[str, bytes]:
        if name != "manifest.json":
            return name, data
        manifest = json.loads(data)
        manifest["revisions"]["core"] = "9999"
        return name, json.dumps(manifest).encode()

    _rewritten(file, newer)
    with pytest.raises(Conflict, match="newer Lanmu"):
        restore_into(file, tmp_path / "new", clock)


def test_a_postgresql_database_that_is_not_empty_is_refused(
    open_house: Open, postgres_database: Database, tmp_path: Path, clock: FakeClock
):
    original = open_house(parsed(tmp_path / "home", postgres_database.url))
    file = original.back_up(tmp_path / "backup.tar.gz")
    with pytest.raises(Conflict, match="not empty"):
        restore(file, parsed(tmp_path / "copy", postgres_database.url), clock)
    with pytest.raises(Conflict, match="PostgreSQL"):
        restore_into(file, tmp_path / "new", clock)
    with pytest.raises(Conflict, match="the backup is of a postgresql one"):
        restore(file, parsed(tmp_path / "copy"), clock)
