"""The names that materials carry: 202503 促活-育儿干货-图文, made from fields and read back from text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid
from lanmu.library.presets import class_titles, form_titles

_DASHES = "-‐‑‒–—―−﹣－"
# One character for one, so that a place in the plain text is the same place in the text as written.
_PLAIN = str.maketrans("．／", "./") | dict.fromkeys(map(ord, _DASHES), "-")
_MONTH = re.compile(
    r"""\s*(?:
        (?P<y1>\d{4})\s*年\s*(?P<m1>\d{1,2})\s*月(?:\s*\d{1,2}\s*日)?
      | (?P<y2>\d{4})[-./](?P<m2>\d{1,2})(?:[-./]\d{1,2}(?=\s|$))?(?!\d)
      | (?P<y3>\d{4})(?P<m3>\d{2})(?:\d{2})?(?!\d)
    )\s*""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class NameParts:
    """What a name tells. `month` is YYYYMM; class and form are codes, or the word itself if unknown."""

    month: str
    content_class: str
    topic: str
    form: str


def generated_name(
    month: str,
    content_class: str,
    topic: str,
    form: str,
    titles: Mapping[str, str] | None = None,
) -> str:
    """The name of a material: `202503 促活-育儿干货-图文`.

    `titles` gives Chinese words for codes of a shop's own taxonomy; the presets' words are known.
    """
    own = titles or {}
    class_word = own.get(content_class) or class_titles().get(content_class, content_class)
    form_word = own.get(form) or form_titles().get(form, form)
    return f"{month} {class_word}-{topic}-{form_word}"


def parse_name(text: str, titles: Mapping[str, str] | None = None) -> NameParts:
    """Read a name as people write it: any dash, spaces around it, full-width digits, 2025年3月, 20250301.

    The topic may hold dashes of its own: the class ends at the first dash, the form starts after the last.
    Raises Invalid, which says what is missing.
    """
    month, rest = _month(text)
    rest = rest.lstrip(_DASHES + " ")
    parts = rest.translate(_PLAIN).split("-")
    first, last = len(parts[0]), len(parts[-1])
    class_word, topic, form_word = (
        word.strip() for word in (rest[:first], rest[first + 1 : -last - 1], rest[-last:])
    )
    if len(parts) < 3 or not (class_word and topic and form_word):
        raise _unreadable(text)
    own = titles or {}
    return NameParts(
        month,
        _code(class_word, {**class_titles(), **own}),
        topic,
        _code(form_word, {**form_titles(), **own}),
    )


def month_of(text: str) -> str:
    """A month as YYYYMM from 202503, 2025-03, 2025年3月 or 20250301. Raises Invalid."""
    month, rest = _month(text)
    if rest.strip():
        raise _no_month(text)
    return month


def _month(text: str) -> tuple[str, str]:
    found = _MONTH.match(text.translate(_PLAIN))
    if found is None:
        raise _no_month(text)
    year = found["y1"] or found["y2"] or found["y3"]
    number = int(found["m1"] or found["m2"] or found["m3"])
    if not 1 <= number <= 12:
        raise _no_month(text)
    return f"{int(year):04d}{number:02d}", text[found.end() :]


def _code(word: str, titles: Mapping[str, str]) -> str:
    folded = word.casefold()
    for code, title in titles.items():
        if folded in (code.casefold(), title.casefold()):
            return code
    return word


def _no_month(text: str) -> Invalid:
    return Invalid(
        "month",
        _("“%(text)s” does not start with a month."),
        _("Write year and month, such as 202503 or 2025-03."),
        text=text[:60],
    )


def _unreadable(text: str) -> Invalid:
    return Invalid(
        "name",
        _("“%(text)s” is not a name of the form month class-topic-form."),
        _("Write it like 202503 促活-育儿干货-图文."),
        text=text[:60],
    )
