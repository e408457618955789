"""What was typed into the console's small forms stays, and a refusal says what it is about."""

import re

import pytest
from tests.web.conftest import Browser

from lanmu.audience.views import MemberDraft
from lanmu.server import Server
from lanmu.web.pages.acts import sentences


def test_an_adjustment_that_is_refused_keeps_what_was_typed(admin: Browser, server: Server):
    for number in range(25):
        server.audience.members.create(MemberDraft(f"会员{number:02d}"))
    member = server.audience.members.page(search="会员00")[0][0].id
    typed = {"member": member, "amount": "-99999", "reason": "退货冲回，单号 8813", "key": "k"}
    back = admin.post("/points/adjust", typed)
    assert (back.status_code, "flash-error" in back.text) == (409, True)
    assert 'value="-99999"' in back.text
    assert 'value="退货冲回，单号 8813"' in back.text
    assert re.search(rf'<option value="{member}" selected>会员00</option>', back.text)
    fresh = admin.get("/points").text
    assert "退货冲回" not in fresh


def test_a_limit_that_is_refused_is_named(admin: Browser):
    page = admin.post("/settings/limits/community.day", {"most": "-1", "enabled": "on"}).text
    assert "“每个社群每天”没有保存：必须在 0 到 1000000 之间。" in page


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (("还没有填写。", "请填写。"), "还没有填写。请填写。"),
        (("It is empty.", "Fill it in."), "It is empty. Fill it in."),
        (("已保存。", "", "日历没有变化。"), "已保存。日历没有变化。"),
        (("", ""), ""),
    ],
)
def test_sentences_follow_each_other_as_their_language_writes_them(told: tuple[str, ...], text: str):
    assert sentences(*told) == text


def test_the_lines_of_a_year_are_shown_in_the_readers_language(admin: Browser):
    assert "2027-01-01,休,元旦\n2027-01-03,班,元旦" in admin.get("/settings/workdays").text
    admin.client.set_cookie("lanmu_lang", "en")
    assert "2027-01-01,rest,元旦\n2027-01-03,work,元旦" in admin.get("/settings/workdays").text
