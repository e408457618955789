"""`lanmu rehearse` tells what would happen, and its exit code says whether that is as it should be."""

import json

import pytest

from lanmu import config
from lanmu.schedule.columns import ColumnDraft, SlotDraft
from lanmu.server import Server


@pytest.fixture
def with_column(lanmu, folder):
    """A folder with a column that goes out each morning at half past seven."""
    server = Server(config.load(folder / "config.toml"))
    channel = "personal_wechat_export.pack"
    draft = ColumnDraft("早安", channel, (SlotDraft("daily", "07:30"),), approval="auto", cooldown_days=1)
    server.schedule.columns.create(draft)
    server.close()


def test_a_green_rehearsal_says_what_is_explained_and_exits_with_0(lanmu, with_column):
    done = lanmu("rehearse", "--days", "3", "--recipients", "4", "--by-day")
    assert done.exit_code == 0, done.output
    assert "expected 12, produced 0, explained 12, faults 0" in done.stdout, "there is no material"
    assert done.stdout.count("expected 4, produced 0") == 3, "each day"
    assert "None of your communities gets this column." in done.stdout
    assert "Green:" in done.stdout
    assert "通过：" in lanmu("rehearse", "--days", "1", lang="zh").stdout


def test_a_red_rehearsal_exits_with_1_and_names_each_fault(lanmu, with_column, monkeypatch):
    monkeypatch.setattr("lanmu.schedule.planning.moments_of", lambda *_args: [])
    done = lanmu("rehearse", "--days", "2")
    assert done.exit_code == 1
    assert "Nothing came: 早安, virtual-001," in done.stdout
    assert "Red:" in done.stdout
    told = json.loads(lanmu("rehearse", "--days", "2", "--json").stdout)
    assert told["green"] is False
    assert told["counts"] == {"missing": 20 - told["columns"][0]["explained"]}


def test_what_cannot_be_rehearsed_exits_with_2(lanmu, with_column):
    done = lanmu("rehearse", "--days", "0", "--from", "2019-01-01")
    assert done.exit_code == 2
    assert "Give 1 to 90." in done.stderr
    assert "more than a year away" in done.stderr
