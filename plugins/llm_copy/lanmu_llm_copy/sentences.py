"""Cutting a masked text where a reader would: into sentences and clauses, never through a token."""

import re

_SENTENCE = re.compile(r"[^。！？!?…\n]*(?:[。！？!?…]+[”」』’）)\"']*[~～]*|\n+|$)")
_CLAUSE = re.compile(r"[^，；,;、]*(?:[，；,;、]|$)")


def split(text: str) -> list[str]:
    """The sentences with their end marks; a line break ends one too. Joined they are the text."""
    pieces: list[str] = []
    for piece in _SENTENCE.findall(text):
        if not piece:
            continue
        if pieces and (piece.strip() == "" or not re.search(r"[\w⟦]", piece)):
            pieces[-1] += piece  # blank lines and a lone emoji belong to what stands before them
        else:
            pieces.append(piece)
    return pieces


def clauses(sentence: str) -> list[str]:
    """A sentence's clauses with their commas."""
    return [piece for piece in _CLAUSE.findall(sentence) if piece]


def tidy(text: str) -> str:
    """Punctuation and blanks put right after pieces were taken out or put in."""
    text = re.sub(r"[ \t]+(?=\n|$)", "", text)
    text = re.sub(r"\n{3,}", "\n\n", text)
    text = re.sub(r"(?m)^[，。；、！？,;]+", "", text)
    text = re.sub(r"[，、；]+(?=[。！？\n]|$)", "", text)
    text = re.sub(r"([，。；、])[，；、。]+", r"\1", text)
    text = re.sub(r"([！!])[！!]+", r"\1", text)
    text = re.sub(r"([？?])[？?]+", r"\1", text)
    return text.strip()
