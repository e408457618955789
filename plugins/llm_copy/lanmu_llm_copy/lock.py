"""The fact lock: compares the facts of source and candidate, and says what became of each."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lanmu.i18n import Filled, _
from lanmu.interfaces.rewriting import FactLine, FactState
from lanmu_llm_copy.facts import Fact, Kind, extract

# These stay themselves however often they are said; a number said once more may be another number's part.
_SAID_AGAIN = frozenset(Kind) - {Kind.NUMBER}
# Words of hurry may be left out, but not invented.
_MAY_GO = frozenset({Kind.URGENCY})


class Decision(StrEnum):
    """What the lock says of a candidate."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    LOOK = "look"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The fact table of one candidate, the decision, and the reasons in words."""

    lines: tuple[FactLine, ...]
    decision: Decision
    problems: tuple[str, ...]

    @property
    def usable(self) -> bool:
        return self.decision is not Decision.REJECT


def compare(
    source: str,
    candidate: str,
    *,
    names: Iterable[str] = (),
    allowed: Iterable[str] = (),
) -> Comparison:
    """What became of each fact. `allowed` are texts whose facts the candidate may add (a fact sheet)."""
    names = tuple(names)
    before, after = extract(source, names), extract(candidate, names)
    spare = {(f.kind, f.key) for text in allowed for f in extract(text, names)}
    lines: list[FactLine] = []
    missing, added = _leftovers(before, after, lines)
    has_day = any(f.kind is Kind.DAY for f in before)
    added = [
        fact
        for fact in added
        if (fact.kind, fact.key) not in spare
        and not (fact.kind is Kind.DAY and fact.key == "今天" and not has_day)
    ]
    missing = [fact for fact in missing if fact.kind not in _MAY_GO]
    missing, added = _pair_changed(missing, added, lines)
    lines += [
        FactLine(old.kind.value, old.surface or old.key, new.surface or new.key, FactState.CHANGED)
        for old, new in _swapped(before, after)
    ]
    lines += [FactLine(f.kind.value, f.surface or f.key, "", FactState.MISSING) for f in missing]
    lines += [FactLine(f.kind.value, "", f.surface or f.key, FactState.ADDED) for f in added]
    flipped = _flipped(before, after)
    lines += [FactLine("negation", old.surface, new.surface, FactState.CHANGED) for old, new in flipped]
    broken = [line for line in lines if line.state is not FactState.KEPT and line.kind != "negation"]
    problems = [_told(line) for line in broken]
    problems += [
        Filled(_("A “not” was lost or added near %(fact)s: read this place again."), fact=old.surface)
        for old, _new in flipped
    ]
    decision = Decision.REJECT if broken else Decision.LOOK if flipped else Decision.PASS
    return Comparison(tuple(lines), decision, tuple(problems))


def _leftovers(
    before: Sequence[Fact], after: Sequence[Fact], lines: list[FactLine]
) -> tuple[list[Fact], list[Fact]]:
    wanted = Counter((f.kind, f.key) for f in before)
    there = Counter((f.kind, f.key) for f in after)
    missing: list[Fact] = []
    seen: Counter[tuple[Kind, str]] = Counter()
    surfaces = {(f.kind, f.key): f.surface or f.key for f in reversed(after)}
    for fact in before:
        same = (fact.kind, fact.key)
        seen[same] += 1
        if there[same] >= seen[same] or (there[same] and fact.kind in _SAID_AGAIN):
            if seen[same] == 1 or fact.kind not in _SAID_AGAIN:
                shown = fact.surface or fact.key
                lines.append(FactLine(fact.kind.value, shown, surfaces[same], FactState.KEPT))
        else:
            missing.append(fact)
    added: list[Fact] = []
    seen.clear()
    for fact in after:
        same = (fact.kind, fact.key)
        seen[same] += 1
        if not (wanted[same] >= seen[same] or (wanted[same] and fact.kind in _SAID_AGAIN)):
            added.append(fact)
    return missing, added


def _swapped(before: Sequence[Fact], after: Sequence[Fact]) -> list[tuple[Fact, Fact]]:
    """Facts said less often than before, each with one of its kind that is said more often: where both are
    still said, one stands now in a place of the other's."""
    wanted = Counter((f.kind, f.key) for f in before)
    there = Counter((f.kind, f.key) for f in after)
    known = {(f.kind, f.key): f for f in before if f.kind in _SAID_AGAIN - _MAY_GO and there[f.kind, f.key]}
    more = [fact for same, fact in known.items() if there[same] > wanted[same]]
    found = []
    for same, old in known.items():
        if there[same] < wanted[same] and (new := next((f for f in more if f.kind is old.kind), None)):
            more.remove(new)
            found.append((old, new))
    return found


def _pair_changed(
    missing: list[Fact], added: list[Fact], lines: list[FactLine]
) -> tuple[list[Fact], list[Fact]]:
    """A fact that went and one of its kind that came are most likely one fact, changed."""
    left, came = [], list(added)
    for old in missing:
        candidates = [new for new in came if new.kind is old.kind]
        if not candidates and old.kind in {Kind.RULE, Kind.NUMBER}:
            candidates = [new for new in came if new.kind in {Kind.RULE, Kind.NUMBER}]
        if not candidates:
            left.append(old)
            continue
        new = min(candidates, key=lambda fact: _distance(old.key, fact.key))
        came.remove(new)
        lines.append(
            FactLine(old.kind.value, old.surface or old.key, new.surface or new.key, FactState.CHANGED)
        )
    return left, came


def _flipped(before: Sequence[Fact], after: Sequence[Fact]) -> list[tuple[Fact, Fact]]:
    result = []
    for old in before:
        same = [new for new in after if (new.kind, new.key) == (old.kind, old.key)]
        if same and all(new.negated != old.negated for new in same):
            result.append((old, same[0]))
    return result


def _told(line: FactLine) -> str:
    if line.state is FactState.MISSING:
        return Filled(_("%(fact)s is missing."), fact=line.source)
    if line.state is FactState.ADDED:
        return Filled(_("%(fact)s is not in the source: nobody promised it."), fact=line.proposal)
    if line.kind == Kind.PLACEHOLDER and line.source.lower() == line.proposal.lower():
        return Filled(
            _("%(proposal)s fills nothing: did you mean %(source)s? Capital letters count."),
            source=line.source,
            proposal=line.proposal,
        )
    return Filled(_("%(source)s became %(proposal)s."), source=line.source, proposal=line.proposal)


def _distance(one: str, other: str) -> int:
    """How unlike two short strings are (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]
