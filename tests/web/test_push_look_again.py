"""Having the channel asked again about what is in doubt: on the push's page and over the API."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.web.conftest import Browser, Program, Send

from lanmu.delivery.models import Attempt, Unit
from lanmu.delivery.views import PushView
from lanmu.i18n import to_store
from lanmu.server import Server
from lanmu_personal_wechat_export.channel import PackChannel

LISTED = replace(PackChannel.abilities, idempotency=None, settle=timedelta(minutes=10), batch_max=1)
FAILED = {"looked_at": "2026-11-22T23:56:00+00:00", "failed": to_store("the key was revoked")}
ABSENT = {"looked_at": "2026-11-22T23:57:00+00:00", "found": [], "of_others": []}

InDoubt = Callable[..., PushView]
SignIn = Callable[[str], Browser]


@pytest.fixture
def in_doubt(monkeypatch: pytest.MonkeyPatch, server: Server, send: Send) -> InDoubt:
    """A push through a channel that can be asked, whose units wait for a person, with these last lookups."""
    monkeypatch.setattr(PackChannel, "abilities", LISTED)

    def make(*lookups: dict[str, Any]) -> PushView:
        names = [f"{number}群" for number, _lookup in enumerate(lookups, 1)]
        push = send(*names, push="running", unit="unknown", target="unknown")
        now = server.clock.now()
        with server.database.write() as session:
            units = session.scalars(select(Unit.id).where(Unit.push_id == push.row).order_by(Unit.number))
            session.add_all(
                Attempt(
                    unit_id=unit, fence=1, owner="x", call="send", request=b"{}", request_sha256="ab" * 32,
                    meta={}, started_at=now, finished_at=now, outcome="unknown",
                    evidence={"wrote": True, "lookups": [lookup] if lookup else []},
                )
                for unit, lookup in zip(units, lookups, strict=True)
            )  # fmt: skip
        return push

    return make


def _undecided(browser: Browser, push: PushView) -> str:
    """What the page says of the batches that wait for a person."""
    return browser.get(f"/pushes/{push.id}").text.partition('id="push-progress"')[0]


def test_a_batch_is_looked_at_again_from_its_page(admin: Browser, server: Server, in_doubt: InDoubt) -> None:
    push = in_doubt(FAILED)
    page = _undecided(admin, push)
    assert "再查一次" in page
    assert "全部再查一次" not in page, "there is but one"
    told = admin.post(f"/pushes/{push.id}/units/1/look-again").text
    assert "正在向渠道再查 1 批" in told
    (unit,) = server.delivery.units(push.id)
    assert (unit.state, unit.look_at) == ("unknown", server.clock.now())
    page = _undecided(admin, push)
    assert "正在核实" in page or "核实是否已发出" in page
    assert "再查一次" not in page
    line = server.audit.latest(1)[0]
    assert (line.action, line.object, line.detail) == ("pushes.look_again_at", f"{push.id}/1", {"units": 1})
    assert line.permission == "push.cancel"
    assert "让系统再查结果不明的消息" in admin.get("/settings/audit").text
    assert 'class="flash flash-error"' in admin.post(f"/pushes/{push.id}/units/1/look-again").text


def test_all_are_looked_at_again_with_one_click(admin: Browser, server: Server, in_doubt: InDoubt) -> None:
    push = in_doubt(FAILED, ABSENT, {})
    assert "全部再查一次" in _undecided(admin, push)
    admin.post(f"/pushes/{push.id}/look-again")
    assert server.delivery.get(push.id).progress.doubts == 0
    assert {unit.look_at for unit in server.delivery.units(push.id)} == {server.clock.now()}
    line = server.audit.latest(1)[0]
    assert (line.action, line.object, line.detail) == ("pushes.look_again", push.id, {"units": 3})


@pytest.mark.parametrize(
    ("lookup", "said"),
    [(FAILED, "07:56</time> 没能向渠道查询。"), (ABSENT, "07:57</time> 向渠道查询：没有查到。"), ({}, "")],
)
def test_when_it_was_last_looked_and_what_was_said_stands_beside_the_answers(
    admin: Browser, in_doubt: InDoubt, lookup: dict[str, Any], said: str
) -> None:
    page = _undecided(admin, in_doubt(lookup)).replace("</span>", "")
    assert ("上次查询：" in page) == bool(said)
    assert said in page


def test_a_channel_that_cannot_be_asked_is_not_offered(
    admin: Browser, in_doubt: InDoubt, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = in_doubt(FAILED, FAILED)
    monkeypatch.setattr(PackChannel, "abilities", replace(LISTED, lookup=False))
    assert "再查一次" not in _undecided(admin, push)


def test_who_may_not_decide_may_not_have_it_asked_again(
    sign_in: SignIn, server: Server, in_doubt: InDoubt
) -> None:
    push = in_doubt(FAILED, FAILED)
    auditor = sign_in("auditor")
    assert "再查一次" not in _undecided(auditor, push)
    assert auditor.post(f"/pushes/{push.id}/look-again").status_code == 403
    assert auditor.post(f"/pushes/{push.id}/units/1/look-again").status_code == 403
    assert {unit.look_at for unit in server.delivery.units(push.id)} == {None}


def test_a_program_has_it_asked_again(
    program: Callable[..., Program], server: Server, in_doubt: InDoubt
) -> None:
    ask, push = program("push:write"), in_doubt(FAILED, FAILED)
    answer = ask("POST", f"/pushes/{push.id}/units/2/look-again")
    assert (answer.status_code, answer.get_json()["doubts"]) == (200, 1)
    line = server.audit.latest(1)[0]
    assert (line.action, line.object, line.permission) == ("push.look_again", f"{push.id}/2", "push.cancel")
    answers = [
        ask("POST", f"/pushes/{push.id}/look-again", **{"Idempotency-Key": "k"}).get_json() for _ in range(2)
    ]
    assert [each["doubts"] for each in answers] == [0, 0]
    assert ask("POST", f"/pushes/{push.id}/look-again").status_code == 409
    assert [line.action for line in server.audit.latest(9)].count("push.look_again") == 2


@pytest.mark.parametrize("scope", ["push:read", "push:force"])
def test_a_program_needs_the_scope_of_a_decision(
    program: Callable[..., Program], in_doubt: InDoubt, scope: str
) -> None:
    push = in_doubt(FAILED)
    assert program(scope)("POST", f"/pushes/{push.id}/look-again").status_code == 403
