"""A page asks the database as often for many things as for a few: lists grow, and so must not the wait."""

from collections.abc import Callable

from tests.statements import counting
from tests.web.conftest import CHANNEL, Browser, Program, Send

from lanmu.audience.views import Address, CommunityDraft, IdentityKey, MemberDraft
from lanmu.library.content import Content
from lanmu.schedule.columns import ColumnDraft, SlotDraft
from lanmu.server import Server

MORE = 6


def grow(server: Server, send: Send) -> None:
    """More of everything that a list shows."""
    for number in range(MORE):
        address = {CHANNEL: Address(f"more-{number}", "admin")}
        server.audience.communities.create(
            CommunityDraft(f"群{number}", type=f"own-{number}", size=9, addresses=address)
        )
        server.audience.members.create(MemberDraft(f"会员{number}", (IdentityKey("wecom", f"wm{number}"),)))
        server.library.materials.create(
            Content(
                title=f"更多{number}", body="早安", content_class="brand", kind="values", zone="knowledge",
                genre="guide", topic="早安", form="text", month="202611", owner="writer",
            ),
            "writer",
        )  # fmt: skip
        send(f"recipient-{number}")
        column = ColumnDraft(
            f"栏目{number}", CHANNEL, (SlotDraft("daily", f"1{number}:30"),), cooldown_days=1
        )
        server.schedule.columns.create(column)
        server.audit.record("admin", "schedule.plan", f"/columns/{number}")
    server.schedule.plan_ahead()


PAGES = (
    "/", "/calendar", "/columns", "/columns/new", "/communities", "/materials", "/review", "/pushes",
    "/points", "/today", "/rehearsal", "/settings/limits", "/settings/audit", "/settings/plugins",
)  # fmt: skip

LISTS = (
    "/materials",
    "/pushes",
    "/communities",
    "/members",
    "/columns",
    "/occurrences?since=2026-11-23T00:00:00Z&until=2026-11-30T00:00:00Z",
)


def asked(server: Server, admin: Browser, path: str) -> list[str]:
    with counting(server.database) as sent:
        assert admin.get(path).status_code == 200
    return sent


def test_a_list_of_the_api_asks_no_more_for_many_than_for_few(
    stocked: Server, program: Callable[..., Program], send: Send
):
    send("first")
    call = program()

    def of(path: str) -> int:
        with counting(stocked.database) as sent:
            assert call("GET", path).status_code == 200
        return len(sent)

    before = {path: max(of(path), of(path)) for path in LISTS}
    grow(stocked, send)
    assert {path: more for path in LISTS if (more := of(path) - before[path]) >= MORE} == {}


def test_a_list_of_many_asks_no_more_than_one_of_few(stocked: Server, admin: Browser, send: Send):
    send("first")
    column = f"/columns/{stocked.schedule.columns.everything()[0].id}"
    community = f"/communities/{stocked.audience.communities.find()[0].id}"
    pages = (*PAGES, column, community)
    for path in pages:
        asked(stocked, admin, path)  # what is remembered is not asked for again
    before = {path: len(asked(stocked, admin, path)) for path in pages}
    grow(stocked, send)
    more = {path: len(sent) - before[path] for path in pages if (sent := asked(stocked, admin, path))}
    # Something that was empty before may ask once more; once for each thing is MORE times.
    assert {path: n for path, n in more.items() if n >= MORE} == {}
