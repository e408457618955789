"""docs/delivery.md and its Chinese say the words of the pages and the numbers of the code."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from tests.simulation.mutants import MUTANTS

from lanmu.delivery.door.send_limits import SEEDS
from lanmu.delivery.followup.look_times import ASK_FOR
from lanmu.delivery.models import UNIT_STATES
from lanmu.delivery.sending.outcomes import RETRY_STEPS
from lanmu.delivery.states import COUNTED_AFTER
from lanmu.i18n import Catalog
from lanmu.web.pages.words import WORDS

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    "en": (DOCS / "delivery.md").read_text(encoding="utf-8"),
    "zh-CN": (DOCS / "delivery.zh-CN.md").read_text(encoding="utf-8"),
}
STATES = {"en": "\n## States of a batch", "zh-CN": "\n## 每一批的状态"}
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize("locale", PAGES)
def test_the_table_of_states_has_every_state_of_a_batch_by_the_word_of_its_page(locale: str):
    catalog = Catalog()
    table = PAGES[locale].partition(STATES[locale])[2].split("\n\n")[1]
    told = [re.split(", |、", row.split("|")[1].strip(" *")) for row in table.splitlines()[2:]]
    words = {catalog.gettext(locale, WORDS["unit"][state]) for state in UNIT_STATES}
    assert sorted(word for row in told for word in row) == sorted(words)


def _most(code: str) -> object:
    return next(seed["most"] for seed in SEEDS if seed["code"] == code)


def _waits(seconds: str, minutes: str) -> list[str]:
    return [
        f"{step.total_seconds():.0f}{seconds}" if step < MINUTE else f"{step / MINUTE:.0f}{minutes}"
        for step in RETRY_STEPS
    ]


SAID = {
    "en": (
        f"Waits are {', '.join(_waits(' s', ' min')[:-1])} and {_waits(' s', ' min')[-1]};",
        f"it is tried for {ASK_FOR / HOUR:.0f} hours;",
        f"counts as sent after {COUNTED_AFTER / HOUR:.0f} hours",
        f"{_most('community.day')} a day for a community",
        f"{_most('member.day')} a day for a member, {_most('test.day')} tests a day",
        f"{len(MUTANTS)} guarantees",
    ),
    "zh-CN": (
        f"间隔 {'、'.join(_waits(' 秒', ' 分钟'))}，",
        f"查询失败会一直重试 {ASK_FOR / HOUR:.0f} 小时",
        f"{COUNTED_AFTER / HOUR:.0f} 小时后按已发送计",
        f"每个社群每天 {_most('community.day')} 条",
        f"每位会员每天 {_most('member.day')} 条、测试每天 {_most('test.day')} 条",
        f"{len(MUTANTS)} 项保证",
    ),
}


@pytest.mark.parametrize("locale", PAGES)
def test_its_numbers_are_those_of_the_code(locale: str):
    assert [said for said in SAID[locale] if said not in PAGES[locale]] == []
