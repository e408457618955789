"""Text in a terminal stands where it should, Chinese or not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanmu.cli.layout import table, width, wrap


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("素材", 4), ("素材a。", 7), ("é", 1), ("", 0)])
def test_a_chinese_character_is_two_columns_wide(text, columns):
    assert width(text) == columns


def test_the_columns_of_a_table_stand_under_each_other():
    lines = table([("控制台", "a"), ("x", "b")])
    assert lines == ["控制台  a", "x       b"]


def test_a_table_without_rows_has_no_lines():
    assert table([]) == []


@pytest.mark.parametrize(
    ("text", "columns", "lines"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("一二三四五。", 10, ["一二三四", "五。"]),
        ("去看（帮助）吧", 8, ["去看（帮", "助）吧"]),
        ("去看书（帮助）", 8, ["去看书", "（帮助）"]),
        ("用 lanmu serve 启动", 12, ["用 lanmu", "serve 启动"]),
        ("", 10, [""]),
    ],
)
def test_a_line_breaks_at_blanks_and_chinese_but_not_before_punctuation(text, columns, lines):
    assert wrap(text, columns) == lines


@given(st.text(alphabet="ab 素材。（），-"), st.integers(8, 40))
def test_wrapping_loses_nothing_but_blanks(text, columns):
    lines = wrap(text, columns)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(width(line) <= columns for line in lines if len(line.split()) > 1)
