"""What must hold for every text: order does not matter to the lock, and no digit changes behind its back."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from lanmu_llm_copy.facts import extract
from lanmu_llm_copy.glyphs import clean
from lanmu_llm_copy.lock import compare
from lanmu_llm_copy.mask import mask

amount = st.integers(1, 9999)
small = st.integers(1, 30)
SENTENCES = st.one_of(
    st.builds("满{}减{}".format, amount, small),
    st.builds("今天只要{}元".format, amount),
    st.builds("{}月{}日开始".format, st.integers(1, 12), st.integers(1, 28)),
    st.builds("晚上{}:{:02}开播".format, st.integers(6, 11), st.integers(0, 59)),
    st.builds("前{}名加赠".format, amount),
    st.builds("每人限领{}份".format, small),
    st.builds("链接 https://shop.example.cn/p?id={}&b={} 打开".format, amount, small),
    st.builds("优惠码：MAMA{}".format, amount),
    st.builds("{}.{}折".format, st.integers(1, 9), st.integers(1, 9)),
    st.builds("适合{}到{}岁的宝宝".format, st.integers(1, 3), st.integers(4, 9)),
    st.builds("已有{}多人参加".format, amount),
    st.builds("第{}期".format, small),
    st.builds("每天{}分钟就够".format, small),
    st.sampled_from(
        [
            "{{ member.nickname }}你好",
            "不可与其他券叠加",
            "一起聊聊睡眠",
            "《简历怎么写》开课",
            "回复「资料」",
            "下午三点见",
            "包邮到家",
        ]
    ),
)
TEXTS = st.lists(SENTENCES, min_size=1, max_size=7)
LOOSE = st.text(
    alphabet="0123456789元折点月日号件名满减买送第前每限最高起宝宝的，。 .:/-%¥一二十半个",
    min_size=1,
    max_size=24,
)


@given(TEXTS, st.randoms(use_true_random=False))
def test_sentences_in_another_order_keep_every_fact(sentences: list[str], random: Random) -> None:
    shuffled = list(sentences)
    random.shuffle(shuffled)
    assert compare("。\n".join(sentences), "。\n".join(shuffled)).usable


@given(TEXTS, st.data())
def test_any_digit_changed_is_caught(sentences: list[str], data: st.DataObject) -> None:
    text = "。\n".join(sentences)
    places = [place for place, char in enumerate(text) if char.isdigit()]
    if not places:
        return
    place = data.draw(st.sampled_from(places))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != text[place]]))
    assert not compare(text, text[:place] + other + text[place + 1 :]).usable


def test_a_fact_in_the_place_of_another_is_caught_though_both_are_still_said() -> None:
    text = "2月1日开始。\n2月1日报名。\n2月2日截止"
    assert not compare(text, "2月1日开始。\n2月2日报名。\n2月2日截止").usable
    assert compare(text, "2月1日开始报名。\n2月2日截止").usable, "said once less"
    assert compare(text, text + "，2月2日哦").usable, "said once more"


@settings(max_examples=400)
@given(LOOSE, st.data())
def test_no_digit_in_any_text_changes_unseen(text: str, data: st.DataObject) -> None:
    places = [place for place, char in enumerate(text) if char.isdigit()]
    if not places:
        return
    place = data.draw(st.sampled_from(places))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != text[place]]))
    assert not compare(text, text[:place] + other + text[place + 1 :]).usable


@given(st.one_of(LOOSE, st.text(max_size=60)))
def test_a_text_is_always_equal_to_itself(text: str) -> None:
    result = compare(text, text)
    assert result.usable
    assert not result.problems


@given(TEXTS)
def test_masking_and_restoring_gives_the_text_back_and_leaves_no_digit(sentences: list[str]) -> None:
    text = "。\n".join(sentences)
    masked = mask(text)
    assert masked.restore(masked.text) == text
    bare = masked.text
    for token in masked.facts:
        bare = bare.replace(f"⟦{token}⟧", "")
    assert not any(char.isdigit() for char in bare)
    assert not masked.gone(masked.text)


@given(st.text(max_size=200))
def test_masking_takes_any_text(text: str) -> None:
    masked = mask(text)
    assert masked.restore(masked.text) == clean(text)


@given(LOOSE)
def test_no_character_belongs_to_two_facts(text: str) -> None:
    end = 0
    for fact in extract(text):
        if fact.start != fact.end:
            assert fact.start >= end
            end = fact.end
