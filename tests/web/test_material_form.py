"""The form of a material: what was chosen and written stays until it is stored."""

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.web.conftest import CHANNEL, Browser
from tests.web.test_console_pages import MATERIAL, PNG

from lanmu.server import Server

OTHER = PNG[:-12] + b"\x00\x00\x00\x00IEND\xaeB`\x82" + b"another"


def _kept(html: str) -> list[str]:
    return re.findall(r'name="keep" value="([^"]+)"', html)


def test_an_image_stays_when_the_form_comes_back_for_another_fault(admin: Browser, server: Server):
    wrong = {**MATERIAL, "title": "", "files": (io.BytesIO(PNG), "a.png")}
    back = admin.post("/materials/new", wrong)
    assert back.status_code == 422
    kept = _kept(back.text)
    assert len(kept) == 1
    admin.post("/materials/new", {**MATERIAL, "keep": kept})
    found = server.library.materials.get(server.library.search.find().items[0].id)
    assert [item.asset.id for item in found.attachments] == kept


def test_an_image_added_to_a_material_stays_when_the_form_comes_back(admin: Browser, server: Server):
    admin.post("/materials/new", {**MATERIAL, "files": (io.BytesIO(PNG), "a.png")})
    row = server.library.search.find().items[0]
    first = [item.asset.id for item in server.library.materials.get(row.id).attachments]
    lock = str(server.library.materials.get(row.id).lock)
    again = {**MATERIAL, "lock": lock, "keep": first}
    back = admin.post(
        f"/materials/{row.id}/edit", {**again, "title": "", "files": (io.BytesIO(OTHER), "b.png")}
    )
    assert (back.status_code, len(_kept(back.text))) == (422, 2)
    admin.post(f"/materials/{row.id}/edit", {**again, "keep": _kept(back.text)})
    found = server.library.materials.get(row.id)
    assert [item.asset.id for item in found.attachments] == _kept(back.text)


def test_an_image_that_no_form_brought_is_not_taken(admin: Browser, server: Server):
    admin.post("/materials/new", {**MATERIAL, "keep": ["ast_nonsense"]})
    found = server.library.materials.get(server.library.search.find().items[0].id)
    assert found.attachments == ()


def test_what_a_conflict_put_aside_can_be_gone_on_with(admin: Browser, stocked: Server):
    row = stocked.library.search.find().items[0]
    lock = str(stocked.library.materials.get(row.id).lock)
    admin.post(f"/materials/{row.id}/edit", {**MATERIAL, "body": "第一个人的话", "lock": lock})
    late = admin.post(f"/materials/{row.id}/edit", {**MATERIAL, "body": "第二个人的话", "lock": lock})
    assert "Admin 编辑期间，Admin 已保存第 2 版" in late.text
    again = re.search(r'href="(/materials/[^"]+/edit\?revision=3)"', late.text)
    assert again is not None
    form = admin.get(again[1]).text
    assert "第二个人的话</textarea>" in form
    newest = re.search(r'name="lock" value="(\d+)"', form)
    assert newest is not None
    admin.post(again[1], {**MATERIAL, "body": "两个人的话", "lock": newest[1]})
    assert stocked.library.materials.get(row.id).content.body == "两个人的话"


def test_whoever_wrote_a_version_is_told_who_can_review_it(admin: Browser, server: Server):
    admin.post("/materials/new", {**MATERIAL, "then": "submit"})
    row = server.library.search.find().items[0]
    page = admin.get(f"/materials/{row.id}").text
    assert "/decision" not in page
    assert "lanmu staff create 用户名 --role reviewer" in page
    assert "版本 1 · Admin ·" in page


@pytest.mark.parametrize(
    ("written", "told"), [("2026-12-31T10:00", "2026-12-31 10:00"), ("2027-01-01T00:00", "2026-12-31 23:59")]
)
def test_the_end_of_validity_is_told_as_it_was_written(
    admin: Browser, server: Server, written: str, told: str
):
    admin.post("/materials/new", {**MATERIAL, "valid_until": written})
    row = server.library.search.find().items[0]
    assert f"{told} 截止" in admin.get(f"/materials/{row.id}").text


def test_an_image_that_a_channel_cannot_take_says_so(
    admin: Browser, server: Server, monkeypatch: pytest.MonkeyPatch
):
    admin.post("/materials/new", {**MATERIAL, "files": (io.BytesIO(PNG), "a.png")})
    row = server.library.search.find().items[0]
    assert "太大，发不了" not in admin.get(f"/materials/{row.id}").text
    channel = server.plugins.channels[CHANNEL]
    monkeypatch.setattr(channel, "abilities", replace(channel.abilities, asset_bytes=len(PNG) - 1))
    assert "太大，发不了：个人微信（手动发送）" in admin.get(f"/materials/{row.id}").text


def test_what_a_reviewer_chose_stays_when_the_comment_is_missing(
    sign_in: Callable[[str], Browser], server: Server
):
    sign_in("writer").post("/materials/new", {**MATERIAL, "then": "submit"})
    row = server.library.search.find().items[0]
    half = {"revision": "1", "decision": "reject", "compliance": "yes", "relevance": "yes", "appeal": "no"}
    back = sign_in("reader").post(f"/materials/{row.id}/decision", half)
    assert back.status_code == 422
    chosen = re.findall(r'name="(\w+)" value="(\w+)"(?: required)? checked', back.text)
    assert chosen == [("compliance", "yes"), ("relevance", "yes"), ("appeal", "no")]


def test_a_proposal_taken_over_too_late_is_put_aside_by_name(admin: Browser, stocked: Server):
    row = stocked.library.search.find().items[0]
    lock = str(stocked.library.materials.get(row.id).lock)
    for text in ("第一个方案", "第二个方案"):
        page = admin.post(f"/materials/{row.id}/accept", {"text": text, "lock": lock, "label": "对比"})
    assert "Admin 编辑期间，Admin 已保存第 2 版" in page.text
    assert f"/materials/{row.id}/edit?revision=3" in page.text
    assert stocked.library.materials.get(row.id).content.body == "第一个方案"
