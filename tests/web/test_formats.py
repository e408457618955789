"""Numbers and times as people read them, in both languages."""

from datetime import UTC, datetime, timedelta

import pytest

from lanmu.web.pages import formats, words

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
SHANGHAI = "Asia/Shanghai"


@pytest.mark.parametrize(
    ("away", "chinese", "english"),
    [
        (timedelta(0), "今天 14:00", "Today 14:00"),
        (timedelta(hours=10), "明天 00:00", "Tomorrow 00:00"),
        (timedelta(hours=-15), "昨天 23:00", "Yesterday 23:00"),
        (timedelta(days=9), "11-30 14:00", "11-30 14:00"),
        (timedelta(days=60), "2027-01-20 14:00", "2027-01-20 14:00"),
    ],
)
def test_a_moment_is_told_by_the_day_of_the_zone(away: timedelta, chinese: str, english: str):
    assert formats.moment(NOW + away, SHANGHAI, "zh-CN", NOW) == chinese
    assert formats.moment(NOW + away, SHANGHAI, "en", NOW) == english


def test_midnight_in_shanghai_belongs_to_the_new_day():
    midnight = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
    assert formats.day(midnight, SHANGHAI, "zh-CN") == "11月22日 周日"
    assert formats.day(midnight, SHANGHAI, "en") == "Sun 22 Nov"
    assert formats.clock(midnight, SHANGHAI) == "00:00"


@pytest.mark.parametrize(
    ("value", "chinese", "english"),
    [(0, "0", "0"), (9_999, "9,999", "9,999"), (10_000, "1万", "10,000"), (128_600, "12.9万", "128,600"),
     (100_000_000, "1亿", "100,000,000")],
)  # fmt: skip
def test_large_counts_are_told_in_wan(value: int, chinese: str, english: str):
    assert formats.number(value, "zh-CN") == chinese
    assert formats.number(value, "en") == english


def test_a_change_carries_its_sign():
    assert [formats.signed(value, "en") for value in (5, 0, -12)] == ["+5", "0", "−12"]


def test_a_zone_is_told_with_its_offset_of_the_day():
    assert formats.zone_name(SHANGHAI, "zh-CN", NOW) == "北京时间 UTC+8"
    assert formats.zone_name("Asia/Kolkata", "en", NOW) == "Asia/Kolkata UTC+5:30"
    assert formats.zone_name("America/St_Johns", "en", NOW) == "America/St_Johns UTC-3:30"


@pytest.mark.parametrize(
    ("seconds", "chinese"),
    [(59, "59 秒"), (60, "1 分钟"), (3600, "1 小时"), (3660, "1 小时 1 分钟"), (90_000, "1 天")],
)
def test_a_span_is_told_in_its_largest_units(seconds: int, chinese: str):
    assert formats.span(seconds, "zh-CN") == chinese


def test_every_state_of_every_room_has_a_word_and_a_colour():
    from lanmu.delivery.states import PushState, UnitState
    from lanmu.library.models import STATES
    from lanmu.schedule.models import OCCURRENCE_STATES

    for group, states in (
        ("push", PushState), ("unit", UnitState), ("material", STATES), ("occurrence", OCCURRENCE_STATES),
    ):  # fmt: skip
        for state in states:
            assert words.word(str(state), group) != str(state), (group, state)
            assert any(str(state) in codes for codes in words.TONES.values()), state


def test_a_sentence_tells_its_moments_in_the_zone_of_the_shop():
    told = formats.in_zone("备份：2026-11-22 16:30 UTC（2026-11-22 16:30:59 UTC）。UTC", SHANGHAI)
    assert told == "备份：2026-11-23 00:30（2026-11-23 00:30）。UTC"
