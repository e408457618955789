"""The writer without a model: what it changes, what it may never touch, and that its own phrases promise nothing."""
# ruff: noqa: E501 - Chinese characters count as two columns.

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanmu.interfaces.rewriting import Brief, FactState
from lanmu_llm_copy import polish
from lanmu_llm_copy.checks import CopyCheck
from lanmu_llm_copy.diversity import similarity
from lanmu_llm_copy.facts import extract
from lanmu_llm_copy.glyphs import EMOJI, clusters
from lanmu_llm_copy.lock import compare
from lanmu_llm_copy.mask import mask
from lanmu_llm_copy.phrasebook import phrasebook
from lanmu_llm_copy.rules import GENERATOR, RuleWriter
from lanmu_llm_copy.sentences import split

SALE = (
    "尊敬的{{ member.nickname }}您好，为感谢广大新老客户长期以来的支持与厚爱，本店纸尿裤专场现已开启！满199减30，限购2件，"
    "不可与其他券叠加。活动时间11月30日20:00，点击 https://shop.example.cn/a?id=3 即可购买。机会难得，不容错过！赶快行动起来吧！"
)
SLEEP = (
    "宝宝夜里总醒，很多时候不是饿。可以先看看室温和包被，太热太冷都会醒。睡前一小时别玩太兴奋的游戏，洗澡、抚触、读绘本，顺序固定下来。"
    "坚持下来，大多数宝宝会慢慢形成习惯。"
)
CLASS = "各位学员大家好，本周六晚上8点，李老师直播课《简历怎么写》准时开始。课程会讲三个常见问题：排版、经历、数据。课后有答疑。"
TONIGHT = "专属福利仅限今晚 24 点，点击小程序即可锁定优惠！前 50 名下单加赠收纳袋。"
SOURCES = [SALE, SLEEP, CLASS, TONIGHT]

writer = RuleWriter()


def one(text: str, **more: Any) -> str:
    return writer.propose(Brief("polish", text, **more)).proposals[0].text


@pytest.mark.parametrize("text", SOURCES)
@pytest.mark.parametrize("tone", ["warm", "formal", "lively"])
@pytest.mark.parametrize("content_class", ["engagement", "conversion", "brand"])
@pytest.mark.parametrize("job", ["polish", "variants"])
def test_every_fact_of_the_source_comes_through(text: str, tone: str, content_class: str, job: Any) -> None:
    for stage in ("new", "active", "converting", "loyal", "sharing"):
        for channel in ("wecom.group", "wecom.customer"):
            draft = writer.propose(
                Brief(
                    job, text, tone=tone, stage=stage, content_class=content_class, channel=channel, count=4
                )
            )
            for proposal in draft.proposals:
                assert proposal.usable, proposal.problems
                assert all(line.state is FactState.KEPT for line in proposal.facts)


@pytest.mark.parametrize("text", SOURCES)
def test_variants_are_as_many_as_asked_for_and_of_distinct_angles(text: str) -> None:
    draft = writer.propose(Brief("variants", text, count=4))
    assert [proposal.key for proposal in draft.proposals] == ["A", "B", "C", "D"]
    assert len({proposal.angle for proposal in draft.proposals}) == 4
    openings = [proposal.text.split("\n")[:2] for proposal in draft.proposals]
    assert all(one != other for n, one in enumerate(openings) for other in openings[n + 1 :])


def test_the_same_brief_gives_the_same_draft_and_another_seed_another() -> None:
    brief = Brief("variants", SLEEP, count=3)
    assert writer.propose(brief) == writer.propose(brief) == RuleWriter().propose(brief)
    other = writer.propose(replace(brief, seed=1))
    assert [p.text for p in other.proposals] != [p.text for p in writer.propose(brief).proposals]


def test_a_draft_says_that_rules_wrote_it() -> None:
    draft = writer.propose(Brief("polish", SLEEP))
    assert draft.generator == GENERATOR == "rules@1"
    assert not draft.by_model


def test_a_stiff_opening_goes_and_the_name_in_it_stays() -> None:
    text = one(SALE)
    assert "尊敬的" not in text
    assert text.startswith("{{ member.nickname }}")


@pytest.mark.parametrize("filler", ["长期以来的支持与厚爱", "机会难得", "不容错过", "赶快行动起来吧"])
def test_fillers_go(filler: str) -> None:
    assert filler not in one(SALE)


@pytest.mark.parametrize(
    ("tone", "there", "gone"),
    [
        ("warm", "就能买", "即可购买"),
        ("formal", "即可购买", "我们店"),
        ("lively", "戳 https://", "点击 https://"),
    ],
)
def test_the_tone_is_switched_by_listed_pairs(tone: str, there: str, gone: str) -> None:
    text = one(SALE, tone=tone)
    assert there in text
    assert gone not in text


@pytest.mark.parametrize(
    ("text", "tone", "wanted"),
    [
        ("您好，购买力很强", "warm", "你好，购买力很强"),
        ("点击率提高", "lively", "点击率提高"),
        ("免费咨询电话", "warm", "免费咨询电话"),
        ("非常规做法", "lively", "非常规做法"),
        ("你懂的，咱们走", "formal", "您懂的，我们走"),
        ("快来看啦！", "formal", "快来看。"),
        ("能否购买", "warm", "能否买"),
    ],
)
def test_a_pair_is_left_alone_where_it_would_be_wrong(text: str, tone: str, wanted: str) -> None:
    assert polish.set_tone(text, tone, phrasebook()) == wanted


def test_formal_texts_have_no_emoji_and_others_few() -> None:
    assert not EMOJI.search(one(SLEEP + "😊🎉", tone="formal"))
    assert 1 <= len(EMOJI.findall(one(SLEEP))) <= 3
    assert len(EMOJI.findall(one(SLEEP + "😊🎉✨🌈😄🎁🔥💥🎈🎀" * 3, tone="lively"))) <= 7


def test_an_emoji_is_never_taken_apart() -> None:
    family, keycap, flag = "👨‍👩‍👧", "1️⃣", "🇨🇳"
    assert clusters(f"好{family}{keycap}{flag}") == ["好", family, keycap, flag]
    assert family in one(f"周末一家人出门走走，真好{family}", tone="lively")


def test_one_call_to_action_is_left() -> None:
    text = "新绘本到了。赶紧点击看看！记得收藏哦！想要的回复我。"
    left, found = polish.one_call(split(text))
    assert found
    assert sum(polish.is_call(sentence) for sentence in left) == 1


def test_a_call_to_action_with_facts_is_kept_and_none_added() -> None:
    text = one(TONIGHT, content_class="conversion", stage="converting")
    assert text.count("点击") == 1
    assert "下单加赠" in text


def test_a_text_without_a_call_gets_one_that_fits_the_stage() -> None:
    first_contact = one(SALE, stage="new", content_class="conversion")
    assert "下单" not in first_contact
    assert "带走" not in first_contact


def test_shortening_keeps_facts_and_meets_the_limit() -> None:
    for limit in (420, 360, 300, 270):
        proposal = writer.propose(Brief("polish", SALE, byte_limit=limit)).proposals[0]
        assert len(proposal.text.encode()) <= limit
        assert compare(SALE, proposal.text).usable


def test_what_cannot_be_shortened_says_so_and_cannot_be_used() -> None:
    proposal = writer.propose(Brief("polish", SALE, byte_limit=60)).proposals[0]
    assert not proposal.usable
    assert any("bytes" in problem for problem in proposal.problems)
    assert "https://shop.example.cn/a?id=3" in proposal.text


@settings(max_examples=60)
@given(st.integers(20, 700), st.sampled_from(SOURCES))
def test_no_limit_breaks_a_placeholder_a_link_or_an_emoji(limit: int, source: str) -> None:
    proposal = writer.propose(Brief("polish", source, byte_limit=limit, tone="lively")).proposals[0]
    assert [fact.key for fact in extract(source) if fact.kind in {"placeholder", "link"}] == [
        fact.key for fact in extract(proposal.text) if fact.kind in {"placeholder", "link"}
    ]
    assert "\ufffd" not in proposal.text
    assert not re.search(r"⟦|⟧", proposal.text)


@settings(max_examples=80)
@given(
    st.text(alphabet="宝宝妈好睡觉课程您你点击购买！。，？\n12元满减{} 😊即可", max_size=80),
    st.sampled_from(["polish", "variants"]),
    st.sampled_from(["warm", "formal", "lively"]),
)
def test_the_rules_take_any_text(text: str, job: Any, tone: str) -> None:
    for proposal in writer.propose(Brief(job, text, tone=tone)).proposals:
        if proposal.usable and text.strip():
            assert compare(text, proposal.text).usable


def test_the_title_of_a_material_becomes_a_topic() -> None:
    texts = [
        proposal.text
        for seed in range(8)
        for proposal in writer.propose(
            Brief("variants", SLEEP, title="202503 促活-哄睡技巧-图文", count=4, seed=seed)
        ).proposals
    ]
    assert any("哄睡技巧" in text for text in texts)
    assert not any("202503" in text or "促活-" in text for text in texts)


def test_text_for_one_person_does_not_speak_to_a_group() -> None:
    for seed in range(6):
        for proposal in writer.propose(
            Brief("variants", SLEEP, channel="wecom.customer", count=4, seed=seed)
        ).proposals:
            assert "群里" not in proposal.text
            assert "大家" not in proposal.text


def test_too_alike_variants_are_pointed_out() -> None:
    draft = writer.propose(Brief("variants", TONIGHT, count=4))
    pairs = [
        (one.key, other.key)
        for n, one in enumerate(draft.proposals)
        for other in draft.proposals[n + 1 :]
        if similarity(one.text, other.text) > 0.45
    ]
    assert len(draft.notices) == len(pairs)


def phrases() -> list[str]:
    book = phrasebook()
    lines = [text for shelf in book.hooks.values() for family in shelf.values() for text in family]
    lines += [text for family in book.ctas for text in family.texts]
    lines += [text for tone in book.openings.values() for kind in tone.values() for text in kind]
    lines += [text for joints in book.joints.values() for text in joints]
    return [line.split("|")[-1].replace("{topic}", "睡眠").replace("{who}", "") for line in lines]


def test_no_phrase_of_the_library_states_a_fact() -> None:
    for phrase in phrases():
        assert extract(phrase) == [], phrase


def test_no_phrase_of_the_library_is_a_risk() -> None:
    check = CopyCheck()
    for phrase in phrases():
        assert check.check(phrase, {}) == [], phrase


def test_no_phrase_stands_in_the_library_twice() -> None:
    book = phrasebook()
    for shelf in book.hooks.values():
        lines = [text for family in shelf.values() for text in family]
        assert len(lines) == len(set(lines))


def test_swaps_do_not_touch_masked_facts() -> None:
    masked = mask("《如果可以一起》绘本，特别好看，如果喜欢就来")
    text = masked.text
    for swap in phrasebook().swaps:
        text = "".join(
            part if part.startswith("⟦") else swap.apply(part) for part in re.split(r"(⟦F\d+⟧)", text)
        )
    assert "《如果可以一起》" in masked.restore(text)


def test_similarity_looks_past_facts() -> None:
    one_text = "满199减30，限购2件，11月30日20:00，https://a.cn/x"
    assert similarity(f"宝宝的尿裤快用完了吗？{one_text}", f"给老朋友留了份心意，先来说：{one_text}") < 0.2
    assert similarity("宝宝要睡好，先看室温", "宝宝要睡好，先看室温！") == 1.0


def test_the_steps_of_a_list_stay_whole() -> None:
    text = "睡前三件事：\n1. 关掉大灯，点开小夜灯\n2. 回复老人别再逗了\n3. 收藏一首固定的歌"
    for job in ("polish", "variants"):
        for proposal in writer.propose(Brief(job, text)).proposals:
            assert proposal.usable
            assert all(f"\n{n}. " in proposal.text for n in (1, 2, 3))


def test_a_headline_stays_first_and_a_text_that_asks_already_gets_no_second_request() -> None:
    text = "☀️ {{ shop.name }} 周一早报\n\n这周聊聊辅食。\n\n你家宝宝最爱吃什么？在群里说说。"
    for proposal in writer.propose(Brief("variants", text, count=3)).proposals:
        assert proposal.text.startswith("☀️ {{ shop.name }} 周一早报\n\n")
        assert EMOJI.sub("", proposal.text).endswith("在群里说说。")


def test_a_text_with_lines_of_its_own_keeps_them() -> None:
    text = "收纳的三个原则。\n一类放一处。\n常用的放手边。\n不用的请出门。"
    for proposal in writer.propose(Brief("variants", text, count=4)).proposals:
        assert "· " not in proposal.text


def test_words_of_an_event_are_only_used_for_an_event() -> None:
    for seed in range(5):
        draft = writer.propose(Brief("variants", "☀️ 周一早报\n育儿补贴每年发放，线上申请。", seed=seed))
        assert not any("应一声" in proposal.text for proposal in draft.proposals)
