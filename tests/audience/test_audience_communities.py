"""Communities: written down once, found by what they are, with a mix that adds up."""

from dataclasses import replace

import pytest

from lanmu.audience.presets import STAGES
from lanmu.audience.service import AudienceService
from lanmu.audience.views import Address, CommunityDraft
from lanmu.interfaces.errors import Conflict, Faults, Invalid, NotFound
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock


@pytest.fixture
def audience(database: Database, clock: FakeClock) -> AudienceService:
    return AudienceService(database, clock)


MOTHERS = CommunityDraft(
    name="小满妈妈 1 群",
    type="care",
    stage="new",
    shop="小满母婴",
    executor="林晓",
    size=186,
    tags=("母婴", "0-1岁"),
    addresses={"wecom.group": Address("wrABC", "LinXiao"), "wecom.robot": Address("main")},
)


def test_a_community_comes_back_as_it_was_written(audience: AudienceService) -> None:
    made = audience.communities.create(MOTHERS)
    assert audience.communities.get(made.id) == made
    assert made.tags == ("0-1岁", "母婴")
    assert made.addresses["wecom.group"] == Address("wrABC", "LinXiao")
    assert made.mix is None


def test_two_communities_of_one_name_are_told_apart_by_refusing_the_second(audience: AudienceService) -> None:
    audience.communities.create(MOTHERS)
    other = audience.communities.create(replace(MOTHERS, name="小满妈妈 2 群"))
    with pytest.raises(Conflict, match="小满妈妈 1 群"):
        audience.communities.create(MOTHERS)
    with pytest.raises(Conflict):
        audience.communities.edit(other.id, name="小满妈妈 1 群")


def test_communities_are_found_by_any_tag_and_all_filters(audience: AudienceService) -> None:
    first = audience.communities.create(MOTHERS)
    second = audience.communities.create(
        replace(MOTHERS, name="跃程 1 群", tags=("职业教育",), stage="loyal", shop="跃程学堂")
    )
    audience.communities.create(replace(MOTHERS, name="旧群", active=False))
    find = audience.communities.find
    assert [each.id for each in find()] == [first.id, second.id]
    assert [each.id for each in find(tags=["0-1岁", "职业教育"])] == [first.id, second.id]
    assert [each.id for each in find(tags=["职业教育"], stages=["loyal", "new"], types=["care"])] == [
        second.id
    ]
    assert find(tags=["职业教育"], stages=["new"]) == []
    assert len(find(active=None)) == 3
    assert audience.communities.tags() == ["0-1岁", "母婴", "职业教育"]


@pytest.mark.parametrize(
    ("mix", "fault"),
    [
        (
            {"engagement": 50, "conversion": 30, "brand": 10},
            "add up to 90, not to 100. Change one of them by +10",
        ),
        ({"engagement": 120, "conversion": -20}, "mix.engagement: 120 is not a whole percentage"),
        ({"engagement": 50, "fun": 50}, "mix.fun: is not a content class"),
        ({}, "add up to 0"),
    ],
)
def test_a_mix_that_does_not_add_up_is_refused(
    audience: AudienceService, mix: dict[str, int], fault: str
) -> None:
    made = audience.communities.create(MOTHERS)
    with pytest.raises(Invalid, match=fault.replace("+", r"\+")):
        audience.communities.set_mix(made.id, mix, classes=["engagement", "conversion", "brand"])
    assert audience.communities.get(made.id).mix is None


def test_a_mix_is_set_and_given_back_to_the_house(audience: AudienceService) -> None:
    made = audience.communities.create(MOTHERS)
    assert audience.communities.set_mix(made.id, {"engagement": 60, "brand": 40}).mix == {
        "engagement": 60,
        "brand": 40,
    }
    assert audience.communities.set_mix(made.id, None).mix is None
    with pytest.raises(NotFound):
        audience.communities.set_mix("com_nothing", None)


def test_every_fault_of_a_community_is_told_at_once(audience: AudienceService) -> None:
    faulty = CommunityDraft(
        name=" ",
        stage="old",
        zone="Asia/Peking",
        size=-1,
        daily_cap=101,
        mix={"brand": 99},
        tags=("x" * 41,),
        addresses={"wecom.robot": Address("")},
    )
    with pytest.raises(Faults) as faults:
        audience.communities.create(faulty)
    assert [fault.place for fault in faults.value.faults] == [
        "name",
        "stage",
        "zone",
        "size",
        "daily_cap",
        "mix",
        "addresses.wecom.robot",
        "tags",
    ]


def test_an_import_twice_changes_nothing_and_keeps_what_is_good(audience: AudienceService) -> None:
    rows = [MOTHERS, CommunityDraft(name="", stage="old"), replace(MOTHERS, name="小满妈妈 2 群")]
    first = audience.communities.load(rows)
    assert (first.created, first.changed, first.unchanged) == (2, 0, 0)
    assert [number for number, _fault in first.faults] == [2]
    again = audience.communities.load([*rows[:1], replace(rows[2], size=12)])
    assert (again.created, again.changed, again.unchanged) == (0, 1, 1)


def test_every_stage_suggests_a_mix_that_adds_up() -> None:
    assert all(sum(preset.mix.values()) == 100 for preset in STAGES.values())
