"""The plugin as the host sees it: settings, hooks, tables, commands and translations."""

import ast
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from marshmallow import ValidationError

import lanmu_llm_copy
from lanmu.i18n import Catalog, Filled
from lanmu.interfaces.rewriting import Brief, RewriterFailed
from lanmu.storage.migrate import differences
from lanmu.testing.host import FakeHost
from lanmu_llm_copy import LlmCopyPlugin
from lanmu_llm_copy.calls import LlmCopyBase
from lanmu_llm_copy.settings import LlmCopySchema

PACKAGE = Path(str(lanmu_llm_copy.__file__)).parent
KEY = "sk-canary-55aa"


@pytest.fixture
def make(host: FakeHost) -> Any:
    return lambda **table: LlmCopyPlugin(LlmCopySchema().load(table), host)


@pytest.fixture
def run(make: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("LANMU_LANG", "en")

    def invoke(*arguments: Any, given: Any = "", table: Any = None, language: str = "en") -> Any:
        monkeypatch.setenv("LANMU_LANG", language)
        commands = {command.name: command for command in make(**(table or {})).lanmu_commands()}
        return CliRunner().invoke(commands[arguments[0]], arguments[1:], input=given)

    return invoke


def test_the_package_offers_the_plugin_class_alone() -> None:
    assert lanmu_llm_copy.__all__ == ["LlmCopyPlugin"]


def test_without_a_model_the_rules_write_and_say_so(make: Any) -> None:
    plugin = make()
    (rewriter,) = plugin.lanmu_rewriters()
    assert (rewriter.name, rewriter.label) == ("llm_copy", "Written by rules")
    assert Catalog(("lanmu_llm_copy",)).gettext("zh-CN", rewriter.label) == "规则生成"
    assert rewriter.propose(Brief("polish", "大家早上好，记得喝水。")).generator == "rules@1"
    (check,) = plugin.lanmu_checks()
    assert check.check("全网最好", {})


def test_with_a_model_its_name_stands_on_the_proposals(make: Any) -> None:
    plugin = make(base_url="http://127.0.0.1:9/v1", model="deepseek-chat", api_key=KEY)
    assert plugin.rewriter.label == "deepseek-chat"


def test_own_words_of_the_settings_are_found(make: Any) -> None:
    assert make(banned=["竞品甲"]).check.check("竞品甲真好", {})[0].category == "own_words"


@pytest.mark.parametrize("text", ["", " \n ", "\u200b"])
def test_nothing_to_rewrite_is_told(make: Any, text: str) -> None:
    with pytest.raises(RewriterFailed, match="no text"):
        make().rewriter.propose(Brief("polish", text))


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"base_url": "api.deepseek.com"}, "base_url"),
        ({"base_url": "ftp://a.cn", "model": "m"}, "base_url"),
        ({"base_url": "https://u:p@a.cn/v1", "model": "m"}, "base_url"),
        ({"base_url": "http://169.254.169.254/v1", "model": "m"}, "base_url"),
        ({"base_url": "http://[::/v1", "model": "m"}, "base_url"),
        ({"base_url": "https://a.cn/v1"}, "model"),
        ({"model": "m"}, "base_url"),
        ({"deadline_s": 0}, "deadline_s"),
        ({"daily_calls": -1}, "daily_calls"),
        ({"fallback": "maybe"}, "fallback"),
        ({"zone": "Asia/Nowhere"}, "zone"),
        ({"zone": "../etc/passwd"}, "zone"),
        ({"banned": [""]}, "banned"),
        ({"modell": "m"}, "modell"),
    ],
)
def test_a_faulty_setting_is_told_by_its_key(table: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        LlmCopySchema().load(table)
    assert key in caught.value.normalized_messages()


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("http://127.0.0.1:11434/v1", True),
        ("http://localhost:8000/v1", True),
        ("http://[::1]:8000/v1", True),
        ("https://api.deepseek.com/v1", False),
        ("http://192.168.1.5/v1", False),
    ],
)
def test_a_model_on_this_machine_is_recognised(address: str, loopback: bool) -> None:
    assert LlmCopySchema().load({"base_url": address, "model": "m"}).is_loopback is loopback


def test_the_key_shows_nowhere(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    plugin = make(base_url="http://127.0.0.1:9/v1", model="m", api_key=KEY)
    draft = plugin.rewriter.propose(Brief("polish", "大家早上好，记得喝水。"))
    assert not draft.by_model
    assert KEY not in repr(plugin.settings) + repr(draft) + caplog.text


def test_the_migration_makes_what_the_models_say(host: FakeHost, kit: Any) -> None:
    assert differences(host.database, kit.chain()) == []
    assert all(name.startswith("plugin_llm_copy_") for name in LlmCopyBase.metadata.tables)


def test_check_prints_place_reason_and_suggestion(run: Any) -> None:
    result = run("check", "早上好\n我们是全网最好的")
    assert result.exit_code == 1
    assert "2:4 [block] 全网最好: Absolute wording" in result.output
    chinese = run("check", "我们是全网最好的", language="zh_CN.UTF-8")
    assert "绝对化用语" in chinese.output


def test_check_reads_a_file_and_standard_input(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("\ufeff大家早上好", encoding="utf-8")
    assert run("check", str(file)).exit_code == 0
    assert "No listed risk found" in run("check", "-", given="大家早上好").output


def test_check_answers_json_for_programs(run: Any) -> None:
    answer = json.loads(run("check", "--json", "转发领红包").output)
    assert answer["verdict"] == "blocked"
    assert answer["findings"][0]["category"] == "share_inducement"


def test_a_file_that_is_no_text_is_told(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(b"\x89PNG\xff\xfe")
    result = run("check", str(file))
    assert result.exit_code == 1
    assert "UTF-8" in result.output


def test_rewrite_prints_variants(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "text.md"
    file.write_text("宝宝夜里总醒，先看看室温。纸尿裤89元，限购2件。", encoding="utf-8")
    result = run("rewrite", str(file), "--variants", "3", "--channel", "wecom.group", "--tone", "lively")
    assert result.exit_code == 0
    assert result.output.count("Written by rules") == 3
    answer = json.loads(run("rewrite", str(file), "--variants", "2", "--json").output)
    assert [proposal["usable"] for proposal in answer["proposals"]] == [True, True]
    assert answer["by_model"] is False


def test_rewrite_names_a_missing_file(run: Any) -> None:
    result = run("rewrite", "no-such-file.md")
    assert result.exit_code == 1
    assert "no file of this name" in result.output


def test_calls_shows_the_budget(run: Any) -> None:
    assert "0 of 200 calls" in run("calls").output
    assert json.loads(run("calls", "--json").output) == {"calls": 0, "tokens": 0, "newest": []}


def test_a_filled_text_is_translated_with_its_slots() -> None:
    catalog = Catalog(("lanmu_llm_copy",))
    text = Filled(
        "%(reason)s → Written by rules instead.",
        reason=Filled(
            "%(host)s did not finish within %(seconds)d seconds.", host="api.example.cn", seconds=30
        ),
    )
    assert text == "api.example.cn did not finish within 30 seconds. → Written by rules instead."
    assert catalog.gettext("en", text) == text
    assert catalog.gettext("zh-CN", text) == "api.example.cn 超过 30 秒没答完 → 已用规则生成"


def test_every_text_of_the_plugin_is_translated() -> None:
    catalog = Catalog(("lanmu_llm_copy",))
    texts = set(message_ids())
    assert len(texts) > 80
    missing = sorted(text for text in texts if catalog.gettext("zh-CN", text) == text)
    assert missing == []


def test_translations_have_the_slots_of_their_texts() -> None:
    import re

    catalog = Catalog(("lanmu_llm_copy",))
    slot = re.compile(r"%\((\w+)\)[sd]|%%")
    for text in message_ids():
        assert sorted(slot.findall(text)) == sorted(slot.findall(catalog.gettext("zh-CN", text))), text


def message_ids() -> list[str]:
    """Every literal that the package marks with `_`, and the codes that are shown."""
    from lanmu_llm_copy.codes import ANGLES
    from lanmu_llm_copy.facts import Kind

    found = [kind.value for kind in Kind] + [*ANGLES, "negation", "block", "review", "hint"]
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                argument = node.args[0]
                found += [str(leaf.value) for leaf in ast.walk(argument) if isinstance(leaf, ast.Constant)]
    return found
