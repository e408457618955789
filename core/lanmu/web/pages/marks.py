"""A text cut at its placeholders and at what the checks found, so that a page can mark the pieces."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lanmu.interfaces.rewriting import Finding

_PLACEHOLDER = re.compile(r"\{\{.*?\}\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a text. `kind` is "", placeholder or risk; `severity` and `title` belong to a risk."""

    text: str
    kind: str = ""
    severity: str = ""
    title: str = ""


def marked(text: str, findings: Iterable[Finding]) -> Sequence[Part]:
    """The text in pieces; put together again they are the text. Of overlapping marks the first stays."""
    spans: list[tuple[int, int, str, str, str]] = [
        (each.start, each.end, "risk", each.severity, each.reason) for each in findings
    ]
    spans += [(match.start(), match.end(), "placeholder", "", "") for match in _PLACEHOLDER.finditer(text)]
    parts: list[Part] = []
    at = 0
    for start, end, kind, severity, title in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start < at or end <= start or end > len(text):
            continue
        if start > at:
            parts.append(Part(text[at:start]))
        parts.append(Part(text[start:end], kind, severity, title))
        at = end
    if at < len(text):
        parts.append(Part(text[at:]))
    return parts
