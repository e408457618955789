"""The ledger against a reference model of eighty lines: any order of operations, repetitions and hours."""

import tempfile
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lanmu.interfaces.events import Award
from lanmu.ledger.refusals import Refused
from lanmu.ledger.service import LedgerService
from lanmu.ledger.verify import verify
from lanmu.storage import Database
from lanmu.storage.migrate import CORE, upgrade
from lanmu.testing.clock import FakeClock

SHANGHAI = ZoneInfo("Asia/Shanghai")
CAP = 60
GRACE = timedelta(days=7)
MEMBERS = ("mem_a", "mem_b")
NEVER = datetime.max.replace(tzinfo=SHANGHAI)


class Model:
    """What a person would do with pencil and paper."""

    def __init__(self) -> None:
        self.lots: dict[str, list[list[Any]]] = {
            member: [] for member in MEMBERS
        }  # [expiry, made, left, key]
        self.owed = dict.fromkeys(MEMBERS, 0)
        self.today: dict[tuple[str, date], int] = {}
        self.serial = count()

    def spendable(self, member: str, now: datetime) -> int:
        return 0 if self.owed[member] else sum(lot[2] for lot in self.live(member, now))

    def live(self, member: str, now: datetime) -> list[list[Any]]:
        return sorted(lot for lot in self.lots[member] if lot[0] > now and lot[2])

    def earn(self, member: str, points: int, expires: datetime, key: str, day: date) -> int:
        points = min(points, CAP - self.today.get((member, day), 0))
        if points <= 0:
            return 0
        self.today[member, day] = self.today.get((member, day), 0) + points
        repaid = min(points, self.owed[member])
        self.owed[member] -= repaid
        self.lots[member].append([expires, next(self.serial), points - repaid, key])
        return points

    def adjust(self, member: str, points: int, expires: datetime, now: datetime) -> None:
        if points < 0:
            self.take(member, -points, now)
            return
        repaid = min(points, self.owed[member])
        self.owed[member] -= repaid
        self.lots[member].append([expires, next(self.serial), points - repaid, ""])

    def take(self, member: str, points: int, now: datetime) -> list[tuple[list[Any], int]]:
        taken = []
        for lot in self.live(member, now):
            part = min(points, lot[2])
            lot[2] -= part
            points -= part
            if part:
                taken.append((lot, part))
        return taken

    def refund(
        self, member: str, taken: list[tuple[list[Any], int]], before: int, points: int, now: datetime
    ) -> None:
        """Undo `points` of what was taken, last taken first, after `before` were given back already."""
        repaid, late = min(points, self.owed[member]), 0
        self.owed[member] -= repaid
        for lot, part in reversed(taken):
            skipped = min(before, part)
            back = min(points, part - skipped)
            before, points = before - skipped, points - back
            if lot[0] > now:
                lot[2] += back
            else:
                late += back
        repaid_late = min(late, repaid)
        self.lots[member].append([now + GRACE, next(self.serial), late - repaid_late, ""])
        self.take(member, repaid - repaid_late, now)

    def reverse(self, member: str, key: str, points: int, now: datetime) -> None:
        for lot in self.lots[member]:
            if lot[3] == key:
                part = min(points, lot[2])
                lot[2] -= part
                points -= part
        part = min(points, sum(lot[2] for lot in self.live(member, now)))
        self.take(member, part, now)
        self.owed[member] += points - part


class LedgerAgainstModel(RuleBasedStateMachine):
    template: Path

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "lanmu.db"
        path.write_bytes(self.template.read_bytes())
        self.database = Database(f"sqlite:///{path}")
        self.clock = FakeClock()
        self.ledger = LedgerService(self.database, self.clock, b"a pepper for the tests only")
        self.offer = self.ledger.shelf.create("Cup", 15, cap=3, per_member=2).id
        self.model = Model()
        self.sold: dict[str, int] = dict.fromkeys(MEMBERS, 0)
        self.keys = count()
        self.earned: dict[str, tuple[Award, int]] = {}
        self.reversed: set[str] = set()
        self.spent: list[dict[str, Any]] = []

    def teardown(self) -> None:
        if hasattr(self, "database"):
            assert [check for check in verify(self.database) if not check.ok] == []
            self.database.close()
            self.folder.cleanup()

    @rule(member=st.sampled_from(MEMBERS), points=st.integers(1, 40), days=st.sampled_from([1, 2, 5, None]))
    def earn(self, member: str, points: int, days: int | None) -> None:
        now = self.clock.now()
        day = now.astimezone(SHANGHAI).date()
        key = f"m{next(self.keys)}"
        award = Award("message", key, member, points, "Spoke", day, per_day=CAP, expires_after_days=days)
        expires = NEVER if days is None else now + timedelta(days=days)
        wanted = self.model.earn(member, points, expires, key, day)
        assert self.ledger.earn(award).earned == wanted
        self.earned[key] = award, wanted

    @precondition(lambda self: bool(getattr(self, "earned", None)))
    @rule(data=st.data())
    def earn_again(self, data: st.DataObject) -> None:
        award, _points = self.earned[data.draw(st.sampled_from(sorted(self.earned)))]
        again = self.ledger.earn(award)
        assert (again.earned, again.replayed) == (0, True)

    @precondition(lambda self: bool(getattr(self, "earned", None)))
    @rule(data=st.data())
    def send_an_order_back(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.earned)))
        award, points = self.earned[key]
        if points:
            self.ledger.reverse(key, reason="Returned", actor="test")
            if key not in self.reversed:
                self.reversed.add(key)
                self.model.reverse(award.member, key, points, self.clock.now())

    @rule(member=st.sampled_from(MEMBERS), points=st.integers(1, 80))
    def spend(self, member: str, points: int) -> None:
        possible = self.model.spendable(member, self.clock.now()) >= points
        try:
            posting = self.ledger.spend(member, points, f"s{next(self.keys)}", reason="Gift", actor="test")
        except Refused:
            assert not possible
            return
        assert possible
        self.note_spent(posting.id, member, points, coupon=False)

    def note_spent(self, posting: int, member: str, points: int, *, coupon: bool) -> None:
        taken = self.model.take(member, points, self.clock.now())
        spent = {"posting": posting, "member": member, "points": points, "back": 0, "taken": taken}
        self.spent.append({**spent, "coupon": coupon})

    @precondition(lambda self: bool(getattr(self, "spent", None)))
    @rule(data=st.data(), points=st.integers(1, 40))
    def refund(self, data: st.DataObject, points: int) -> None:
        spent = data.draw(st.sampled_from(self.spent))
        points = spent["points"] if spent["coupon"] else points
        possible = spent["back"] + points <= spent["points"]
        key = f"b{next(self.keys)}"
        try:
            self.ledger.refund(spent["posting"], points, key, reason="Broken", actor="test")
        except Refused:
            assert not possible
            return
        assert possible
        member = spent["member"]
        self.model.refund(member, spent["taken"], spent["back"], points, self.clock.now())
        spent["back"] += points
        self.sold[member] -= spent["coupon"]

    @rule(member=st.sampled_from(MEMBERS), points=st.integers(-30, 30).filter(bool))
    def adjust(self, member: str, points: int) -> None:
        now = self.clock.now()
        possible = points > 0 or sum(lot[2] for lot in self.model.live(member, now)) >= -points
        key = f"a{next(self.keys)}"
        try:
            self.ledger.adjust(member, points, key, reason="Kind", actor="test", expires_after_days=4)
        except Refused:
            assert not possible
            return
        assert possible
        self.model.adjust(member, points, now + timedelta(days=4), now)

    @rule(member=st.sampled_from(MEMBERS), taps=st.integers(1, 3))
    def redeem(self, member: str, taps: int) -> None:
        now = self.clock.now()
        possible = (
            self.model.spendable(member, now) >= 15 and self.sold[member] < 2 and sum(self.sold.values()) < 3
        )
        key = f"r{next(self.keys)}"
        answers = set()
        for _tap in range(taps):
            try:
                answers.add(self.ledger.redeem(member, self.offer, key).code)
            except Refused as refusal:
                answers.add(refusal.code)
        assert len(answers) == 1
        assert (len(answers.pop()) == 16) == possible
        if possible:
            self.sold[member] += 1
            self.note_spent(self.ledger.lines(kind="redeem", limit=1)[0].id, member, 15, coupon=True)

    @rule(hours=st.integers(1, 60))
    def wait(self, hours: int) -> None:
        self.clock.advance(timedelta(hours=hours))

    @rule()
    def expire(self) -> None:
        self.ledger.expire()

    @invariant()
    def members_have_what_the_model_says(self) -> None:
        if hasattr(self, "model"):
            now = self.clock.now()
            for member in MEMBERS:
                assert self.ledger.balance(member) == self.model.spendable(member, now)
            assert self.ledger.totals().owed == -sum(self.model.owed.values())


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "lanmu.db"
    database = Database(f"sqlite:///{path}")
    upgrade(database, CORE)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    database.close()
    return path


@pytest.mark.parametrize("lives", [12, pytest.param(300, marks=pytest.mark.long)])
def test_the_ledger_does_what_the_model_does(template: Path, lives: int) -> None:
    LedgerAgainstModel.template = template
    run_state_machine_as_test(
        LedgerAgainstModel,
        settings=settings(
            max_examples=lives,
            stateful_step_count=40,
            deadline=None,
            database=None,
            derandomize=True,
            phases=(Phase.generate,),  # shrinking a failure would take minutes; forty steps can be read
            suppress_health_check=list(HealthCheck),
        ),
    )
