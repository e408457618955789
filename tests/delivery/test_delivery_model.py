"""Whatever the far end does and whoever dies, nobody gets a message twice without a person's word."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import select
from tests.delivery.limited import is_as_recounted, limit

from lanmu.delivery import crash_points
from lanmu.delivery.installation.owner import Owner, this_process
from lanmu.delivery.models import Push, Unit
from lanmu.delivery.states import TARGET_STATE_OF_UNIT, UnitState
from lanmu.delivery.views import PushView
from lanmu.interfaces.channels import Abilities
from lanmu.interfaces.errors import Conflict
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock
from lanmu.testing.fakes import Does

HERE = this_process()
POINTS = ("after_claim", "before_intent", "after_intent", "during_write", "after_write", "before_record")


class Killed(BaseException):
    """A death of the process: no code may catch it."""


def machine(make_room: Callable[..., Any], template: Path) -> type[RuleBasedStateMachine]:
    class Deliveries(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.folder = TemporaryDirectory()
            path = Path(self.folder.name, "lanmu.db")
            copy(template, path)
            self.database = Database(f"sqlite:///{path}")
            self.room = make_room(self.database, abilities=Abilities(batch_max=2))
            self.clock: FakeClock = self.room.clock
            self.pushes: list[PushView] = []
            self.keys = count()
            self.again: Counter[str] = Counter()
            self.lives = count(1)
            limit(self.room, "all", "channel", 1000)
            limit(self.room, "each", "recipient", 1000)

        def teardown(self) -> None:
            self.database.close()
            self.folder.cleanup()

        @rule(recipients=st.integers(1, 5), minutes=st.integers(0, 2))
        def plan(self, recipients, minutes):
            keys = [f"k{next(self.keys)}" for _each in range(recipients)]
            due = self.clock.now() + timedelta(minutes=minutes)
            self.pushes.append(self.room.send(*keys, due_at=due, late_policy="send"))

        @rule(does=st.lists(st.sampled_from(Does), max_size=4))
        def the_far_end_will(self, does):
            self.room.channel.script(*does)

        @rule(lane=st.integers(1, 3))
        def work(self, lane):
            stops = count()
            self.room.dispatcher(concurrency=lane).run_due(lambda: next(stops) > 6)

        @rule(point=st.sampled_from(POINTS), after=st.integers(0, 3))
        def a_worker_dies(self, point, after):
            turns, is_dead = count(), False

            def until_death(name):
                nonlocal is_dead
                is_dead = is_dead or (name == point and next(turns) == after)
                if is_dead:  # no hand goes on when another one of the same process has met its end
                    raise Killed

            owner = Owner(HERE.host, 2**22 + next(self.lives), "1-dead")
            stops = count()
            with (
                patch.object(crash_points, "reach", until_death),
                ThreadPoolExecutor(2) as hands,
                patch.object(self.room, "pool", hands),
                suppress(Killed),
            ):
                self.room.dispatcher(owner, concurrency=2).run_due(lambda: next(stops) > 6)

        @rule()
        def another_worker_meddles_between_intent_and_write(self):
            channel = self.room.channel
            turns = count()

            def meddle(_request):
                if next(turns) == 0:
                    self.clock.jump(timedelta(seconds=61))  # no lease holds that long
                    self.room.service.reap(HERE)
                    stops = count()
                    self.room.dispatcher(concurrency=2).run_due(lambda: next(stops) > 2)

            channel.before_write = meddle
            try:
                self.work(2)
            finally:
                channel.before_write = None

        @rule(seconds=st.sampled_from([1, 10, 61, 700]))
        def time_passes(self, seconds):
            self.clock.advance(timedelta(seconds=seconds))

        @rule()
        def reap(self):
            self.room.service.reap(HERE)

        @rule(data=st.data(), verb=st.sampled_from(["pause", "resume", "cancel"]))
        def a_person_meddles(self, data, verb):
            if self.pushes:
                push = data.draw(st.sampled_from(self.pushes))
                with suppress(Conflict):
                    getattr(self.room.service, verb)(push.id)

        @rule(data=st.data(), answer=st.sampled_from(["sent", "again", "give_up"]))
        def a_person_decides(self, data, answer):
            with self.database.read() as session:
                unknown = session.execute(
                    select(Push.public_id, Unit.number, Unit.id)
                    .join(Push, Push.id == Unit.push_id)
                    .where(Unit.state == "unknown")
                    .order_by(Unit.id)
                ).all()
            if not unknown:
                return
            public_id, number, _unit_id = data.draw(st.sampled_from(unknown))
            (view,) = self.room.service.units(public_id, limit=1, after=number - 1)
            try:
                self.room.service.decide(public_id, number, answer)
            except Conflict:
                return
            if answer == "again":
                self.again.update(target.key for target in view.targets)

        @invariant()
        def nobody_gets_a_second_message_without_a_persons_word(self):
            for key, sent in self.room.channel.sends().items():
                assert sent <= 1 + self.again[key], key

        @invariant()
        def nothing_is_lost_and_nothing_goes_out_early(self):
            due: dict[str, datetime] = {}
            for push in self.pushes:
                assert self.room.total_is_planned(push)
                states = self.room.target_states(push)
                for view in self.room.service.units(push.id):
                    due |= dict.fromkeys((target.key for target in view.targets), push.due_at)
                    expected = TARGET_STATE_OF_UNIT.get(UnitState(view.state), "planned")
                    assert {states[target.key] for target in view.targets} <= {expected}
                    if view.state in ("accepted", "handed_over") and view.ref:
                        assert all(self.room.channel.sends()[target.key] for target in view.targets)
            for effect in self.room.channel.effects:
                for key in effect.request.targets:
                    assert effect.at >= due[key]

        @invariant()
        def what_is_counted_against_the_limits_is_what_may_be_out(self):
            assert is_as_recounted(self.room)
            for push in self.pushes:
                for attempt in self.room.attempts(push):
                    if attempt.outcome in ("accepted", "handed_over", "unknown", ""):
                        with self.database.read() as session:
                            assert session.get_one(Unit, attempt.unit_id).counted_at is not None

        @invariant()
        def nothing_of_a_cancelled_push_waits_for_ever(self):
            for push in self.pushes:
                if self.room.push(push).cancel_requested:
                    waiting = {"pending", "retry_wait", "held", "leased"} & set(self.room.states(push))
                    assert not waiting

        @invariant()
        def what_reached_people_is_never_taken_for_unsent(self):
            sends = self.room.channel.sends()
            for push in self.pushes:
                for view in self.room.service.units(push.id):
                    if view.state in ("pending", "retry_wait", "cancelled", "skipped"):
                        assert all(sends[target.key] <= self.again[target.key] for target in view.targets)

    return Deliveries


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
@pytest.mark.parametrize("lives", [25, pytest.param(1000, marks=pytest.mark.long)])
def test_random_lives_of_pushes_keep_the_promises(make_room, sqlite_template, lives):
    run_state_machine_as_test(
        machine(make_room, sqlite_template),
        settings=settings(
            max_examples=lives,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
