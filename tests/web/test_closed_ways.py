"""The page of limits shows what a platform holds back just now."""

from datetime import timedelta

from tests.web.conftest import Browser

from lanmu.delivery.door.limit_models import Breaker
from lanmu.server import Server


def test_what_a_platform_holds_back_is_shown_until_it_opens(stocked: Server, admin: Browser) -> None:
    assert 'id="closed"' not in admin.get("/settings/limits").text
    now = stocked.clock.now()
    with stocked.database.write() as session:
        for kind, subject in (("rate", "r1"), ("config", ""), ("concurrency", "")):
            session.add(
                Breaker(
                    channel="wecom.robot",
                    subject=subject,
                    kind=kind,
                    level=2,
                    opened_at=now,
                    until=now + timedelta(minutes=1),
                    code="45009",
                    reason="The platform's rate limit is reached.",
                )
            )
    page = admin.get("/settings/limits").text
    assert 'id="closed"' in page
    assert "45009" in page
    assert "r1" in page
    assert "同时最多发 2 批" in page
