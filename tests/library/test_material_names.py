"""Names such as 202503 促活-育儿干货-图文 are made from fields, and read however people write them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanmu.interfaces.errors import Invalid
from lanmu.library.naming import NameParts, generated_name, month_of, parse_name
from lanmu.library.presets import FORMS, PRESETS

CLASSES = [term.code for preset in PRESETS.values() for term in preset.classes]
topics = st.text(min_size=1, max_size=30).map(lambda text: " ".join(text.split())).filter(bool)
months = st.builds(lambda year, month: f"{year}{month:02d}", st.integers(1000, 9999), st.integers(1, 12))


def test_the_name_is_that_of_the_handbook():
    assert generated_name("202503", "engagement", "育儿干货", "image_text") == "202503 促活-育儿干货-图文"


@given(months, st.sampled_from(CLASSES), topics, st.sampled_from([term.code for term in FORMS]))
def test_a_name_is_read_back_as_the_fields_it_was_made_from(month, content_class, topic, form):
    parts = NameParts(month, content_class, topic, form)
    if re.search("[-‐‑‒–—―−﹣－]", topic[0] + topic[-1]):
        return  # a topic that begins or ends with a dash cannot be told from the dash before or after it
    assert parse_name(generated_name(month, content_class, topic, form)) == parts


@pytest.mark.parametrize(
    "written",
    [
        "202503 促活-育儿干货-图文",
        "202503 促活 – 育儿干货 – 图文",
        "202503促活—育儿干货—图文",
        "  ２０２５０３　促活－育儿干货－图文 ",
        "2025-03 促活-育儿干货-图文",
        "2025年3月 促活-育儿干货-图文",
        "2025年3月8日 促活-育儿干货-图文",
        "20250308 促活-育儿干货-图文",
        "202503-促活-育儿干货-图文",
        "2025.03 engagement-育儿干货-image_text",
        "2025/3 Engagement-育儿干货-Image_Text",
    ],
)
def test_one_name_may_be_written_in_many_ways(written):
    assert parse_name(written) == NameParts("202503", "engagement", "育儿干货", "image_text")


def test_a_topic_keeps_its_own_dashes():
    assert parse_name("202503 促活-0-1岁-辅食-图文").topic == "0-1岁-辅食"


def test_words_of_a_shops_own_taxonomy_are_known_where_they_are_given():
    titles = {"care": "关怀"}
    assert generated_name("202503", "care", "生日", "text", titles) == "202503 关怀-生日-短文"
    assert parse_name("202503 关怀-生日-短文", titles).content_class == "care"
    assert parse_name("202503 关怀-生日-短文").content_class == "关怀"


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("", "month"),
        ("促活-育儿干货-图文", "month"),
        ("202513 促活-育儿干货-图文", "month"),
        ("202503 促活-图文", "name"),
        ("202503 促活--图文", "name"),
        ("202503", "name"),
    ],
)
def test_what_cannot_be_read_says_which_part(written, place):
    with pytest.raises(Invalid) as raised:
        parse_name(written)
    assert raised.value.place == place
    assert raised.value.way_out


@given(st.text(max_size=40))
def test_no_text_whatever_breaks_the_reader(text):
    try:
        parts = parse_name(text)
    except Invalid:
        return
    assert re.fullmatch(r"\d{6}", parts.month)


def test_a_month_alone_is_read_too():
    assert month_of("2026-10") == month_of("202610") == month_of("2026年10月") == "202610"
    with pytest.raises(Invalid):
        month_of("2026-10 und")
