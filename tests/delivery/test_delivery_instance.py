"""The installation's home: a copy is frozen until a person releases it, and SQLite has one host."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from tests.delivery.conftest import Room
from tests.interleaving import between_the_steps_of

from lanmu.delivery.installation import instance as instances
from lanmu.delivery.installation.home import Home
from lanmu.delivery.installation.instance import MARK, Host, Instance, freeze
from lanmu.delivery.installation.instance_models import InstanceRecord
from lanmu.interfaces.errors import Conflict
from lanmu.staff.audit import Audit
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock

HERE = Host("m1", "b1", "shop-1")
REBOOTED = Host("m1", "b2", "shop-1")
ELSEWHERE = Host("m2", "b9", "shop-2")

Open = Callable[..., Home]


@pytest.fixture
def open_home(clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    made: list[Home] = []

    def opened(database: Database, host: Host = HERE) -> Home:
        monkeypatch.setattr(instances, "this_host", lambda: host)
        home = Home(database, clock, Audit(database, clock), tmp_path)
        home.arrive()
        made.append(home)
        return home

    yield opened
    for each in made:
        each.leave()


def _copy(database: Database, path: Path) -> Database:
    database.close()
    path.parent.mkdir(exist_ok=True)
    shutil.copy(str(database.url.database), path)
    return Database(f"sqlite:///{path}")


def _row(database: Database) -> InstanceRecord:
    with database.read() as session:
        return session.get_one(InstanceRecord, 1)


def test_a_new_database_is_at_home_where_it_was_made(database: Database, open_home: Open):
    open_home(database).tick()
    assert open_home(database).state().ok
    assert open_home(database, REBOOTED).state().ok


def test_a_copied_file_is_frozen_and_the_original_is_not(
    sqlite_database: Database, tmp_path: Path, open_home: Open
):
    open_home(sqlite_database).tick()
    copy = _copy(sqlite_database, tmp_path / "copy" / "lanmu.db")
    state = open_home(copy).state()
    assert state.kind == "frozen"
    assert "shop-1" in state.reason
    assert open_home(sqlite_database).state().ok
    copy.close()


def test_a_copy_in_the_same_place_is_frozen(sqlite_database: Database, tmp_path: Path, open_home: Open):
    open_home(sqlite_database).tick()
    copy = _copy(sqlite_database, tmp_path / "old.db")
    copy.close()
    (tmp_path / "old.db").replace(tmp_path / "lanmu.db")
    assert open_home(sqlite_database).state().kind == "frozen"


def test_the_same_file_on_another_machine_is_frozen(
    sqlite_database: Database, open_home: Open, clock: FakeClock
):
    home = open_home(sqlite_database)
    home.tick()
    home.leave()
    clock.advance(timedelta(days=1))
    assert open_home(sqlite_database, ELSEWHERE).state().kind == "frozen"


def test_many_machines_may_share_a_postgresql_database(postgres_database: Database, open_home: Open):
    first, second = open_home(postgres_database), open_home(postgres_database, ELSEWHERE)
    for _round in range(3):
        first.tick()
        second.tick()
    assert first.state().ok
    assert second.state().ok


def test_a_database_put_back_to_an_older_state_is_frozen(
    database: Database, open_home: Open, clock: FakeClock
):
    home = open_home(database)
    home.tick()
    home.tick()
    home.leave()
    with database.write() as session:
        session.get_one(InstanceRecord, 1).beats = 1
    assert open_home(database).state().kind == "frozen"


def test_a_database_put_back_under_a_running_worker_is_frozen(
    postgres_database: Database, open_home: Open, clock: FakeClock
):
    home = open_home(postgres_database)
    home.tick()
    home.tick()
    with postgres_database.write() as session:
        session.get_one(InstanceRecord, 1).beats = 1
    home.tick()
    assert home.state().kind == "frozen"


def test_a_heartbeat_whose_commit_the_database_lost_freezes_nothing(database: Database, open_home: Open):
    home = open_home(database)
    home.tick()

    def lost(_session: object) -> None:
        raise OperationalError("COMMIT", {}, Exception("the server is gone"))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(home._watch, "tick", lost)
        with pytest.raises(OperationalError):
            home.tick()
    home.tick()
    assert home.state().ok
    assert _row(database).beats == 2


def test_a_released_copy_is_at_home_from_then_on(sqlite_database: Database, tmp_path: Path, open_home: Open):
    open_home(sqlite_database).tick()
    copy = _copy(sqlite_database, tmp_path / "copy" / "lanmu.db")
    home = open_home(copy)
    home.release("li")
    assert home.state().ok
    home.tick()
    assert open_home(copy).state().ok
    assert _row(copy).released_by == "li"
    copy.close()


def test_a_backups_copy_is_frozen_at_its_own_home_too(database: Database, open_home: Open, clock: FakeClock):
    open_home(database).tick()
    with database.write() as session:
        session.get_one(InstanceRecord, 1).backup_at = clock.now()
    home = open_home(database)
    assert "restored from the backup of 2026-11-23 00:00 UTC" in home.state().reason
    home.release("li")
    assert open_home(database).state().ok


def test_only_what_is_frozen_can_be_released(database: Database, open_home: Open):
    with pytest.raises(Conflict, match="not frozen"):
        open_home(database).release("li")


def test_a_release_and_a_trust_are_in_the_audit(database: Database, open_home: Open, clock: FakeClock):
    home = open_home(database)
    home.tick()
    clock.jump(timedelta(hours=1))
    home.tick()
    with database.write() as session:
        freeze(session.get_one(InstanceRecord, 1), clock.now(), "a test")
    assert home.state().kind == "frozen"
    home.release("li")
    assert home.state().kind == "clock_suspect"
    home.trust("wang")
    assert home.state().ok
    lines = [(line.actor, line.action) for line in Audit(database, clock).latest()]
    assert lines == [("wang", "clock.trust"), ("li", "instance.release")]


def test_a_second_host_is_kept_off_sqlite_and_told_why(
    sqlite_database: Database, open_home: Open, clock: FakeClock
):
    open_home(sqlite_database).tick()
    clock.advance(timedelta(seconds=100))
    with pytest.raises(Conflict) as refused:
        open_home(sqlite_database, ELSEWHERE)
    assert refused.value.place.endswith("lanmu.lock")
    assert refused.value.params["host"] == "shop-1"


def test_a_second_process_of_the_same_host_is_welcome(sqlite_database: Database, open_home: Open):
    open_home(sqlite_database).tick()
    open_home(sqlite_database).tick()
    open_home(sqlite_database, Host("", "b1", "a-container")).tick()


def test_a_host_that_stopped_in_order_makes_room_at_once(sqlite_database: Database, open_home: Open):
    home = open_home(sqlite_database)
    home.tick()
    home.leave()
    assert open_home(sqlite_database, ELSEWHERE).state().kind == "frozen"  # let in; it is another place


def test_the_last_of_a_hosts_processes_makes_room(sqlite_database: Database, open_home: Open):
    first, second = open_home(sqlite_database), open_home(sqlite_database)
    first.tick()
    second.tick()
    first.leave()
    with pytest.raises(Conflict):
        open_home(sqlite_database, ELSEWHERE)
    second.leave()
    open_home(sqlite_database, ELSEWHERE)


def test_a_dead_host_is_taken_over_after_two_minutes_and_a_live_one_never(
    sqlite_database: Database, open_home: Open, clock: FakeClock
):
    home = open_home(sqlite_database)
    home.tick()
    clock.advance(timedelta(minutes=2, seconds=1))
    with pytest.raises(Conflict):  # it is only slow: its lock stands
        open_home(sqlite_database, ELSEWHERE)
    assert home._instance._held is not None
    fcntl.flock(home._instance._held, fcntl.LOCK_UN)  # as its end would
    assert open_home(sqlite_database, ELSEWHERE).state().kind == "frozen"


@pytest.mark.parametrize("mark", ["", "{", "[]", '{"beats": 0}', '{"boot": ""}'])
def test_a_broken_mark_keeps_nobody_out(
    sqlite_database: Database, open_home: Open, tmp_path: Path, mark: str
):
    open_home(sqlite_database).tick()
    (tmp_path / MARK).write_text(mark)
    assert open_home(sqlite_database).state().ok


def test_a_database_that_does_not_tell_its_number_is_still_known(postgres_database: Database):
    assert instances._asked(postgres_database, "SELECT there_is_no_such_function()") == "-"
    home = instances.home_of(postgres_database, HERE)
    assert home == instances.home_of(postgres_database, ELSEWHERE)
    assert "-" not in home.split()


def test_a_frozen_installation_claims_nothing(room: Room, tmp_path: Path):
    room.send("g1")
    home = Home(room.database, room.clock, Audit(room.database, room.clock), tmp_path)
    home.arrive()
    with room.database.write() as session:
        freeze(session.get_one(InstanceRecord, 1), room.clock.now(), "a test")
    assert room.run() == 0
    assert room.service.next_due() is None
    home.release("li")
    assert room.run() == 1


def test_while_the_clock_is_doubted_nothing_is_claimed(room: Room, tmp_path: Path):
    room.send("g1", late_policy="send")
    home = Home(room.database, room.clock, Audit(room.database, room.clock), tmp_path)
    home.arrive()
    home.tick()
    room.clock.jump(timedelta(hours=1))
    home.tick()
    assert room.run() == 0
    home.trust("li")
    home.leave()
    assert room.run() == 1


def test_a_mark_that_cannot_be_written_stops_nothing(
    sqlite_database: Database, clock: FakeClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    instance = Instance(sqlite_database, tmp_path, HERE)
    instance._path = tmp_path / "no folder" / MARK
    instance.beaten()
    assert "cannot be written" in caplog.text
    instance.leave()


def test_whoever_asks_for_its_state_has_an_answer_while_it_is_looked_at_anew(
    sqlite_database: Database, open_home: Open
):
    """Every page asks, in any thread, and every few seconds a tick lets what is known be forgotten."""
    home = open_home(sqlite_database)
    with between_the_steps_of(Home.state, home.tick):
        assert home.state().ok
        assert home.state().ok
