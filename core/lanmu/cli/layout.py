"""Text in a terminal, where a Chinese character is two columns wide: padding, wrapping, help pages."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

import click

_WIDE = r"\u2e80-\uffff\U00020000-\U0003ffff"
_OPENING = "（《【「“"
_CLOSING = "，。；：、！？）》】」”"
# A line breaks at blanks and beside Chinese characters, never before closing or after opening punctuation.
_PIECES = re.compile(rf"\s+|[{_OPENING}]*(?:[^\s{_WIDE}{_OPENING}]+|[{_WIDE}])[{_CLOSING}]*|\S")


def width(text: str) -> int:
    """How many columns the text takes."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad(text: str, columns: int) -> str:
    """The text with blanks behind it, up to that many columns."""
    return text + " " * (columns - width(text))


def wrap(text: str, columns: int) -> list[str]:
    """The text in lines of at most that many columns, as far as its pieces allow."""
    lines = [""]
    for piece in _PIECES.findall(" ".join(text.split())):
        if lines[-1] and width(lines[-1]) + width(piece.rstrip()) > columns:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        if lines[-1] or not piece.isspace():
            lines[-1] += piece
    return lines


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines whose columns stand under each other."""
    if not rows:
        return []
    columns = [max(width(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(map(pad, row, columns)).rstrip() for row in rows]


class Formatter(click.HelpFormatter):
    """Click's help page, measured in columns and not in characters."""

    def write_heading(self, heading: str) -> None:
        self.write(f"{'':{self.current_indent}}{heading}\n")

    def write_text(self, text: str) -> None:
        indent = " " * self.current_indent
        for paragraph in text.split("\n\n"):
            for line in wrap(paragraph, self.width - self.current_indent):
                self.write(f"{indent}{line}\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 34, col_spacing: int = 2) -> None:
        rows = list(rows)
        first = min(max(width(term) for term, _text in rows), col_max) + col_spacing
        indent = " " * self.current_indent
        for term, text in rows:
            lines = wrap(text, max(self.width - first - self.current_indent, 20))
            if width(term) > first - col_spacing:
                self.write(f"{indent}{term}\n")
                term = ""
            for line in lines:
                self.write(f"{indent}{pad(term, first)}{line}".rstrip() + "\n")
                term = ""


class Context(click.Context):
    """A command's context, whose help page is measured in columns."""

    formatter_class = Formatter
