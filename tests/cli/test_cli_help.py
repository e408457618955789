"""Help and faults of the command line, in both languages."""

import re
from collections.abc import Iterator

import click
import pytest

from lanmu.cli.commands import spoken
from lanmu.cli.main import main

_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_PLUGINS = (
    "personal_wechat_export",
    "personal_wechat_export packs",
    "personal_wechat_export zip",
    "points",
    "points link",
    "points check-in",
)


def _ours(command: click.Command, ctx: click.Context, path: str = "") -> Iterator[str]:
    yield path
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            inner = command.get_command(ctx, name)
            assert inner is not None
            yield from _ours(inner, ctx, f"{path} {name}".strip())


def _commands() -> list[str]:
    """Every command of the core; a config.toml that is not there keeps the plugins' out."""
    with click.Context(main, info_name="lanmu") as ctx:
        ctx.params["config"] = "there-is-none.toml"
        return list(_ours(main, ctx))


@pytest.mark.parametrize("path", [*_commands(), *_PLUGINS])
def test_every_command_has_its_help_in_both_languages(lanmu, path):
    english = lanmu(*path.split(), "--help", lang="en")
    chinese = lanmu(*path.split(), "--help", lang="zh")
    assert english.exit_code == chinese.exit_code == 0
    assert english.output.startswith(f"Usage: lanmu {path}".strip())
    assert chinese.output.startswith(f"用法：lanmu {path}".strip())
    assert not _CHINESE.search(english.output.replace("栏目", ""))
    for line in chinese.output.splitlines():
        if re.match(r"  +(-|[a-z_-]+  )", line):
            assert _CHINESE.search(line) or line.endswith("]"), line


def test_chinese_help_is_in_columns(lanmu):
    lines = lanmu("staff", "--help", lang="zh").output.splitlines()
    texts = [re.search(r"^  [a-z-]+ +", line) for line in lines[lines.index("命令：") + 1 :]]
    assert len({found.end() for found in texts if found}) == 1


def test_a_plugin_that_does_not_run_says_why(lanmu, folder):
    (folder / "config.toml").write_text('[plugins.points]\ncheck_in_points = "x"\n')
    told = lanmu("points", "--help", lang="zh")
    assert told.exit_code == 1
    assert told.stderr == "插件 points 没有运行。plugins.points.check_in_points: 不是整数。\n"


@pytest.mark.parametrize(
    ("arguments", "english", "chinese"),
    [
        (["nonsense"], "There is no command 'nonsense'.", "没有命令 'nonsense'。"),
        (
            ["push", "tset"],
            "There is no command 'tset'. Did you mean 'test'?",
            "没有命令 'tset'。是不是想写 'test'？",
        ),
        (["plan", "--bogus"], "There is no option '--bogus'.", "没有选项 '--bogus'。"),
        (["push", "test"], "The argument 'CHANNEL' is missing.", "缺少参数 'CHANNEL'。"),
        (
            ["push", "list", "--limit", "x"],
            "'--limit': 'x' is not a whole number.",
            "'--limit': 'x' 不是整数。",
        ),
        (["push", "list", "--limit"], "The option '--limit' needs a value.", "选项 '--limit' 后面要写值。"),
        (["verify", "--json=1"], "The option '--json' takes no value.", "选项 '--json' 后面不写值。"),
        (["verify", "now"], "There is no place for this: now", "多余的参数：now"),
        (
            ["staff", "create", "li", "--role", "king"],
            "'--role': 'king' is none of 'editor', 'reviewer', 'operator', 'points', 'auditor', 'admin'.",
            "'--role': 'king' 不可选，可选：'editor', 'reviewer', 'operator', 'points', 'auditor', 'admin'。",
        ),
        (
            ["staff", "create", "li"],
            "The option '--role' is missing. Choose from: editor, reviewer, operator, points, auditor, admin",
            "缺少选项 '--role'。可选：editor, reviewer, operator, points, auditor, admin",
        ),
        (
            ["points", "link", "nobody"],
            "MEMBER: There is no member nobody. Copy the id from the list.",
            "MEMBER: 没有会员 nobody。请从会员列表里复制编号。",
        ),
    ],
)
def test_a_mistyped_command_is_told_in_both_languages(lanmu, arguments, english, chinese):
    for lang, line in (("en", english), ("zh", chinese)):
        told = lanmu(*arguments, lang=lang)
        assert told.stderr.splitlines()[0] == line
        assert told.exit_code == (1 if arguments[0] == "points" else 2)
        assert told.stdout == ""


def test_the_usage_follows_a_mistyped_command(lanmu):
    lines = lanmu("push", "test", lang="zh").stderr.splitlines()
    assert lines[1:] == ["", "用法：lanmu push test [选项] CHANNEL", "用法说明见 lanmu push test --help"]


def test_the_version_is_one_line(lanmu):
    assert re.fullmatch(r"lanmu \d+\.\d+\.\d+\n", lanmu("--version").output)


def test_a_strangers_plain_group_speaks_as_ours_do_and_is_left_as_it_was(monkeypatch):
    @click.group("tools", help="Print JSON.")
    def tools() -> None:
        pass

    @tools.command("one", help="Print JSON.")
    @click.option("--json", is_flag=True, help="Print JSON.")
    def one(json: bool) -> None:
        del json

    monkeypatch.setenv("LANMU_LANG", "zh")
    ours = spoken(tools)
    assert isinstance(ours, click.Group)
    with click.Context(ours, info_name="tools") as ctx:
        inner = ours.get_command(ctx, "one")
        assert inner is not None
        assert "one  以 JSON 输出" in ours.get_help(ctx)
        assert "--json  以 JSON 输出。" in inner.get_help(
            inner.context_class(inner, info_name="one", parent=ctx)
        )
    assert type(tools) is click.Group
    assert type(tools.commands["one"]) is click.Command
