"""What the content check finds, what it must leave alone, and how it says so."""

import time

import pytest

from lanmu_llm_copy.checks import REASONS, RULES, CopyCheck, verdict
from lanmu_llm_copy.terms import shipped

check = CopyCheck(["竞品甲"])

RISKY = [
    ("分享给好友，你俩各得 5 元券", "share_inducement", "block"),
    ("邀请3人送小样", "share_inducement", "block"),
    ("转发到朋友圈就能领取红包", "share_inducement", "block"),
    ("拉一位朋友进群送体验装小样", "share_inducement", "block"),
    ("领取前需要先分享到群", "share_inducement", "block"),
    ("解锁需先转发", "share_inducement", "block"),
    ("这是最靠谱的选择", "absolute", "review"),
    ("我们家品质最好！", "absolute", "review"),
    ("我们是最佳选择", "absolute", "block"),
    ("最*佳品质", "absolute", "block"),
    ("最 佳品质", "absolute", "block"),
    ("最\u200b佳品质", "absolute", "block"),
    ("史無前例的優惠", "absolute", "block"),
    ("全国同类产品第一", "rank_claim", "review"),
    ("口碑 TOP1", "rank_claim", "review"),
    ("百分百有效", "absolute", "block"),
    ("98%的人反馈见效", "fake_evidence", "block"),
    ("三天瘦十斤", "fake_evidence", "block"),
    ("7天美白", "fake_evidence", "block"),
    ("年化收益８％", "finance_claim", "block"),
    ("10分钟走到地铁口", "realestate_claim", "review"),
    ("原价199元", "price_claim", "review"),
    ("好评返现5元", "follow_inducement", "block"),
    ("晒图送好礼", "follow_inducement", "block"),
    ("电话13800001234", "personal_data", "block"),
    ("身份证11010119900307123X", "personal_data", "block"),
    ("直接转账给我更便宜", "platform_evasion", "block"),
    ("打款到个人账户", "platform_evasion", "block"),
    ("最后一天啦", "urgency_claim", "review"),
    ("宝宝湿疹用它就好，能根治", "medical_claim", "block"),
    ("媲美母乳的配方", "infant_food", "block"),
    ("保过班开课", "education_claim", "review"),
    ("不让孩子输在起跑线", "education_claim", "block"),
    ("竞品甲不好用", "own_words", "block"),
    ("ＣＣＴＶ推荐", "state_authority", "review"),
]

FINE = [
    "第一时间告诉你，最近天气凉",
    "满199减30，券有效期7天",
    "欢迎分享你的育儿经验",
    "分享会上会送一些小礼物吗",
    "无需转发即可领取优惠券",
    "自愿分享，不设条件",
    "宝宝夜里总醒，很多时候不是饿",
    "路口交通拥堵，大麻烦",
    "最晚明天发货，最多三件",
    "我们在开发票，稍后寄到",
    "最佳赏味期看瓶身",
    "Smoking is bad",
    "这周的第一课已经上线",
    "下周二晚上八点，直播间见",
    "把要点都记下来，慢慢练",
    "多开窗通风",
    "订单号 20251130123456",
    "客服热线 400-820-8820",
    "课程资料在群文件里",
    "宝宝最开心的时刻",
    "新衣服最好先洗一遍再穿",
]


@pytest.mark.parametrize(("text", "category", "severity"), RISKY)
def test_a_risk_is_found_with_its_category_and_weight(text: str, category: str, severity: str) -> None:
    assert (category, severity) in {(f.category, f.severity) for f in check.check(text, {})}


@pytest.mark.parametrize("text", FINE)
def test_everyday_wording_is_left_alone(text: str) -> None:
    found = [finding for finding in check.check(text, {}) if finding.severity != "hint"]
    assert found == []


@pytest.mark.parametrize(("text", "_category", "_severity"), RISKY)
def test_a_span_points_at_the_words_in_the_original(text: str, _category: str, _severity: str) -> None:
    for finding in check.check(f"前面有字。{text}", {}):
        assert f"前面有字。{text}"[finding.start : finding.end] == finding.term


@pytest.mark.parametrize("text", ["群规：禁止赌博", "请勿刷单", "本店不做好评返现", "拒绝传销和水军"])
def test_a_ban_spoken_out_is_only_a_hint(text: str) -> None:
    assert {finding.severity for finding in check.check(text, {})} == {"hint"}


def test_a_not_in_another_clause_does_not_excuse() -> None:
    assert verdict(check.check("禁止广告。欢迎赌博", {})) == "needs_review"


def test_own_words_block_even_behind_a_not() -> None:
    assert verdict(check.check("不要买竞品甲", {})) == "blocked"


def test_the_weightier_finding_stands_where_two_overlap() -> None:
    found = check.check("转发领红包", {})
    assert len(found) == 1
    assert found[0].severity == "block"


def test_evidence_turns_a_claim_into_a_hint() -> None:
    text = "全国销量第一"
    assert verdict(check.check(text, {})) == "needs_review"
    assert verdict(check.check(text, {"evidence": "rank_claim"})) == "no_findings"


def test_the_industry_moves_the_weight() -> None:
    assert verdict(check.check("预期收益请看说明", {})) == "needs_review"
    assert verdict(check.check("预期收益请看说明", {"industry": "finance"})) == "no_findings"
    assert verdict(check.check("10分钟到地铁站", {"industry": "realestate"})) == "blocked"


def test_a_deadline_word_with_its_date_is_not_reported_by_the_pattern() -> None:
    assert check.check("即将截止", {})
    assert not check.check("11月30日20:00即将截止", {})


def test_the_verdict_never_says_that_a_text_is_lawful() -> None:
    assert verdict([]) == "no_findings"
    spoken = " ".join(REASONS.values()) + " ".join(rule.suggestion for rule in RULES)
    assert "合规" not in spoken
    assert "合法" not in spoken
    assert "compliant" not in spoken


def test_every_category_has_its_reason() -> None:
    assert {term.category for term in shipped() if term.category} <= set(REASONS)
    assert {rule.category for rule in RULES} <= set(REASONS)


def test_every_shipped_term_is_found_when_it_stands_alone() -> None:
    for term in shipped():
        if term.category:
            assert check.check(term.text, {}), term.text


def test_the_rules_are_the_thirteen_of_the_design() -> None:
    assert [rule.id for rule in RULES] == [f"R{n}" for n in range(1, 14)]


@pytest.mark.parametrize(
    "piece",
    ["满199减30，宝宝夜里总醒，分享给好友看看，第一次来的朋友先坐。", "最", "分享转发邀请", "百分之百", "1"],
)
def test_four_thousand_characters_take_less_than_twenty_milliseconds(piece: str) -> None:
    text = (piece * 4000)[:4000]
    check.check(text, {})
    best = 1.0
    for _round in range(5):
        start = time.process_time()
        check.check(text, {})
        best = min(best, time.process_time() - start)
    assert best < 0.02
