"""Handing over: only what may go, only shortly before its time, each once, and what cannot go is told why."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.shop import CHANNEL, Shop, daily, seen

from lanmu.audience.views import Address
from lanmu.delivery.installation.lives import Elsewhere
from lanmu.delivery.installation.owner import Owner
from lanmu.delivery.models import Push, Unit, UnitTarget
from lanmu.delivery.service import DeliveryService
from lanmu.interfaces.errors import Conflict
from lanmu.library.models import Review
from lanmu.schedule.columns import SlotDraft, Targets
from lanmu.schedule.models import Column
from lanmu.schedule.occurrences import OccurrenceView


@pytest.fixture
def planned(shop: Shop) -> Shop:
    """Two communities, a column for this evening that needs no look, and a week of material."""
    return prepared(shop)


@pytest.fixture
def small(small_shop: Shop) -> Shop:
    return prepared(small_shop)


def prepared(shop: Shop) -> Shop:
    shop.material()
    shop.community("一群", size=120)
    shop.community("二群", executor="陈可")
    shop.column(
        "晚间",
        *daily("20:00"),
        options={"pictures": "leave_out"},
        late_policy="skip",
        owner="林晓",
        priority="first",
    )
    shop.schedule.plan_ahead()
    return shop


def why(occurrence: OccurrenceView) -> str:
    return str(occurrence.why["missed"])


def test_nothing_is_handed_over_before_its_lead_and_each_once_within_it(planned: Shop):
    due = planned.all()[0].due_at
    planned.to(due, timedelta(minutes=10, seconds=1))
    assert planned.schedule.hand_over() == 0
    planned.clock.advance(timedelta(seconds=2))
    assert planned.schedule.hand_over() == 2
    assert planned.schedule.hand_over() == 0
    assert planned.states() == {"handed_over": 2, "planned": 26}
    (push,) = planned.pushes()
    assert (push.title, push.channel, push.column_name) == (planned.all()[0].material, CHANNEL, "晚间")
    assert (push.due_at, push.zone, push.content_class) == (due, "Asia/Shanghai", "engagement")
    with planned.database.read() as session:
        row = session.scalars(select(Push)).one()
        assert row.priority == 10, "what its column says, for the last door"
        assert (row.late_policy, row.options, row.approved_by) == ("skip", {"pictures": "leave_out"}, "林晓")
        targets = {each.name: each for each in session.scalars(select(UnitTarget))}
        senders = set(session.scalars(select(Unit.sender)))
    assert {name: target.recipient_key for name, target in targets.items()} == {
        "一群": "key-一群",
        "二群": "key-二群",
    }
    assert {target.community_id for target in targets.values()} == {1, 2}
    assert senders <= {"", "陈可"}
    assert {each.push_id for each in planned.all(state="handed_over")} == {push.public_id}


def test_what_is_handed_over_is_sent_by_the_dispatcher_exactly_at_its_time(planned: Shop):
    """The hash that the hand-over binds is the one the last door works out again from what it would send."""
    due = planned.all()[0].due_at
    planned.to(due)
    planned.schedule.hand_over()
    assert planned.dispatch() == 0
    planned.clock.set(due)
    assert planned.dispatch() == 1
    assert planned.channel.sends() == {"key-一群": 1, "key-二群": 1}
    (effect,) = planned.channel.effects
    body = planned.library.materials.get(planned.all()[0].material_id).content.body
    assert (effect.text, effect.at) == (body, due)
    assert planned.schedule.hand_over() == 0
    assert planned.dispatch() == 0
    (push,) = planned.pushes()
    assert push.state == "finished"
    assert planned.schedule.occurrences.get(planned.all()[0].id).push_state == "finished"


def test_without_approval_nothing_goes_where_each_is_looked_at(shop: Shop):
    shop.stock(2)
    shop.community("一群")
    shop.community("二群")
    shop.column("福利", *daily("20:00"), approval="each")
    shop.schedule.plan_ahead()
    first, second = shop.all()[:2]
    assert shop.schedule.occurrences.approve(seen(first), "wang") == 1
    shop.to(first.due_at)
    assert shop.schedule.hand_over() == 1
    assert shop.schedule.occurrences.get(second.id).state == "planned"
    (push,) = shop.pushes()
    assert push.planned == 1
    with shop.database.read() as session:
        row = session.scalars(select(Push)).one()
    assert (row.approved_by, row.approved_at) == ("wang", datetime(2026, 11, 23, tzinfo=UTC))


def test_one_push_for_each_column_instant_and_text(small_shop: Shop):
    shop = small_shop
    shop.stock(3)
    for number in range(6):
        shop.community(f"群{number}")
    shop.column("晚间", *daily("20:00"))
    shop.column("同时", *daily("20:00"), targets=Targets(types=("none",)))
    shop.column("早些", *daily("19:55"))
    shop.schedule.plan_ahead()
    shop.to(shop.all()[6].due_at)
    assert shop.schedule.hand_over() == 12
    grouped = Counter(
        (each.column, each.due_at, each.material) for each in shop.all() if each.state == "handed_over"
    )
    assert sorted(push.planned for push in shop.pushes()) == sorted(grouped.values())
    assert len(grouped) > 2
    for push in shop.pushes():
        of_push = {(each.column, each.due_at, each.material) for each in shop.all(push_id=push.public_id)}
        assert of_push == {(push.column_name, push.due_at, push.title)}


def test_two_processes_hand_over_each_occurrence_once(planned: Shop):
    planned.to(planned.all()[0].due_at)
    at_once = threading.Barrier(4)
    handed: list[int] = []

    def hand_over() -> None:
        own = planned.scheduling()
        at_once.wait()
        handed.append(own.hand_over())

    threads = [threading.Thread(target=hand_over) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(handed) == 2
    (push,) = planned.pushes()
    assert push.planned == 2
    with planned.database.read() as session:
        assert session.scalar(select(func.count()).select_from(UnitTarget)) == 2


def test_a_process_without_the_channel_leaves_its_slots_to_a_worker_that_has_it(planned: Shop):
    """It would make pushes on hold of them, in batches such as no channel wants."""
    planned.to(planned.all()[0].due_at, timedelta(minutes=5))
    planned.delivery.beat(Owner("another-host", 1, "1-x"))
    del planned.channels[CHANNEL]
    elsewhere = Elsewhere(planned.database, planned.clock, planned.channels).channels
    planned.delivery = DeliveryService(planned.database, planned.clock, planned.channels, elsewhere=elsewhere)
    schedule = planned.scheduling()
    assert schedule.hand_over() == 0
    assert planned.states() == {"planned": 28}
    planned.clock.advance(timedelta(minutes=3))
    assert schedule.hand_over() == 2, "nobody has it any more, and that is told"
    (push,) = planned.pushes()
    assert push.state == "held"


def test_a_crash_in_the_middle_leaves_it_to_the_next_run(planned: Shop, monkeypatch):
    planned.to(planned.all()[0].due_at)
    real = DeliveryService.request

    def die(*args, **named):
        real(*args, **named)
        raise SystemExit

    monkeypatch.setattr(DeliveryService, "request", die)
    with pytest.raises(SystemExit):
        planned.schedule.hand_over()
    assert planned.pushes() == []
    assert planned.states() == {"planned": 28}
    monkeypatch.setattr(DeliveryService, "request", real)
    assert planned.schedule.hand_over() == 2
    assert len(planned.pushes()) == 1


def test_one_columns_trouble_keeps_no_other_from_its_time(small: Shop, monkeypatch):
    small.column("同时", *daily("20:00"))
    small.schedule.plan_ahead()
    small.to(small.all()[0].due_at)
    real = DeliveryService.request

    def stumble(self, session, request):
        if request.column_name == "晚间":
            raise RuntimeError("the first column cannot")
        return real(self, session, request)

    monkeypatch.setattr(DeliveryService, "request", stumble)
    assert small.schedule.hand_over() == 2
    assert {push.column_name for push in small.pushes()} == {"同时"}
    monkeypatch.setattr(DeliveryService, "request", real)
    assert small.schedule.hand_over() == 2


def test_a_community_that_lost_its_address_is_told_and_the_others_go(small: Shop):
    small.to(small.all()[0].due_at)
    lost = small.audience.communities.find()[0]
    small.audience.communities.edit(lost.id, addresses={"other.channel": Address("k")})
    assert small.schedule.hand_over() == 1
    missed = small.all(state="missed")
    assert [each.community for each in missed] == [lost.name]
    assert why(missed[0]) == "The channel has no address of this community any more."
    assert [need.kind for need in small.reports.needs()] == ["missed"]
    assert small.schedule.hand_over() == 0


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        ("retired", "The material has been retired."),
        ("expired", "The material's validity or licence has ended."),
        ("later", "The material is not valid yet."),
        ("withdrawn", "Its text is not approved any more."),
    ],
)
def test_what_may_not_go_any_more_is_told_with_its_reason(small_shop: Shop, happens: str, reason: str):
    shop = small_shop
    shop.community("一群")
    shop.column()
    due = datetime(2026, 11, 23, 12, tzinfo=UTC)
    spans: dict[str, dict[str, Any]] = {
        "expired": {"valid_until": due},
        "later": {"valid_from": due + timedelta(hours=1)},
    }
    used = shop.material("engagement", **spans.get(happens, {}))
    shop.schedule.plan_ahead()
    first = shop.all()[0]
    if happens in spans:  # chosen by hand: the planner itself would not have it there
        shop.schedule.occurrences.use(first.id, used.id)
    if happens == "retired":
        shop.library.reviews.retire(used.id, "换季")
    if happens == "withdrawn":
        shop.rewrite(used.id, "另一段话。", approve=False)
        again = shop.rewrite(used.id, used.content.body, approve=False)
        assert again.state == "approved"  # the same text again is approved still
        with shop.database.write() as session:
            for review in session.scalars(select(Review)):
                review.approved = False
    shop.to(due)
    assert shop.schedule.hand_over() == 0
    assert (shop.schedule.occurrences.get(first.id).state, why(shop.schedule.occurrences.get(first.id))) == (
        "missed",
        reason,
    )
    assert shop.pushes() == []


def test_after_a_long_stop_nothing_bursts_out(small: Shop):
    """What nobody could send in its time is put to a person; the next regular one goes as ever."""
    small.column("逐条", *daily("21:00"), approval="each")
    small.schedule.plan_ahead()
    small.clock.advance(timedelta(days=3))
    assert small.schedule.hand_over() == 0
    assert small.pushes() == []
    missed = small.all(state="missed")
    assert len(missed) == 12
    assert {(each.column, why(each)) for each in missed} == {
        ("晚间", "Nothing ran at its time, or its column or community was switched off."),
        ("逐条", "Nobody approved it in time."),
    }
    small.to(small.all(state="planned")[0].due_at)
    assert small.schedule.hand_over() == 2


def test_a_short_stop_is_caught_up_with(small: Shop):
    due = small.all()[0].due_at
    small.clock.set(due + timedelta(minutes=14))
    assert small.schedule.hand_over() == 2
    assert small.dispatch() == 1


def test_who_approves_late_is_refused(small: Shop):
    small.column("逐条", *daily("09:00"), approval="each")
    small.schedule.plan_ahead()
    first = next(each for each in small.all() if each.needs_approval)
    small.clock.set(first.due_at)
    assert small.schedule.occurrences.approve(seen(first), "wang") == 0
    assert small.schedule.hand_over() == 0
    small.clock.advance(timedelta(minutes=16))
    small.schedule.hand_over()
    assert small.schedule.occurrences.get(first.id).state == "missed"
    assert small.schedule.occurrences.approve(seen(first), "wang") == 0
    with pytest.raises(Conflict):
        small.schedule.occurrences.use(first.id, first.material_id)


@pytest.mark.parametrize("off", ["column", "community"])
def test_what_was_switched_off_sends_nothing_even_what_was_approved(small: Shop, off: str):
    first, second = small.all()[:2]
    small.schedule.occurrences.approve(seen(first, second), "wang")
    if off == "community":
        community = small.audience.communities.find()[0]
        small.audience.communities.edit(community.id, active=False)
    else:
        with small.database.write() as session:
            session.scalars(select(Column)).one().active = False
    small.to(first.due_at)
    assert small.schedule.hand_over() == (1 if off == "community" else 0)
    small.clock.advance(timedelta(minutes=30))
    small.schedule.hand_over()
    assert small.all(state="missed")


def test_a_person_may_act_between_reading_and_taking(planned: Shop, monkeypatch):
    """Skipped after it was read: it does not go, and no push counts it."""
    first, second = planned.all()[:2]
    planned.to(first.due_at)
    hand_over = planned.schedule._hand_over
    real = hand_over._snapshot
    other = planned.material("brand")

    def slow_snapshot(revision):
        monkeypatch.setattr(hand_over, "_snapshot", real)
        planned.schedule.occurrences.skip(first.id)
        planned.schedule.occurrences.use(second.id, other.id)
        return real(revision)

    monkeypatch.setattr(hand_over, "_snapshot", slow_snapshot)
    assert planned.schedule.hand_over() == 0
    assert planned.pushes() == []
    assert planned.schedule.occurrences.get(first.id).state == "skipped"
    assert planned.schedule.hand_over() == 1
    assert [push.title for push in planned.pushes()] == [other.content.title]


def test_giving_up_does_not_undo_what_a_person_chose_meanwhile(small: Shop, monkeypatch):
    first, second = small.all()[:2]
    small.library.reviews.retire(first.material_id, "换季")
    small.to(first.due_at)
    other = small.material("brand")
    hand_over = small.schedule._hand_over
    real = hand_over._snapshot

    def slow_snapshot(revision):
        monkeypatch.setattr(hand_over, "_snapshot", real)
        small.schedule.occurrences.use(first.id, other.id)
        small.schedule.occurrences.skip(second.id)
        return real(revision)

    monkeypatch.setattr(hand_over, "_snapshot", slow_snapshot)
    small.schedule.hand_over()
    assert small.schedule.occurrences.get(first.id).state == "planned"
    assert small.schedule.occurrences.get(second.id).state == "skipped"
    assert small.schedule.hand_over() == 1


def test_a_channel_that_is_away_keeps_the_push_in_sight(small: Shop):
    small.to(small.all()[0].due_at)
    small.channels.clear()
    assert small.schedule.hand_over() == 2
    (push,) = small.pushes()
    assert push.state == "held"


def test_the_longest_names_fit_the_tables_of_a_push(shop: Shop):
    """PostgreSQL refuses what is a character too long, SQLite takes anything."""
    shop.material(title="题" * 200)
    shop.community("群" * 100)
    shop.column("栏" * 100, SlotDraft("daily", "20:00"))
    shop.schedule.plan_ahead()
    shop.to(shop.all()[0].due_at)
    assert shop.schedule.hand_over() == 1
    assert shop.pushes()[0].column_name == "栏" * 100


def test_a_thousand_communities_are_handed_over_in_few_statements(shop: Shop):
    shop.material()
    shop.communities(1000)
    shop.column()
    shop.scheduling(horizon=timedelta(days=1)).plan_ahead()
    shop.to(shop.all()[0].due_at)
    with shop.counting() as statements:
        assert shop.schedule.hand_over() == 1000
    assert len(statements) < 30, Counter(text.split()[0] for text in statements)
    (push,) = shop.pushes()
    assert push.planned == 1000


def test_each_unit_knows_the_zone_of_its_communities_for_their_quiet_hours(small_shop: Shop):
    small_shop.material()
    small_shop.community("一群")
    small_shop.community("伦敦", zone="Europe/London")
    small_shop.column("晚间", *daily("20:00"))
    small_shop.schedule.plan_ahead()
    small_shop.to(small_shop.all()[0].due_at)
    small_shop.schedule.hand_over()
    with small_shop.database.read() as session:
        zones = session.execute(
            select(UnitTarget.name, Unit.zone).join(Unit, Unit.id == UnitTarget.unit_id)
        ).all()
    assert {(row.name, row.zone) for row in zones} == {("一群", "Asia/Shanghai"), ("伦敦", "Europe/London")}
