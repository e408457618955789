"""What the commands do, print and answer to a shell."""

import json
import sqlite3
from contextlib import closing

from openapi_spec_validator import OpenAPIV31SpecValidator

_GOOD = """---
title: 一条素材
class: engagement
kind: industry_insight
zone: knowledge
genre: report
topic: 早安
form: text
month: 2026-11
tags: [早安]
origin: original
owner: 杜若
state: in_review
---
早安，今天聊聊换季。
"""


def test_the_plugins_are_listed_with_their_state(lanmu, folder):
    with (folder / "config.toml").open("a") as file:
        file.write("[plugins.nobody]\n[plugins.llm_copy]\nmodel = 3\n")
    told = lanmu("plugin", "list", lang="zh")
    assert told.exit_code == 0
    lines = told.stdout.splitlines()
    states = {line.split()[0]: line.split()[1] for line in lines if not line.startswith(" ")}
    assert states == {
        "personal_wechat_export": "运行中",
        "points": "运行中",
        "nobody": "未安装",
        "llm_copy": "已搁置",
        "wecom": "停用",
    }
    assert "    plugins.llm_copy.model: 不是文本，请加上引号。" in lines
    assert {line.index("0.1.0") + sum(c > "\u2e80" for c in line) for line in lines if "0.1.0" in line} == {
        39
    }
    assert {line.split()[2] for line in lines if "0.1.0" in line} == {"lanmu"}
    listed = json.loads(lanmu("plugin", "list", "--json").stdout)
    assert {each["name"]: each["state"] for each in listed}["llm_copy"] == "set_aside"


def test_one_plugin_is_checked(lanmu):
    fine = lanmu("plugin", "check", "personal_wechat_export")
    assert fine.exit_code == 0
    assert "Channels: personal_wechat_export.pack" in fine.stdout
    off = lanmu("plugin", "check", "wecom")
    assert off.exit_code == 1
    assert "Write [plugins.wecom] into config.toml to switch it on." in off.stderr
    gone = lanmu("plugin", "check", "nobody", lang="zh")
    assert gone.exit_code == 1
    assert gone.stderr == "nobody: 没有安装这个插件。用 lanmu plugin list 查看已安装的插件。\n"


def test_an_account_is_made_listed_and_given_a_new_password(lanmu):
    made = lanmu("staff", "create", "li", "--name", "李", "--role", "editor", "--role", "operator")
    assert made.exit_code == 0
    assert made.stdout.startswith("li can sign in once with: ")
    assert lanmu("staff", "list").stdout == "li  李  editor, operator\n"
    assert json.loads(lanmu("staff", "list", "--json").stdout)[0]["username"] == "li"
    again = lanmu("staff", "create", "li", "--role", "editor", lang="zh")
    assert (again.exit_code, again.stderr) == (1, "username: 账号 li 已存在。\n")
    fresh = lanmu("staff", "reset-password", "li", lang="zh").stdout
    assert fresh.startswith("li 的一次性密码：")
    assert lanmu("staff", "reset-password", "nobody").exit_code == 2


def test_an_account_gets_other_roles_and_is_closed_when_somebody_leaves(lanmu):
    lanmu("staff", "create", "boss", "--role", "admin")
    lanmu("staff", "create", "li", "--name", "李", "--role", "editor")
    told = lanmu("staff", "roles", "li", "--role", "editor", "--role", "reviewer", lang="zh").stdout
    assert told == "li 现在的角色：editor, reviewer\n"
    assert lanmu("staff", "close", "li", lang="zh").stdout == "li 已停用并退出所有登录。\n"
    assert "li" not in lanmu("staff", "list").stdout
    last = lanmu("staff", "close", "boss", lang="zh")
    assert (last.exit_code, last.stderr) == (
        1,
        "username: boss 是唯一的管理员。请先把另一位同事设为管理员。\n",
    )
    assert lanmu("staff", "reopen", "li").stdout == "li can sign in again.\n"
    assert "editor, reviewer\n" in lanmu("staff", "list").stdout


def test_a_token_is_shown_once_and_can_be_ended(lanmu):
    lanmu("staff", "create", "li", "--role", "admin")
    token = lanmu("staff", "token", "li", "--scope", "content:read").stdout.strip()
    assert token.startswith("lanmu_")
    short = token.removeprefix("lanmu_")[:8]
    assert lanmu("staff", "revoke", short).stdout == "The token is ended.\n"
    assert lanmu("staff", "revoke", short).exit_code == 1
    assert lanmu("staff", "token", "li", "--scope", "content:read", "--days", "0").exit_code == 2


def test_the_books_are_checked_and_a_wrong_one_is_named(lanmu, folder):
    fine = lanmu("verify", lang="zh")
    assert fine.exit_code == 0
    assert all(line.startswith("✓") for line in fine.stdout.splitlines())
    with closing(sqlite3.connect(folder / "data" / "lanmu.db")) as books, books:
        books.execute(
            "INSERT INTO account (name, kind, owner, balance) VALUES ('member:x', 'member', 'x', 5)"
        )
    wrong = lanmu("verify", lang="zh")
    assert wrong.exit_code == 1
    (line,) = [line for line in wrong.stdout.splitlines() if line.startswith("✗ I2")]
    assert "每个账户余额等于分录之和" in line
    assert "account member:x: keeps 5" in wrong.stdout
    told = json.loads(lanmu("verify", "--json").stdout)
    assert {each["invariant"] for each in told if not each["ok"]} >= {"I2"}


def test_a_guard_that_somebody_dropped_is_named_in_the_readers_language(lanmu, folder):
    assert lanmu("verify").exit_code == 0
    with closing(sqlite3.connect(folder / "data" / "lanmu.db")) as books, books:
        books.execute("DROP INDEX ix_unit_in_doubt")
    wrong = lanmu("verify", lang="zh")
    assert wrong.exit_code == 1
    assert "数据表 unit：索引 ix_unit_in_doubt 缺失，或与应有的不一致" in wrong.stdout
    assert "→ 先停下 Lanmu，把现在的数据库原样留一份，再从最近一份能通过这项检查的备份恢复。" in wrong.stdout
    (told,) = [each for each in json.loads(lanmu("verify", "--json").stdout) if not each["ok"]]
    assert told["invariant"] == "I16"
    assert told["first_wrong"].startswith("table unit: the index ix_unit_in_doubt is missing")
    assert told["way_out"].startswith("Stop Lanmu, keep a copy")


def test_a_faulty_file_is_named_with_its_line_and_the_rest_is_loaded(lanmu, folder):
    library = folder / "content_library"
    library.mkdir()
    (library / "good.md").write_text(_GOOD, encoding="utf-8")
    (library / "bad.md").write_text(_GOOD.replace("tags: [早安]", "tags: 3"), encoding="utf-8")
    told = lanmu("library", "sync", lang="zh")
    assert told.exit_code == 1
    assert told.stderr == "bad.md:10 tags: 这里不是词语列表。请写成 [标签, 标签]。\n"
    assert told.stdout.splitlines()[0].split() == ["新增素材", "1"]
    (library / "bad.md").unlink()
    fine = lanmu("library", "sync", "--json")
    assert fine.exit_code == 0
    counted = json.loads(fine.stdout)
    assert (counted["added"], counted["unchanged"], counted["faults"]) == (0, 1, [])


def test_a_library_folder_that_is_missing_is_named(lanmu, folder):
    told = lanmu("library", "sync")
    assert told.exit_code == 2
    assert told.stderr.startswith("library.folder: ")


def test_the_plan_is_told_in_one_line_and_as_json(lanmu):
    assert lanmu("plan", lang="zh").stdout.startswith("已排好 0 个排期")
    assert json.loads(lanmu("plan", "--json").stdout)["planned"] == 0


def test_holidays_are_shown_and_read_in(lanmu, tmp_path):
    shown = lanmu("holidays", lang="zh").stdout
    assert "2026-10-10  班  国庆节  (国办发明电〔2025〕7号，2025-11-04)" in shown
    file = tmp_path / "2027.csv"
    file.write_text("日期,休或班,名称\n2027-01-01,休,元旦\n", encoding="utf-8")
    assert lanmu("holidays", str(file), lang="zh").stdout.startswith("已导入 2027 年")
    known = json.loads(lanmu("holidays", "--json").stdout)
    assert known[-1] == {"day": "2027-01-01", "works": False, "name": "元旦", "source": "2027.csv"}
    file.write_text("2027-01-01,假,元旦\n", encoding="utf-8")
    refused = lanmu("holidays", str(file), lang="zh")
    assert (refused.exit_code, "既不是休" in refused.output) == (2, True)


def test_a_test_is_sent_listed_and_shown(lanmu):
    assert lanmu("push", "list", lang="zh").stdout == "还没有推送。\n"
    sent = lanmu("push", "test", "personal_wechat_export.pack", "--to", "群一", "--text", "你好", lang="zh")
    assert sent.exit_code == 0, sent.output
    push, state = sent.stdout.split()
    assert state == "已交给执行人"
    assert push in lanmu("push", "list").stdout
    shown = json.loads(lanmu("push", "show", push).stdout)
    assert shown["title"] == "【测试】你好"
    assert "row" not in shown
    assert shown["units"][0]["targets"][0]["key"] == "群一"


def test_a_test_sends_itself_alone_and_nothing_that_waits_for_a_worker(lanmu, folder):
    """Whoever stopped the worker meant it."""
    test = ("push", "test", "personal_wechat_export.pack", "--to", "群一", "--text")
    waits = lanmu(*test, "一").stdout.split()[0]
    with closing(sqlite3.connect(folder / "data" / "lanmu.db")) as rows, rows:
        rows.execute("UPDATE unit SET state = 'pending', finished_at = NULL, accepted_at = NULL")
        rows.execute("UPDATE push SET state = 'running', finished_at = NULL")
    sent = lanmu(*test, "二")
    assert sent.exit_code == 0, sent.output
    shown = [json.loads(lanmu("push", "show", push).stdout) for push in (waits, sent.stdout.split()[0])]
    assert [unit["state"] for each in shown for unit in each["units"]] == ["pending", "handed_over"]


def test_a_large_push_is_shown_with_all_its_batches(lanmu, folder):
    sent = lanmu("push", "test", "personal_wechat_export.pack", "--to", "群一", "--text", "你好")
    with closing(sqlite3.connect(folder / "data" / "lanmu.db")) as rows, rows:
        columns = [row[1] for row in rows.execute("PRAGMA table_info(unit)") if row[1] != "id"]
        values = ", ".join({"number": "n", "token": "'t' || n"}.get(name, name) for name in columns)
        rows.execute(
            "WITH RECURSIVE more(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM more WHERE n < 450)"
            f" INSERT INTO unit ({', '.join(columns)}) SELECT {values} FROM unit, more"
        )
    shown = json.loads(lanmu("push", "show", sent.stdout.split()[0]).stdout)
    assert [unit["number"] for unit in shown["units"]] == list(range(1, 451))


def test_a_push_is_stopped_and_decided_from_the_command_line(lanmu):
    sent = lanmu("push", "test", "personal_wechat_export.pack", "--to", "群一", "--text", "你好")
    push = sent.stdout.split()[0]
    for verb in ("pause", "resume"):
        told = lanmu("push", verb, push, lang="zh")
        assert (told.exit_code, "当前状态不允许" in told.stderr) == (1, True), verb
    told = lanmu("push", "decide", push, "1", "again")
    assert (told.exit_code, "--why" in told.stderr) == (2, True)
    told = lanmu("push", "decide", push, "1", "sent", "--json")
    assert (told.exit_code, told.stdout) == (1, "")
    told = lanmu("push", "cancel", "psh_none", "--json", lang="zh")
    assert (told.exit_code, told.stderr) == (1, "psh_none: 没有这条推送。\n")


def test_a_test_through_a_channel_that_does_not_run_is_refused(lanmu):
    told = lanmu("push", "test", "wecom.group", "--to", "x", "--text", "y", lang="zh")
    assert told.exit_code == 2
    assert told.stderr == (
        "channel: 渠道“wecom.group”没有运行。如果名字没写错，就是还没配置："
        "请看 config.toml 的 [plugins.wecom]。运行中的渠道：personal_wechat_export.pack。\n"
    )


def test_a_test_goes_to_the_address_that_a_community_has_at_the_channel(lanmu, folder):
    channel = "personal_wechat_export.pack"
    groups = [{"name": "自己人", "tags": ["测试"], "addresses": {channel: {"key": "own", "sender": "li"}}}]
    (folder / "groups.json").write_text(json.dumps(groups), encoding="utf-8")
    assert lanmu("community", "import", "groups.json").exit_code == 0
    with closing(sqlite3.connect(folder / "data" / "lanmu.db")) as db:
        ((community,),) = db.execute("SELECT public_id FROM community WHERE name = '自己人'").fetchall()
    sent = lanmu("push", "test", channel, "--to", community, "--text", "你好")
    assert sent.exit_code == 0, sent.output
    (unit,) = json.loads(lanmu("push", "show", sent.stdout.split()[0]).stdout)["units"]
    assert (unit["targets"][0]["key"], unit["sender"]) == ("own", "li")
    with closing(sqlite3.connect(folder / "data" / "lanmu.db")) as db, db:
        db.execute("UPDATE community_address SET channel = 'wecom.group'")
    refused = lanmu("push", "test", channel, "--to", community, "--text", "你好", lang="zh")
    assert refused.exit_code == 2
    assert "社群“自己人”没有 personal_wechat_export.pack 这个渠道的地址。" in refused.stderr
    assert "换用它已有地址的渠道：wecom.group。" in refused.stderr
    assert lanmu("push", "test", channel, "--to", "com_none", "--text", "你好").exit_code == 1


def test_a_test_is_not_sent_to_a_community_that_is_not_marked_for_it(lanmu, folder):
    channel = "personal_wechat_export.pack"
    groups = [
        {"name": "妈妈群", "addresses": {channel: {"key": "m1"}}},
        {"name": "自己人", "tags": ["测试"], "addresses": {channel: {"key": "own"}}},
    ]
    (folder / "groups.json").write_text(json.dumps(groups), encoding="utf-8")
    assert lanmu("community", "import", "groups.json").exit_code == 0
    told = lanmu("push", "test", channel, "--to", "m1", "--text", "你好", lang="zh")
    assert (told.exit_code, "测试不能发过去" in told.stderr) == (2, True)
    assert lanmu("push", "list").stdout == "No push yet.\n"
    assert lanmu("push", "test", channel, "--to", "own", "--text", "你好").exit_code == 0


def test_an_unknown_push_is_told(lanmu):
    told = lanmu("push", "show", "psh_none", lang="zh")
    assert (told.exit_code, told.stderr) == (1, "psh_none: 没有这条推送。\n")


def test_the_api_is_described_by_a_valid_document(lanmu):
    document = json.loads(lanmu("openapi").stdout)
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"] == "3.1.0"
    assert "/api/v1/events" in document["paths"]


def test_a_plugins_command_runs_with_the_server_that_it_needs(lanmu):
    found = lanmu("personal_wechat_export", "packs", "--json")
    assert (found.exit_code, json.loads(found.stdout)) == (0, [])
