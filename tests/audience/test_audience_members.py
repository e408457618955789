"""Members: known by their identities, found by name, and asked before they are bothered."""

from dataclasses import replace

import pytest

from lanmu.audience.service import AudienceService
from lanmu.audience.views import CommunityDraft, IdentityKey, MemberDraft
from lanmu.interfaces.errors import Conflict, Faults, Invalid, NotFound
from lanmu.interfaces.host import MemberView
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock

LI = MemberDraft("李晓晴", (IdentityKey("wecom", "wmLi", "corp1", "LinXiao"),), tags=("VIP",))


@pytest.fixture
def audience(database: Database, clock: FakeClock) -> AudienceService:
    return AudienceService(database, clock)


def test_a_member_is_found_by_an_identity(audience: AudienceService) -> None:
    made = audience.members.create(LI)
    assert audience.members.find("wecom", "wmLi") == made
    assert audience.members.find("wecom", "wmLi", "corp2") is None
    assert audience.find_member("wecom", "wmLi") == MemberView(
        made.id, "李晓晴", "Asia/Shanghai", False, ("VIP",)
    )
    assert audience.find_member("wecom", "wmWang") is None
    assert audience.member("mem_nobody") is None


def test_the_same_user_id_in_two_accounts_is_nobody_without_the_account(audience: AudienceService) -> None:
    audience.members.create(LI)
    wang = audience.members.create(MemberDraft("王芳", (IdentityKey("wecom", "wmLi", "corp2"),)))
    assert audience.members.find("wecom", "wmLi") is None
    assert audience.members.find("wecom", "wmLi", "corp2") == wang


def test_one_identity_belongs_to_one_member(audience: AudienceService) -> None:
    made = audience.members.create(LI)
    with pytest.raises(Conflict, match=made.id):
        audience.members.create(replace(LI, name="Somebody else"))


@pytest.mark.parametrize("long", [{"account": "a" * 65}, {"sender": "s" * 65}])
def test_an_identity_that_no_table_holds_is_refused_by_name(
    audience: AudienceService, long: dict[str, str]
) -> None:
    draft = MemberDraft("李晓晴", (IdentityKey("wecom", "wmLi", **long),))
    with pytest.raises(Faults, match="more than 64 characters"):
        audience.members.create(draft)
    assert audience.members.load([draft]).faults[0][0] == 1


def test_tags_are_added_and_taken_away_any_number_of_times(audience: AudienceService) -> None:
    made = audience.members.create(LI)
    for _time in range(2):
        audience.tag_member(made.id, add=["新客", "VIP"], remove=["沉默"])
    assert audience.members.get(made.id).tags == ("VIP", "新客")
    audience.tag_member(made.id, remove=["VIP"])
    assert audience.members.get(made.id).tags == ("新客",)
    with pytest.raises(Faults, match="tags"):
        audience.tag_member(made.id, add=[" "])
    with pytest.raises(NotFound):
        audience.tag_member("mem_nobody", add=["x"])


def test_members_come_in_pages_newest_first_and_are_found_by_name(audience: AudienceService) -> None:
    for number in range(5):
        audience.members.create(MemberDraft(f"会员 {number}", tags=("单",) if number % 2 else ()))
    page, cursor = audience.members.page(limit=2)
    rest, end = audience.members.page(limit=3, cursor=cursor)
    assert [each.name for each in page + rest] == [f"会员 {number}" for number in (4, 3, 2, 1, 0)]
    assert end == ""
    assert [each.name for each in audience.members.page(search="员 3")[0]] == ["会员 3"]
    assert audience.members.page(search="100%")[0] == []
    assert [each.name for each in audience.members.page(tag="单")[0]] == ["会员 3", "会员 1"]
    with pytest.raises(Invalid, match="not a cursor"):
        audience.members.page(cursor="mem_nobody")
    assert audience.members.count() == 5
    assert audience.members.names([page[0].id, "mem_nobody"]) == {page[0].id: "会员 4"}


def test_an_import_twice_changes_nothing_and_takes_nothing_away(audience: AudienceService) -> None:
    rows = [LI, MemberDraft("No identity"), MemberDraft("王芳", (IdentityKey("wecom", "wmWang"),))]
    first = audience.members.load(rows)
    assert (first.created, [number for number, _fault in first.faults]) == (2, [2])
    li = audience.members.find("wecom", "wmLi", "corp1")
    assert li is not None
    audience.tag_member(li.id, add=["新客"])
    again = audience.members.load([LI, replace(rows[2], name="王小芳")])
    assert (again.created, again.changed, again.unchanged) == (0, 1, 1)
    assert audience.members.get(li.id).tags == ("VIP", "新客")


def test_identities_of_two_members_in_one_row_are_a_fault(audience: AudienceService) -> None:
    audience.members.load([LI, MemberDraft("王芳", (IdentityKey("wecom", "wmWang"),))])
    both = MemberDraft("Both", (*LI.identities, IdentityKey("wecom", "wmWang")))
    imported = audience.members.load([both])
    assert "different members" in str(imported.faults[0][1])


def test_a_member_may_be_frozen_and_may_want_no_messages(audience: AudienceService) -> None:
    made = audience.members.create(LI)
    assert not audience.is_frozen(made.id)
    assert audience.members.freeze(made.id).frozen
    assert audience.is_frozen(made.id)
    assert audience.members.opt_out(made.id).opted_out
    assert not audience.members.freeze(made.id, False).frozen
    assert not audience.is_frozen("mem_nobody")
    assert audience.members.rename(made.id, "李晴").name == "李晴"


def test_joining_and_leaving_a_community_is_noted_once(audience: AudienceService) -> None:
    made = audience.members.create(LI)
    group = audience.communities.create(CommunityDraft("1 群"))
    assert audience.members.join(made.id, group.id)
    assert not audience.members.join(made.id, group.id)
    assert audience.members.leave(made.id, group.id)
    assert not audience.members.leave(made.id, group.id)
    with pytest.raises(NotFound):
        audience.members.join(made.id, "com_nothing")
