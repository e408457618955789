"""CSV for spreadsheets: what people wrote comes out as they wrote it, and never as a formula."""

import csv
import io

import pytest

from lanmu.web.pages.spreadsheet import as_csv, cell


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3+cmd", "@SUM(A1)", "\t=1", "\r=1", "  =1",
     "＝1+1", "＋1", "－1", "＠x", "-"],
)  # fmt: skip
def test_what_might_start_a_formula_is_marked_as_text(text):
    assert cell(text) == "'" + text


@pytest.mark.parametrize("text", ["母婴一群", "a=b", "12", "-5", "+3.5", "", "3-4"])
def test_everything_else_stays_as_it_is(text):
    assert cell(text) == text


def test_the_file_reads_back_with_its_commas_quotes_and_lines():
    rows = [("一群, 南山", 'he said "hi"', "two\nlines", None)]
    text = as_csv(("名称", "a", "b", "c"), rows)
    assert text.startswith("\ufeff")
    assert text.count("\r\n") == 2
    assert list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))) == [
        ["名称", "a", "b", "c"],
        ["一群, 南山", 'he said "hi"', "two\nlines", ""],
    ]
