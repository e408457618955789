"""Finding listed words in a text: a trie that takes the leftmost, longest word, allow-phrases among them."""

import csv
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from lanmu_llm_copy.glyphs import searchable

Severity = Literal["block", "review", "hint"]


@dataclass(frozen=True, slots=True)
class Term:
    """A listed word. An allowed one (no `category`) only hides the shorter words inside it."""

    text: str
    category: str
    severity: Severity
    suggestion: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A term found, with its span in the searched form of the text."""

    term: Term
    start: int
    end: int


class Trie:
    """Words as nested tables, one character a step; built once."""

    _LEAF = ""

    def __init__(self, terms: Iterable[Term]) -> None:
        self._root: dict[str, Any] = {}
        for term in terms:
            node = self._root
            for char in term.text:
                node = node.setdefault(char, {})
            held = node.get(self._LEAF)
            if held is None or held.category:  # an allow-phrase wins over a term of the same wording
                node[self._LEAF] = term

    def find(self, text: str) -> Iterator[Hit]:
        """The terms and allow-phrases in a text, from left to right, none overlapping another."""
        root, leaf = self._root, self._LEAF
        place, size = 0, len(text)
        while place < size:
            node = root.get(text[place])
            if node is None:
                place += 1
                continue
            best: Term | None = node.get(leaf)
            end, index = place + 1, place + 1
            while index < size and (node := node.get(text[index])) is not None:
                index += 1
                if leaf in node:
                    best, end = node[leaf], index
            if best is not None and _stands_alone(text, place, end):
                yield Hit(best, place, end)
                place = end
            else:
                place += 1


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Latin words must not be pieces of longer ones: SM is not in Smoking."""

    def latin(char: str) -> bool:
        return char.isascii() and char.isalnum()

    before = start > 0 and latin(text[start]) and latin(text[start - 1])
    after = end < len(text) and latin(text[end - 1]) and latin(text[end])
    return not (before or after)


@cache
def simplified() -> dict[str, str]:
    """Traditional characters that occur in listed words, and their simplified forms."""
    return dict(_lists()["simplified"])


@cache
def shipped() -> tuple[Term, ...]:
    """The listed terms and the allow-phrases that come with the plugin."""
    path = resources.files("lanmu_llm_copy") / "data" / "banned-terms.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    terms = [_term(r["term"], r["category"], r["severity"], r["suggestion"]) for r in rows]
    return (*terms, *(_term(phrase, "", "hint", "") for phrase in _lists()["allow"]))


def own_terms(words: Iterable[str]) -> tuple[Term, ...]:
    """The operator's own words, which block."""
    return tuple(_term(word, "own_words", "block", "") for word in words if word.strip())


def _term(text: str, category: str, severity: Any, suggestion: str) -> Term:
    form, _places = searchable(text.strip(), simplified())
    return Term(form, category, severity, suggestion)


@cache
def _lists() -> dict[str, Any]:
    path = resources.files("lanmu_llm_copy") / "data" / "lists.toml"
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    pairs = table["traditional"]["pairs"].split()
    return {
        "allow": table["allow"]["phrases"].split(),
        "simplified": {pair[0]: pair[1] for pair in pairs},
    }
