"""What a model call costs, what is written down of it, and what happens instead of it."""
# ruff: noqa: E501 - Chinese characters count as two columns.

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lanmu.interfaces.rewriting import Brief, RewriterFailed
from lanmu.interfaces.secrets import Secret
from lanmu.testing.host import FakeHost
from lanmu_llm_copy.checks import CopyCheck
from lanmu_llm_copy.model import ModelFailed
from lanmu_llm_copy.rewriter import CopyRewriter
from lanmu_llm_copy.rules import RuleWriter

KEY = "sk-canary-7f3d91"
TEXT = "{{ member.nickname }}，纸尿裤89元，11月30日20:00开抢，https://shop.example.cn/a?id=3"
BRIEF = Brief("polish", TEXT)
# What the model sees and should write: ⟦F1⟧ name, ⟦F2⟧ price, ⟦F3⟧ date, ⟦F4⟧ time, ⟦F5⟧ link.
GOOD = "⟦F1⟧，家里纸尿裤还够吗？⟦F2⟧一包，⟦F3⟧⟦F4⟧开抢：⟦F5⟧"
RESTORED = (
    "{{ member.nickname }}，家里纸尿裤还够吗？89元一包，11月30日20:00开抢：https://shop.example.cn/a?id=3"
)


def rewriter(writer: Any, fall_back: Any = True) -> Any:
    return CopyRewriter(RuleWriter(), CopyCheck(), writer, model_name="m", fall_back=fall_back)


# Money, ledger, fallback


def test_every_call_is_written_down_without_anybodys_text(
    server: Any, kit: Any, build: Any, rows: Any
) -> None:
    server.scenes = [kit.fails(500), kit.says(kit.variants(GOOD))]
    build().propose(BRIEF)
    first, second = rows()
    assert (first.outcome, first.attempt) == ("server_error", 1)
    assert (second.outcome, second.attempt, second.finish_reason) == ("usable", 2, "stop")
    assert (second.prompt_tokens, second.completion_tokens, second.estimated) == (11, 7, False)
    assert second.host == "127.0.0.1"
    held = " ".join(str(value) for row in (first, second) for value in vars(row).values())
    for secret in ("纸尿裤", "nickname", "shop.example", KEY):
        assert secret not in held


def test_a_used_up_budget_makes_no_call_until_the_next_day(
    server: Any, kit: Any, build: Any, host: FakeHost
) -> None:
    server.scenes = [kit.says(kit.variants(GOOD))]
    writer = build(daily_calls=2)
    writer.propose(BRIEF)
    writer.propose(BRIEF)
    with pytest.raises(RewriterFailed, match=r"used up \(2 calls\); it starts anew at 11-24 00:00"):
        rewriter(writer, fall_back=False).propose(BRIEF)
    assert len(server.requests) == 2
    host.clock.advance(timedelta(days=1))
    assert writer.propose(BRIEF).proposals[0].usable


def test_tokens_are_a_budget_too(server: Any, kit: Any, build: Any) -> None:
    server.scenes = [kit.says(kit.variants(GOOD))]
    writer = build(daily_tokens=18)
    writer.propose(BRIEF)
    draft = rewriter(writer).propose(BRIEF)
    assert not draft.by_model
    assert "tokens" in draft.notices[0]


def test_a_failing_model_is_replaced_by_the_rules_and_says_so(server: Any, kit: Any, build: Any) -> None:
    server.scenes = [kit.fails(402, {"message": "Insufficient Balance"})]
    draft = rewriter(build()).propose(BRIEF)
    assert draft.generator == "rules@1"
    assert not draft.by_model
    assert draft.notices[0].endswith("→ Written by rules instead.")
    assert "no credit" in draft.notices[0]
    assert draft.proposals[0].usable


def test_without_fallback_the_reason_is_the_error(server: Any, kit: Any, build: Any) -> None:
    server.scenes = [kit.fails(402, {"message": "Insufficient Balance"})]
    with pytest.raises(RewriterFailed, match="no credit"):
        rewriter(build(), fall_back=False).propose(BRIEF)


def test_proposals_of_the_model_are_checked_for_risky_words(server: Any, kit: Any, build: Any) -> None:
    server.scenes = [kit.says(kit.variants(GOOD + "，全网最好的纸尿裤"))]
    draft = rewriter(build()).propose(BRIEF)
    assert {finding.severity for finding in draft.proposals[0].findings} == {"block"}


def test_progress_is_told_while_the_model_writes(server: Any, kit: Any, build: Any) -> None:
    server.scenes = [kit.says(kit.variants(GOOD))]
    told: list[str] = []
    build().propose(BRIEF, told.append)
    assert told[0] == "Asking m …"
    assert any(line.startswith("Writing: ") for line in told)
    assert told[-1] == "Checking facts …"


def test_a_proxy_of_the_environment_is_not_asked_for_a_model_on_this_machine(
    server: Any, kit: Any, build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.scenes = [kit.says(kit.variants(GOOD))]
    assert build().propose(BRIEF).proposals[0].usable


def test_the_key_is_sent_and_a_keyless_server_gets_a_stand_in(server: Any, kit: Any, build: Any) -> None:
    server.scenes = [kit.says(kit.variants(GOOD))]
    build().propose(BRIEF)
    build(api_key=Secret("")).propose(BRIEF)
    sent = [
        {name.lower(): value for name, value in headers.items()}["authorization"]
        for headers in server.headers
    ]
    assert sent == [f"Bearer {KEY}", "Bearer none"]


def test_a_redirect_is_not_followed(server: Any, kit: Any, build: Any) -> None:
    server.scenes = [kit.fails(307, b"", location="http://169.254.169.254/latest")]
    with pytest.raises(ModelFailed):
        build().propose(BRIEF)
    assert len(server.requests) == 1


def test_openai_is_imported_only_when_a_model_is_asked() -> None:
    code = (
        "import sys, lanmu_llm_copy; from lanmu_llm_copy.rules import RuleWriter;"
        "from lanmu.interfaces.rewriting import Brief; RuleWriter().propose(Brief('polish', '早上好，记得喝水。'));"
        "sys.exit(any(name in sys.modules for name in ('openai', 'httpx2', 'pydantic')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_server_that_fails_time_and_again_is_left_alone_for_a_minute(
    server: Any, kit: Any, build: Any
) -> None:
    server.scenes = [kit.fails(500)]
    writer = build()
    for _job in range(2):
        with pytest.raises(ModelFailed):
            writer.propose(BRIEF)
    calls = len(server.requests)
    with pytest.raises(ModelFailed, match="5 times in a row"):
        writer.propose(BRIEF)
    assert len(server.requests) == calls


def test_a_budget_that_ends_before_the_second_turn_keeps_the_first_answer(
    server: Any, kit: Any, build: Any, rows: Any
) -> None:
    server.scenes = [kit.says(kit.variants(GOOD, GOOD + "，再打5折"))]
    draft = build(daily_calls=1).propose(replace(BRIEF, job="variants", count=2))
    assert [proposal.usable for proposal in draft.proposals] == [True, False]
    assert [row.outcome for row in rows()] == ["partial"]


def test_a_failed_second_turn_keeps_its_own_outcome_in_the_ledger(
    server: Any, kit: Any, build: Any, rows: Any
) -> None:
    server.scenes = [kit.says(kit.variants(GOOD, GOOD + "，再打5折")), kit.fails(401, {"message": "x"})]
    build().propose(replace(BRIEF, job="variants", count=2))
    assert [row.outcome for row in rows()] == ["partial", "key_refused"]
