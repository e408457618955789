"""A text cut into pieces to be marked is still the same text."""

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from lanmu.interfaces.rewriting import Finding
from lanmu.web.pages.marks import marked


def _finding(start: int, end: int, severity: Literal["block", "review", "hint"] = "review") -> Finding:
    return Finding(start, end, "", "", severity, "why")


@given(
    st.text("早安{} a", max_size=40),
    st.lists(st.tuples(st.integers(-2, 45), st.integers(-2, 45)), max_size=6),
)
def test_the_pieces_put_together_are_the_text(text: str, spans: list[tuple[int, int]]):
    pieces = marked(text, [_finding(start, end) for start, end in spans])
    assert "".join(piece.text for piece in pieces) == text


def test_placeholders_and_findings_are_marked_each_in_its_way():
    pieces = marked("早安 {{ shop.name }}，全网最低", [_finding(19, 23, "block")])
    assert [(piece.text, piece.kind, piece.severity) for piece in pieces if piece.kind] == [
        ("{{ shop.name }}", "placeholder", ""),
        ("全网最低", "risk", "block"),
    ]


def test_of_two_marks_on_one_place_the_first_and_longest_stays():
    pieces = marked("全网最低价", [_finding(0, 5, "block"), _finding(2, 4)])
    assert [(piece.text, piece.severity) for piece in pieces] == [("全网最低价", "block")]
