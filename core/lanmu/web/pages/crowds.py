"""Days, weeks and months with more to come than a limit lets through, in words to act on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from lanmu.i18n import _
from lanmu.interfaces.errors import LanmuError
from lanmu.schedule.columns import ColumnDraft
from lanmu.schedule.crowd import Crowd
from lanmu.web.pages.acts import say
from lanmu.web.pages.choices import channel_title
from lanmu.web.pages.formats import month_day
from lanmu.web.people import locale, server

_MOST = 6
_RIVALS = 8

_OTHERS = {
    "community": _("%(n)s more communities are over theirs too."),
    "recipient": _("%(n)s more communities are over theirs too."),
    "sender": _("%(n)s more senders are over theirs too."),
}
_FIGURES = {
    "community": _("%(name)s has %(planned)s messages planned and may have %(most)s a day."),
    "recipient": _("%(name)s has %(planned)s messages planned; %(channel)s lets %(most)s a day through."),
    "sender": _("%(name)s has %(planned)s messages to send and may send %(most)s a day."),
    "channel": _("%(channel)s has %(planned)s messages planned and lets %(most)s a day through."),
    "member": _("%(n)s members are to get more than %(most)s messages, at most %(planned)s."),
}
_FIGURES_OF_PERIOD = {
    "community": _("%(name)s is to get %(planned)s messages and may get %(most)s %(per)s."),
    "recipient": _("%(name)s is to get %(planned)s messages; %(channel)s lets %(most)s %(per)s through."),
    "sender": _("%(name)s is to send %(planned)s messages and may send %(most)s %(per)s."),
    "channel": _("%(channel)s is to send %(planned)s messages and lets %(most)s %(per)s through."),
    "member": _("%(n)s people are to get more than %(most)s messages %(per)s, at most %(planned)s."),
}
_PER = {"week": _("a week"), "month": _("a month")}


@dataclass(frozen=True, slots=True)
class Told:
    """The crowded days and periods in brief, and in `lines` each of them, with what can be done behind."""

    summary: str
    lines: Sequence[str]


def foreseen(draft: ColumnDraft, column: str = "") -> Told | None:
    """The days that a column would help to crowd; none while its slots cannot be read."""
    try:
        return in_words(server().schedule.foreseen(draft, column))
    except LanmuError:
        return None


def in_words(crowds: Sequence[Crowd]) -> Told | None:
    """A line for each day, or for the days that are alike, and for each week and month; None where none is
    crowded."""
    days = [each for each in crowds if each.period == "day"]
    periods = [each for each in crowds if each.period != "day"]
    if not crowds:
        return None
    summary = (_summary(days) if days else []) + (_summary_of_periods(periods) if periods else [])
    lines = (_lines(days) if days else []) + (_lines_of_periods(periods) if periods else [])
    return Told(_joined(summary), lines)


def _summary(crowds: Sequence[Crowd]) -> list[str]:
    days = len({each.day for each in crowds})
    told = [say(_("Days with more planned than the limits let through: %(n)s."), n=days)]
    return told + _left_out(sum(each.empty for each in crowds), sum(each.held for each in crowds))


def _summary_of_periods(crowds: Sequence[Crowd]) -> list[str]:
    periods = len({(each.day, each.period) for each in crowds})
    return [say(_("Weeks and months with more to come than the limits let through: %(n)s."), n=periods)]


def _left_out(empty: int, held: int) -> list[str]:
    told = []
    if empty:
        told.append(say(_("Places that stay empty: %(n)s."), n=empty))
    if held:
        told.append(say(_("Messages held until the next day: %(n)s."), n=held))
    return told


def _lines(crowds: Sequence[Crowd]) -> list[str]:
    alike = [list(days) for _key, days in groupby(sorted(crowds, key=_sort), key=_likeness)]
    alike.sort(key=lambda days: days[0].day)
    told = [_line(days) for days in alike[:_MOST]]
    if len(alike) > _MOST:
        told.append(say(_("So it is on %(n)s more days."), n=sum(map(len, alike[_MOST:]))))
    told.append(
        say(
            _(
                "Give some of them another day or fewer times, say in the column which goes first, or change "
                "the limit under “Frequency and quota”."
            )
        )
    )
    return told


def _lines_of_periods(crowds: Sequence[Crowd]) -> list[str]:
    told = [_line_of_period(each) for each in crowds[:_MOST]]
    if len(crowds) > _MOST:
        told.append(say(_("So it is with %(n)s more limits."), n=len(crowds) - _MOST))
    told.append(
        say(
            _(
                "Take times or days from these columns, send some by another channel, or, where the platform "
                "gives you more, enter that under “Frequency and quota”."
            )
        )
    )
    return told


def _line_of_period(crowd: Crowd) -> str:
    last = crowd.last or crowd.day
    days = say(_("%(first)s – %(last)s"), first=_named(crowd.day, None), last=_named(last, crowd.day))
    figures = say(
        _FIGURES_OF_PERIOD[crowd.scope],
        name=crowd.name,
        channel=channel_title(crowd.channel),
        planned=crowd.planned,
        most=crowd.most,
        per=say(_PER[crowd.period]),
        n=crowd.subjects,
    )
    told = [say(_("%(days)s: %(told)s"), days=days, told=figures)]
    if crowd.sent:
        told.append(say(_("Of these %(n)s are out already."), n=crowd.sent))
    if crowd.subjects > 1 and crowd.scope in _OTHERS:
        told.append(say(_OTHERS[crowd.scope], n=crowd.subjects - 1))
    if crowd.full_on is not None:
        told.append(say(_("The quota is used up on %(day)s."), day=_named(crowd.full_on, None)))
    told.append(
        say(
            _("%(n)s messages wait until %(day)s, or fall where their deadline comes first."),
            n=crowd.held,
            day=_named(last + timedelta(days=1), None),
        )
    )
    return _joined(told + _competing(crowd))


def _likeness(crowd: Crowd) -> tuple[object, ...]:
    return (
        crowd.scope, crowd.channel, crowd.name, crowd.subjects, crowd.planned, crowd.most, crowd.empty,
        crowd.held, crowd.sent, tuple((rival.title, rival.wanted) for rival in crowd.rivals),
    )  # fmt: skip


def _sort(crowd: Crowd) -> tuple[str, date]:
    return repr(_likeness(crowd)), crowd.day


def _line(days: Sequence[Crowd]) -> str:
    crowd = days[0]
    figures = say(
        _FIGURES[crowd.scope],
        name=crowd.name,
        channel=channel_title(crowd.channel),
        planned=crowd.planned,
        most=crowd.most,
        n=crowd.subjects,
    )
    told = [say(_("%(days)s: %(told)s"), days=_days([each.day for each in days]), told=figures)]
    if crowd.subjects > 1 and crowd.scope in _OTHERS:
        told.append(say(_OTHERS[crowd.scope], n=crowd.subjects - 1))
    told += _left_out(crowd.empty, crowd.held)
    told += _competing(crowd)
    if crowd.sent:
        told.append(say(_("Sent today already: %(n)s."), n=crowd.sent))
    return _joined(told)


def _competing(crowd: Crowd) -> list[str]:
    rivals = [
        say(_("%(title)s (%(n)s)"), title=rival.title, n=rival.wanted) for rival in crowd.rivals[:_RIVALS]
    ]
    if not rivals:
        return []
    listed = say(_(", ")).join(rivals) + ("…" if len(crowd.rivals) > _RIVALS else "")
    return [say(_("They compete, the first in line first: %(rivals)s."), rivals=listed)]


def _joined(sentences: Sequence[str]) -> str:
    return (" " if locale() == "en" else "").join(sentences)


def _days(days: Sequence[date]) -> str:
    """The days, those in a row as their first and last."""
    rows = groupby(enumerate(days), key=lambda each: each[1].toordinal() - each[0])
    told: list[str] = []
    before: date | None = None
    for _key, group in rows:
        row = [day for _number, day in group]
        first, last = _named(row[0], before), _named(row[-1], row[0])
        told.append(say(_("%(first)s – %(last)s"), first=first, last=last) if len(row) > 1 else first)
        before = row[-1]
    listed = say(_(", ")).join(told)
    return say(_("%(days)s (%(n)s days)"), days=listed, n=len(days)) if len(told) < len(days) else listed


def _named(day: date, before: date | None) -> str:
    """The day, in Chinese without its month where the one before it has said it."""
    if before is not None and before.month == day.month and locale() != "en":
        return f"{day.day}日"
    return month_day(day, locale())
