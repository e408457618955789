"""What is asked of a rewriter, what it proposes, and what a content check finds in a text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Brief:
    """One job for a rewriter.

    `text` is the material's text with its placeholders, which stay as they are. `tone`, `stage` and
    `channel` are codes (warm, formal, lively · new, active, converting, loyal, sharing · a channel's name).
    `seed` asks for another batch of the same brief. `byte_limit` counts UTF-8 bytes.
    """

    job: Literal["polish", "variants"]
    text: str
    title: str = ""
    channel: str = ""
    tone: str = "warm"
    stage: str = "active"
    content_class: str = "engagement"
    count: int = 3
    byte_limit: int = 4000
    seed: int = 0
    facts: tuple[str, ...] = ()


class FactState(StrEnum):
    """What became of one fact on the way from source to proposal."""

    KEPT = "kept"
    MISSING = "missing"
    CHANGED = "changed"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class FactLine:
    """One line of the fact table: source | proposal | state."""

    kind: str
    source: str
    proposal: str
    state: FactState


@dataclass(frozen=True, slots=True)
class Finding:
    """A risk found in a text: where (character span), what, and what to do about it."""

    start: int
    end: int
    term: str
    category: str
    severity: Literal["block", "review", "hint"]
    reason: str
    suggestion: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One text that a rewriter proposes. `usable` is False when the fact lock rejects it; it is then shown
    with its reasons and cannot be accepted."""

    key: str
    angle: str
    text: str
    rationale: str
    facts: tuple[FactLine, ...]
    usable: bool
    problems: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A rewriter's whole answer. `generator` names what wrote it ("rules@1", a model's name)."""

    generator: str
    by_model: bool
    proposals: tuple[Proposal, ...]
    notices: tuple[str, ...] = ()
    usage: Mapping[str, int] = field(default_factory=dict)


class RewriterFailed(Exception):
    """The rewriter could not answer; the text says why and what the person can do. Holds no secret."""


class Rewriter(Protocol):
    """Proposes texts for a draft. What it proposes is never sent without a person's approval."""

    name: str
    title: str
    label: str
    """What stands on every proposal, for instance 规则生成 when no model is configured."""

    def propose(self, brief: Brief, progress: Callable[[str], None] | None = None) -> Draft:
        """Raises RewriterFailed."""
        ...


class ContentCheck(Protocol):
    """Looks for risks in a text."""

    name: str
    title: str

    def check(self, text: str, context: Mapping[str, str]) -> Sequence[Finding]: ...
