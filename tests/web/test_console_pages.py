"""The console's pages on a real server: what they show, what their forms do, and what they refuse."""

import io
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from tests.web.conftest import CHANNEL, Browser

from lanmu.schedule.occurrences import OccurrenceFilter
from lanmu.server import Server
from lanmu.testing.clock import FakeClock
from lanmu.web.pages import audit_words

PAGES = (
    "/", "/calendar", "/calendar?week=2026-W49", "/calendar?week=nonsense", "/materials", "/materials/new",
    "/materials?q=早安", "/materials?state=draft", "/review", "/columns", "/columns/new", "/pushes",
    "/pushes?state=issues", "/communities", "/points", "/settings/plugins", "/settings/audit", "/api/docs",
)  # fmt: skip
MATERIAL = {
    "title": "周末亲子", "topic": "亲子", "content_class": "brand", "kind": "values", "zone": "knowledge",
    "genre": "guide", "form": "text", "origin": "original", "owner": "林晓", "tags": "母婴，亲子",
    "body": "周末去哪儿？\r\n一起说说。",
}  # fmt: skip
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\nIDATx\x9cc\x00\x01\x00\x00\x05\x00\x01\r\n-\xb4\x00\x00\x00\x00IEND\xaeB`\x82"
)


def _flashed(html: str) -> list[str]:
    return re.findall(r'class="flash flash-(\w+)"', html)


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_every_page_opens_on_an_empty_shop_in_both_languages(admin: Browser, language: str):
    admin.client.set_cookie("lanmu_lang", language)
    for path in PAGES:
        answer = admin.get(path)
        assert answer.status_code == 200, path
        assert f'<html lang="{language}"' in answer.text
        assert "style-src 'self'" in answer.headers["Content-Security-Policy"]


def test_every_page_opens_on_a_stocked_shop(admin: Browser, stocked: Server):
    for path in PAGES:
        assert admin.get(path).status_code == 200, path


def test_detail_pages_open(admin: Browser, stocked: Server):
    row = stocked.library.search.find().items[0]
    column = stocked.schedule.columns.everything()[0]
    community = stocked.audience.communities.find()[0]
    for path in (
        f"/materials/{row.id}", f"/materials/{row.id}?revision=1", f"/materials/{row.id}/edit",
        f"/columns/{column.id}", f"/columns/{column.id}?day=2026-11-25", f"/columns/{column.id}/edit",
        f"/communities/{community.id}",
    ):  # fmt: skip
        assert admin.get(path).status_code == 200, path


def test_what_is_not_there_is_told_with_the_number_of_the_request(admin: Browser):
    for path in ("/materials/mat_x", "/columns/col_x", "/pushes/psh_x", "/communities/com_x", "/files/ast_x"):
        answer = admin.get(path)
        assert answer.status_code == 404, path
        assert answer.headers["X-Request-Id"] in answer.text


def test_a_stranger_is_sent_to_the_login_and_back(app: Flask):
    answer = app.test_client().get("/materials?q=a", headers={"Accept": "text/html"})
    assert answer.status_code == 302
    assert answer.location == "/login?next=/materials?q%3Da"


def test_every_form_needs_the_token_of_the_session(admin: Browser, app: Flask):
    for rule in app.url_map.iter_rules():
        room = rule.endpoint.partition(".")[0]
        if (
            "POST" not in (rule.methods or ())
            or room not in app.blueprints
            or rule.rule.startswith(("/api", "/p/"))
        ):
            continue
        if room in ("session",):
            continue
        path = re.sub(r"<int(\(.*?\))?:\w+>", "1", rule.rule)
        path = re.sub(r"<\w+>", "x", path)
        answer = admin.client.post(path, data={"csrf_token": "forged"}, headers={"Accept": "text/html"})
        assert answer.status_code == 403, rule.rule


def test_an_auditor_sees_the_rooms_and_changes_nothing(sign_in: Callable[[str], Browser], stocked: Server):
    auditor = sign_in("auditor")
    row = stocked.library.search.find().items[0]
    page = auditor.get(f"/materials/{row.id}")
    assert page.status_code == 200
    assert f"/materials/{row.id}/edit" not in page.text
    assert auditor.get("/materials/new").status_code == 403
    assert auditor.post(f"/materials/{row.id}/retire", {"reason": "x"}).status_code == 403
    assert stocked.library.materials.get(row.id).state == "approved"


def test_a_material_is_written_reviewed_by_another_and_used(
    sign_in: Callable[[str], Browser], server: Server
):
    writer, reader = sign_in("writer"), sign_in("reader")
    made = writer.post("/materials/new", {**MATERIAL, "then": "submit"})
    assert _flashed(made.text) == ["success", "success"]
    row = server.library.search.find().items[0]
    found = server.library.materials.get(row.id)
    assert (found.state, found.content.tags, found.content.body) == (
        "in_review", ("母婴", "亲子"), "周末去哪儿？\n一起说说。"
    )  # fmt: skip
    assert "/decision" not in writer.get(f"/materials/{row.id}").text
    assert f"/materials/{row.id}" in reader.get("/review").text
    half = {"revision": "1", "decision": "approve", "compliance": "yes", "relevance": "yes", "appeal": "no"}
    refused = reader.post(f"/materials/{row.id}/decision", half)
    assert refused.status_code == 422
    assert 'class="fault"' in refused.text
    done = reader.post(f"/materials/{row.id}/decision", {**half, "appeal": "yes"})
    assert _flashed(done.text) == ["success"]
    assert server.library.materials.get(row.id).state == "approved"


def test_faults_stand_beside_their_fields_and_what_was_written_stays(admin: Browser, server: Server):
    answer = admin.post(
        "/materials/new", {**MATERIAL, "title": "", "body": "你好 {{ wrong }}", "valid_until": "soon"}
    )
    assert answer.status_code == 422
    assert 'id="fault-valid_until"' in answer.text
    answer = admin.post("/materials/new", {**MATERIAL, "title": "", "body": "你好 {{ wrong }}"})
    assert {"fault-title", "fault-body"} <= set(re.findall(r'id="(fault-\w+)"', answer.text))
    assert "你好 {{ wrong }}" in answer.text
    assert server.library.materials.count() == 0


def test_an_image_goes_up_with_the_form_and_is_shown_as_nothing_but_an_image(admin: Browser, server: Server):
    admin.post("/materials/new", {**MATERIAL, "files": (io.BytesIO(PNG), "a.png")})
    found = server.library.materials.get(server.library.search.find().items[0].id)
    shown = admin.get(f"/files/{found.attachments[0].asset.id}")
    assert (shown.mimetype, shown.data) == ("image/png", PNG)
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    shown.close()
    told = admin.post("/materials/new", {**MATERIAL, "files": (io.BytesIO(b"<script>"), "a.png")})
    assert (told.status_code, 'id="fault-files"' in told.text) == (422, True)


def test_two_who_edit_at_once_both_keep_their_words(admin: Browser, stocked: Server):
    row = stocked.library.search.find().items[0]
    lock = str(stocked.library.materials.get(row.id).lock)
    admin.post(f"/materials/{row.id}/edit", {**MATERIAL, "body": "第一个人的话", "lock": lock})
    late = admin.post(f"/materials/{row.id}/edit", {**MATERIAL, "body": "第二个人的话", "lock": lock})
    assert "warning" in _flashed(late.text)
    bodies = {each.content.body for each in stocked.library.materials.revisions(row.id)}
    assert {"第一个人的话", "第二个人的话"} <= bodies


def test_a_proposal_is_shown_with_its_label_and_accepted_as_a_draft(admin: Browser, stocked: Server):
    row = stocked.library.search.find().items[0]
    part = admin.post(f"/materials/{row.id}/rewrite", {"job": "variants", "count": "2", "channel": CHANNEL})
    assert part.status_code == 200
    assert "<html" not in part.text
    assert part.text.count('<article class="proposal') == 2
    assert "规则生成" in part.text
    lock = str(stocked.library.materials.get(row.id).lock)
    admin.post(f"/materials/{row.id}/accept", {"text": "改写后的话", "lock": lock, "generator": "rules@1"})
    found = stocked.library.materials.get(row.id)
    assert (found.content.body, found.state, found.in_use) == ("改写后的话", "draft", True)


def test_a_version_is_kept_approved_by_another_and_tested(sign_in: Callable[[str], Browser], stocked: Server):
    row = stocked.library.search.find().items[0]
    writer, reader, admin = sign_in("writer"), sign_in("reader"), sign_in("admin")
    writer.post(f"/materials/{row.id}/accept", {"text": "另一种说法", "as": "arm", "generator": "rules@1"})
    kept = stocked.experiments.of(row.id)
    assert kept is not None
    assert [(arm.body, arm.approved) for arm in kept.arms[1:]] == [("另一种说法", False)]
    assert stocked.library.materials.get(row.id).content.body != "另一种说法"
    assert _flashed(admin.post(f"/materials/{row.id}/test", {"running": "1"}).text)[0] == "error"
    path = f"/materials/{row.id}/versions/{kept.arms[1].revision}"
    assert _flashed(reader.post(path, {"compliance": "1", "appeal": "1"}).text)[0] == "error"
    reader.post(path, {"compliance": "1", "relevance": "1", "appeal": "1"})
    page = admin.post(f"/materials/{row.id}/test", {"running": "1"})
    assert _flashed(page.text)[0] == "success"
    running = stocked.experiments.of(row.id)
    assert running is not None
    assert running.state == "running"
    admin.post(f"/materials/{row.id}/test")
    stopped = stocked.experiments.of(row.id)
    assert stopped is None or stopped.state == "stopped"


def test_a_search_answers_a_part_of_the_page_where_the_page_asks_for_it(admin: Browser, stocked: Server):
    part = admin.get("/materials?q=早安&content_class=brand", **{"HX-Request": "true"})
    assert "<html" not in part.text
    assert (part.text.count("素材2"), part.text.count("素材0")) == (2, 0)  # in the table and on its card


def test_a_column_is_made_planned_and_told_where_it_is_wrong(admin: Browser, stocked: Server):
    form = {
        "name": "晚安", "channel": CHANNEL, "zone": "Asia/Shanghai", "cooldown_days": "1", "approval": "auto",
        "late_policy": "skip", "active": "1", "classes": ["brand", "engagement"],
        "slot-0-days": ["mon", "fri"], "slot-0-time": "21:30", "slot-3-days": ["workday"], "slot-3-time": "9",
    }  # fmt: skip
    wrong = admin.post("/columns/new", form)
    assert wrong.status_code == 422
    assert 'id="fault-slots"' in wrong.text
    wrong = admin.post("/columns/new", {**form, "slot-3-time": "09:00", "cooldown_days": "many"})
    assert 'id="fault-cooldown_days"' in wrong.text
    assert 'value="many"' in wrong.text
    admin.post("/columns/new", {**form, "slot-3-time": "09:00"})
    made = stocked.schedule.columns.by_name("晚安")
    assert made is not None
    assert [(slot.weekdays, slot.time) for slot in made.draft.slots] == [
        ("mon,fri", "21:30"),
        ("workday", "09:00"),
    ]
    now = stocked.clock.now()
    wanted = OccurrenceFilter(column=made.id)
    assert len(stocked.schedule.occurrences.between(now, now + timedelta(days=7), wanted)) == 14


def test_the_pool_is_counted_while_the_form_is_filled_in(admin: Browser, stocked: Server):
    part = admin.get("/columns/pool?classes=brand&pool_tags=早安")
    assert "<html" not in part.text
    assert re.findall(r'class="num">(\d+)<', part.text) == ["1"]


def test_an_occurrence_is_approved_skipped_and_put_back(admin: Browser, stocked: Server):
    column = stocked.schedule.columns.everything()[0]
    now = stocked.clock.now()
    first, second = stocked.schedule.occurrences.between(now, now + timedelta(days=1))
    admin.post(f"/occurrences/{first.id}/approve", {"seen": str(first.revision_id)})
    admin.post(f"/occurrences/{second.id}/skip")
    assert stocked.schedule.occurrences.get(first.id).state == "approved"
    assert stocked.schedule.occurrences.get(second.id).state == "skipped"
    admin.post(f"/occurrences/{second.id}/restore")
    assert stocked.schedule.occurrences.get(second.id).state == "planned"
    shown = re.search(r'name="seen" value="(occ_[^"]+)"', admin.get(f"/columns/{column.id}").text)
    assert shown is not None
    admin.post(f"/columns/{column.id}/approve", {"seen": shown[1]})
    waiting = stocked.schedule.occurrences.waiting(now + timedelta(days=14))
    assert waiting == 0


def test_the_goal_of_a_community_must_add_up(admin: Browser, stocked: Server):
    community = stocked.audience.communities.find()[0]
    shares = {"mix-engagement": "60", "mix-conversion": "30", "mix-brand": "20"}
    wrong = admin.post(f"/communities/{community.id}/mix", shares)
    assert (wrong.status_code, 'id="fault-mix"' in wrong.text, 'value="60"' in wrong.text) == (
        422,
        True,
        True,
    )
    admin.post(f"/communities/{community.id}/mix", {**shares, "mix-brand": "10"})
    assert stocked.audience.communities.get(community.id).mix == {
        "engagement": 60,
        "conversion": 30,
        "brand": 10,
    }
    admin.post(f"/communities/{community.id}/mix", {"reset": "1"})
    assert stocked.audience.communities.get(community.id).mix is None


def test_a_push_is_shown_cancelled_and_told_in_numbers(
    sign_in: Callable[[str], Browser], stocked: Server, clock: FakeClock
):
    now = clock.now()
    coming = stocked.schedule.occurrences.between(now, now + timedelta(hours=6))
    stocked.schedule.occurrences.approve({each.id: each.revision_id for each in coming}, "admin")
    clock.advance(timedelta(hours=3, minutes=55))
    assert stocked.schedule.hand_over() == 2
    admin = sign_in("admin")
    pushes = re.findall(r"/pushes/(psh_\w+)", admin.get("/pushes").text)
    page = admin.get(f"/pushes/{pushes[0]}")
    assert page.status_code == 200
    assert "早安，" in page.text
    told = admin.post(f"/pushes/{pushes[0]}/cancel")
    assert _flashed(told.text)[0] == "success"
    assert stocked.delivery.get(pushes[0]).state == "cancelled"
    again = admin.post(f"/pushes/{pushes[0]}/cancel")
    assert _flashed(again.text)[0] == "error"


def test_points_are_given_once_however_often_the_form_is_sent(admin: Browser, server: Server):
    from lanmu.audience.views import MemberDraft

    member = server.audience.members.create(MemberDraft("乐乐妈妈")).id
    form = {"member": member, "amount": "50", "reason": "补发", "key": "k1"}
    for _time in range(2):
        admin.post("/points/adjust", form)
    assert server.ledger.balance(member) == 50
    assert _flashed(admin.post("/points/adjust", {**form, "key": "k2", "reason": ""}).text)[0] == "error"
    assert "乐乐妈妈" in admin.get("/points?q=乐乐").text


def test_a_number_is_what_a_person_would_take_for_one(admin: Browser, server: Server):
    from lanmu.audience.views import MemberDraft

    member = server.audience.members.create(MemberDraft("乐乐妈妈")).id
    form = {"member": member, "reason": "补发"}
    for key, text in enumerate(["1_0", "1e3", "9" * 5000, "ten"]):
        refused = admin.post("/points/adjust", {**form, "key": f"no{key}", "amount": text})
        assert refused.status_code == 422, text
    admin.post("/points/adjust", {**form, "key": "yes", "amount": "５０"})
    assert server.ledger.balance(member) == 50, "as a Chinese keyboard writes it"


def test_an_offer_is_put_up_and_switched_off(admin: Browser, server: Server):
    wrong = admin.post("/points/offers", {"title": "", "cost": "0"})
    assert wrong.status_code == 422
    assert {"fault-title", "fault-cost"} <= set(re.findall(r'id="(fault-\w+)"', wrong.text))
    admin.post("/points/offers", {"title": "满 99 减 10", "cost": "100", "cap": "50"})
    offer = server.ledger.shelf.all()[0]
    admin.post(f"/points/offers/{offer.id}", {"active": ""})
    assert server.ledger.shelf.get(offer.id).active is False


def test_what_was_done_stands_in_the_audit_log(admin: Browser, stocked: Server):
    row = stocked.library.search.find().items[0]
    admin.post(f"/materials/{row.id}/retire", {"reason": "过时"})
    log = admin.get("/settings/audit").text
    assert "下架素材" in log
    assert row.title in log


def test_every_act_of_the_console_has_words_in_the_audit_log(app: Flask):
    acts = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if "POST" in (rule.methods or ()) and rule.endpoint.split(".")[0] in app.blueprints
        and not rule.rule.startswith(("/api/", "/p/"))
    }  # fmt: skip
    assert acts - {"session.enter"} <= set(audit_words.ACTIONS), acts - set(audit_words.ACTIONS)
