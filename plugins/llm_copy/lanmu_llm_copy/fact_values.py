"""What a matched piece of text is worth: dates, hours, rules and limits in one comparable spelling each."""

import re
from collections.abc import Sequence
from decimal import Decimal

from lanmu_llm_copy import fact_patterns as pattern
from lanmu_llm_copy.numerals import shown, value_of
from lanmu_llm_copy.units import COUNTS_AS_ONE, UNITS


def which(match: re.Match[str], prefix: str, keys: Sequence[str]) -> str:
    """The key whose numbered group matched."""
    name = match.lastgroup
    if name is None:
        raise ValueError("a pattern without a named group matched")
    return keys[int(name.removeprefix(prefix))]


def placeholder(raw: str) -> str:
    """Blanks inside a placeholder mean nothing, except within quotes; letters' case does."""
    return "".join(
        part if part[:1] in "\"'" else re.sub(r"\s+", "", part)
        for part in re.split(r"(\"[^\"]*\"|'[^']*')", raw)
    )


def circled(mark: str) -> int:
    """The number in a circle or keycap."""
    return ord(mark) - 0x245F if len(mark) == 1 else int(mark[0])


def _amount(number: str, unit: str | None) -> str | None:
    value = value_of(number)
    if value is None:
        return None
    kind = UNITS.get(unit or "", "")
    if kind == "折" and value >= 10:
        value /= 10
    # In a rule 199 and 199元 are the same: 满199减30.
    return shown(value) + ("" if kind == "元" else kind)


def full_gives(match: re.Match[str]) -> str | None:
    """满199减30, 满3件打8折, 满99包邮."""
    x = _amount(match["x"], match["ux"])
    if x is None:
        return None
    verb = {"省": "减", "抵": "减", "加赠": "赠", "送": "赠", "免邮": "包邮", "免运费": "包邮"}.get(
        match["verb"], match["verb"]
    )
    y = _amount(match["y"], match["uy"]) if match["y"] else ""
    return f"{'每' if match['each'] else ''}满{x}{verb}{y or ''}"


def buy_gives(match: re.Match[str]) -> str | None:
    """买一送一."""
    x, y = value_of(match["x"]), value_of(match["y"])
    if x is None or y is None:
        return None
    verb = {"赠": "送", "得": "得", "发": "发"}.get(match["verb"], match["verb"])
    return f"买{shown(x)}{verb}{shown(y)}"


def nth_piece(match: re.Match[str]) -> str | None:
    """第二件半价."""
    x = value_of(match["x"])
    if x is None:
        return None
    gain = _amount(match["y"], match["uy"]) if match["y"] else match["verb"]
    return f"第{shown(x)}件{'5折' if gain == '半价' else gain}"


def counted(word: str, match: re.Match[str]) -> str | None:
    """前50名."""
    amount = _amount(match["x"], match["ux"])
    return None if amount is None else f"{word}{amount}"


def each(match: re.Match[str]) -> str | None:
    """每人限领2份; None where 每天一个 only means "every day"."""
    amount = _amount(match["x"], match["ux"])
    if amount is None:
        return None
    person = match["who"] in {"人", "位", "单", "户", "家", "ID", "账号", "邀请"}
    article = match["x"] == "一" and UNITS.get(match["ux"] or "") not in COUNTS_AS_ONE
    if article and not (person or match["may"]):
        return None  # 每天一个小技巧 promises no number
    who = {"位": "人", "日": "天"}.get(match["who"], match["who"])
    return f"每{who}{amount}"


def limit(match: re.Match[str]) -> str | None:
    """限购2件, 仅剩3席, 共20个."""
    article = match["x"] == "一" and not match["ux"]
    amount = _amount(match["x"], match["ux"])
    if amount is None or article:
        return None
    verb = match["verb"]
    if verb in {"仅剩", "只剩", "还剩", "剩余", "剩"}:
        return f"剩{amount}"
    if verb in {"库存", "名额", "共"}:
        return f"共{amount}"
    return f"限{amount}"


def ordinal(match: re.Match[str]) -> str | None:
    """第3期."""
    value = value_of(match["x"])
    return None if value is None else f"第{shown(value)}{UNITS.get(match['ux'] or '', '')}"


def percent(match: re.Match[str]) -> str | None:
    """百分之三十."""
    value = value_of(match["x"]) if match["x"] else Decimal(100)
    return None if value is None else f"{shown(value)}%"


def mixed(match: re.Match[str]) -> str | None:
    """A code of letters and digits; None for words, numbers and quantities."""
    token = match[0]
    has_digit = any(char.isdigit() for char in token)
    has_letter = any(char.isalpha() for char in token)
    if not (has_digit and has_letter) or pattern.QUANTITY_RUN.fullmatch(token):
        return None
    return token


def date(match: re.Match[str]) -> str | None:
    """A date in Chinese form without leading zeros; None where it is none."""
    group = {name: value for name, value in match.groupdict().items() if value is not None}

    def number(*names: str) -> int | None:
        for name in names:
            if name in group:
                value = value_of(group[name])
                return None if value is None else int(value)
        return None

    year, month = number("y", "y4", "y6"), number("m", "m2", "m3", "m4", "m5")
    day = number("d", "d2", "d3", "d5", "d7")
    if month is not None and not 1 <= month <= 12:
        return None
    if day is not None and not 1 <= day <= 31:
        return None
    if month is None and day is None and year is None:
        return None
    edge = next((word for word in ("底", "初") if match[0].endswith(word)), "")
    parts = [f"{year}年" if year else "", f"{month}月" if month else "", f"{day}日" if day else ""]
    return "".join(parts) + edge


def weekday(match: re.Match[str]) -> str:
    """周六, 每周六, 下周六."""
    day = "日" if match["day"] == "天" else match["day"]
    which = {"下": "下", "每": "每", "上": "上"}.get(match["next"] or "", "")
    return f"{which}周{day}"


def time(match: re.Match[str]) -> str | None:
    """The hour on a 24-hour clock: 晚上8点半 is 20:30."""
    period = match["p1"] or match["p2"] or match["p3"] or ""
    raw = match["h1"] or match["h2"] or match["h3"]
    hour_value = value_of(raw)
    if hour_value is None or hour_value > 24:
        return None
    hour = int(hour_value)
    tail = match["tail"] or ""
    if match["h3"] == "一" and not period and not tail:
        return None  # 一点 is "a bit"
    if re.match(r"积分|经验|好处|建议|原因|理由|技巧|注意|提醒|体会|小", match.string[match.end() :]):
        return None  # 三点建议 are three of them
    minute = {"": 0, "钟": 0, "整": 0, "半": 30, "一刻": 15, "三刻": 45}.get(tail, -1)
    if match["n1"]:
        minute = int(match["n1"])
    elif minute < 0:
        value = value_of(tail.removesuffix("分"))
        minute = -1 if value is None else int(value)
    if not 0 <= minute < 60:
        return None
    late = period.endswith("晚") or period in {"下午", "傍晚", "晚上", "夜里", "晚间"}
    noon = period == "中午"
    shift = 12 if (late and hour <= 12) or (noon and hour < 3) or (match["ap"] or "").lower() == "pm" else 0
    if hour == 12 and (match["ap"] or period == "下午"):
        shift = 0 if shift else -12
    if period == "凌晨" and hour == 12:
        hour = 0
    start = ""
    if match["h2a"]:
        start = f"{int(match['h2a']) + shift:02}:00–"
    return f"{start}{hour + shift:02}:{minute:02}"
