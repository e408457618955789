"""The facts of a promotional text: what must come through a rewrite unharmed, as typed, comparable values."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from lanmu_llm_copy import fact_patterns as pattern
from lanmu_llm_copy import fact_values as values
from lanmu_llm_copy.glyphs import clean, fold
from lanmu_llm_copy.numerals import HAN, shown, value_of
from lanmu_llm_copy.units import COUNTS_AS_ONE, HALVES, UNITS


class Kind(StrEnum):
    """What a fact is; the value is its English name, translated where it is shown."""

    PLACEHOLDER = "placeholder"
    LINK = "link"
    CODE = "code"
    MENTION = "mention"
    PHONE = "phone"
    NAME = "name"
    DATE = "date"
    DAY = "day"
    TIME = "time"
    RULE = "rule"
    NUMBER = "number"
    BENEFIT = "benefit"
    CONDITION = "condition"
    URGENCY = "urgency"


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact at its place in the cleaned text. Two facts are the same when `kind` and `key` are."""

    kind: Kind
    key: str
    surface: str
    start: int
    end: int
    negated: bool = False


_TAKEN = "\ue000"
_UNTAKEN_DIGIT = re.compile(rf"[0-9{HAN}]")
_CLAUSE_END = re.compile(r"[，。；！？,;!?\n]")


def extract(text: str, names: Iterable[str] = ()) -> list[Fact]:
    """Every fact of the text, by place. `names` are product and brand names that must stay as they are.

    The text is taken as `glyphs.clean` leaves it; spans count in that form.
    """
    return _Extraction(clean(text), [clean(name).strip() for name in names]).run()


class _Extraction:
    """One pass over a text. Each stage blanks what it took, so no character belongs to two facts."""

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self.text = text
        self.names = sorted({name for name in names if name}, key=len, reverse=True)
        self.rest = fold(text)
        self.found: list[Fact] = []

    def run(self) -> list[Fact]:
        self._machine_readable()
        self._blank_list_heads()
        self._take(pattern.FESTIVAL, Kind.DATE, lambda m: values.which(m, "f", list(pattern.FESTIVALS)))
        self._take(pattern.BUY_GIVES, Kind.RULE, values.buy_gives)
        self._take(pattern.FULL_GIVES, Kind.RULE, values.full_gives)
        self._take(pattern.NTH_PIECE, Kind.RULE, values.nth_piece)
        self._take(pattern.DATE, Kind.DATE, values.date)
        self._take(pattern.WEEKDAY, Kind.DATE, values.weekday)
        self._take(pattern.TIME, Kind.TIME, values.time, keep_day_word=True)
        self._take(pattern.DAY_WORD, Kind.DAY, lambda m: values.which(m, "w", list(pattern.DAY_WORDS)))
        self._blank(pattern.IDIOM)
        self._take(pattern.FIRST_N, Kind.RULE, lambda m: values.counted("前", m))
        self._take(pattern.FIRST_DAYS, Kind.RULE, lambda m: values.counted("前", m))
        self._take(pattern.EACH, Kind.RULE, values.each)
        self._take(pattern.LIMIT, Kind.RULE, values.limit)
        self._take(pattern.ONE_TO_ONE, Kind.RULE, lambda m: "1对1")
        self._take(pattern.ORDER, Kind.RULE, lambda m: f"先{m['a']}后{m['b']}")
        self._take(pattern.MIXED, Kind.CODE, values.mixed)
        self._take(pattern.PERCENT_HAN, Kind.NUMBER, values.percent)
        self._take(pattern.HALF_PRICE, Kind.NUMBER, lambda m: "5折")
        self._take(pattern.ORDINAL, Kind.NUMBER, values.ordinal)
        self._ranges()
        self._take(pattern.QUANTITY, Kind.NUMBER, self._quantity)
        self._take(pattern.CONDITION, Kind.CONDITION, lambda m: values.which(m, "c", _CONDITION_KEYS))
        self._take(pattern.BENEFIT, Kind.BENEFIT, lambda m: values.which(m, "g", list(pattern.BENEFITS)))
        self._take(pattern.URGENCY, Kind.URGENCY, lambda m: m[0])
        return sorted(self.found, key=lambda fact: (fact.start, fact.end))

    def _machine_readable(self) -> None:
        for link in (pattern.MARKDOWN_LINK, pattern.MINI_LINK, pattern.EMAIL, pattern.URL, pattern.MINI_PATH):
            for match in link.finditer(self.rest):
                raw = self.text[match.start() : match.end()]
                kept = raw.rstrip(".,;:!?'\"*_~")
                while kept.endswith(")") and kept.count(")") > kept.count("("):
                    kept = kept[:-1].rstrip(".,;:!?")
                self._add(Kind.LINK, kept, match.start(), match.start() + len(kept))
        self._take(pattern.PLACEHOLDER, Kind.PLACEHOLDER, lambda m: values.placeholder(m[0]), raw=True)
        for name in self.names:
            self._take(re.compile(re.escape(fold(name))), Kind.NAME, lambda m: m[0], raw=True)
        self._take(pattern.TITLE, Kind.NAME, lambda m: f"《{m[1].strip()}》", raw=True)
        for keyword in (pattern.KEYWORD, pattern.KEYWORD_BARE):
            self._take(keyword, Kind.CODE, lambda m: m[1].strip(), group=1)
        self._take(pattern.PHONE, Kind.PHONE, lambda m: re.sub(r"\D", "", m[0])[-12:])
        self._take(pattern.MENTION, Kind.MENTION, lambda m: m[0])

    def _take(
        self,
        regex: re.Pattern[str],
        kind: Kind,
        key: Callable[[re.Match[str]], str | None],
        *,
        raw: bool = False,
        group: int = 0,
        keep_day_word: bool = False,
    ) -> None:
        source = self.rest
        for match in regex.finditer(source):
            if _TAKEN in match[0]:
                continue
            if raw and _TAKEN not in match[0]:
                original = regex.match(self.text, match.start())
                match = original if original and original.end() == match.end() else match
            value = key(match)
            if value is None:
                continue
            start, end = match.span(group)
            if keep_day_word and self.rest[start] in "今明当每" and self.rest[start + 1] in "晚早":
                self._keep_day(start)
            self._add(kind, value, start, end)

    def _keep_day(self, start: int) -> None:
        """今晚8点 is a day and a time; the time takes the characters, so the day is noted here."""
        word = pattern.DAY_WORD.match(self.rest, start)
        if word:
            value = values.which(word, "w", list(pattern.DAY_WORDS))
            surface = self.text[start : word.end()]
            self.found.append(Fact(Kind.DAY, value, surface, start, start))

    def _add(self, kind: Kind, key: str, start: int, end: int) -> None:
        surface = self.text[start:end]
        start += len(surface) - len(surface.lstrip())
        surface = surface.strip()
        end = start + len(surface)
        negated = kind in _BOUND and bool(pattern.NEGATED.search(self.rest[max(0, start - 8) : start]))
        self.found.append(Fact(kind, key, surface, start, end, negated))
        self.rest = self.rest[:start] + _TAKEN * (end - start) + self.rest[end:]

    def _blank(self, regex: re.Pattern[str]) -> None:
        self.rest = regex.sub(lambda m: _TAKEN * len(m[0]), self.rest)

    def _blank_list_heads(self) -> None:
        """1. 2. 3. at the heads of lines only count the lines; any other sequence is left to be a fact."""
        heads = list(pattern.LIST_HEAD.finditer(self.rest))
        numbers = [int(head["n"] or values.circled(head["k"])) for head in heads]
        start = 0
        while start < len(numbers):
            stop = start + 1
            while stop < len(numbers) and numbers[stop] == numbers[stop - 1] + 1:
                stop += 1
            if numbers[start] == 1 and stop - start >= 2:
                for head in heads[start:stop]:
                    place = head.span("n") if head["n"] else head.span("k")
                    length = place[1] - place[0]
                    self.rest = self.rest[: place[0]] + _TAKEN * length + self.rest[place[1] :]
            start = stop

    def _ranges(self) -> None:
        for match in pattern.RANGE.finditer(self.rest):
            if _TAKEN in match[0]:
                continue
            low, high = value_of(match["a"]), value_of(match["x"])
            if low is None or high is None:
                continue
            unit = UNITS[match["ux"]]
            self._add(Kind.NUMBER, f"{shown(low)}–{shown(high)}{unit}", *match.span())

    def _quantity(self, match: re.Match[str]) -> str | None:
        number, unit = match["x"], match["ux"] or ""
        han = number[0] in HAN or number == "半"
        before = self.rest[max(0, match.start() - 10) : match.start()]
        extra = Decimal(0)
        if unit.startswith("个半"):
            extra, unit = Decimal("0.5"), {"个半月": "个月"}.get(unit, "小时")
        unit = "元" if match["cur"] in {"¥", "RMB", "rmb"} else UNITS.get(unit, "")
        if match["tailhalf"] and unit in {*HALVES, "天", "倍", "斤"}:
            extra = Decimal("0.5")
        if number == "半":
            if unit not in HALVES:
                return None
            value: Decimal | None = Decimal("0.5")
        else:
            value = value_of(number)
        if value is None or (han and not _han_is_quantity(number, unit, before, bool(extra))):
            return None
        value += extra
        if unit == "折" and value >= 10:
            value /= 10  # 89折 is 8.9折
        if unit == "元" and match["ux"] in {"角", "毛"}:
            value /= 10
        after = self.rest[match.end() : match.end() + 4]
        foreign = match["cur"] if match["cur"] in {"$", "€", "£"} else ""
        return f"{foreign}{shown(value)}{unit}" + _modifiers(before, after, match["plus"])


_BOUND = frozenset({Kind.DATE, Kind.TIME, Kind.RULE, Kind.NUMBER})
_CONDITION_KEYS = [key for key, _pattern in pattern.CONDITIONS]


def _han_is_quantity(number: str, unit: str, before: str, has_half: bool) -> bool:
    if number == "半":
        return True
    if number == "一":
        strict = bool(re.search(r"[限送赠得减发]$", before))
        span = unit in {"天", "周", "月", "晚"} and bool(
            re.search(r"(?:试用|保质|满|连续|有效期|质保|仅|限)$", before)
        )
        return has_half or strict or span or unit in COUNTS_AS_ONE
    if all(char in "十百千万亿" for char in number):
        return (number[0] == "十" and bool(unit) and unit != "分") or unit == "元"
    if not unit:
        return len(number) >= 2 and number[0] not in "十百千万亿" and number[1] in "十百千万亿"
    if unit in {"分", "头", "把"}:
        return len(number) > 1
    return True


def _modifiers(before: str, after: str, plus: str | None) -> str:
    marks = set()
    if plus:
        marks.add("约" if plus == "来" else "超")
    clause = _CLAUSE_END.split(before)[-1]
    found = pattern.MODIFIER_BEFORE.search(clause)
    if found:
        marks.add(values.which(found, "b", list(pattern.BEFORE)))
    tail = pattern.MODIFIER_AFTER.match(after)
    if tail:
        marks.add(values.which(tail, "a", list(pattern.AFTER)))
    return "".join(f"·{mark}" for mark in sorted(marks))
