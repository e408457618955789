"""What the last door is asked about a batch: read, and taken from limits and buckets, in one transaction."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from lanmu.delivery.carried import Ready
from lanmu.delivery.door import gate, limits, rates
from lanmu.delivery.door.facts import Facts, InLine, ahead, facts
from lanmu.delivery.door.limits import Addressee, Need, Room, Running, Slot
from lanmu.delivery.door.quiet import AT_ANY_HOUR, QuietHours, zone_called
from lanmu.delivery.door.rates import Bucket, Tokens
from lanmu.i18n import Filled, _
from lanmu.interfaces.channels import Channel
from lanmu.storage.types import AnyRow

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


_Wanted = Mapping[int, Sequence[Sequence[Need]]]
"""The slots that each unit takes, one list for each of its recipients."""


class Answers:
    """What the gate says of each unit of a batch, and what the units that may go out have taken."""

    def __init__(self) -> None:
        self.by_unit: dict[int, gate.Answer] = {}
        self._questions: dict[int, gate.Question] = {}
        self._added: Mapping[Slot, int] = {}
        self._slots: dict[int, list[Need]] = {}
        self._tokens: Tokens | None = None
        self._buckets: dict[int, list[Bucket]] = {}

    def note(self, unit_id: int, question: gate.Question, answer: gate.Answer) -> None:
        """Keep what was answered to which question, since more may come to light."""
        self._questions[unit_id], self.by_unit[unit_id] = question, answer

    def may_go(self, unit_id: int) -> bool:
        """Whether nothing that was asked so far keeps it."""
        return self.by_unit[unit_id].door is gate.Door.SEND

    def count(self, session: Session, going: Sequence[Ready], wanted: _Wanted, facts: Facts) -> None:
        """Count the units against the limits, and ask again about those for whom there is no room."""
        added = Counter(need.slot for needs in wanted.values() for each in needs for need in each)
        if not added:
            return
        self._added = added
        line = _Line(limits.add(session, added), ahead(session, going, facts.pushes))
        for each in going:
            unit_id = each.unit.id
            if (needs := wanted.get(unit_id)) is None:
                continue
            taken, whom = line.take(each, needs, facts.push_of(each).priority, self._questions[unit_id].now)
            if whom:
                self._ask_again(unit_id, whom=whom)
            if self.may_go(unit_id):
                self._slots[unit_id] = taken
            else:
                line.give_back(taken)

    def pace(self, session: Session, now: datetime, wanted: Mapping[int, list[Bucket]]) -> None:
        """Take a token for each call, and ask again about those for which there is none."""
        if not wanted:
            return
        tokens = rates.look(session, now, (bucket for buckets in wanted.values() for bucket in buckets))
        self._tokens = tokens
        for unit_id, buckets in wanted.items():
            until = tokens.free_at(buckets)
            if until is None:
                tokens.take(buckets)
                self._buckets[unit_id] = buckets
            else:
                self._ask_again(unit_id, rate_until=until)

    def _ask_again(self, unit_id: int, **known_now: Any) -> None:
        question = replace(self._questions[unit_id], **known_now)
        self.note(unit_id, question, gate.ask(question))

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


class _Line:
    """The messages of a batch in line for the places that the limits leave, those with more right first."""

    def __init__(self, room: Room, waiting: InLine) -> None:
        self._room = room
        self._waiting = waiting
        self._asked: set[int] = set()

    def take(
        self, ready: Ready, needs: Sequence[Sequence[Need]], priority: int, now: datetime
    ) -> tuple[list[Need], list[gate.Whom]]:
        """What the recipients take, each by its needs; and all of them, where one finds no place."""
        taken: list[Need] = []
        closed: dict[int, tuple[gate.Full | None, gate.Ahead | None]] = {}
        for place, mine in enumerate(needs):
            first = self._first(mine, priority, now) if self._waiting else None
            full = self._room.full(mine)
            if full is None and first is None:
                self._room.take(mine)
                taken += mine
            else:
                closed[place] = None if full is None else _full(full), first
        self._asked.add(ready.unit.id)
        if not closed:
            return taken, []
        free = (None, None)
        return taken, [
            gate.Whom(target.key, full=full, ahead=first)
            for place, target in enumerate(ready.unit.targets)
            for full, first in (closed.get(place, free),)
        ]

    def give_back(self, taken: Sequence[Need]) -> None:
        self._room.give_back(taken)

    def _first(self, needs: Sequence[Need], priority: int, now: datetime) -> gate.Ahead | None:
        """The message of higher priority that would find no place any more if this one went out now."""
        for need in needs:
            before = [
                each
                for each in self._waiting.get((need.rule.scope, need.slot[1]), ())
                if each.priority > priority
                and each.unit_id not in self._asked
                and each.at < need.window.ends_at
            ]
            if before and self._room.left(need) - 1 < len(before):
                first = max(before, key=lambda each: (each.priority, -each.at.timestamp()))
                return gate.Ahead(first.title, min(max(now, first.at) + _AGAIN, need.window.ends_at))
        return None


class Gatekeeper:
    """Asks the gate about a batch. `zone` is the shop's; `quiet` None: no hours are quiet."""

    def __init__(self, channels: Mapping[str, Channel], zone: str, quiet: QuietHours | None) -> None:
        self._channels = channels
        self._quiet = quiet
        shop = ZoneInfo(zone)
        self._zone = lru_cache(64)(lambda name: zone_called(name, shop))

    def ask(self, session: Session, now: datetime, batch: Sequence[Ready]) -> Answers:
        """The answer on each unit. Whoever stores the intents calls `keep` in the same transaction."""
        known = facts(session, batch)
        # Of two for the same last place the one of higher priority is asked about first.
        order = sorted(batch, key=lambda each: (-known.push_of(each).priority, each.unit.id))
        answers, somebody_refuses = Answers(), known.refuse_somebody
        alike: dict[tuple[object, ...], tuple[gate.Question, gate.Answer]] = {}
        for each in order:
            unit = each.unit
            key = (unit.push_id, unit.zone, unit.kept_until)
            if key not in alike:  # what is asked of a push is asked once, and not of each of its units
                question = self._question(known.push_of(each), each, now)
                alike[key] = question, gate.ask(question)
            question, answer = alike[key]
            if somebody_refuses and (whom := _refused(each, known)):
                question = replace(question, whom=whom)
                answer = gate.ask(question)
            answers.note(unit.id, question, answer)
        going = [each for each in order if answers.may_go(each.unit.id)]
        if going and (rules := limits.rules(session)):
            answers.count(session, going, _needed(going, limits.running(rules, now), known), known)
        answers.pace(session, now, self._calls([each for each in going if answers.may_go(each.unit.id)]))
        return answers

    def _question(self, push: AnyRow, ready: Ready, now: datetime) -> gate.Question:
        unit, sheet = ready.unit, ready.sheet
        late_from = max(push.due_at, unit.kept_until or push.due_at)
        quiet_until = None
        if self._quiet is not None and not push.is_test and sheet.options.get(AT_ANY_HOUR) != "yes":
            zone = self._zone(unit.zone)
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

    def _calls(self, going: Sequence[Ready]) -> dict[int, list[Bucket]]:
        """The buckets from which the call of each unit takes a token, where its far end sets a pace."""
        called = {name: self._channels.get(name) for name in {each.unit.channel for each in going}}
        paced = {
            name: channel.abilities
            for name, channel in called.items()
            if channel is not None and rates.sets_a_pace(channel.abilities)  # it may just have been set aside
        }
        return {
            unit.id: rates.buckets(unit.channel, paced[unit.channel], [each.key for each in unit.targets])
            for unit, *_rest in going
            if unit.channel in paced
        }


def _refused(ready: Ready, facts: Facts) -> list[gate.Whom]:
    """The unit's recipients, where one of them may not be written to at all; nobody where all may."""
    whom = [
        gate.Whom(
            target.key,
            opted_out=known.member_id in facts.opted_out,
            switched_off=(row := facts.community_of(known)) is not None and not row.active,
        )
        for target, known in zip(ready.unit.targets, ready.unit.known, strict=True)
    ]
    return whom if any(each.opted_out or each.switched_off for each in whom) else []


def _needed(going: Sequence[Ready], running: Sequence[Running], facts: Facts) -> _Wanted:
    """What the units take; one that a person had sent again has been counted."""
    found = {}
    known: dict[tuple[str, bool], list[Running]] = {}
    for each in going:
        if each.unit.counted:
            continue
        kind = each.unit.channel, facts.push_of(each).is_test
        if kind not in known:
            known[kind] = limits.that_count(running, kind[0], is_test=kind[1])
        found[each.unit.id] = _needs(each, known[kind], facts)
    return found


def _needs(ready: Ready, running: Sequence[Running], facts: Facts) -> list[list[Need]]:
    """The slots that the message to each of the unit's targets takes."""
    unit = ready.unit
    found = []
    for target, known in zip(unit.targets, unit.known, strict=True):
        row = facts.community_of(known)
        addressee = Addressee(
            unit.channel,
            unit.sender,
            known.account,
            target.key,
            known.community_id,
            known.member_id,
            row.daily_cap if row is not None else None,
        )
        found.append(limits.needs(running, addressee))
    return found


def _full(need: Need) -> gate.Full:
    why = _NO_ROOM[need.rule.scope]
    return gate.Full(need.window.ends_at, Filled(why, most=need.most, when=Filled(_WHEN[need.rule.period])))
