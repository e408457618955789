"""The words under which a material is found: pairs of Chinese characters, and its filters as index words.

One function makes the words for SQLite (FTS5) and for PostgreSQL (tsvector), and both get them ready cut: the
databases' own tokenizers know no Chinese, or know it differently.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_UNSPACED = "\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff"
_RUN = re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|(?P<spaced>[^\W_{_UNSPACED}]+)")
_PIECE = re.compile(rf"(?:[{_UNSPACED}]|[^\W_])+")
_TEXT_MOST = 100
_PIECES_MOST = 8
_WORD_MOST = 60
_POSITION_MOST = 16_383  # a tsvector cannot hold a greater one
_MARK_AXES = {
    "content_class": "c",
    "form": "f",
    "genre": "g",
    "kind": "k",
    "month": "m",
    "origin": "r",
    "owner": "o",
    "state": "s",
    "tag": "t",
    "zone": "z",
}
IN_USE = "u_1"
"""The mark of material with an approved revision that is not retired."""


def words(text: str) -> list[str]:
    """The index words of a text, in order.

    A run of characters that are written without spaces gives its pairs and its last character alone, so
    that two neighbours are one word, one character is the start of a word, and no phrase runs across the
    end of a run. Other words stand as they are, in small letters.
    """
    found: list[str] = []
    for run in _RUN.finditer(_folded(text)):
        if run["unspaced"]:
            found.extend(_pairs(run.group()))
            found.append(run.group()[-1])
        else:
            found.append(run.group()[:_WORD_MOST])
    return found


def mark(axis: str, value: str) -> str:
    """The index word that stands for a filter's value, such as `c_engagement`.

    Words of the taxonomy are codes and stand as they are. What people make up (tags, owners) is hashed:
    it may hold any character.
    """
    letter = _MARK_AXES[axis]
    if re.fullmatch(r"[a-z0-9_]{1,32}", value):
        return f"{letter}_{value}"
    return f"{letter}_x{hashlib.sha256(value.encode()).hexdigest()[:20]}"


def shelf_mark(content_class: str, zone: str) -> str:
    """The index word for a class and a zone together.

    Each of the two alone stands in a quarter of all materials or more, and lists are often narrowed to both:
    one short list is walked in half the time of two long ones.
    """
    one, other = mark("content_class", content_class), mark("zone", zone)
    if "__" in one or "__" in other:  # two pairs must never make one word
        return f"y_x{hashlib.sha256(f'{one} {other}'.encode()).hexdigest()[:20]}"
    return f"y_{one}__{other}"


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that follow one another; the last one may be only the start of a word."""

    words: tuple[str, ...]
    open_end: bool


@dataclass(frozen=True, slots=True)
class Query:
    """Phrases that must all be there, and groups of marks of each of which one must be there."""

    phrases: tuple[Phrase, ...]
    marks: tuple[tuple[str, ...], ...]

    def __bool__(self) -> bool:
        return bool(self.phrases or self.marks)


def read_query(text: str, marks: Iterable[Sequence[str]] = ()) -> Query:
    """What a person typed, as phrases: pieces between spaces and signs are looked for each by itself."""
    phrases: list[Phrase] = []
    folded = _folded(text[:_TEXT_MOST])
    for piece in _PIECE.findall(folded):
        runs = list(_RUN.finditer(piece))
        inner: list[str] = []
        for run in runs[:-1]:
            inner.extend(words(run.group()))
        last = runs[-1]
        if last["unspaced"] and len(last.group()) > 1:
            phrases.append(Phrase((*inner, *_pairs(last.group())), open_end=False))
        else:
            phrases.append(Phrase((*inner, last.group()[:_WORD_MOST]), open_end=True))
    unique = tuple(dict.fromkeys(phrases))[:_PIECES_MOST]
    return Query(unique, tuple(tuple(group) for group in marks if group))


def for_fts5(query: Query) -> str:
    """The query in FTS5's language. Every word is quoted, so nothing of it is read as an operator."""
    parts = [
        '"' + " ".join(phrase.words) + '"' + ("*" if phrase.open_end else "") for phrase in query.phrases
    ]
    for group in query.marks:
        either = " OR ".join(f'"{word}"' for word in group)
        parts.append(f"({either})" if len(group) > 1 else either)
    return " AND ".join(parts)


def for_tsquery(query: Query) -> str:
    """The query as PostgreSQL's tsquery writes it."""
    parts = []
    for phrase in query.phrases:
        quoted = [f"'{word}'" for word in phrase.words]
        if phrase.open_end:
            quoted[-1] += ":*"
        parts.append("(" + " <-> ".join(quoted) + ")")
    parts += ["(" + " | ".join(f"'{word}'" for word in group) + ")" for group in query.marks]
    return " & ".join(parts)


def tsvector(found: Sequence[str], marks: Iterable[str]) -> str:
    """Index words as PostgreSQL's tsvector writes them, with their places."""
    places: dict[str, list[int]] = {}
    for place, word in enumerate(found, 1):
        places.setdefault(word, []).append(min(place, _POSITION_MOST))
    parts = [f"'{word}':{','.join(map(str, at))}" for word, at in places.items()]
    parts += [f"'{word}'" for word in marks]
    return " ".join(parts)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)]
