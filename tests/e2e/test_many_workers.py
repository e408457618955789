"""Several worker processes with one push, one of them killed, one of them stopped in good order."""

import signal
from pathlib import Path

import pytest
from tests.e2e.apart import seeing
from tests.e2e.crowd import Crowd, live, log_of
from tests.e2e.installation import Lanmu, until


@pytest.mark.long
def test_three_workers_share_a_push_and_finish_it_when_one_is_killed(bare_large: Lanmu):
    bare_large.serve("--no-worker")
    workers = [bare_large.worker() for _number in range(3)]
    crowd = Crowd(bare_large, 300)
    crowd.gather()
    crowd.slow(0.5)
    crowd.push()
    until("all take part", lambda: set(crowd.senders()) == {each.pid for each in workers})
    assert crowd.out() < crowd.count, "it is killed while they go out"
    workers[0].send_signal(signal.SIGKILL)
    workers[0].wait()
    until("what it was sending is looked into", lambda: crowd.states()["unknown"] > 0)
    crowd.all_came()
    live(*workers[1:])
    assert min(crowd.senders().values()) > 0


@pytest.mark.long
def test_a_worker_that_is_told_to_stop_finishes_what_is_under_way_and_leaves_the_rest_to_others(
    bare_lanmu: Lanmu,
):
    bare_lanmu.serve("--no-worker")
    first = bare_lanmu.worker()
    crowd = Crowd(bare_lanmu, 80)
    crowd.gather()
    crowd.slow(3)
    crowd.push()
    until("some are being written", lambda: crowd.states()["calling"] >= 8)
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=20) == 0
    after = crowd.states()
    assert set(after) == {"accepted", "pending"}, "nothing is left half done or in doubt"
    assert crowd.out() == after["accepted"] >= 8
    bare_lanmu.sandbox("faults", method="DELETE")
    bare_lanmu.worker()
    crowd.all_came()


@pytest.mark.long
def test_a_second_host_is_refused_where_the_database_is_sqlite(bare_small: Lanmu):
    first = bare_small.worker()
    other = {"/etc/machine-id": "f" * 32, "/proc/sys/kernel/random/boot_id": "an-other-boot"}
    files = {}
    for path, its in other.items():
        if Path(path).exists():
            files[path] = bare_small.folder / Path(path).name
            files[path].write_text(its)
    second = bare_small.start("worker", through=seeing(files))
    assert second.wait(timeout=60) not in (0, None)
    why = log_of(bare_small, second).read_text()
    assert "is at work on this SQLite database" in why
    assert "several hosts need PostgreSQL" in why
    live(first)
    same_host = bare_small.worker()
    live(first, same_host)
