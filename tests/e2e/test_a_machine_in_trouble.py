"""A machine without names or room, or whose database hangs: what waits goes out once that is over."""

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from tests.e2e.apart import as_root, permitted, seeing
from tests.e2e.crowd import Crowd, live, log_of, said
from tests.e2e.installation import Lanmu, until
from tests.e2e.servers import Postgres

pytestmark = pytest.mark.long
AWAY, BACK = "the database cannot be used", "the database can be used again"


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """The names that a process `through` this finds: a file as /etc/hosts, read anew at each question."""
    names = tmp_path / "hosts"
    names.write_text("127.0.0.1 localhost\n")
    (tmp_path / "nsswitch.conf").write_text("hosts: files\n")
    return names


def test_a_far_end_whose_name_is_not_found_is_tried_again_until_it_is(bare_small: Lanmu, names: Path):
    nobody_else = {"/etc/hosts": names, "/etc/nsswitch.conf": names.with_name("nsswitch.conf")}
    through = seeing(nobody_else)
    port = bare_small.sandbox_port
    config = (bare_small.folder / "config.toml").read_text(encoding="utf-8")
    there = config.replace(f"http://127.0.0.1:{port}", f"http://localhost:{port}")
    (bare_small.folder / "worker.toml").write_text(there, encoding="utf-8")
    bare_small.serve("--no-worker")
    worker = bare_small.worker("worker.toml", through)
    crowd = Crowd(bare_small, 20)
    crowd.gather()
    names.write_text("")
    crowd.push()
    until("all have met it", lambda: crowd.states() == Counter({"retry_wait": 20}))
    assert crowd.out() == 0
    (why,) = bare_small.query("SELECT DISTINCT reason FROM unit")
    assert "DNS" in str(why[0])
    names.write_text("127.0.0.1 localhost\n")
    crowd.all_came()
    live(worker)
    assert bare_small.query("SELECT max(tries) FROM unit")[0][0] <= 3


@pytest.fixture
def small_disk(bare_small: Lanmu) -> Iterator[Path]:
    """The data folder on a disk of its own, with 24 MB."""
    folder = bare_small.folder / "data"
    folder.mkdir()
    mount = as_root("mount", "-t", "tmpfs", "-o", f"size=24m,uid={os.geteuid()}", "none", str(folder))
    if not permitted(*mount):
        pytest.skip("no disk may be mounted here")
    yield folder
    bare_small.kill_all()
    subprocess.run(as_root("umount", "--lazy", str(folder)), check=True)


def _fill(file: Path) -> None:
    """Take all the room that there is."""
    with file.open("ab", buffering=0) as all_of_it:
        for size in (1 << 16, 1 << 12):
            try:
                while True:
                    all_of_it.write(b"\0" * size)
            except OSError:
                continue


def test_a_disk_that_is_full_delays_a_push_and_loses_nothing_of_it(bare_small: Lanmu, small_disk: Path):
    # The far end has a process of its own, and nothing of it on that disk.
    bare_small.start("wecom", "sandbox", "--port", str(bare_small.sandbox_port))
    until("the far end is there", lambda: "base_url" in bare_small.logs())
    worker = bare_small.worker()
    crowd = Crowd(bare_small, 600)  # more than fits into what files have of the disk already
    crowd.gather()
    crowd.slow(0.5)
    crowd.push()
    until("some went out", lambda: crowd.out() >= 20)
    filling = small_disk / "filling"
    _fill(filling)
    until("the worker tells of it", lambda: said(bare_small, worker, AWAY) == 1)
    assert "full" in log_of(bare_small, worker).read_text()
    assert crowd.out() < crowd.count
    filling.unlink()
    crowd.all_came()
    live(worker)
    until("it is told that there is room", lambda: said(bare_small, worker, BACK) == 1)
    assert said(bare_small, worker, "Traceback") == 0
    assert said(bare_small, worker, "cannot be written") <= 1


def test_a_database_server_that_hangs_is_given_up_and_then_gone_on_with(on_postgres: Lanmu, mortal: Postgres):
    web = on_postgres.serve("--no-worker")
    worker = on_postgres.worker()
    crowd = Crowd(on_postgres, 60)
    crowd.gather()
    crowd.slow(2)
    crowd.push()
    until("some are being written", lambda: crowd.states()["calling"] >= 8)
    journal = on_postgres.folder / "data" / "outcome.journal"
    mortal.hang()
    try:
        until("the worker tells of it", lambda: said(on_postgres, worker, AWAY) == 1, 60)
        until("the answers are kept", lambda: journal.exists() and journal.stat().st_size > 0, 60)
        out = crowd.out()
        assert out < crowd.count
    finally:
        mortal.go_on()
    crowd.all_came()
    assert crowd.out() == crowd.count
    assert crowd.looked_up() == 0, "what the journal kept nobody had to ask for"
    until("it is told that the database is back", lambda: said(on_postgres, worker, BACK) == 1)
    assert said(on_postgres, worker, "Traceback") == 0
    live(web, worker)


def test_watchers_of_a_web_whose_database_hangs_are_told_soon_that_it_lives_and_why_it_cannot_work(
    on_postgres: Lanmu, mortal: Postgres
):
    web = on_postgres.serve("--no-worker")
    assert watched(on_postgres, "livez")[:2] == (200, "ok")
    assert watched(on_postgres, "healthz")[:2] == (200, "ok")
    mortal.hang()
    pages = [Thread(target=knock, args=(on_postgres,), daemon=True) for _ in range(20)]
    try:
        for each in pages:  # more than there are threads: each waits for the database
            each.start()
        for _ in range(6):
            status, told, seconds = watched(on_postgres, "healthz")
            assert (status, told) == (503, "database does not answer")
            assert seconds < 2
            status, told, seconds = watched(on_postgres, "livez")
            assert (status, told) == (200, "ok")
            assert seconds < 2
        assert all(each.is_alive() for each in pages)
    finally:
        mortal.go_on()
    until("it is ready again", lambda: watched(on_postgres, "healthz")[0] == 200, 10)
    for each in pages:
        each.join(30)
    live(web)


def watched(lanmu: Lanmu, path: str) -> tuple[int, str, float]:
    """What a watcher is told, and after how many seconds."""
    began = time.monotonic()
    try:
        with urlopen(f"http://127.0.0.1:{lanmu.port}/{path}", timeout=30) as answer:
            status, told = int(answer.status), json.load(answer)
    except HTTPError as error:
        with error:
            status, told = error.code, json.load(error)
    return status, str(told["status"]), time.monotonic() - began


def knock(lanmu: Lanmu) -> None:
    """Ask for a page as somebody whose session the database has to know."""
    asked = Request(f"http://127.0.0.1:{lanmu.port}/", headers={"Cookie": "lanmu_session=of-somebody"})
    with suppress(OSError), urlopen(asked, timeout=60):
        pass


def test_a_worker_can_be_stopped_while_its_database_server_hangs(on_postgres: Lanmu, mortal: Postgres):
    stopped = on_postgres.worker()
    on_postgres.serve("--no-worker")
    crowd = Crowd(on_postgres, 40)
    crowd.gather()
    crowd.slow(2)
    crowd.push()
    until("some are being written", lambda: crowd.states()["calling"] >= 8)
    mortal.hang()
    try:
        stopped.terminate()
        stopped.wait(timeout=30)
    finally:
        mortal.go_on()
    worker = on_postgres.worker()
    crowd.all_came()
    live(worker)
