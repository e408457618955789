"""Holds what a rehearsal produced against what was expected: pure, and told nothing by the code it checks."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from lanmu.delivery.states import OBJECTION
from lanmu.i18n import _

IN_TIME = timedelta(minutes=15)
"""What comes no later than this after its time is not late."""

_SAME = timedelta(hours=24)
"""A message so near to a missing one is taken for it, at another time."""


class Kind(StrEnum):
    """What can be wrong."""

    MISSING = "missing"
    KEPT_BACK = "kept_back"
    WRONG = "wrong"
    DOUBLE = "double"
    EARLY = "early"
    LATE = "late"
    QUIET = "quiet"
    CAP = "cap"


class Place(NamedTuple):
    """What is owed: a column, to a recipient, at an instant."""

    column: str
    recipient: str
    due: datetime


class Sent(NamedTuple):
    """What came: for which place its push says it is, when, and what is wrong with its text, if anything."""

    place: Place
    at: datetime
    fault: str = ""


class Word(NamedTuple):
    """What planner or last door said of a message that it let wait (until when) or fall."""

    at: datetime
    code: str
    reason: str
    until: datetime | None = None


class Fault(NamedTuple):
    """An unexplained difference."""

    kind: Kind
    place: Place
    at: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for everybody. `left_at`: since when a recipient wants no more. `caps`: most on a day."""

    zone: ZoneInfo
    quiet: tuple[time, time] | None
    zones: Mapping[str, ZoneInfo]
    left_at: Mapping[str, datetime]
    caps: Mapping[str, int | None]
    at_any_hour: Collection[str] = ()

    def is_quiet(self, column: str, recipient: str, at: datetime) -> bool:
        """Whether a message then would disturb the recipient, by the wall clock where they live."""
        if self.quiet is None or column in self.at_any_hour:
            return False
        since, until = self.quiet
        wall = at.astimezone(self.zones.get(recipient, self.zone)).time()
        return since <= wall < until if since < until else wall >= since or wall < until

    def has_left(self, recipient: str, at: datetime) -> bool:
        return recipient in self.left_at and at >= self.left_at[recipient]


@dataclass(slots=True)
class Comparison:
    """What it came to. `explained`: not sent, with the reason; `kept`: sent later, on purpose."""

    produced: set[Place] = field(default_factory=set)
    explained: dict[Place, str] = field(default_factory=dict)
    kept: dict[Place, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def green(self) -> bool:
        return not self.faults


LEFT = _("It left half-way through, as the rehearsal had it do.")
_NO_REASON = _("Nothing says why.")
_WAITS = _("It was to wait, and never went out.")
_UNTRUE = _("A reason was given that does not hold.")
_LEFT_BEFORE = _("It had opted out.")
_STRANGER = _("Nothing of this column was due to this recipient.")
_TWICE = _("It came once more.")
_EARLY = _("It came before its time.")
_LATE = _("It came late, and nothing says why.")
_DISTURBED = _("It came in the quiet hours where the recipient lives.")
_TOO_MANY = _("The recipient had all the messages of that day already.")

_TRUSTED = frozenset({"cap", "yield", "rate", "empty", "material", "exit"})


def compare(
    expected: Collection[Place], sent: Iterable[Sent], words: Mapping[Place, Sequence[Word]], rules: Rules
) -> Comparison:
    """Every expected place is afterwards produced, explained or missing, and every message accounted for."""
    done = Comparison()
    came: defaultdict[Place, list[Sent]] = defaultdict(list)
    for each in sorted(sent, key=lambda one: one.at):
        came[each.place].append(each)
    owed = set(expected)
    strange = _moved(came, owed)
    for place in sorted(owed):
        got, said = came.get(place, []), words.get(place, ())
        if got:
            done.produced.add(place)
            _look_at(place, got, said, rules, done)
        else:
            _explain(place, said, rules, done)
    done.faults += [Fault(Kind.WRONG, each.place, each.at, _STRANGER) for each in strange]
    everything = [each for messages in came.values() for each in messages] + strange
    done.faults += _disturbing(everything, rules)
    return done


def _moved(came: defaultdict[Place, list[Sent]], owed: Collection[Place]) -> list[Sent]:
    """Put messages of another time to the place they were meant for; answers those that were for none."""
    empty: defaultdict[tuple[str, str], list[Place]] = defaultdict(list)
    for place in owed:
        if place not in came:
            empty[place.column, place.recipient].append(place)
    strange = []
    for said in [place for place in came if place not in owed]:
        messages = came.pop(said)
        near = [each for each in empty[said.column, said.recipient] if abs(each.due - said.due) < _SAME]
        if not near:
            strange += messages
            continue
        meant = min(near, key=lambda each: abs(each.due - said.due))
        empty[said.column, said.recipient].remove(meant)
        came[meant] = messages
    return strange


def _look_at(place: Place, got: Sequence[Sent], said: Sequence[Word], rules: Rules, done: Comparison) -> None:
    first = got[0]
    waits = [word for word in said if word.until is not None]
    held = waits and all(_holds(word, place, rules) for word in waits)
    until = max((word.until for word in waits if word.until), default=place.due) if held else place.due
    if first.at < place.due:
        done.faults.append(Fault(Kind.EARLY, place, first.at, _EARLY))
    elif first.at > until + IN_TIME:
        done.faults.append(Fault(Kind.LATE, place, first.at, _LATE))
    elif first.at > place.due + IN_TIME:
        done.kept[place] = waits[-1].reason
    done.faults += [Fault(Kind.DOUBLE, place, each.at, _TWICE) for each in got[1:]]
    for each in got:
        if each.fault:
            done.faults.append(Fault(Kind.WRONG, place, each.at, each.fault))
        if rules.has_left(place.recipient, each.at):
            done.faults.append(Fault(Kind.WRONG, place, each.at, _LEFT_BEFORE))


def _explain(place: Place, said: Sequence[Word], rules: Rules, done: Comparison) -> None:
    if rules.has_left(place.recipient, place.due):
        done.explained[place] = LEFT
    elif not said:
        done.faults.append(Fault(Kind.MISSING, place, None, _NO_REASON))
    elif said[-1].until is not None:
        done.faults.append(Fault(Kind.MISSING, place, None, _WAITS))
    elif _holds(said[-1], place, rules):
        done.explained[place] = said[-1].reason
    elif said[-1].code == OBJECTION:
        done.faults.append(Fault(Kind.KEPT_BACK, place, None, said[-1].reason))
    else:
        claimed = said[-1].code in ("quiet", "opted_out", "switched_off")
        done.faults.append(
            Fault(Kind.MISSING, place, None, _UNTRUE if claimed else said[-1].reason or _NO_REASON)
        )


def _holds(word: Word, place: Place, rules: Rules) -> bool:
    """Whether a reason is one, and is true as far as can be told from outside."""
    if word.code == "quiet":
        return rules.is_quiet(place.column, place.recipient, word.at)
    if word.code in ("opted_out", "switched_off"):
        return rules.has_left(place.recipient, word.at)
    return word.code in _TRUSTED


def _disturbing(everything: Iterable[Sent], rules: Rules) -> list[Fault]:
    """Whoever was written to in quiet hours, or more often than a day allows."""
    faults = []
    days: Counter[tuple[str, object]] = Counter()
    for each in sorted(everything, key=lambda one: one.at):
        place, at = each.place, each.at
        if rules.is_quiet(place.column, place.recipient, at):
            faults.append(Fault(Kind.QUIET, place, at, _DISTURBED))
        day = place.recipient, at.astimezone(rules.zone).date()
        days[day] += 1
        cap = rules.caps.get(place.recipient)
        if cap is not None and days[day] > cap:
            faults.append(Fault(Kind.CAP, place, at, _TOO_MANY))
    return faults
