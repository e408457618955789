"""Sending as others got it wrong: twice, for ever, unasked, at night, with holes in the text, or unsaved."""

import json
import threading
from collections.abc import Callable
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from tests.delivery.conftest import Room
from tests.delivery.limited import member
from tests.shop import Shop, daily

from lanmu.audience.models import Member
from lanmu.delivery.door.quiet import QuietHours
from lanmu.delivery.intake import Recipient
from lanmu.delivery.models import Attempt, Unit
from lanmu.delivery.views import PushView
from lanmu.interfaces.channels import Abilities, Request
from lanmu.library import placeholders
from lanmu.storage import Database
from lanmu.testing.fakes import Does

NIGHT = QuietHours(time(22), time(8))
SHANGHAI = ZoneInfo("Asia/Shanghai")
ALL_DAY = timedelta(hours=24)


def at(room: Room, hour: int, minute: int = 0, second: int = 0) -> None:
    """Go to this wall time in Shanghai, today or tomorrow."""
    now = room.clock.now()
    wanted = now.astimezone(SHANGHAI).replace(hour=hour, minute=minute, second=second, microsecond=0)
    room.clock.set(wanted if wanted >= now else wanted + timedelta(days=1))


def test_with_two_workers_and_no_lock_between_them_each_customer_gets_one_message(
    make_room: Callable[..., Room], database: Database
) -> None:
    room = make_room(database, abilities=Abilities(batch_max=1))
    push = room.send(*[f"g{number}" for number in range(40)])
    workers = [threading.Thread(target=room.dispatcher(concurrency=4).run_due) for _number in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert room.channel.sends() == {f"g{number}": 1 for number in range(40)}
    assert room.push(push).state == "finished"


@pytest.mark.parametrize(
    "body",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
        "{{ config }}",
        "{{ 7 * 7 }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    ],
)
def test_a_text_that_holds_code_is_not_run_and_not_sent(room: Room, body: str) -> None:
    room.change_material(body=body)
    push = room.send("g1", body="plain")
    room.run()
    assert room.channel.writes == []
    assert room.states(push) == ["held"]


def test_a_customer_never_reads_a_greeting_with_a_hole_in_it(room: Room) -> None:
    """An unknown word rendered as nothing would read “Dear , …”."""
    room.change_material(body="亲爱的{{ member.nickname }}，早安！")
    push = room.send("g1")
    room.run()
    assert room.channel.writes == []
    assert (room.states(push), room.unit(push).code) == (["held"], "missing_value")
    assert "member.nickname" in room.unit(push).reason


def test_words_for_a_missing_name_leave_no_hole_either(room: Room) -> None:
    """A template that takes an unknown word for an empty one never comes to the words that stand for it."""
    room.change_material(body="亲爱的{{ member.nickname|default('朋友') }}，早安！")
    push = room.send("g1")
    room.run()
    assert room.states(push) == ["accepted"]
    (attempt,) = room.attempts(push)
    assert "亲爱的朋友，早安！" in attempt.request.decode()


def test_what_the_look_at_a_text_oversees_is_still_not_rendered_as_a_hole(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two guards: a text is looked through before, and the template refuses what nobody has filled."""
    overseen = (placeholders.Placeholder("member.nickname", has_default=True),)
    monkeypatch.setattr(placeholders, "used_placeholders", lambda _body: overseen)
    room.change_material(body="亲爱的{{ member.nickname }}，早安！")
    push = room.send("g1", body="plain")
    room.run()
    assert room.channel.writes == []
    assert room.states(push) == ["held"]


def test_one_bad_recipient_neither_stops_the_others_nor_has_them_get_it_again(
    make_room: Callable[..., Room], database: Database
) -> None:
    room = make_room(database, abilities=Abilities(batch_max=1))
    push = room.send("bad", "g1", "g2", "g3")
    room.channel.script(Does.REFUSE)
    for _again in range(3):
        room.run()
        room.clock.advance(timedelta(minutes=11))
    assert room.channel.sends() == {"g1": 1, "g2": 1, "g3": 1}
    assert room.target_states(push) == {"bad": "failed", "g1": "accepted", "g2": "accepted", "g3": "accepted"}
    assert room.push(push).state == "finished_with_issues"


def test_what_keeps_failing_ends_before_a_person_and_is_not_tried_for_ever(room: Room) -> None:
    push = room.send("g1", deadline_at=room.clock.now() + timedelta(days=9), late_policy="send")
    room.channel.otherwise = Does.NOT_WRITTEN
    for _hour in range(100):
        room.run()
        room.clock.advance(timedelta(hours=1))
    assert (room.states(push), len(room.attempts(push)) <= 6) == (["held"], True)
    assert room.unit(push).reason


def _by_column(room: Room) -> PushView:
    at(room, 23)
    return room.send(
        "g1", source_key="occurrences:1", column_name="晚安", deadline_at=room.clock.now() + ALL_DAY
    )


def _by_retry(room: Room) -> PushView:
    at(room, 21, 59, 58)
    push = room.send("g1", deadline_at=room.clock.now() + ALL_DAY)
    room.channel.script(Does.NOT_WRITTEN)
    room.run()
    assert room.states(push) == ["retry_wait"]
    at(room, 22, 1)
    return push


def _by_resume(room: Room) -> PushView:
    at(room, 21)
    push = room.send("g1", deadline_at=room.clock.now() + ALL_DAY)
    room.service.pause(push.id)
    at(room, 23)
    room.service.resume(push.id)
    return push


def _by_a_persons_again(room: Room) -> PushView:
    at(room, 21)
    push = room.send("g1", deadline_at=room.clock.now() + ALL_DAY)
    room.channel.script(Does.CUT_BEFORE)
    room.run()
    at(room, 23)
    room.service.decide(push.id, 1, "again")
    return push


def _planned_by_day_and_late(room: Room) -> PushView:
    at(room, 21, 55)
    push = room.send("g1", deadline_at=room.clock.now() + ALL_DAY)
    at(room, 22, 5)
    return push


@pytest.mark.parametrize(
    "path", [_by_column, _by_retry, _by_resume, _by_a_persons_again, _planned_by_day_and_late]
)
def test_nobody_is_woken_whatever_way_a_message_takes(room: Room, path: Callable[[Room], PushView]) -> None:
    """Checked when it is planned, it still went out at night; so it is checked when it is sent."""
    room.quiet = NIGHT
    push = path(room)
    room.run()
    assert room.channel.effects == []
    unit = room.unit(push)
    assert (unit.state, unit.code, unit.not_before.astimezone(SHANGHAI).time()) == (
        "pending",
        "quiet",
        time(8),
    )
    room.clock.set(unit.not_before)
    room.run()
    assert room.channel.sends() == {"g1": 1}


def test_a_column_sends_to_the_same_community_every_day_and_each_day_once(shop: Shop) -> None:
    """“Why can't they get it again?” and “why did they get it twice?” have one answer: the key."""
    shop.stock(5)
    shop.community("一群")
    shop.column("晚间", *daily("20:00"))
    shop.schedule.plan_ahead()
    first, second = shop.all()[:2]
    for each in (first, second):
        shop.to(each.due_at)
        for _again in range(3):
            shop.schedule.hand_over()
            shop.schedule.plan_ahead()
        shop.clock.set(each.due_at)
        for _again in range(3):
            shop.dispatch()
    assert shop.channel.sends() == {"key-一群": 2}
    assert len({push.source_key for push in shop.pushes()}) == 2


def test_in_the_night_when_the_clock_goes_back_the_same_wall_time_sends_once(shop: Shop) -> None:
    shop.stock(5)
    shop.community("一群")
    shop.column("夜里", *daily("01:30"), zone="Europe/London")
    shop.clock.set(datetime.fromisoformat("2027-10-30T20:00:00+00:00"))
    shop.schedule.plan_ahead()
    for minutes in range(0, 8 * 60, 10):
        shop.clock.set(datetime.fromisoformat("2027-10-30T22:00:00+00:00") + timedelta(minutes=minutes))
        shop.schedule.plan_ahead()
        shop.schedule.hand_over()
        shop.dispatch()
    assert shop.channel.sends() == {"key-一群": 1}


def test_cancelling_stops_at_once_tells_numbers_and_leaves_no_ghost_in_the_queue(
    make_room: Callable[..., Room], database: Database
) -> None:
    """“Removed” customers elsewhere stayed in the numbers, and got the following steps all the same."""
    room = make_room(database, abilities=Abilities(batch_max=1))
    push = room.send("g1", "g2", "g3", "g4")
    left: list[str] = []

    def cancel_meanwhile(request: Request) -> None:
        if not left:
            left.append(json.loads(request.body)["targets"][0])
            stopped = room.service.cancel(push.id)
            assert (stopped.stopped, stopped.out, stopped.unclear) == (3, 0, 1)

    room.channel.before_write = cancel_meanwhile
    room.dispatcher(concurrency=1).run_due()
    assert room.channel.sends() == {left[0]: 1}
    for _later in range(3):
        room.clock.advance(timedelta(hours=1))
        room.run()
    assert room.channel.sends() == {left[0]: 1}
    counted = room.service.get(push.id).progress
    assert (counted.targets, counted.units) == (
        {"accepted": 1, "cancelled": 3},
        {"accepted": 1, "cancelled": 3},
    )
    assert room.push(push).state == "cancelled"


def test_what_is_sent_was_saved_before_down_to_the_last_byte(room: Room) -> None:
    """Sent first and saved afterwards, a crash between the two forgets that it went out."""
    seen: list[tuple[str, bytes]] = []

    def look(request: Request) -> None:
        with room.database.read() as session:
            state, body = session.execute(
                select(Unit.state, Attempt.request).join(Attempt, Attempt.unit_id == Unit.id)
            ).one()
        seen.append((state, body))
        assert body == request.body

    room.channel.before_write = look
    room.send("g1")
    room.run()
    assert [state for state, _body in seen] == ["calling"]


def test_who_opted_out_after_the_plan_gets_nothing_and_waits_in_no_number(room: Room) -> None:
    wanted, gone = member(room, "Lin"), member(room, "Mei")
    recipients = [Recipient("m1", "Lin", member_id=wanted), Recipient("m2", "Mei", member_id=gone)]
    push = room.send(recipients=recipients)
    with room.database.write() as session:
        session.get_one(Member, gone).opted_out = True
    room.run()
    assert room.channel.sends() == {"m1": 1}
    assert room.target_states(push) == {"m1": "accepted", "m2": "skipped"}
    assert room.total_is_planned(push)
    assert room.push(push).state == "finished"
