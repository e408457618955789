"""The console says so where "not found" counts sooner than is safe at a far end that is real."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.web.conftest import Browser

from lanmu.interfaces.channels import Abilities
from lanmu.server import Server
from lanmu.testing.fakes import FakeChannel

TOLD = "查不到就补发，等得太短"


@pytest.fixture
def hasty(server: Server) -> FakeChannel:
    """A channel that is looked up, in an installation whose operator does not wait for it."""
    channel = FakeChannel("quick.hook", abilities=Abilities(lookup=True, settle=timedelta(minutes=1)))
    server.plugins.channels["quick.hook"] = channel
    delivery = replace(server.config.delivery, absent_after_seconds=3)
    server.config = replace(server.config, delivery=delivery)
    return channel


def test_the_board_and_the_plugins_page_tell_of_lookups_that_count_too_soon(
    admin: Browser, hasty: FakeChannel
) -> None:
    board = admin.get("/").text
    assert TOLD in board
    assert 'href="/settings/plugins"' in board
    for page in (board, admin.get("/settings/plugins").text):
        assert "delivery.absent_after_seconds: 设成了 3 秒" in page
        assert "quick.hook" in page


def test_only_who_may_change_settings_is_asked_to(
    sign_in: Callable[[str], Browser], hasty: FakeChannel
) -> None:
    assert TOLD not in sign_in("reader").get("/").text


def test_a_sandbox_may_be_looked_up_as_soon_as_one_likes(admin: Browser, hasty: FakeChannel) -> None:
    hasty.abilities = replace(hasty.abilities, sandbox=True)
    assert TOLD not in admin.get("/").text
    assert "absent_after_seconds" not in admin.get("/settings/plugins").text
