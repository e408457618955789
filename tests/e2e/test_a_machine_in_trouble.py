"""A machine that finds no names any more, or whose disk is full: what waits goes out once that is over."""

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.apart import as_root, permitted, seeing
from tests.e2e.crowd import Crowd, live, log_of, said
from tests.e2e.installation import Lanmu, until

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
    crowd = Crowd(bare_small, 200)
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
