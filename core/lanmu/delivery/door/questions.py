"""What the last door is asked about a batch: read, and taken from limits and buckets, in one transaction."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row
from sqlalchemy.orm import Session

from lanmu.delivery.door import gate, limits, rates
from lanmu.delivery.door.facts import PUSH_IDS, Waiting, ahead, facts
from lanmu.delivery.door.facts import pushes as pushes_now
from lanmu.delivery.door.limits import Addressee, Need, Room, Rule, Slot
from lanmu.delivery.door.quiet import AT_ANY_HOUR, QuietHours
from lanmu.delivery.door.rates import Bucket, Tokens
from lanmu.delivery.door.windows import Window
from lanmu.delivery.sending.preflight import Ready
from lanmu.i18n import Filled, _
from lanmu.interfaces.channels import Channel

_AGAIN = timedelta(minutes=1)
"""How long after the time of a push of higher priority one that yields to it looks again."""

_NO_ROOM: dict[str, str] = {
    "community": _("The community has had all %(most)s messages it may get %(when)s."),
    "member": _("The member has had all %(most)s messages they may get %(when)s."),
    "sender": _("The sender has sent all %(most)s messages that one may send %(when)s."),
    "channel": _("The channel has sent all %(most)s messages it may send %(when)s."),
    "recipient": _("The recipient has had all %(most)s messages that may go there %(when)s."),
}
_WHEN: dict[str, str] = {"day": _("today"), "week": _("this week"), "month": _("this month")}


@dataclass(slots=True)
class Answers:
    """What the gate said of each unit of a batch, and what the units that may go out have taken."""

    by_unit: dict[int, gate.Answer]
    _added: Mapping[Slot, int] = field(default_factory=dict)
    _slots: dict[int, list[Need]] = field(default_factory=dict)
    _tokens: Tokens | None = None
    _buckets: dict[int, list[Bucket]] = field(default_factory=dict)

    def keep(self, session: Session, sent: Collection[int]) -> None:
        """Store what these units have taken, and give back the rest of what was taken for the batch."""
        kept = Counter(need.slot for unit in sent for need in self._slots.get(unit, ()))
        limits.take_off(
            session,
            {slot: over for slot, added in self._added.items() if (over := added - kept.get(slot, 0))},
        )
        if self._tokens is not None:
            for unit, buckets in self._buckets.items():
                if unit not in sent:
                    self._tokens.put_back(buckets)
            rates.store(session, self._tokens)


class Gatekeeper:
    """Asks the gate about a batch. `zone` is the shop's; `quiet` None: no hours are quiet."""

    def __init__(self, channels: Mapping[str, Channel], zone: str, quiet: QuietHours | None) -> None:
        self._channels = channels
        self._zone = ZoneInfo(zone)
        self._quiet = quiet
        self._named = lru_cache(64)(lambda name: _zone_called(name, self._zone))

    def ask(self, session: Session, now: datetime, batch: Sequence[Ready]) -> Answers:
        """The answer on each unit. Whoever stores the intents calls `keep` in the same transaction."""
        connection = session.connection()
        dialect = connection.dialect.name
        ids = PUSH_IDS.pack(dialect, {each.unit.push_id for each in batch})
        pushes = {row.id: row for row in connection.execute(pushes_now(dialect), ids)}
        members, communities = facts(session, batch)
        anybody = members or [row for row in communities.values() if not row.active]
        # Of two for the same last place the one of higher priority is asked about first.
        order = sorted(batch, key=lambda each: (-pushes[each.unit.push_id].priority, each.unit.id))
        questions: dict[int, gate.Question] = {}
        answers = Answers({})
        alike: dict[tuple[object, ...], tuple[gate.Question, gate.Answer]] = {}
        for each in order:
            unit = each.unit
            key = (unit.push_id, unit.zone, unit.kept_until)
            if key not in alike:  # what is asked of a push is asked once, and not of each of its units
                question = self._question(pushes[unit.push_id], each, now)
                alike[key] = question, gate.ask(question)
            question, answer = alike[key]
            if anybody and (whom := _refused(each, members, communities)):
                question = replace(question, whom=whom)
                answer = gate.ask(question)
            questions[unit.id], answers.by_unit[unit.id] = question, answer
        going = [each for each in order if answers.by_unit[each.unit.id].door is gate.Door.SEND]
        if going:
            self._count(session, now, going, pushes, communities, questions, answers)
            self._pace(session, now, going, questions, answers)
        return answers

    def _question(self, push: Row[*tuple[Any, ...]], ready: Ready, now: datetime) -> gate.Question:
        unit, sheet = ready.unit, ready.sheet
        late_from = max(push.due_at, unit.kept_until or push.due_at)
        quiet_until = None
        if self._quiet is not None and not push.is_test and sheet.options.get(AT_ANY_HOUR) != "yes":
            zone = self._named(unit.zone)
            late_from = max(late_from, self._quiet.over_at(push.due_at, zone))
            over = self._quiet.over_at(now, zone)
            quiet_until = over if over > now else None
        return gate.Question(
            now=now,
            due_at=push.due_at,
            deadline_at=push.deadline_at,
            late_after=timedelta(seconds=push.late_after),
            late_policy=push.late_policy,
            push_state=push.state,
            cancel_requested=push.cancel_requested,
            approved_hash=push.approved_hash,
            rendered_hash=sheet.rendered_hash,
            content_changed=push.lock != sheet.material_lock,
            content_fault=sheet.content.why_not(now) if sheet.content is not None else sheet.fault,
            late_decided=push.late_decided,
            late_from=late_from,
            stopped=not push.may_send,
            is_test=push.is_test,
            quiet_until=quiet_until,
        )

    def _count(
        self,
        session: Session,
        now: datetime,
        going: Sequence[Ready],
        pushes: Mapping[int, Row[*tuple[Any, ...]]],
        communities: Mapping[int, Row[*tuple[Any, ...]]],
        questions: dict[int, gate.Question],
        answers: Answers,
    ) -> None:
        """Count the batch against the limits, and ask again about those for whom there is no room."""
        rules = limits.rules(session)
        if not rules:
            return
        windows = limits.windows_of(rules, now)
        wanted = {
            each.unit.id: _needs(each, pushes[each.unit.push_id].is_test, windows, communities)
            for each in going
            if not each.unit.counted  # a person had it sent again: it has been counted
        }
        added = Counter(need.slot for needs in wanted.values() for each in needs for need in each)
        if not added:
            return
        answers._added = added
        room = limits.add(session, added)
        waiting = ahead(session, going, pushes)
        gone: set[int] = set()
        for each in going:
            if (needs := wanted.get(each.unit.id)) is None:
                continue
            unit_id, priority = each.unit.id, pushes[each.unit.push_id].priority
            taken: list[Need] = []
            closed: dict[int, tuple[Need | None, tuple[Waiting, Need] | None]] = {}
            for place, mine in enumerate(needs):
                first = _first_in_line(mine, room, waiting, priority, gone) if waiting else None
                full = room.full(mine)
                if full is None and first is None:
                    room.take(mine)
                    taken += mine
                else:
                    closed[place] = full, first
            if closed:
                whom = [
                    gate.Whom(
                        target.key,
                        full=_full(full) if full is not None else None,
                        ahead=first and gate.Ahead(first[0].title, _look_again(now, *first)),
                    )
                    for place, target in enumerate(each.unit.targets)
                    for full, first in (closed.get(place, (None, None)),)
                ]
                questions[unit_id] = replace(questions[unit_id], whom=whom)
                answers.by_unit[unit_id] = gate.ask(questions[unit_id])
            answer = answers.by_unit[unit_id]
            if answer.door is gate.Door.SEND:
                answers._slots[unit_id] = taken
            else:
                room.give_back(taken)
            gone.add(unit_id)

    def _pace(
        self,
        session: Session,
        now: datetime,
        going: Sequence[Ready],
        questions: Mapping[int, gate.Question],
        answers: Answers,
    ) -> None:
        """Take a token for each call, and ask again about those for which there is none."""
        wanted = {}
        for each in going:
            if answers.by_unit[each.unit.id].door is gate.Door.SEND:
                unit = each.unit
                keys = (target.key for target in unit.targets)
                buckets = rates.buckets(unit.channel, self._channels[unit.channel].abilities, keys)
                if buckets:
                    wanted[unit.id] = buckets
        if not wanted:
            return
        tokens = rates.look(session, now, (bucket for buckets in wanted.values() for bucket in buckets))
        answers._tokens, answers._buckets = tokens, {}
        for unit_id, buckets in wanted.items():
            until = tokens.free_at(buckets)
            if until is None:
                tokens.take(buckets)
                answers._buckets[unit_id] = buckets
            else:
                answers.by_unit[unit_id] = gate.ask(replace(questions[unit_id], rate_until=until))


def _zone_called(name: str, default: ZoneInfo) -> ZoneInfo:
    try:
        return ZoneInfo(name) if name else default
    except (KeyError, ValueError, OSError):  # a zone that this machine does not know
        return default


def _refused(
    ready: Ready, members: Collection[int], communities: Mapping[int, Row[*tuple[Any, ...]]]
) -> list[gate.Whom]:
    """The unit's recipients, where one of them may not be written to at all; nobody where all may."""
    whom = [
        gate.Whom(
            target.key,
            opted_out=known.member_id in members,
            switched_off=(row := communities.get(known.community_id or 0)) is not None and not row.active,
        )
        for target, known in zip(ready.unit.targets, ready.unit.known, strict=True)
    ]
    return whom if any(each.opted_out or each.switched_off for each in whom) else []


def _needs(
    ready: Ready,
    is_test: bool,
    windows: Sequence[tuple[Rule, Window]],
    communities: Mapping[int, Row[*tuple[Any, ...]]],
) -> list[list[Need]]:
    """The slots that the message to each of the unit's targets takes."""
    unit = ready.unit
    found = []
    for target, known in zip(unit.targets, unit.known, strict=True):
        row = communities.get(known.community_id or 0)
        addressee = Addressee(
            unit.channel,
            unit.sender,
            known.account,
            target.key,
            known.community_id,
            known.member_id,
            is_test,
            row.daily_cap if row is not None else None,
        )
        found.append(limits.needs(windows, addressee))
    return found


def _full(need: Need) -> gate.Full:
    why = _NO_ROOM[need.rule.scope]
    return gate.Full(need.window.ends_at, Filled(why, most=need.most, when=Filled(_WHEN[need.rule.period])))


_Ahead = Mapping[tuple[str, str], Sequence[Waiting]]


def _first_in_line(
    needs: Sequence[Need], room: Room, waiting: _Ahead, priority: int, gone: Collection[int]
) -> tuple[Waiting, Need] | None:
    """The message of higher priority that would find no place any more if this one went out now."""
    for need in needs:
        before = [
            each
            for each in waiting.get((need.rule.scope, need.slot[1]), ())
            if each.priority > priority and each.unit_id not in gone and each.at < need.window.ends_at
        ]
        if before and room.left(need) - 1 < len(before):
            return max(before, key=lambda each: (each.priority, -each.at.timestamp())), need
    return None


def _look_again(now: datetime, first: Waiting, need: Need) -> datetime:
    return min(max(now, first.at) + _AGAIN, need.window.ends_at)
