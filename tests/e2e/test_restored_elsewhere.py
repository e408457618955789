"""A backup made while Lanmu sends, restored elsewhere: frozen, then exactly the rest, with real processes."""

import base64
import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tests.e2e.installation import Lanmu, soon, until
from tests.e2e.test_the_whole_way import GROUPS, MOTHERS, plan_column, reached

_POOLS = {"a": "早安", "b": "早报", "c": "话题"}


def _call(lanmu: Lanmu, *arguments: str) -> str:
    """`lanmu` with these arguments, run to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "lanmu.cli.main", *arguments],
        cwd=lanmu.folder,
        env=lanmu.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _let_the_starters_columns_rest(lanmu: Lanmu) -> None:
    """On some days of the week they have the same few materials, within their cooldown."""
    server = lanmu.inside()
    try:
        for column in server.schedule.columns.everything():
            server.schedule.columns.edit(column.id, replace(column.draft, active=False), column.lock)
        server.schedule.plan_ahead()
    finally:
        server.close()


def _effects(lanmu: Lanmu, *others: Lanmu) -> list[str]:
    """The groups that the three columns' broadcasts reached at the far end, each as often as it was reached.

    They are known by their bytes, which any of these installations may have meant to write.
    """
    intended = {
        base64.b64encode(bytes(row[0])).decode()
        for each in (lanmu, *others)
        for row in each.query(
            "SELECT a.request FROM attempt a JOIN unit u ON u.id = a.unit_id JOIN push p ON p.id = u.push_id "
            "WHERE p.column_name IN ('a', 'b', 'c')"
        )
    }
    calls = [call for call in lanmu.received(GROUPS) if call["effect"] and call["body"] in intended]
    return sorted(chat for call in calls for chat in json.loads(call["text"])["chat_id_list"])


def _let_time_pass(database: Path) -> None:
    """What was looked up once is due for its second look, which else would come in five minutes."""
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        connection.execute(
            "UPDATE unit SET look_at = '2026-01-01 00:00:00.000000' "
            "WHERE state = 'unknown' AND look_at IS NOT NULL AND looks = 1"
        )


def test_a_copy_restored_elsewhere_sends_nothing_until_released_and_then_exactly_the_rest(small: Lanmu):
    settings = small.folder / "config.toml"
    settings.write_text(settings.read_text().replace("sandbox = true", "sandbox = true\nsettle_seconds = 1"))
    small.serve("--no-worker")  # and with it the far end, which both share
    worker = small.worker()
    _let_the_starters_columns_rest(small)
    before, after, never = soon(4), soon(9), soon(16)
    for name, due in (("a", before), ("b", after), ("c", never)):
        plan_column(small, due, name, _POOLS[name])
    until("the first went out", lambda: reached(small, "a") == MOTHERS)
    told = json.loads(_call(small, "backup", "lanmu.tar.gz", "--json"))
    assert told["rows"] > 0
    until("the second went out, which the backup does not know", lambda: reached(small, "b") == MOTHERS)
    until("its answer is stored", lambda: _states(small, "b") == {"accepted"})
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert reached(small, "c") == []
    out = _effects(small)
    assert out == sorted(MOTHERS * 2)

    copy = replace(small, folder=small.folder / "copy", processes=[], _engine=None)
    _call(small, "restore", "lanmu.tar.gz", "--into", "copy")
    try:
        copy.worker()
        until("the third is due", lambda: soon(0) > never)
        until("the copy says why", lambda: "nothing is sent" in copy.logs().lower())
        assert _effects(small, copy) == out
        released = json.loads(_call(copy, "release", "--reconcile", "--yes", "--json"))
        assert released["outlook"]["due"] > 0
        assert released["released"]["found"] > 0
        assert released["released"]["to_people"] == 0

        def all_out() -> bool:
            _let_time_pass(copy.folder / "data" / "lanmu.db")
            return _effects(small, copy) == sorted(MOTHERS * 3)

        until("the rest went out", all_out)
        until("all is settled", lambda: _states(copy, "c") == {"accepted"})
        assert _states(copy, "a") == _states(copy, "b") == {"accepted"}
        assert _effects(small, copy) == sorted(MOTHERS * 3)
    finally:
        copy.kill_all()


def _states(lanmu: Lanmu, name: str) -> set[str]:
    rows = lanmu.query(
        f"SELECT DISTINCT u.state FROM unit u JOIN push p ON p.id = u.push_id WHERE p.column_name = '{name}'"
    )
    return {str(row[0]) for row in rows}
