"""How alike two texts are once their facts are taken out: variants must differ to teach anything."""

import re

from lanmu_llm_copy.glyphs import EMOJI, fold
from lanmu_llm_copy.mask import mask

TOO_ALIKE = 0.45
"""Above this share of common character pairs two variants are one idea (ai-copy.md 2.4)."""


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of character n-grams, 0…1: pairs for short texts, triples from 60 characters on."""
    a, b = _core(one), _core(other)
    size = 2 if min(len(a), len(b)) < 60 else 3
    grams_a, grams_b = _grams(a, size), _grams(b, size)
    if not grams_a and not grams_b:
        return 1.0
    return len(grams_a & grams_b) / len(grams_a | grams_b)


def fingerprint(text: str) -> str:
    """What is left when looks do not count: equal fingerprints are one text."""
    return _core(text)


def _core(text: str) -> str:
    bare = re.sub(r"⟦[^⟧]*⟧", "", mask(text).text)
    return re.sub(r"[\W_]+", "", EMOJI.sub("", fold(bare))).lower()


def _grams(text: str, size: int) -> set[str]:
    return {text[i : i + size] for i in range(len(text) - size + 1)} or ({text} if text else set())
