"""What must be true at the end of every run: the database's books against what the far end remembers."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session
from tests.simulation.sim_material import BY_SENDER, LIMITED, PACED, number_of, sender_of
from tests.simulation.sim_world import PACE_OF, World

from lanmu.delivery.models import Attempt, Push, Unit, UnitTarget
from lanmu.delivery.states import FINISHED_PUSHES, TARGET_STATE_OF_UNIT, UnitState

OUT = frozenset({"accepted", "handed_over", "delivered", "partial", "undelivered"})
NOT_OUT = frozenset({"pending", "leased", "retry_wait", "failed", "skipped", "cancelled", "held"})


@dataclass(frozen=True)
class Most:
    """What the limits of a run allow: to a channel and to each sender of another, in recipients, and how
    many calls a minute to a third."""

    channel: int
    sender: int
    pace: int


@dataclass
class Found:
    """Counted at the end. `double`: recipients with two messages and no person's word for the second; `lost`:
    the books say out and nothing is, or not out and something is; `unseen`: in doubt, and no one is told.
    """

    double: int
    lost: int
    early: int
    late: int
    unseen: int
    states: dict[str, int]

    def faults(self) -> int:
        return self.double + self.lost + self.early + self.late + self.unseen


def check(world: World, most: Most) -> Found:
    """Compare the books with the far end's memory, and note everything that is wrong."""
    wrong = world.wrong
    with world.database.read() as session:
        units = session.execute(
            select(Unit.id, Unit.token, Unit.state, Unit.reason, Unit.code, Unit.channel)
        ).all()
        _pushes_add_up(session, wrong)
        _intents_cover_what_was_written(session, world)
        _what_was_known_is_in(session, world)
        stale = session.execute(text("SELECT unit_id, fence FROM stale_intent")).all()
    wrong.extend(
        f"stale: unit {unit_id} was intended under {fence}, and is another's" for unit_id, fence in stale
    )
    effective = world.effective()
    out = sum(bool(effective[unit.token]) for unit in units if unit.channel == LIMITED)
    if out > most.channel:
        wrong.append(f"above the limit: {out} of {most.channel}")
    wrong.extend(_above_a_senders_limit(world, {u.token for u in units if u.channel == BY_SENDER}, most))
    wrong.extend(_too_fast(world, most.pace))
    double, lost, unseen = _doubles(world, effective), 0, 0
    for unit in units:
        if fault := _books_differ(unit, effective.get(unit.token, Counter()), world):
            wrong.append(fault)
            lost += 1
        in_doubt = unit.state == "unknown"
        if unit.state == "calling" or (in_doubt and not (unit.reason and unit.code)):
            wrong.append(f"in doubt and not shown: {unit.token} is {unit.state}")
            unseen += 1
    return Found(
        double,
        lost,
        sum(each.startswith("early") for each in wrong),
        sum(each.startswith("after its deadline") for each in wrong),
        unseen,
        dict(Counter(str(unit.state) for unit in units)),
    )


def _doubles(world: World, effective: Mapping[str, Counter[int]]) -> int:
    """By recipient, across units and pushes: the key of a recipient is one in the whole run."""
    reached: Counter[tuple[str, int]] = Counter()
    for token, effects in world.far_end.of_token.items():
        for key in effects[0].targets:
            for leave, times in effective[token].items():
                reached[key, leave] += times
    doubles = [each for each, times in reached.items() if times > 1]
    world.wrong.extend(f"double: {key} has it {reached[key, leave]} times" for key, leave in doubles)
    return len(doubles)


def _books_differ(unit: Any, effective: Counter[int], world: World) -> str:
    """What the books say of a unit against what its recipients have. A person's word stands as it is."""
    if world.said.get(unit.token) in ("sent", "give_up"):
        return ""
    if unit.state in OUT and not effective.total():
        return f"lost: {unit.token} is {unit.state}, and nobody has it"
    if unit.state in NOT_OUT and effective[len(world.again.get(unit.token, ()))]:
        return f"lost: {unit.token} is {unit.state} ({unit.code}), and people have it"
    return ""


def _pushes_add_up(session: Session, wrong: list[str]) -> None:
    pushes = session.execute(select(Push.id, Push.title, Push.planned, Push.state)).all()
    titles = Counter(push.title for push in pushes)
    wrong.extend(f"one firing made {times} pushes: {title}" for title, times in titles.items() if times > 1)
    counted = session.execute(
        select(UnitTarget.push_id, UnitTarget.state, Unit.state, func.count())
        .join(Unit, Unit.id == UnitTarget.unit_id)
        .group_by(UnitTarget.push_id, UnitTarget.state, Unit.state)
    ).all()
    total: Counter[int] = Counter()
    open_units: set[int] = set()
    for push_id, target_state, unit_state, number in counted:
        total[push_id] += number
        expected = TARGET_STATE_OF_UNIT.get(UnitState(unit_state), "planned")
        if target_state != expected:
            wrong.append(f"targets of a unit that is {unit_state} are {target_state}")
        if unit_state in ("pending", "leased", "calling", "retry_wait", "unknown", "held"):
            open_units.add(push_id)
    for push in pushes:
        if total[push.id] != push.planned:
            wrong.append(f"lost: {push.title} planned {push.planned} and has {total[push.id]}")
        if (push.state in FINISHED_PUSHES) == (push.id in open_units):
            wrong.append(f"{push.title} is {push.state} with open units: {push.id in open_units}")


def _intents_cover_what_was_written(session: Session, world: World) -> None:
    """Every message that reached people stands in the books with its exact bytes."""
    intended = {
        (token, bytes(body))
        for token, body in session.execute(
            select(Unit.token, Attempt.request).join(Unit, Unit.id == Attempt.unit_id)
        )
    }
    for token, effects in world.far_end.of_token.items():
        if any((token, effect.body) not in intended for effect in effects):
            world.wrong.append(f"no intent: {token} was written and no attempt says so")


def _above_a_senders_limit(world: World, tokens: set[str], most: Most) -> list[str]:
    """By the far end's memory, where a message that a person had sent again counts once."""
    reached = {
        key
        for token in tokens
        for effect in world.far_end.of_token.get(token, ())
        if not effect.cancelled and not effect.echo
        for key in effect.targets
    }
    by_sender = Counter(sender_of(number_of(key)) for key in reached)
    return [
        f"above the limit: {sender} reached {number} of {most.sender}"
        for sender, number in by_sender.items()
        if number > most.sender
    ]


def _too_fast(world: World, pace: int) -> list[str]:
    """More calls in a span than its bucket allows, in spans in which nobody set the clock.

    A call belongs to when its worker asked for its token: what comes later is the line's affair.
    """
    calls, per, sets = sorted(world.calls[PACED]), PACE_OF.total_seconds(), world.clock.set_at
    for last, at in enumerate(calls):
        first = bisect_right(calls, at - per)
        if last - first + 1 > pace and bisect_right(sets, at) == bisect_right(sets, at - per):
            return [f"too fast: {last - first + 1} calls within {per:.0f} s, and {pace} may be"]
    return []


def _what_was_known_is_in(session: Session, world: World) -> None:
    """What a worker put into the journal while the database was away has come into the database.

    An intent that the database never took was given back by the journal too, and has no attempt.
    """
    unfinished = select(Attempt.unit_id, Attempt.fence).where(Attempt.finished_at.is_(None))
    missing = {(unit_id, fence) for unit_id, fence in session.execute(unfinished)} & world.journal.kept
    if missing:
        world.wrong.append(f"kept in the journal and never brought in: {sorted(missing)[:5]}")
