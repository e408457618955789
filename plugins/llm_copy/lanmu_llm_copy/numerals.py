"""Chinese and Arabic numbers as one exact value: 两百五十, 250, 2.5万, 1,299.00."""

import re
from decimal import Decimal

_DIGITS = {char: n for n, char in enumerate("零一二三四五六七八九")} | {
    "〇": 0,
    "两": 2,
    "壹": 1,
    "贰": 2,
    "叁": 3,
    "肆": 4,
    "伍": 5,
    "陆": 6,
    "柒": 7,
    "捌": 8,
    "玖": 9,
}
_POWERS = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}
_MYRIADS = {"万": 10_000, "亿": 100_000_000}
_SHORT = {"w": 10_000, "W": 10_000, "k": 1000, "K": 1000, "千": 1000, "百": 100} | _MYRIADS

HAN = "零〇一二两三四五六七八九十百千万亿"
# Bounded: a page of digits must not take quadratic time. What is longer falls into several numbers.
ARABIC = r"\d{1,3}(?:,\d{3}){1,5}(?:\.\d{1,6})?|\d{1,18}(?:\.\d{1,6})?"
NUMBER = (
    rf"(?:(?:{ARABIC})(?:[万亿千百]|[wWkK](?![A-Za-z]))?|[{HAN}]{{1,12}}(?:点[零一二三四五六七八九]{{1,6}})?)"
)

_ARABIC = re.compile(rf"({ARABIC})([万亿千百wWkK]?)")


def value_of(text: str) -> Decimal | None:
    """The value of a number as NUMBER matches it, or None where the characters make no number."""
    arabic = _ARABIC.fullmatch(text)
    if arabic:
        value = Decimal(arabic[1].replace(",", ""))
        return (value * _SHORT.get(arabic[2], 1)).normalize()
    whole, _, fraction = text.partition("点")
    value_whole = _han(whole)
    if value_whole is None:
        return None
    if not fraction:
        return Decimal(value_whole).normalize()
    digits = "".join(str(_DIGITS[char]) for char in fraction)
    return Decimal(f"{value_whole}.{digits}").normalize()


def shown(value: Decimal) -> str:
    """The value as people write it, without an exponent."""
    return format(value.normalize(), "f")


def _han(text: str) -> int | None:
    if not text:
        return None
    if all(char in _DIGITS for char in text):
        # 二〇二五 is read digit by digit; 两三 is "two or three" and no number at all.
        if len(text) == 1 or "〇" in text or "零" in text or len(text) >= 4:
            return int("".join(str(_DIGITS[char]) for char in text))
        return None
    total = section = digit = 0
    last_power = 0
    for char in text:
        if char in _DIGITS:
            if digit:
                return None
            digit = _DIGITS[char]
        elif char in _POWERS:
            last_power = _POWERS[char]
            section += (digit or 1) * last_power
            digit = 0
        elif char in _MYRIADS:
            section += digit
            if section == 0:
                return None
            total = (total + section) * _MYRIADS[char]
            last_power = _MYRIADS[char]
            section = digit = 0
        else:
            return None
    if digit and last_power >= 100 and text[-2] not in "零〇":
        digit *= last_power // 10  # 两百五 is 250, 三千五 is 3500
    return total + section + digit
