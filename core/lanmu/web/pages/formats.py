"""How numbers, times and sizes are written in both languages: 24 hours, 万 for large counts."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, pass_context
from jinja2.runtime import Context

from lanmu.web.pages.words import channel_icon, tone, word

_ZH_DAYS = "一二三四五六日"
_EN_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EN_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CITIES = {"Asia/Shanghai": ("北京时间", "Beijing time")}


_UTC_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d)(?::\d\d)? UTC\b")


def clock(at: datetime, zone: str) -> str:
    """Hours and minutes in a zone."""
    return at.astimezone(ZoneInfo(zone)).strftime("%H:%M")


def day(when: date | datetime, zone: str, locale: str) -> str:
    """A day with its weekday: 11月21日 周六, Sat 21 Nov."""
    local = when.astimezone(ZoneInfo(zone)).date() if isinstance(when, datetime) else when
    if locale == "en":
        return f"{_EN_DAYS[local.weekday()]} {local.day} {_EN_MONTHS[local.month - 1]}"
    return f"{local.month}月{local.day}日 周{_ZH_DAYS[local.weekday()]}"


def weekday(when: date, locale: str) -> str:
    """周一 or Mon."""
    return _EN_DAYS[when.weekday()] if locale == "en" else f"周{_ZH_DAYS[when.weekday()]}"


def month_day(when: date, locale: str) -> str:
    """11月21日 or 21 Nov."""
    if locale == "en":
        return f"{when.day} {_EN_MONTHS[when.month - 1]}"
    return f"{when.month}月{when.day}日"


def moment(at: datetime, zone: str, locale: str, now: datetime) -> str:
    """A time as short as it can be told apart: today without its day, this year without its year."""
    local, today = at.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone)).date()
    text = local.strftime("%H:%M")
    days = (local.date() - today).days
    near = {0: ("今天", "Today"), 1: ("明天", "Tomorrow"), -1: ("昨天", "Yesterday")}.get(days)
    if near:
        return f"{near[1] if locale == 'en' else near[0]} {text}"
    if local.year == today.year:
        return f"{local:%m-%d} {text}"
    return f"{local:%Y-%m-%d} {text}"


def span(seconds: float, locale: str) -> str:
    """A length of time in its two largest units that matter."""
    total = max(0, round(seconds))
    zh = locale != "en"
    if total < 60:
        return f"{total} 秒" if zh else f"{total} s"
    if total < 3600:
        return f"{total // 60} 分钟" if zh else f"{total // 60} min"
    if total < 86400:
        hours, minutes = total // 3600, total % 3600 // 60
        if zh:
            return f"{hours} 小时" + (f" {minutes} 分钟" if minutes else "")
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    days = total // 86400
    return f"{days} 天" if zh else f"{days} d"


def number(value: float, locale: str) -> str:
    """A count: 12,345 in English; 1.2万 from ten thousand on in Chinese."""
    if locale != "en" and abs(value) >= 10_000:
        for unit, name in ((100_000_000, "亿"), (10_000, "万")):
            if abs(value) >= unit:
                return f"{value / unit:.1f}".rstrip("0").rstrip(".") + name
    return f"{value:,.0f}"


def signed(value: float, locale: str) -> str:
    """A change, with its sign (a true minus, not a hyphen)."""
    text = number(abs(value), locale)
    return f"+{text}" if value > 0 else f"−{text}" if value < 0 else text


def filesize(size: int) -> str:
    """Bytes as a person reads them."""
    if size < 1024:
        return f"{size} B"
    if size < 1024 * 1024:
        return f"{size / 1024:.0f} KB"
    return f"{size / 1024 / 1024:.1f} MB"


def zone_name(zone: str, locale: str, now: datetime) -> str:
    """A zone as people say it, with its offset: 北京时间 UTC+8."""
    offset = now.astimezone(ZoneInfo(zone)).utcoffset()
    minutes = round(offset.total_seconds() / 60) if offset is not None else 0
    sign, hours, rest = ("-" if minutes < 0 else "+"), abs(minutes) // 60, abs(minutes) % 60
    text = f"UTC{sign}{hours}" + (f":{rest:02d}" if rest else "")
    names = _CITIES.get(zone)
    return f"{(names[1] if locale == 'en' else names[0]) if names else zone} {text}"


def in_zone(text: str, zone: str) -> str:
    """A sentence with the moments that it tells in UTC told in `zone` instead."""

    def local(found: re.Match[str]) -> str:
        at = datetime.fromisoformat(found[1]).replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
        return at.strftime("%Y-%m-%d %H:%M")

    return _UTC_MOMENT.sub(local, text)


def iso(at: datetime) -> str:
    """For the `datetime` attribute: UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _in(context: Context, zone: str | None) -> str:
    return zone or context["tz"]


@pass_context
def _clock(context: Context, at: datetime, zone: str | None = None) -> str:
    return clock(at, _in(context, zone))


@pass_context
def _day(context: Context, when: date | datetime, zone: str | None = None) -> str:
    return day(when, _in(context, zone), context["locale"])


@pass_context
def _weekday(context: Context, when: date) -> str:
    return weekday(when, context["locale"])


@pass_context
def _month_day(context: Context, when: date) -> str:
    return month_day(when, context["locale"])


@pass_context
def _moment(context: Context, at: datetime, zone: str | None = None) -> str:
    return moment(at, _in(context, zone), context["locale"], context["now"])


@pass_context
def _date(context: Context, at: datetime, zone: str | None = None) -> str:
    return at.astimezone(ZoneInfo(_in(context, zone))).strftime("%Y-%m-%d")


@pass_context
def _in_zone(context: Context, text: str) -> str:
    return in_zone(text, context["tz"])


@pass_context
def _away(context: Context, at: datetime) -> str:
    return span(abs((at - context["now"]).total_seconds()), context["locale"])


@pass_context
def _span(context: Context, seconds: float) -> str:
    return span(seconds, context["locale"])


@pass_context
def _number(context: Context, value: float) -> str:
    return number(value, context["locale"])


@pass_context
def _signed(context: Context, value: float) -> str:
    return signed(value, context["locale"])


@pass_context
def _zone_name(context: Context, zone: str | None = None) -> str:
    return zone_name(_in(context, zone), context["locale"], context["now"])


@pass_context
def _word(context: Context, code: str, group: str) -> str:
    return str(context.call(context.resolve("_"), word(code, group)))


@pass_context
def _titled(context: Context, code: str, axis: str) -> str:
    titles: dict[str, dict[str, str]] = context["titles"]
    return titles.get(axis, {}).get(code, code)


def install(environment: Environment) -> None:
    """Give the pages' templates their filters."""
    filters: dict[str, Callable[..., Any]] = {
        "clock": _clock,
        "in_zone": _in_zone,
        "day": _day,
        "weekday": _weekday,
        "month_day": _month_day,
        "moment": _moment,
        "date": _date,
        "away": _away,
        "span": _span,
        "number": _number,
        "signed": _signed,
        "exact": "{:,}".format,
        "zone_name": _zone_name,
        "word": _word,
        "titled": _titled,
        "filesize": filesize,
        "iso": iso,
        "tone": tone,
        "channel_icon": channel_icon,
    }
    environment.filters.update(filters)
