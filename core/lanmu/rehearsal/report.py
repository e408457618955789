"""What a rehearsal tells people: each column and day expected, produced and explained, and every fault."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from lanmu.i18n import Filled, _, to_store
from lanmu.rehearsal.comparing import Comparison, Kind, Place
from lanmu.schedule.columns import ColumnView

KINDS: dict[str, str] = {
    Kind.MISSING: _("Nothing came"),
    Kind.KEPT_BACK: _("Kept back by a plugin"),
    Kind.WRONG: _("Wrong recipient or text"),
    Kind.DOUBLE: _("Double"),
    Kind.EARLY: _("Early"),
    Kind.LATE: _("Late"),
    Kind.QUIET: _("In quiet hours"),
    Kind.CAP: _("Over the daily cap"),
}
"""Each kind of fault in words."""

_GREEN = _("Green: everything due came in time; nobody was disturbed.")
_GREEN_BUT = _(
    "Green: everything due came in time, but for %(n)s of %(all)s that have a reason not to be sent; "
    "nobody was disturbed."
)
_RED = _("Red: something does not come as it should; the findings say what.")
HOW = {
    False: _("not sent, %(n)s times: %(why)s"),
    True: _("sent later, %(n)s times: %(why)s"),
}
"""How a reason is told, by whether it is one for sending later."""

FAULTS_TOLD = 200
"""Faults that a report lists one by one; all of them are counted."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day of a column, by the wall clock of its zone."""

    day: str
    expected: int
    produced: int
    explained: int
    faults: int


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason and how often it was given; `kept`: for sending later, not for not sending. Text as stored."""

    text: str
    times: int
    kept: bool


@dataclass(frozen=True, slots=True)
class OfColumn:
    """What became of one column. `people`: how many communities of the shop's own it is for."""

    id: str
    name: str
    people: int
    expected: int
    produced: int
    explained: int
    faults: int
    reasons: list[Reason]
    days: list[Day]


@dataclass(frozen=True, slots=True)
class Told:
    """One fault. Times are local to the recipient, ISO to the minute; `at` is empty where nothing came."""

    kind: str
    column: str
    recipient: str
    zone: str
    due: str
    at: str
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """A rehearsal's answer, as plain as JSON. `waited`: how often a person would have had to approve."""

    green: bool
    first_day: str
    last_day: str
    days: int
    recipients: int
    waited: int
    columns: list[OfColumn]
    counts: dict[str, int] = field(default_factory=dict)
    faults: list[Told] = field(default_factory=list)

    @property
    def expected(self) -> int:
        return sum(each.expected for each in self.columns)

    @property
    def produced(self) -> int:
        return sum(each.produced for each in self.columns)

    @property
    def explained(self) -> int:
        return sum(each.explained for each in self.columns)

    @property
    def verdict(self) -> str:
        """The rehearsal in a sentence, with how much does not go out: green as it is, it may not be meant."""
        if not self.green:
            return _RED
        return Filled(_GREEN_BUT, n=self.explained, all=self.expected) if self.explained else _GREEN

    def as_document(self) -> dict[str, Any]:
        """The report as JSON can keep it."""
        return asdict(self)


def from_document(document: Mapping[str, Any]) -> Report:
    """The report that `as_document` was made of."""
    columns = [
        OfColumn(
            **{
                **each,
                "reasons": [Reason(**one) for one in each["reasons"]],
                "days": [Day(**one) for one in each["days"]],
            }
        )
        for each in document["columns"]
    ]
    return Report(**{**document, "columns": columns, "faults": [Told(**each) for each in document["faults"]]})


def of_columns(
    columns: Sequence[ColumnView], expected: Collection[Place], done: Comparison, people: Mapping[str, int]
) -> list[OfColumn]:
    """The numbers of each column; `people` counts the shop's communities by column."""
    found = []
    for column in columns:
        zone = ZoneInfo(column.draft.zone)
        days: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        faults = [fault.place for fault in done.faults if fault.place.column == column.id]
        for number, places in enumerate((expected, done.produced, done.explained, faults)):
            for place in places:
                if place.column == column.id:
                    days[place.due.astimezone(zone).date().isoformat()][number] += 1
        told: list[Reason] = []
        for kept, reasons in ((False, done.explained), (True, done.kept)):
            counted = Counter(to_store(why) for place, why in reasons.items() if place.column == column.id)
            told += [Reason(text, times, kept) for text, times in counted.most_common()]
        lines = [Day(day, *numbers) for day, numbers in sorted(days.items())]
        found.append(
            OfColumn(
                column.id,
                column.draft.name,
                people.get(column.id, 0),
                expected=sum(day.expected for day in lines),
                produced=sum(day.produced for day in lines),
                explained=sum(day.explained for day in lines),
                faults=sum(day.faults for day in lines),
                reasons=told,
                days=lines,
            )
        )
    return found


def told_faults(done: Comparison, names: Mapping[str, str], zones: Mapping[str, ZoneInfo]) -> list[Told]:
    """The first faults, in order of time; `names` are those of the columns."""
    told = []
    for fault in sorted(done.faults, key=lambda each: (each.place.due, each.kind, each.place))[:FAULTS_TOLD]:
        place, zone = fault.place, zones.get(fault.place.recipient, ZoneInfo("UTC"))
        told.append(
            Told(
                str(fault.kind),
                names.get(place.column, place.column),
                place.recipient,
                str(zone),
                _minute(place.due, zone),
                _minute(fault.at, zone) if fault.at else "",
                to_store(fault.why),
            )
        )
    return told


def _minute(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).replace(tzinfo=None).isoformat(" ", "minutes")
