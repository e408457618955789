"""`lanmu backup`, `restore`, `release` and `clock trust`, as a person calls them."""

import json
import sqlite3
from contextlib import closing

from click.testing import CliRunner

from lanmu.cli.main import main


def test_a_backup_is_restored_beside_and_released(lanmu, folder):
    made = lanmu("backup", "one.tar.gz", "--json")
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)
    assert told["path"] == "one.tar.gz"
    assert told["size"] == (folder / "one.tar.gz").stat().st_size

    restored = lanmu("restore", "one.tar.gz", "--into", "copy")
    assert restored.exit_code == 0, restored.output
    assert "It is frozen and sends nothing." in restored.stdout

    there = ("--config", "copy/config.toml")
    refused = CliRunner().invoke(main, [*there, "release"], input="n\n", env={"LANMU_LANG": "en"})
    assert refused.exit_code == 1
    assert "0 messages to 0 recipients" in refused.stdout
    released = lanmu(*there, "release", "--reconcile", "--yes", "--json")
    assert released.exit_code == 0, released.output
    assert json.loads(released.stdout)["released"] == {
        "found": 0, "looked_up": 0, "to_people": 0, "go_out": 0, "missed": 0,
    }  # fmt: skip
    again = lanmu(*there, "release", "--yes", lang="zh")
    assert again.exit_code == 1
    assert again.stderr == "这套栏目没有被冻结。\n"


def test_verify_asks_a_backup_what_must_still_be_there(lanmu, folder):
    assert lanmu("backup", "one.tar.gz").exit_code == 0
    right = lanmu("verify", "--backup", "one.tar.gz", lang="zh")
    assert right.exit_code == 0, right.output
    assert "✓ I19" in right.stdout
    assert "哈希链与备份时的末尾衔接" in right.stdout
    (folder / "no.tar.gz").write_bytes(b"nothing")
    refused = lanmu("verify", "--backup", "no.tar.gz", lang="zh")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("no.tar.gz: ")


def test_a_restore_beside_names_the_addresses_that_it_shares_with_the_original(lanmu, folder):
    with (folder / "config.toml").open("a", encoding="utf-8") as config:
        config.write('[plugins.wecom]\nbase_url = "http://127.0.0.1:8641"\nsandbox = true\n')
    assert lanmu("backup", "one.tar.gz").exit_code == 0
    restored = lanmu("restore", "one.tar.gz", "--into", "copy", lang="zh")
    assert restored.exit_code == 0, restored.output
    assert (
        "它的地址和端口与原来那套相同（server.port 8740、plugins.wecom.base_url http://127.0.0.1:8641）："
        "如果原来那套还在这台机器上运行，请先在 copy/config.toml 里改成别的。"
    ) in restored.stdout.splitlines()


def test_a_backup_writes_over_nothing_and_says_so_in_chinese(lanmu):
    assert lanmu("backup", "one.tar.gz").exit_code == 0
    refused = lanmu("backup", "one.tar.gz", lang="zh")
    assert refused.exit_code == 2
    assert refused.stderr == "one.tar.gz: 已经存在。请换一个文件名；已有的备份不会被覆盖。\n"


def test_a_restore_over_data_says_the_way_out(lanmu):
    assert lanmu("backup", "one.tar.gz").exit_code == 0
    refused = lanmu("restore", "one.tar.gz")
    assert refused.exit_code == 1
    assert "--into FOLDER" in refused.stderr
    moved = lanmu("restore", "one.tar.gz", "--force-empty", "--json")
    assert moved.exit_code == 0, moved.output
    assert "data.before-" in json.loads(moved.stdout)["aside"]


def test_two_ways_of_releasing_exclude_each_other(lanmu):
    refused = lanmu("release", "--reconcile", "--unsent", lang="zh")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("--reconcile 和 --unsent 只能选一个。")


def test_a_clock_that_nobody_doubts_needs_no_trust(lanmu):
    refused = lanmu("clock", "trust")
    assert refused.exit_code == 1
    assert refused.stderr == "Nothing is wrong with the clock.\n"


def test_the_clock_by_itself_tells_whether_it_is_trusted_and_the_way_out(lanmu, folder):
    trusted = lanmu("clock", lang="zh")
    assert trusted.exit_code == 0, trusted.output
    assert trusted.stdout.startswith("机器时间可信，现在是 20")
    with closing(sqlite3.connect(folder / "data" / "lanmu.db")) as db, db:
        db.execute("UPDATE clock_watch SET max_wall_seen = '2099-01-01 00:00:00.000000'")
    found = lanmu("clock", lang="zh")
    assert found.exit_code == 1
    first, since, way_out = found.stdout.splitlines()
    assert first.startswith("机器时间不可信，什么都不会发出。")
    assert since.startswith("这台机器的时间比之前倒退了 ")
    assert since.endswith("秒。从 2099-01-01 08:00 (北京时间 UTC+8) 起不再信任。")
    assert way_out.endswith("lanmu clock trust")
    assert "Doubted since 2099-01-01 08:00" in lanmu("clock").stdout
    assert lanmu("clock", "trust").exit_code == 0
    assert lanmu("clock").exit_code == 0


def test_a_frozen_copy_is_told_with_every_command_in_the_readers_language_alone(lanmu, folder):
    assert lanmu("backup", "b.tar.gz").exit_code == 0
    restored = lanmu("restore", "b.tar.gz", "--into", "copy", lang="zh")
    assert (restored.exit_code, restored.stderr) == (0, "")
    assert "UTC+8" in restored.stdout
    listed = lanmu("--config", "copy/config.toml", "push", "list", lang="zh")
    assert listed.stdout == "还没有推送。\n"
    assert listed.stderr == "注意：本系统已冻结，什么都不会发出。解除冻结见 lanmu release --help。\n"
    asked = lanmu("--config", "copy/config.toml", "release", lang="zh")
    assert "解除这一套的冻结" in asked.stdout
    assert "已冻结，什么都不会发出" not in asked.stderr
