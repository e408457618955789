"""`lanmu config`: every fault at once, with its key's path, and secrets masked."""

import json
import os


def test_every_fault_is_told_at_once(lanmu, folder):
    (folder / "config.toml").write_text(
        """
[server]
port = "8640"
bse_url = "x"
zone = "Mars"
secret_key = "${NOT_SET_ANYWHERE}"

[queue]
backend = "redis"

[lgo]

[plugins.points]
check_in_points = -1
""",
        encoding="utf-8",
    )
    told = lanmu("config", "check")
    assert told.exit_code == 2
    assert told.stderr.splitlines() == [
        "server.secret_key: asks for the environment variable NOT_SET_ANYWHERE, which is not set. "
        "Set it before you start Lanmu.",
        "server.port: is not a whole number.",
        "server.zone: is not a time zone; write one like Asia/Shanghai.",
        "server.bse_url: is not known here. Did you mean base_url?",
        "lgo: is not known here. Did you mean log?",
        "queue.url: is missing, and queue.backend is redis.",
    ]
    assert lanmu("config", "check", lang="zh").stderr.splitlines()[1:3] == [
        "server.port: 不是整数。",
        "server.zone: 不是时区，请写成 Asia/Shanghai 这样。",
    ]


def test_the_plugins_tables_are_checked_too(lanmu, folder):
    (folder / "config.toml").write_text("[plugins.points]\nchek_in_points = -1\n[plugins.nobody]\n")
    told = lanmu("config", "check")
    assert told.exit_code == 2
    assert told.stderr.splitlines() == [
        "plugins.points.chek_in_points: is not known here. Did you mean check_in_points?",
        "plugins.nobody: no installed plugin has this name. "
        "Installed: llm_copy, personal_wechat_export, points, wecom.",
    ]


def test_a_file_that_is_not_toml_is_named_with_its_line(lanmu, folder):
    (folder / "config.toml").write_text("[server\nport = 1\n")
    told = lanmu("config", "check", lang="zh")
    assert told.exit_code == 2
    assert "config.toml: TOML 格式有误：" in told.stderr
    assert "line 1" in told.stderr


def test_without_a_config_the_way_out_is_told(lanmu, folder):
    os.remove(folder / "config.toml")
    told = lanmu("plan", lang="zh")
    assert told.exit_code == 2
    assert told.stderr.startswith("config.toml: 不存在。请进入栏目所在的文件夹")


def test_a_config_that_is_fine_says_so(lanmu):
    assert lanmu("config", "check", lang="zh").stdout == "config.toml 没有问题。\n"
    assert lanmu("config", "check").exit_code == 0


def test_show_masks_every_secret(lanmu, folder):
    (folder / "config.toml").write_text(
        """
[server]
secret_key = "geheim-1-with-32-characters-at-least"

[database]
url = "postgresql://u:geheim-2@h/d"

[plugins.wecom]
secret = "geheim-3"

[plugins.wecom.robots]
ops = "geheim-4"
"""
    )
    (folder / "config.toml").chmod(0o600)
    shown = lanmu("config", "show")
    assert "geheim" not in shown.output
    assert json.loads(shown.stdout)["plugins"]["wecom"]["secret"] == "***"


def test_a_secret_that_others_can_read_is_a_fault(lanmu, folder):
    (folder / "config.toml").write_text('[server]\nsecret_key = "geheim"\n')
    (folder / "config.toml").chmod(0o644)
    told = lanmu("config", "check", lang="zh")
    assert told.exit_code == 2
    assert "server.secret_key" in told.stderr
    assert "chmod 600" in told.stderr


def test_a_variable_that_one_plugin_lacks_sets_that_plugin_aside_and_the_rest_runs(lanmu, folder):
    text = '[plugins.points]\n[plugins.wecom]\ncorpid = "ww1"\nsecret = "${WECOM_SECRET}"\nagentid = "1"\n'
    (folder / "config.toml").write_text(text)
    (folder / "config.toml").chmod(0o644)
    every = {each["name"]: each for each in json.loads(lanmu("plugin", "list", "--json").stdout)}
    assert every["points"]["state"] == "running"
    assert every["wecom"]["state"] == "set_aside"
    assert "WECOM_SECRET" in every["wecom"]["reason"]
    told = lanmu("config", "check")
    assert told.exit_code == 2
    assert told.stderr.splitlines() == [
        "plugins.wecom.secret: asks for the environment variable WECOM_SECRET, which is not set. "
        "Set it before you start Lanmu.",
        "plugins.wecom.agentid: is not a whole number.",
    ]


def test_a_database_that_is_not_there_is_named_without_its_password(lanmu, folder):
    (folder / "config.toml").write_text('[database]\nurl = "postgresql://u:geheim@127.0.0.1:1/none"\n')
    (folder / "config.toml").chmod(0o600)
    told = lanmu("push", "list")
    assert told.exit_code == 2
    assert told.stderr.startswith("database.url: the database cannot be opened: ")
    assert "geheim" not in told.stderr
