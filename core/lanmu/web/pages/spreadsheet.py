"""CSV files (RFC 4180) that a spreadsheet opens as they are: no cell can be taken for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""OWASP, CSV injection; spreadsheets in Chinese and Japanese read the full-width signs alike."""

_MARK = "\ufeff"
"""Without it, Excel reads UTF-8 as the computer's own code page and Chinese becomes noise."""


def as_csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The whole file as text; encode it as UTF-8."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow([cell(each) for each in head])
    writer.writerows([cell(each) for each in row] for row in rows)
    return _MARK + written.getvalue()


def cell(value: object) -> str:
    """A value as plain text: what might start a formula gets an apostrophe before it."""
    if value is None:
        return ""
    text = str(value)
    return (
        f"'{text}" if text.lstrip(" \u3000").startswith(_STARTS_A_FORMULA) and not _is_number(text) else text
    )


def _is_number(text: str) -> bool:
    """-5 and +3.5 are numbers and no formulas; in ASCII alone, since isdigit knows many more."""
    return text.isascii() and text[:1] in "+-" and text[1:].replace(".", "", 1).isdigit()
