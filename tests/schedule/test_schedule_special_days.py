"""The workday calendar: holidays and worked weekends as announced, editable, and heeded by slots."""

from datetime import date

import pytest
from sqlalchemy import text
from tests.shop import Shop

from lanmu.interfaces.clock import utc
from lanmu.interfaces.errors import Faults
from lanmu.schedule.columns import SlotDraft
from lanmu.schedule.special_days import SpecialDays, table_of
from lanmu.storage import Database


def known(database: Database, zone: str = "Asia/Shanghai") -> SpecialDays:
    days = SpecialDays(database, zone)
    days.seed()
    return days


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 1, 2), False),
        (date(2026, 1, 4), True),
        (date(2026, 2, 14), True),
        (date(2026, 2, 16), False),
        (date(2026, 2, 23), False),
        (date(2026, 2, 24), True),
        (date(2026, 2, 28), True),
        (date(2026, 4, 6), False),
        (date(2026, 5, 5), False),
        (date(2026, 5, 9), True),
        (date(2026, 6, 19), False),
        (date(2026, 9, 20), True),
        (date(2026, 9, 25), False),
        (date(2026, 10, 7), False),
        (date(2026, 10, 10), True),
        (date(2026, 11, 23), True),
        (date(2026, 11, 22), False),
        (date(2027, 1, 1), True),
    ],
)
def test_the_year_that_was_announced_is_known_and_others_go_by_their_weekdays(database, day, works):
    known(database)
    with database.read() as session:
        assert table_of(session).is_workday(day) is works


def test_the_announced_days_number_as_the_notice_says(database: Database):
    days = known(database).between(date(2026, 1, 1), date(2027, 1, 1))
    assert sum(not each.works for each in days) == 33
    assert sum(each.works for each in days) == 6
    assert {each.source for each in days} == {"国办发明电〔2025〕7号，2025-11-04"}


def test_a_source_that_was_written_half_in_english_is_put_right(database: Database):
    days = known(database)
    with database.write() as session:
        before = "国办发明电〔2025〕7号, 2025-11-04, checked on 2026-11-22"
        session.execute(text("UPDATE special_day SET source = :before"), {"before": before})
        session.execute(text("UPDATE special_day SET source = 'own.csv' WHERE day = '2026-01-01'"))
    days.seed()
    found = days.between(date(2026, 1, 1), date(2027, 1, 1))
    assert {each.source for each in found} == {"own.csv", "国办发明电〔2025〕7号，2025-11-04"}


def test_elsewhere_than_in_china_nothing_is_put_in(database: Database):
    assert known(database, "Europe/London").years() == set()


def test_what_a_person_has_read_in_stays_and_replaces_its_year_alone(database: Database):
    days = known(database)
    lines = ["\ufeffdate,day,name", "# 2027", "2027-01-01,休,元旦", "2027-01-03,班,元旦", ""]
    assert days.read_in(lines, "2027.csv") == [2027]
    assert days.read_in(["2026-12-31,rest,盘点"], "shop.csv") == [2026]
    days.seed()
    assert days.years() == {2026, 2027}
    found = days.between(date(2026, 1, 1), date(2028, 1, 1))
    assert [(each.day.isoformat(), each.works, each.source) for each in found] == [
        ("2026-12-31", False, "shop.csv"),
        ("2027-01-01", False, "2027.csv"),
        ("2027-01-03", True, "2027.csv"),
    ]


def test_days_are_read_as_a_spreadsheet_writes_them(database: Database):
    days = known(database)
    assert days.read_in(["2027/1/1,休,元旦", "2027/1/03,班,元旦"], "2027.csv") == [2027]
    found = days.between(date(2027, 1, 1), date(2028, 1, 1))
    assert [(each.day.isoformat(), each.works) for each in found] == [
        ("2027-01-01", False),
        ("2027-01-03", True),
    ]
    for wrong in ("2027/2/30,休,x", "2027/13/1,休,x", "27/1/1,休,x"):
        with pytest.raises(Faults):
            days.read_in([wrong], "f")


def test_every_wrong_line_is_told_and_nothing_is_read_in(database: Database):
    days = known(database)
    wrong = ["2027-02-30,rest,x", "2027-01-01,off,x", "2027-01-02,rest", "2027-01-02,work", "x" * 5]
    wrong.append("2027-01-05,rest," + "长" * 61)
    with pytest.raises(Faults) as caught:
        days.read_in(wrong, "f")
    places = [fault.place for fault in caught.value.faults]
    assert places == ["f:1", "f:2", "f:4", "f:5", "f:6"]
    assert days.years() == {2026}
    with pytest.raises(Faults, match="holds no day"):
        days.read_in(["date,day,name"], "f")


def test_a_column_for_workdays_rests_on_holidays_and_comes_on_worked_weekends(small_shop: Shop):
    """国庆: it rests from Thursday the 1st to Wednesday the 7th, and works on Saturday the 10th."""
    shop = small_shop
    shop.clock.set(utc(2026, 9, 30, 16))
    shop.material()
    shop.community("一群")
    shop.schedule.special_days.seed()
    shop.column("工作日", SlotDraft("workday", "15:00"))
    shop.schedule.plan_ahead()
    planned = sorted({each.local_time[:10] for each in shop.all()})
    assert planned[:4] == ["2026-10-08", "2026-10-09", "2026-10-10", "2026-10-12"]
    with shop.database.write() as session:
        session.execute(text("DELETE FROM special_day"))
    shop.schedule.plan_ahead()
    assert min(each.local_time[:10] for each in shop.all()) == "2026-10-01"
