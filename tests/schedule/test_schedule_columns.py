"""Columns as people set them up: every fault at once, nobody's change lost, and whom they reach."""

import threading
from dataclasses import replace

import pytest
from sqlalchemy import func, select
from tests.shop import CHANNEL, Shop

from lanmu.audience.views import Address
from lanmu.interfaces.errors import Conflict, Faults, Invalid, NotFound
from lanmu.schedule.columns import ColumnDraft, PoolDraft, SlotDraft, Targets
from lanmu.schedule.models import Column, Slot
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock

EVENING = SlotDraft("mon,wed", "20:00")
DRAFT = ColumnDraft(
    name="干货分享",
    channel=CHANNEL,
    slots=(EVENING, SlotDraft(rrule="FREQ=MONTHLY;BYDAY=1FR", time="09:30")),
    classes=("engagement", "brand"),
    targets=Targets(tags=("母婴",), types=("care",), stages=("active",)),
    pool=PoolDraft(tags=("干货",), kinds=("industry_insight",), zones=("knowledge",)),
    goal="解决一个具体的问题",
    owner="林晓",
    cooldown_days=7,
    late_policy="skip",
    priority="first",
    options={"pictures": "leave_out"},
)


def test_a_column_is_kept_as_it_was_written(shop: Shop):
    made = shop.schedule.columns.create(DRAFT)
    assert made.draft == DRAFT
    assert shop.schedule.columns.get(made.id) == made
    assert shop.schedule.columns.by_name("干货分享") == made
    assert made.lock == 1


def test_all_faults_are_told_at_once_each_with_its_place(shop: Shop):
    shop.schedule.columns.create(DRAFT)
    bad = replace(
        DRAFT,
        channel="smoke.signal",
        slots=(
            SlotDraft("mon,funday", "20:00"),
            SlotDraft("mon", "25:00"),
            SlotDraft("mon", "20:00", "FREQ=DAILY"),
            SlotDraft(rrule="FREQ=SOMETIMES"),
            SlotDraft(rrule="FREQ=WEEKLY;BYDAY=" + ",".join(["MO"] * 120)),
            SlotDraft(),
        ),
        classes=("engagement", "gossip"),
        targets=Targets(stages=("asleep",)),
        pool=PoolDraft(kinds=("rumour",), zones=("attic",)),
        owner="长" * 61,
        zone="Mars/Olympus",
        cooldown_days=366,
        approval="sometimes",
        late_policy="never",
        priority="at once",
    )
    with pytest.raises(Faults) as caught:
        shop.schedule.columns.create(bad)
    assert [fault.place for fault in caught.value.faults] == [
        "owner",
        "cooldown_days",
        "approval",
        "late_policy",
        "priority",
        "classes",
        "pool.kinds",
        "pool.zones",
        "targets.stages",
        "zone",
        "slots.0.weekdays",
        "slots.1.time",
        "slots.2.weekdays",
        "slots.3.rrule",
        "slots.4.rrule",
        "slots.5.weekdays",
        "channel",
        "name",
    ]
    with shop.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Column)) == 1
        assert session.scalar(select(func.count()).select_from(Slot)) == 2


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"name": "  "}, "name"),
        ({"name": "长" * 101}, "name"),
        ({"slots": ()}, "slots"),
        ({"cooldown_days": -1}, "cooldown_days"),
        ({"zone": ""}, "zone"),
        ({"zone": "../etc/passwd"}, "zone"),
    ],
)
def test_a_single_fault_names_its_field(small_shop: Shop, changes, place):
    with pytest.raises(Faults) as caught:
        small_shop.schedule.columns.create(replace(DRAFT, **changes))
    assert [fault.place for fault in caught.value.faults] == [place]
    assert isinstance(caught.value.faults[0], Invalid)


def test_the_longest_texts_fit_the_tables(shop: Shop):
    """PostgreSQL refuses what is a character too long, SQLite takes anything."""
    rule = "FREQ=YEARLY;BYYEARDAY=" + ",".join(str(day) for day in range(1, 95))
    longest = replace(
        DRAFT,
        name="名" * 100,
        owner="长" * 60,
        slots=(
            SlotDraft("mon,tue,wed,thu,fri,sat,sun,mon,tue,wed,thu,fri,sat,sun,mon", " 8:00 "),
            SlotDraft(rrule=rule[:299], time="08:00"),
        ),
    )
    made = shop.schedule.columns.create(longest)
    assert made.draft.slots[0].time == "8:00"


def test_a_name_is_taken_once(shop: Shop):
    first = shop.schedule.columns.create(DRAFT)
    other = shop.schedule.columns.create(replace(DRAFT, name="另一栏"))
    with pytest.raises(Conflict):
        shop.schedule.columns.create(replace(DRAFT, name=" 干货分享 "))
    with pytest.raises(Conflict):
        shop.schedule.columns.edit(other.id, DRAFT, other.lock)
    assert shop.schedule.columns.edit(first.id, DRAFT, first.lock).lock == 2


def test_two_who_take_one_name_at_the_same_moment_do_not_both_get_it(shop: Shop):
    at_once = threading.Barrier(2)
    outcomes: list[str] = []

    def create() -> None:
        at_once.wait()
        try:
            shop.schedule.columns.create(DRAFT)
            outcomes.append("made")
        except Conflict:
            outcomes.append("taken")

    _together(create, create)
    assert sorted(outcomes) == ["made", "taken"]


def test_who_edits_an_older_state_is_told_and_loses_nothing_of_the_others(shop: Shop):
    made = shop.schedule.columns.create(DRAFT)
    theirs = shop.schedule.columns.edit(made.id, replace(DRAFT, goal="他们的目标"), made.lock)
    with pytest.raises(Conflict):
        shop.schedule.columns.edit(made.id, replace(DRAFT, goal="我的目标", slots=(EVENING,)), made.lock)
    assert shop.schedule.columns.get(made.id) == theirs
    mine = shop.schedule.columns.edit(made.id, replace(theirs.draft, owner="周敏"), theirs.lock)
    assert (mine.draft.goal, mine.draft.owner, mine.lock) == ("他们的目标", "周敏", 3)


def test_of_two_who_save_at_the_same_moment_one_is_told(shop: Shop):
    """Without a row lock, both would read the same `lock` on PostgreSQL, and the slower would win."""
    made = shop.schedule.columns.create(DRAFT)
    at_once = threading.Barrier(4)
    outcomes: list[str] = []

    def save(goal: str) -> None:
        at_once.wait()
        try:
            shop.schedule.columns.edit(made.id, replace(DRAFT, goal=goal), made.lock)
            outcomes.append(goal)
        except Conflict:
            outcomes.append("told")

    _together(*(lambda goal=f"目标 {n}": save(goal) for n in range(4)))
    assert outcomes.count("told") == 3
    kept = shop.schedule.columns.get(made.id)
    assert kept.lock == 2
    assert kept.draft.goal in outcomes
    assert len(kept.draft.slots) == 2


def test_a_faulty_edit_changes_nothing(shop: Shop):
    made = shop.schedule.columns.create(DRAFT)
    with pytest.raises(Faults):
        shop.schedule.columns.edit(made.id, replace(DRAFT, goal="新目标", cooldown_days=-1), made.lock)
    with pytest.raises(NotFound):
        shop.schedule.columns.edit("col_nothing", DRAFT, 1)
    assert shop.schedule.columns.get(made.id) == made


def test_a_column_whose_channel_is_away_can_still_be_switched_off(small_shop: Shop):
    made = small_shop.schedule.columns.create(DRAFT)
    small_shop.channels.clear()
    off = small_shop.schedule.columns.edit(made.id, replace(DRAFT, active=False), made.lock)
    assert not off.draft.active
    with pytest.raises(Faults):
        small_shop.schedule.columns.create(replace(DRAFT, name="新栏目"))


def test_slots_of_every_sort_come_in_the_columns_zone(small_shop: Shop):
    small_shop.stock()
    small_shop.community("一群")
    small_shop.column(
        "各种时段",
        SlotDraft("workday", "08:30"),
        SlotDraft("sat", "9:00"),
        SlotDraft(rrule="FREQ=WEEKLY;BYDAY=SU", time="21:00"),
        SlotDraft(rrule="DTSTART:20261126T070000\nRRULE:FREQ=DAILY;COUNT=1"),
        zone="Europe/Berlin",
    )
    small_shop.schedule.plan_ahead()
    first_week = [each for each in small_shop.all() if each.local_time < "2026-11-30"]
    assert [(each.local_time, each.due_at.strftime("%d %H:%M")) for each in first_week] == [
        ("2026-11-23T08:30", "23 07:30"),
        ("2026-11-24T08:30", "24 07:30"),
        ("2026-11-25T08:30", "25 07:30"),
        ("2026-11-26T07:00", "26 06:00"),
        ("2026-11-26T08:30", "26 07:30"),
        ("2026-11-27T08:30", "27 07:30"),
        ("2026-11-28T09:00", "28 08:00"),
        ("2026-11-29T21:00", "29 20:00"),
    ]
    assert {each.zone for each in first_week} == {"Europe/Berlin"}


def test_any_value_of_a_filter_will_do_and_all_filters_must_hold(shop: Shop):
    for name, tags, type_, stage, active in (
        ("新手群", ("母婴", "0-1岁"), "care", "active", True),
        ("大童群", ("母婴", "1-3岁"), "care", "mature", True),
        ("福利群", ("福利",), "broadcast", "active", True),
        ("学员群", ("职业教育",), "care", "active", True),
        ("停用群", ("母婴",), "care", "active", False),
    ):
        shop.community(name, tags=tags, type=type_, stage=stage, active=active)

    def reached(targets: Targets) -> list[str]:
        column = shop.schedule.columns.by_name("干货分享")
        draft = replace(DRAFT, targets=targets)
        if column is None:
            column = shop.schedule.columns.create(draft)
        else:
            column = shop.schedule.columns.edit(column.id, draft, column.lock)
        return shop.schedule.reach(column.id)[0]

    assert reached(Targets()) == ["新手群", "大童群", "福利群", "学员群"]
    assert reached(Targets(tags=("母婴",))) == ["新手群", "大童群"]
    assert reached(Targets(tags=("0-1岁", "福利"))) == ["新手群", "福利群"]
    assert reached(Targets(tags=("母婴", "0-1岁"))) == ["新手群", "大童群"]
    assert reached(Targets(types=("care",), stages=("active",))) == ["新手群", "学员群"]
    assert reached(Targets(tags=("母婴",), types=("care", "broadcast"), stages=("mature",))) == ["大童群"]
    assert reached(Targets(tags=("没有",))) == []


def test_communities_that_the_channel_cannot_reach_are_told_apart(shop: Shop):
    shop.community("有地址")
    shop.community("无地址", channel="")
    other = shop.community("别的渠道", channel="other.channel")
    column = shop.column()
    assert shop.schedule.reach(column.id) == (["有地址"], ["无地址", "别的渠道"])
    shop.stock()
    shop.schedule.plan_ahead()
    assert {each.community for each in shop.all()} == {"有地址"}
    shop.audience.communities.edit(other.id, addresses={CHANNEL: Address("k")})
    assert shop.schedule.reach(column.id) == (["有地址", "别的渠道"], ["无地址"])


def test_the_pool_is_counted_by_class_and_takes_only_what_carries_every_tag(shop: Shop):
    shop.material(tags=("母婴", "干货"))
    shop.material(tags=("母婴",))
    shop.material("brand", tags=("干货", "母婴", "冬天"), zone="visual", genre="sticker")
    shop.material("conversion", tags=("母婴", "干货"))
    shop.library.materials.create(shop.content(tags=("母婴", "干货")), "li")
    gone = shop.material(tags=("母婴", "干货"))
    shop.library.reviews.retire(gone.id, "过时")
    column = shop.column(pool=PoolDraft(tags=("母婴", "干货")))
    assert shop.schedule.pool_counts(column.id) == {"engagement": 1, "brand": 1, "conversion": 1}
    column = shop.column("品牌", pool=PoolDraft(tags=("母婴", "干货"), zones=("visual",)), classes=("brand",))
    assert shop.schedule.pool_counts(column.id) == {"brand": 1}
    column = shop.column("促活", pool=PoolDraft(kinds=("values",)), classes=("engagement",))
    assert shop.schedule.pool_counts(column.id) == {}


def test_running_columns_come_first_then_by_name(small_shop: Shop):
    small_shop.column("b")
    small_shop.column("a", active=False)
    small_shop.column("c")
    assert [each.draft.name for each in small_shop.schedule.columns.everything()] == ["b", "c", "a"]


def test_a_rule_without_a_beginning_counts_from_when_the_column_was_made(
    database: Database, clock: FakeClock, shop: Shop
):
    """Else every other week would be another one after each restart."""
    shop.stock()
    shop.community("一群")
    column = shop.column("隔周", SlotDraft(rrule="FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", time="10:00"))
    shop.schedule.plan_ahead()
    first = [each.local_time for each in shop.all()]
    assert first == ["2026-11-24T10:00"]
    clock.set(shop.all()[0].due_at.replace(day=30))
    shop.schedule.columns.edit(column.id, replace(column.draft, goal="改过"), column.lock)
    shop.schedule.plan_ahead()
    assert [each.local_time for each in shop.all(state="planned") if each.due_at > clock.now()] == [
        "2026-12-08T10:00"
    ]


def _together(*works) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
