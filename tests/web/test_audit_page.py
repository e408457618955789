"""The audit log says in words what was changed: the old value, the new one, and by which right."""

import re
from collections.abc import Callable
from datetime import timedelta

from tests.web.conftest import Browser, Send

from lanmu.server import Server
from lanmu.staff.roles import EVERY_PERMISSION
from lanmu.web.pages.words import WORDS


def _log(browser: Browser) -> str:
    """The log as it is read: without the codes that a mouse finds, and without tags."""
    page = browser.get("/settings/audit").text
    return re.sub(r"<[^>]+>", " ", page.partition("<tbody>")[2])


def test_a_changed_limit_stands_there_with_its_old_and_new_number(admin: Browser):
    admin.post("/settings/limits/community.day", {"most": "5", "enabled": "on"})
    log = _log(admin)
    assert "每个社群每天" in log
    assert "最多（条）：8 → 5" in log
    assert "修改设置" in log
    assert "community.day" not in log
    assert "settings.edit" not in log
    assert "启用" not in log, "what stays as it was is not told"


def test_a_changed_column_stands_there_field_by_field(admin: Browser, stocked: Server):
    column = stocked.schedule.columns.everything()[0]
    form = {
        "lock": str(column.lock),
        "name": "早安",
        "channel": column.draft.channel,
        "zone": column.draft.zone,
        "cooldown_days": "3",
        "approval": "each",
        "late_policy": "skip",
        "active": "1",
        "slot-0-days": ["mon", "tue"],
        "slot-0-time": "09:30",
        "classes": ["brand"],
    }
    assert "flash-error" not in admin.post(f"/columns/{column.id}/edit", form).text
    log = _log(admin)
    for change in (
        "时段：每天 12:00 → 周一 周二 09:30",
        "晚了怎么办：问人 → 跳过",
        "内容分类：无 → 品牌",
        "1 → 3",
    ):
        assert change in log, change
    assert "ColumnDraft" not in log
    assert "审批方式" not in log


def test_an_answer_to_a_doubt_and_its_batch_stand_there_in_words(admin: Browser, send: Send):
    push = send("一群", push="running", unit="unknown", target="unknown")
    admin.post(f"/pushes/{push.id}/units/1", {"as": "sent"})
    log = _log(admin)
    assert "推给一群 · 第 1 批" in log
    assert "已发出，按已发送计" in log


def test_a_refusal_names_the_push_and_the_right_that_was_missing(
    admin: Browser, sign_in: Callable[[str], Browser], send: Send
):
    push = send("一群", push="running", unit="pending")
    refused = sign_in("writer").post(f"/pushes/{push.id}/cancel")
    assert "需要「暂停、取消推送」" in refused.text
    log = _log(admin)
    assert "推给一群" in log
    assert "Writer" in log
    assert "已拒绝" in log


def test_what_has_no_name_is_called_by_its_page_and_a_slot_by_its_column_and_time(
    admin: Browser, stocked: Server, sign_in: Callable[[str], Browser]
):
    admin.post("/calendar/plan")
    stocked.audit.record("admin", "rehearsal.begin", "/rehearsal")
    now = stocked.clock.now()
    slot = stocked.schedule.occurrences.between(now, now + timedelta(days=3))[0]
    admin.post(f"/occurrences/{slot.id}/skip")
    sign_in("writer").post("/settings/limits/community.day", {"most": "5"})
    log = _log(admin)
    assert "/rehearsal" not in log
    assert re.search(r"演练栏目\s+演练\s", log)
    assert re.search(r"重新排期（全部栏目）\s+日历\s", log)
    assert f"{slot.column} · {slot.community} · {slot.local_time.replace('T', ' ')}" in log
    assert re.search(r"修改频次上限\s+频次与配额\s", log), "a refusal too"


def test_every_permission_has_words():
    assert set(WORDS["permission"]) == set(EVERY_PERMISSION)
