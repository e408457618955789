"""Runs a rehearsal: the engine that sends, on a copy, from one due instant to the next, in seconds."""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from lanmu.delivery.deadlines import Deadlines
from lanmu.delivery.door.limits import house_cap
from lanmu.delivery.door.quiet import AT_ANY_HOUR, QuietHours
from lanmu.delivery.installation.owner import this_process
from lanmu.delivery.models import Push, Unit, UnitTarget
from lanmu.delivery.sending.dispatcher import Dispatcher
from lanmu.delivery.sending.preflight import Objections, Preflight
from lanmu.delivery.service import DeliveryService
from lanmu.delivery.states import EXIT, OBJECTION, OUT
from lanmu.experiments.service import Experiments
from lanmu.i18n import _, told
from lanmu.interfaces.channels import Abilities, Channel
from lanmu.interfaces.errors import LanmuError
from lanmu.library.placeholders import render
from lanmu.library.service import Library
from lanmu.library.views import Snapshot
from lanmu.rehearsal.asking import only_asked
from lanmu.rehearsal.capturing import AtOnce, Captured, CapturingChannel, NotingGatekeeper, VirtualClock
from lanmu.rehearsal.comparing import Place, Rules, Sent, Word, compare
from lanmu.rehearsal.copying import SIZE, copy_rules, let_leave, own_database, put_in
from lanmu.rehearsal.expecting import expected
from lanmu.rehearsal.people import Recipient, cast, takes
from lanmu.rehearsal.report import Report, of_columns, told_faults
from lanmu.schedule.columns import ColumnView
from lanmu.schedule.models import Column, Occurrence
from lanmu.schedule.occurrences import OccurrenceFilter
from lanmu.schedule.problem import WHY_EMPTY
from lanmu.schedule.service import ScheduleService
from lanmu.schedule.special_days import table_of
from lanmu.storage import Database

_DAY = timedelta(days=1)
_AFTERWARDS = timedelta(days=3)
"""How long what is under way at the end still has to go out: longer than quiet hours and any deadline."""

_STUCK = timedelta(minutes=5)
_SECOND = timedelta(seconds=1)

_OTHER_TEXT = _("Its text is not the one that was approved.")
_NOT_APPROVED = _("Its text has not been approved.")


@dataclass(frozen=True, slots=True)
class House:
    """What a rehearsal knows of the installation. No channel: only their names and what they declare.

    `objections` asks the plugins, as a real send does.
    """

    zone: str
    shop_name: str
    quiet: QuietHours | None
    horizon: timedelta
    ahead: timedelta
    channels: Mapping[str, Abilities]
    objections: Objections


@dataclass(frozen=True, slots=True)
class Asked:
    """What to rehearse: `[start, start + days)` by the shop's calendar, so many recipients a column, these
    columns by their ids, or all that are switched on."""

    start: datetime
    until: datetime
    days: int
    recipients: int
    columns: tuple[str, ...] = ()


def rehearse(live: Database, house: House, asked: Asked, progress: Callable[[int, int], None]) -> Report:
    """Play it through and compare. The live database is read, once, and nothing is sent.

    `progress` hears (days done, of how many). Raises NotFound and Conflict, see `copy_rules`.
    """
    with tempfile.TemporaryDirectory(prefix="lanmu-rehearsal-") as folder:
        own = own_database(Path(folder))
        try:
            real = copy_rules(live, own, asked.columns)
            with only_asked(live, house.objections) as objections:
                run = _Run(own, house, asked, Path(folder), objections)
                columns = [each for each in run.schedule.columns.everything() if each.draft.active]
                who = cast(columns, real, asked.recipients, house.zone)
                run.recipients = put_in(own, who, run.clock.now())
                run.play(columns, progress)
            people = {each.id: sum(n for one, n in real.items() if takes(each, one)) for each in columns}
            return _report(run, columns, people)
        finally:
            own.close()


class _Run:
    """The engine on its copy, with a clock that is set to the next instant at which something happens."""

    def __init__(
        self, own: Database, house: House, asked: Asked, folder: Path, objections: Objections
    ) -> None:
        self.own, self.house, self.asked = own, house, asked
        self.clock = VirtualClock(asked.start - house.ahead - timedelta(minutes=1))
        self.captured: list[Captured] = []
        self.recipients: dict[int, Recipient] = {}
        self.left_at: dict[str, datetime] = {}
        self.awaited: set[tuple[str, datetime]] = set()
        channels: dict[str, Channel] = {
            name: CapturingChannel(name, abilities, self.clock, self.captured)
            for name, abilities in house.channels.items()
        }
        library = Library(own, self.clock, folder, zone=house.zone)
        self.snapshot: Callable[[int], Snapshot] = library.materials.snapshot
        self.gate = NotingGatekeeper(channels, house.zone, house.quiet)
        self.delivery = DeliveryService(
            own, self.clock, channels, deadlines=Deadlines(house.zone, house.quiet)
        )
        self.schedule = ScheduleService(
            own,
            self.clock,
            library.materials,
            self.delivery,
            Experiments(own, self.clock, library),
            channels,
            horizon=house.horizon,
            ahead=house.ahead,
            zone=house.zone,
        )
        self._dispatcher = Dispatcher(
            own,
            self.clock,
            channels,
            Preflight(own, self.clock, self.snapshot, objections, house.shop_name),
            this_process(),
            AtOnce(),
            lambda _receipt: None,
            gatekeeper=self.gate,
        )

    def play(self, columns: Sequence[ColumnView], progress: Callable[[int, int], None]) -> None:
        """From a little before the first day until all that was due in it is out or has fallen."""
        asked = self.asked
        each = [column.id for column in columns if column.draft.approval == "each"]
        half_way = asked.start + (asked.until - asked.start) / 2
        plan_at = self.clock.now()
        while (now := self.clock.now()) < asked.until:
            if now >= plan_at:
                plan_at = now + _DAY
                self.schedule.plan_ahead()
                self._approve(each, plan_at + _DAY)
                progress(max((now - asked.start).days, 0), asked.days)
            self.schedule.hand_over()
            # By now some of their messages have been handed over: the last door must stop those.
            if now >= half_way and not self.left_at:
                self._let_some_leave(now)
            self._send()
            due = self._next_hand_over(now)
            self.clock.set(min(filter(None, (plan_at, due, self._next_due(now), asked.until))))
        while (due := self._next_due(self.clock.now())) and due < asked.until + _AFTERWARDS:
            self.clock.set(due)
            self._send()
        progress(asked.days, asked.days)

    def _approve(self, columns: Sequence[str], until: datetime) -> None:
        """What a person would look at is approved, and counted once for all recipients."""
        since = self.clock.now() + _SECOND
        for column in columns:
            wanted = OccurrenceFilter(column=column, states=("planned",))
            found = self.schedule.occurrences.between(since, until, wanted)
            self.awaited |= {(column, each.due_at) for each in found if each.due_at < self.asked.until}
            if found:
                self.schedule.occurrences.approve({each.id: each.revision_id for each in found}, "rehearsal")

    def _let_some_leave(self, now: datetime) -> None:
        gone = {row: one for row, one in self.recipients.items() if one.leaves}
        let_leave(self.own, gone)
        self.left_at = {one.key: now for one in gone.values()}

    def _send(self) -> None:
        self.delivery.expand()
        while self._dispatcher.run_due():
            pass

    def _next_hand_over(self, now: datetime) -> datetime | None:
        """When more can be handed over: a second after it comes within reach, which is half-open."""
        ahead = self.house.ahead
        coming = select(func.min(Occurrence.due_at)).where(
            Occurrence.state.in_(("planned", "approved")), Occurrence.due_at >= now + ahead
        )
        with self.own.read() as session:
            due = session.scalar(coming)
        return None if due is None else due - ahead + _SECOND

    def _next_due(self, now: datetime) -> datetime | None:
        due = self.delivery.next_due()
        return None if due is None else due if due > now else now + _STUCK


def _report(run: _Run, columns: Sequence[ColumnView], people: Mapping[str, int]) -> Report:
    asked, recipients = run.asked, list(run.recipients.values())
    with run.own.read() as session:
        table, cap = table_of(session), house_cap(session)
    special = dict.fromkeys(table.rest, False) | dict.fromkeys(table.work, True)
    wanted = expected(columns, recipients, asked.start, asked.until, special)
    quiet = run.house.quiet
    zones = {one.key: ZoneInfo(one.profile.zone) for one in recipients}
    rules = Rules(
        zone=ZoneInfo(run.house.zone),
        quiet=None if quiet is None else (quiet.since, quiet.until),
        zones=zones,
        left_at=run.left_at,
        caps={one.key: cap if one.profile.daily_cap is None else one.profile.daily_cap for one in recipients},
        at_any_hour={each.id for each in columns if each.draft.options.get(AT_ANY_HOUR) == "yes"},
    )
    done = compare(wanted, *_what_came(run, columns), rules)
    local = rules.zone
    return Report(
        green=done.green,
        first_day=asked.start.astimezone(local).date().isoformat(),
        last_day=(asked.until - _SECOND).astimezone(local).date().isoformat(),
        days=asked.days,
        recipients=len(recipients),
        waited=len(run.awaited),
        columns=of_columns(columns, wanted, done, people),
        counts=dict(Counter(str(fault.kind) for fault in done.faults)),
        faults=told_faults(done, {each.id: each.draft.name for each in columns}, zones),
    )


def _what_came(run: _Run, columns: Sequence[ColumnView]) -> tuple[list[Sent], Mapping[Place, Sequence[Word]]]:
    """What the capturing channels got, and what planner and last door said of the rest."""
    ids = {each.draft.name: each.id for each in columns}
    with run.own.read() as session:
        pushes = session.execute(
            select(Push.id, Push.public_id, Push.column_name, Push.due_at, Push.revision_id)
        ).all()
        unsent = session.execute(
            select(UnitTarget.push_id, UnitTarget.recipient_key, Unit.reason, Push.held_reason, Unit.code)
            .join(Unit, Unit.id == UnitTarget.unit_id)
            .join(Push, Push.id == UnitTarget.push_id)
            .where(Unit.state.not_in(OUT))
        ).all()
        holes = session.execute(
            select(Column.public_id, Occurrence)
            .join(Column, Column.id == Occurrence.column_id)
            .where(Occurrence.state.in_(("empty", "missed")))
        ).all()
    by_row = {row.id: row for row in pushes}
    by_id = {row.public_id: row for row in pushes}

    def place(push: Any, recipient: str) -> Place:
        return Place(ids.get(push.column_name, push.column_name), recipient, push.due_at)

    words: defaultdict[Place, list[Word]] = defaultdict(list)
    last: list[tuple[Place, Word]] = []
    for row, key, reason, held, code in unsent:
        push = by_row[row]
        word = Word(push.due_at, code, reason or held)
        if code in (OBJECTION, EXIT):  # the last door never heard of it again
            last.append((place(push, key), word))
        else:
            words[place(push, key)].append(word)
    for (row, key), said in run.gate.words.items():
        words[place(by_row[row], key)] += said
    for of, word in last:
        words[of].append(word)
    for column, hole in holes:
        key = run.recipients[hole.community_id].key
        words[Place(column, key, hole.due_at)].append(_word_of_planner(hole, run.snapshot))
    fault = _checking(run)
    sent = [
        Sent(place(push, each.recipient), each.at, fault(each, push.revision_id))
        for each in run.captured
        for push in (by_id[each.push],)
    ]
    return sent, words


def _word_of_planner(row: Occurrence, snapshot: Callable[[int], Snapshot]) -> Word:
    """Why nothing was planned, or why it was not handed over; the latter only where it is so."""
    if row.state == "empty":
        code = str(row.why.get("empty", ""))
        return Word(row.due_at, "empty" if code else "", WHY_EMPTY.get(code, code))
    try:
        true = row.revision_id is not None and bool(snapshot(row.revision_id).why_not(row.due_at))
    except LanmuError as error:
        return Word(row.due_at, "material", told(error))
    return Word(row.due_at, "material" if true else "missed", str(row.why.get("missed", "")))


def _checking(run: _Run) -> Callable[[Captured, int | None], str]:
    """What says what is wrong with a text, by what the library has approved; empty where nothing is."""

    @cache
    def approved(revision: int | None) -> str | None:
        try:
            return None if revision is None else run.snapshot(revision).body
        except LanmuError:
            return None

    def fault(captured: Captured, revision: int | None) -> str:
        body = approved(revision)
        if body is None:
            return _NOT_APPROVED
        values = {"shop.name": run.house.shop_name, "sender.name": captured.sender}
        values |= {"community.name": captured.recipient, "community.size": str(SIZE)}
        return "" if render(body, values) == captured.text else _OTHER_TEXT

    return fault
