"""Cutting a long text into pieces that a chat takes in one message."""

import re
import unicodedata
from collections.abc import Iterator

PIECE = 2000
"""Characters of one piece. WeChat publishes no limit for a chat message; above it people report trouble."""

_PARAGRAPHS = re.compile(r"\n[ \t]*\n+")
_SENTENCES = re.compile(r"(?<=[。！？!?；;…\n])")
_JOINERS = {"\u200d", "\ufe0e", "\ufe0f", "\u20e3"}


def pieces(text: str, limit: int = PIECE) -> tuple[str, ...]:
    """The text in pieces of at most `limit` characters, cut between paragraphs where that is possible,
    else between sentences, else anywhere but inside an emoji. Only white space at the cuts is lost."""
    text = text.strip()
    if len(text) <= limit:
        return (text,) if text else ()
    found: list[str] = []
    current = ""
    for glue, part in _parts(text, limit):
        if current and len(current) + len(glue) + len(part) > limit:
            found.append(current.strip())
            current = part
        else:
            current = current + glue + part if current else part
    if current.strip():
        found.append(current.strip())
    return tuple(piece for piece in found if piece)


def _parts(text: str, limit: int) -> Iterator[tuple[str, str]]:
    """Each part with what stood before it."""
    for paragraph in _PARAGRAPHS.split(text):
        if len(paragraph) <= limit:
            yield "\n\n", paragraph
            continue
        glue = "\n\n"
        for sentence in _SENTENCES.split(paragraph):
            for part in _hard(sentence, limit):
                yield glue, part
                glue = ""


def _hard(text: str, limit: int) -> Iterator[str]:
    while len(text) > limit:
        cut = limit
        while cut > limit // 2 and not _may_cut(text, cut):
            cut -= 1
        yield text[:cut]
        text = text[cut:]
    if text:
        yield text


def _may_cut(text: str, at: int) -> bool:
    before, after = text[at - 1], text[at]
    if after in _JOINERS or before == "\u200d" or unicodedata.combining(after):
        return False
    if "\U0001f3fb" <= after <= "\U0001f3ff":  # a skin tone belongs to the emoji before it
        return False
    flags = "\U0001f1e6", "\U0001f1ff"
    return not (flags[0] <= before <= flags[1] and flags[0] <= after <= flags[1])
