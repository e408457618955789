"""The workday calendar (工作日历): public holidays, and the weekend days that are worked instead (调休).

They are data. What China's State Council has announced by now comes with the program, with its source; each
autumn's announcement for the next year is read in from a small file.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import delete, extract, insert, select, update
from sqlalchemy.orm import Session

from lanmu.i18n import _
from lanmu.interfaces.errors import Faults, Invalid, LanmuError
from lanmu.schedule.calendar import HolidayTable
from lanmu.schedule.models import SpecialDay
from lanmu.storage import Database
from lanmu.storage.once import insert_new

ANNOUNCED_BY = (11, 15)
"""Month and day from which next year is asked for; the days of 2026 were announced on 4 November 2025."""

CHINESE_ZONES = ("Asia/Shanghai", "Asia/Urumqi", "Asia/Chongqing", "PRC")

_KINDS = {"rest": False, "休": False, "work": True, "班": True}
_NAME_MOST = 60
_SLASHED = re.compile(r"([0-9]{4})/([0-9]{1,2})/([0-9]{1,2})", re.ASCII)
_MOST = 400

_NOTICE = "国办发明电〔2025〕7号，2025-11-04"
"""Whose days they are; compared with the announcement on 2026-11-22. Chinese, as are those who go by it."""

_NOTICE_BEFORE = "国办发明电〔2025〕7号, 2025-11-04, checked on 2026-11-22"
_SHIPPED: Sequence[tuple[date, int, bool, str]] = (
    (date(2026, 1, 1), 3, False, "元旦"),
    (date(2026, 1, 4), 1, True, "元旦"),
    (date(2026, 2, 14), 1, True, "春节"),
    (date(2026, 2, 15), 9, False, "春节"),
    (date(2026, 2, 28), 1, True, "春节"),
    (date(2026, 4, 4), 3, False, "清明节"),
    (date(2026, 5, 1), 5, False, "劳动节"),
    (date(2026, 5, 9), 1, True, "劳动节"),
    (date(2026, 6, 19), 3, False, "端午节"),
    (date(2026, 9, 20), 1, True, "国庆节"),
    (date(2026, 9, 25), 3, False, "中秋节"),
    (date(2026, 10, 1), 7, False, "国庆节"),
    (date(2026, 10, 10), 1, True, "国庆节"),
)
"""First day, how many, whether they are worked, and of which holiday they are."""


@dataclass(frozen=True, slots=True)
class SpecialDayView:
    """A day on which people rest, or go to work, other than its weekday says. `source` says who says so."""

    day: date
    works: bool
    name: str
    source: str


class SpecialDays:
    """The only place that writes the workday calendar. `zone` is the shop's."""

    def __init__(self, database: Database, zone: str) -> None:
        self._database = database
        self._zone = zone

    def seed(self) -> None:
        """Put in what comes with the program for each year of which nothing is known yet; in China alone."""
        if self._zone not in CHINESE_ZONES:
            return
        shipped = list(_shipped())
        self._rename_source()
        with self._database.read() as session:
            missing = {each.day.year for each in shipped} - _years(session)
        if missing:
            with self._database.write() as session:
                new = [each for each in shipped if each.day.year in missing - _years(session)]
                insert_new(session, SpecialDay, _rows(new))

    def _rename_source(self) -> None:
        """Databases made before say it half in English."""
        former = SpecialDay.source == _NOTICE_BEFORE
        with self._database.read() as session:
            if session.scalar(select(SpecialDay.day).where(former).limit(1)) is None:
                return
        with self._database.write() as session:
            session.execute(update(SpecialDay).where(former).values(source=_NOTICE))

    def between(self, since: date, until: date) -> list[SpecialDayView]:
        """The special days in `[since, until)`, in order."""
        with self._database.read() as session:
            rows = session.scalars(
                select(SpecialDay)
                .where(SpecialDay.day >= since, SpecialDay.day < until)
                .order_by(SpecialDay.day)
            )
            return [SpecialDayView(row.day, row.works, row.name, row.source) for row in rows]

    def years(self) -> set[int]:
        """The years of which the special days are known; in others a day is judged by its weekday."""
        with self._database.read() as session:
            return _years(session)

    def missing(self, today: date) -> list[int]:
        """The years whose days should be known by now and are not: this one, from mid-November the next too.

        Asked of a shop in China, and of one that has ever had such days.
        """
        known = self.years()
        if not known and self._zone not in CHINESE_ZONES:
            return []
        wanted = [today.year]
        if (today.month, today.day) >= ANNOUNCED_BY:
            wanted.append(today.year + 1)
        return [year for year in wanted if year not in known]

    def read_in(self, lines: Iterable[str], source: str) -> list[int]:
        """Read lines of `date,rest|work,name` (or 休|班); answers the years that are now as the file says.

        A year that the file names is replaced as a whole. Raises Faults with every line that is wrong.
        """
        days, faults = _parsed(lines, source)
        if not days and not faults:
            faults.append(
                Invalid("file", _("holds no day."), _("Write a line such as 2027-01-01,rest,元旦."))
            )
        if faults:
            raise Faults(faults)
        with self._database.write() as session:
            _replace(session, days)
        return sorted({each.day.year for each in days})


def table_of(session: Session) -> HolidayTable:
    """The calendar as slots by workday want it."""
    works = {row.day: row.works for row in session.execute(select(SpecialDay.day, SpecialDay.works))}
    return HolidayTable(
        rest=frozenset(day for day, work in works.items() if not work),
        work=frozenset(day for day, work in works.items() if work),
    )


def _shipped() -> Iterator[SpecialDayView]:
    for first, number, works, name in _SHIPPED:
        for off in range(number):
            yield SpecialDayView(first + timedelta(days=off), works, name, _NOTICE)


def _years(session: Session) -> set[int]:
    return {int(year) for year in session.scalars(select(extract("year", SpecialDay.day)).distinct())}


def _replace(session: Session, days: Sequence[SpecialDayView]) -> None:
    for year in {each.day.year for each in days}:
        span = (SpecialDay.day >= date(year, 1, 1), SpecialDay.day <= date(year, 12, 31))
        session.execute(delete(SpecialDay).where(*span).execution_options(synchronize_session=False))
    if days:
        session.execute(insert(SpecialDay), _rows(days))


def _rows(days: Sequence[SpecialDayView]) -> list[dict[str, object]]:
    return [{"day": e.day, "works": e.works, "name": e.name, "source": e.source} for e in days]


def _parsed(lines: Iterable[str], source: str) -> tuple[list[SpecialDayView], list[LanmuError]]:
    found: dict[date, SpecialDayView] = {}
    faults: list[LanmuError] = []
    for number, row in enumerate(csv.reader(lines), 1):
        cells = [cell.strip().lstrip("\ufeff") for cell in row]
        if not any(cells) or cells[0].startswith("#") or (number == 1 and cells[0] in ("date", "日期")):
            continue
        try:
            if number > _MOST:
                raise Invalid(f"{source}:{number}", _("a year has not so many days."))
            each = _day(f"{source}:{number}", cells, source)
            if each.day in found:
                raise Invalid(f"{source}:{number}", _("%(day)s is there twice."), day=each.day.isoformat())
            found[each.day] = each
        except LanmuError as fault:
            faults.append(fault)
    return list(found.values()), faults


def _date(text: str) -> date:
    """The day of 2027-01-01, or of 2027/1/1 as spreadsheets write it. Raises ValueError."""
    if slashed := _SLASHED.fullmatch(text):
        year, month, day = map(int, slashed.groups())
        return date(year, month, day)
    return date.fromisoformat(text)


def _day(place: str, cells: Sequence[str], source: str) -> SpecialDayView:
    try:
        day = _date(cells[0])
    except ValueError:
        raise Invalid(
            place, _("“%(value)s” is not a date."), _("Write it as 2027-01-01."), value=cells[0]
        ) from None
    kind = cells[1] if len(cells) > 1 else ""
    if kind not in _KINDS:
        raise Invalid(place, _("“%(value)s” is neither rest (休) nor work (班)."), value=kind)
    name = cells[2] if len(cells) > 2 else ""
    if len(name) > _NAME_MOST:
        raise Invalid(place, _("the name is longer than %(most)s characters."), most=_NAME_MOST)
    return SpecialDayView(day, _KINDS[kind], name, source)
