"""What one worker hears of a limit holds for all; and what each row of the table of classification means."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from lanmu.delivery.door.limit_models import Breaker
from lanmu.delivery.sending.breakers import Breakers, rate_until
from lanmu.delivery.sending.outcomes import Next, after_write, named
from lanmu.delivery.sending.queue import claim
from lanmu.delivery.sending.recorded import Recorded
from lanmu.delivery.states import UnitState
from lanmu.interfaces.channels import Abilities, Outcome, Rate, Verdict
from lanmu.testing.fakes import Does, FakeChannel

ONE = Abilities(batch_max=1)
RATE = Verdict(Outcome.LATER, reason="limit", code="45009", retry_after=timedelta(seconds=61), trips="rate")
AT_ONCE = Verdict(Outcome.LATER, reason="too many", code="45033", trips="concurrency")
YES = Verdict(Outcome.ACCEPTED)
KEYS = [f"g{number}" for number in range(12)]


@pytest.fixture
def room(make_room, database):
    return make_room(database, abilities=ONE)


def answers(room, *verdicts, otherwise=YES):
    """What the far end says to the next calls."""
    said = list(verdicts)
    room.channel.classify = lambda seen: said.pop(0) if said else otherwise


def test_a_rate_limit_keeps_all_workers_from_calling_for_61_seconds(room):
    answers(room, RATE)
    push = room.send(*KEYS, late_policy="send")
    room.dispatcher(concurrency=1).run_due()
    assert len(room.channel.writes) == 1, "the others were not even tried"
    (shown,) = room.service.breakers()
    assert (shown.kind, shown.code, shown.reason) == ("rate", "45009", "limit")
    assert shown.until == room.clock.now() + timedelta(seconds=61)
    room.clock.advance(timedelta(seconds=60))
    assert room.run() == 0
    assert {room.unit(push, number).reason for number in range(1, 13)} == {"limit"}


def test_after_the_block_one_unit_tries_and_the_others_wait_for_it(room):
    answers(room, RATE)
    room.send(*KEYS, late_policy="send")
    room.dispatcher(concurrency=1).run_due()
    room.clock.advance(timedelta(seconds=61))
    answers(room, RATE)
    room.run()
    assert len(room.channel.writes) == 2
    (shown,) = room.service.breakers()
    assert shown.level == 2
    assert shown.until == room.clock.now() + timedelta(minutes=61)


def test_once_the_far_end_takes_a_call_the_way_is_open_for_all(room):
    answers(room, RATE)
    push = room.send(*KEYS, late_policy="send")
    room.dispatcher(concurrency=1).run_due()
    room.clock.advance(timedelta(seconds=61))
    room.run()
    assert room.states(push).count("pending") == 7, "the batch of the one that tried waits a little"
    room.clock.advance(timedelta(seconds=5))
    room.run()
    assert room.states(push) == ["accepted"] * 12
    assert room.service.breakers() == []
    assert room.unit(push).tries == 0, "a limit says nothing about the unit"


def test_refusals_of_one_batch_are_one_refusal(room):
    answers(room, *[RATE] * 8)
    room.send(*KEYS, late_policy="send")
    room.dispatcher(concurrency=8).run_due()
    (shown,) = room.service.breakers()
    assert shown.level == 1


def test_a_limit_of_one_robot_does_not_stop_the_others(make_room, database):
    room = make_room(database, abilities=Abilities(limits=(Rate(1000, timedelta(minutes=1), "target"),)))
    answers(room, RATE)
    first = room.send("r1", late_policy="send")
    room.run()
    second = room.send("r2")
    room.run()
    again = room.send("r1", late_policy="send")
    room.run()
    assert [room.states(push) for push in (first, second, again)] == [
        ["retry_wait"],
        ["accepted"],
        ["pending"],
    ]


def test_the_blocks_grow_to_an_hour_to_midnight_in_shanghai_and_to_a_month():
    now = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
    assert rate_until(now, 1) - now == timedelta(seconds=61)
    assert rate_until(now, 2) - now == timedelta(minutes=61)
    assert rate_until(now, 3) == datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
    assert rate_until(datetime(2026, 11, 23, 16, 0, tzinfo=UTC), 3) == datetime(
        2026, 11, 24, 16, 0, tzinfo=UTC
    )
    assert rate_until(now, 4) - now == rate_until(now, 9) - now == timedelta(days=30)


def test_too_much_at_once_halves_what_goes_out_together_and_recovers_by_one_a_minute(room):
    answers(room, AT_ONCE)
    push = room.send(*KEYS, late_policy="send")
    room.dispatcher(concurrency=8).run_due()
    (shown,) = room.service.breakers()
    assert (shown.kind, shown.level) == ("concurrency", 4)
    room.clock.advance(timedelta(seconds=10))
    together = []
    dispatcher = room.dispatcher(concurrency=8)
    send = dispatcher._send

    def count(batch, sheets):
        together.append(len(batch))
        return send(batch, sheets)

    dispatcher._send = count
    dispatcher.run_due()
    assert max(together, default=0) <= 4
    for _turn in range(10):
        room.clock.advance(timedelta(seconds=5))
        dispatcher.run_due()
    assert room.states(push) == ["accepted"] * 12
    room.clock.advance(timedelta(minutes=10))
    room.send("later")
    room.dispatcher(concurrency=8).run_due()
    assert room.service.breakers() == []


def test_a_refused_account_holds_every_push_of_the_channel_without_a_call(room):
    room.channel.script(Does.REFUSE_ACCOUNT)
    first, second = room.send("a"), room.send("b")
    room.dispatcher(concurrency=1).run_due()
    assert room.states(first) == ["held"]
    assert (room.states(second), room.unit(second).code) == (["held"], "config")
    assert room.push(second).state == "held"
    assert len(room.channel.writes) == 1


def test_what_a_person_has_set_right_is_tried_at_once(room):
    room.channel.script(Does.REFUSE_ACCOUNT)
    push = room.send("a")
    room.run()
    room.service.resume(push.id)
    room.run()
    assert room.states(push) == ["accepted"]
    assert room.service.breakers() == []


def test_settings_that_do_not_let_it_connect_hold_the_channel_too(room):
    room.channel.script(Does.BAD_CONFIG)
    first, second = room.send("a"), room.send("b")
    room.dispatcher(concurrency=1).run_due()
    assert (room.states(first), room.states(second)) == (["held"], ["held"])
    assert room.channel.writes == []


def test_three_units_with_the_same_unknown_code_stop_the_push(room):
    strange = Verdict(Outcome.REFUSED, reason="?", code="987654", scope="unclear")
    answers(room, *[strange] * 12)
    push = room.send(*KEYS)
    room.dispatcher(concurrency=1).run_due()
    assert room.states(push).count("held") == 3
    assert room.push(push).state == "held"
    assert "987654" in room.push(push).held_reason


def test_two_units_with_the_same_unknown_code_stop_themselves_alone(room):
    strange = Verdict(Outcome.REFUSED, reason="?", code="987654", scope="unclear")
    answers(room, strange, strange)
    push = room.send(*KEYS)
    room.dispatcher(concurrency=1).run_due()
    assert room.states(push).count("accepted") == 10
    assert room.push(push).state == "running", "what is on hold is still to be decided"


def test_a_file_that_is_no_longer_known_is_uploaded_anew_once(room):
    gone = Verdict(Outcome.REFUSED, reason="gone", code="40007", scope="content", stale_files=True)
    answers(room, gone)
    push = room.send("a")
    room.run()
    assert room.states(push) == ["retry_wait"], "until every process has forgotten the old name"
    room.clock.advance(timedelta(seconds=20))
    room.run()
    assert room.states(push) == ["accepted"]
    answers(room, gone, gone)
    push = room.send("b")
    room.run()
    room.clock.advance(timedelta(seconds=20))
    room.run()
    assert room.states(push) == ["held"]
    assert room.push(push).state == "held"


TABLE = [
    (Verdict(Outcome.NOT_SENT, reason="dns"), UnitState.RETRY_WAIT),
    (Verdict(Outcome.AMBIGUOUS, reason="reset"), UnitState.UNKNOWN),
    (Verdict(Outcome.AMBIGUOUS, code="HTTP 502"), UnitState.UNKNOWN),
    (Verdict(Outcome.REFUSED, code="HTTP 403", scope="account"), UnitState.HELD),
    (YES, UnitState.ACCEPTED),
    (Verdict(Outcome.LATER, code="42001", free=True), UnitState.RETRY_WAIT),
    (Verdict(Outcome.REFUSED, code="40001", scope="account"), UnitState.HELD),
    (RATE, UnitState.RETRY_WAIT),
    (AT_ONCE, UnitState.RETRY_WAIT),
    (Verdict(Outcome.REFUSED, code="84061"), UnitState.FAILED),
    (Verdict(Outcome.REFUSED, code="45002", scope="content"), UnitState.HELD),
    (Verdict(Outcome.REFUSED, code="987654", scope="unclear"), UnitState.HELD),
]


@pytest.mark.parametrize(("verdict", "state"), TABLE, ids=lambda value: str(getattr(value, "code", value)))
def test_each_row_of_the_table_has_its_state(verdict, state):
    assert after_write(verdict, ONE, 0).state is state


def test_what_is_proven_unsent_is_tried_five_times_and_then_held():
    steps = [after_write(Verdict(Outcome.NOT_SENT, reason="dns"), ONE, tries) for tries in range(5)]
    assert [step.wait for step in steps[:4]] == [timedelta(seconds=each) for each in (5, 30, 120, 600)]
    assert (steps[4].state, steps[4].code) == (UnitState.HELD, "network")


def test_a_token_refused_twice_in_a_row_is_a_fault_of_the_settings():
    stale = Verdict(Outcome.LATER, reason="token", code="40014", free=True)
    once = after_write(stale, ONE, 0)
    assert (once.state, once.counts_as_try) == (UnitState.RETRY_WAIT, False)
    twice = after_write(stale, ONE, 0, once.code)
    assert (twice.state, twice.code, twice.hold_push) == (UnitState.HELD, "config", True)


def test_a_gateways_429_is_a_doubt_and_closes_the_way():
    next_ = after_write(Verdict(Outcome.AMBIGUOUS, code="HTTP 429", trips="rate"), ONE, 0)
    assert (next_.state, next_.trips) == (UnitState.UNKNOWN, "rate")


def test_a_doubt_is_looked_into_as_the_channel_declares():
    lost = Verdict(Outcome.AMBIGUOUS)
    settle = timedelta(minutes=10)
    assert after_write(lost, Abilities(lookup=True, settle=settle), 0).look_after == settle
    assert after_write(lost, Abilities(idempotency=timedelta(hours=4)), 0).look_after == timedelta(0)
    assert after_write(lost, ONE, 0).look_after is None


def test_refused_recipients_are_known_whatever_their_case():
    assert named({"zhangsan": "no"}, ["ZhangSan", "Li"]) == {"ZhangSan": "no"}
    assert named({"Li": "no"}, ["Li", "li"]) == {"Li": "no"}
    assert named({"LI": "no"}, ["Li", "li"]) == {"LI": "no"}, "nobody can say which is meant"


def test_recipients_that_a_far_end_names_in_lower_case_are_marked(make_room, database):
    room = make_room(database, abilities=Abilities(batch_max=10))
    answers(room, Verdict(Outcome.ACCEPTED, failed={"zhangsan": "unknown member"}))
    push = room.send("ZhangSan", "LiSi")
    room.run()
    assert room.target_states(push) == {"ZhangSan": "undelivered", "LiSi": "accepted"}


def test_a_lane_that_sends_by_another_way_keeps_no_breaker_closed(room):
    """Lanes share what a dispatcher knows: what one of them claims tells nothing of the other's channel."""
    room.channels["other"] = FakeChannel("other", abilities=ONE, clock=room.clock)
    answers(room, RATE)
    room.send("a", late_policy="send")
    room.run()
    room.clock.advance(timedelta(seconds=61))
    push = room.send("b", channel="other")
    breakers, now = Breakers(room.channels, 4), room.clock.now()
    with room.database.write() as session:
        mine, others = sorted(
            claim(session, now, "x", timedelta(minutes=1), 4), key=lambda unit: unit.push_id == push.row
        )
        assert breakers.let_through(session, now, [mine]) == ([mine], []), "it tries"
        assert breakers.let_through(session, now, [others]) == ([others], [])
        breakers.note(session, now, [Recorded(mine, Next(UnitState.ACCEPTED))])
    assert room.service.breakers() == []


def test_a_way_that_is_closed_for_another_reason_too_is_not_tried(room):
    answers(room, RATE)
    room.send("a")
    room.run()
    now = room.clock.now()
    with room.database.write() as session:
        may_be_tried = {"kind": "config", "level": 1, "opened_at": now, "until": now}
        session.add(Breaker(channel=room.channel.name, subject="", **may_be_tried))
    room.send("b")
    room.run()
    with room.database.read() as session:
        config = session.scalars(select(Breaker).where(Breaker.kind == "config")).one()
    assert config.probe_until is None, "whoever comes first once it is open may still try"
    assert len(room.channel.writes) == 1
