"""What people and the schedule ask of deliveries: take in, look at, stop, go on, and decide what is held."""

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from lanmu.delivery import listing
from lanmu.delivery.changes import Changes
from lanmu.delivery.deadlines import NO_QUIET, Deadlines
from lanmu.delivery.expansion import Expansion, is_expanded, state_to_go
from lanmu.delivery.followup import said
from lanmu.delivery.followup.results import Results
from lanmu.delivery.installation import lives
from lanmu.delivery.installation.owner import Owner, is_dead
from lanmu.delivery.intake import PushRequest, Recipient, take_in, text_hash
from lanmu.delivery.listing import Decision, Group
from lanmu.delivery.models import Push, Unit
from lanmu.delivery.progress import Progress, progress, progress_by_push, settle
from lanmu.delivery.recipients import RecipientLine, recipient_lines
from lanmu.delivery.sending.asking import no_such_channel
from lanmu.delivery.sending.breakers import BreakerView, forget, open_breakers
from lanmu.delivery.sending.journal import Journal
from lanmu.delivery.sending.outcomes import first_look
from lanmu.delivery.sending.queue import OWNED, next_due, reap, release
from lanmu.delivery.states import FINISHED_PUSHES, PushState, UnitState
from lanmu.delivery.stopping import Stopped, ask_to_return, returnable, stopped
from lanmu.delivery.views import GateAnswer, PushView, UnitView, gate_answers, push_view, unit_views
from lanmu.i18n import _
from lanmu.interfaces.channels import Channel, Sending
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Conflict, Invalid, NotFound
from lanmu.storage import Database

_ASK_FOR = 8.0
"""Seconds for which a person waits while channels are asked to take back what they have."""


@dataclass(frozen=True, slots=True)
class PushFilter:
    """Which pushes to list; empty takes all."""

    states: Sequence[str] = ()
    group: Group | None = None
    channel: str = ""
    since: datetime | None = None
    until: datetime | None = None


class DeliveryService:
    """The door of the room: every push comes in here, from whatever source.

    `elsewhere` names the channels that do not run in this process, but do in another worker; `results` asks
    the channels for a person who cancels.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        channels: Mapping[str, Channel],
        *,
        solo_approval: bool = False,
        journal: Journal | None = None,
        deadlines: Deadlines = NO_QUIET,
        elsewhere: Callable[[], Collection[str]] = frozenset,
        results: Results | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._channels = channels
        self._journal = journal
        self._elsewhere = elsewhere
        self._results = results or Results(database, clock, channels, elsewhere)
        self._expansion = Expansion(database, clock)
        self._deadlines = deadlines
        self.changes = Changes(database, clock, channels, solo_approval=solo_approval, deadlines=deadlines)

    def request(self, session: Session, request: PushRequest) -> tuple[int, bool]:
        """Take in a request in the caller's transaction; answers the push's row, and whether it is new.

        A large one waits for `expand`.
        """
        push, new = self._take_in(session, request)
        return push.id, new

    def send(self, request: PushRequest) -> PushView:
        """Take in a request in a transaction of its own and expand it; answers the push."""
        with self._database.write() as session:
            push, _new = self._take_in(session, request)
            if is_expanded(session, push.id):
                return push_view(push, progress(session, push.id))
        self._expansion.run(push.id)
        return self.get(push.public_id)

    def _take_in(self, session: Session, request: PushRequest) -> tuple[Push, bool]:
        if request.deadline_at is None and not request.is_test:
            zones = {recipient.zone for recipient in request.recipients}
            deadline = self._deadlines.default(request.due_at, zones, request.options)
            request = replace(request, deadline_at=deadline)
        return take_in(session, request, self._channels.get(request.channel), self._clock)

    def expand(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Go on with the pushes that wait for their units; answers how many portions were made of them."""
        return self._expansion.run(stopping=stopping)

    def test(self, channel: str, key: str, sender: str, text: str, by: str) -> PushView:
        """Send words to one recipient now, visibly marked as a test, by the same way as every push.

        Raises Invalid for a channel that does not run or an empty text.
        """
        if channel not in self._channels:
            raise no_such_channel("channel", channel, self._channels)
        if not text.strip():
            raise Invalid("text", _("is empty."))
        now = self._clock.now()
        marked = f"【测试】{text}"  # the mark stands in what customers may see, so it is the shop's language
        return self.send(
            PushRequest(
                source_key=f"test:{secrets.token_hex(12)}",
                title=marked[:60],
                channel=channel,
                revision_id=None,
                material_id=None,
                content_hash=text_hash(marked),
                body=marked,
                due_at=now,
                zone="UTC",
                recipients=[Recipient(key, key, sender)],
                approved_by=by,
                approved_at=now,
                created_by=by,
                late_policy="send",
                is_test=True,
            )
        )

    def pushes(
        self, wanted: PushFilter, limit: int = 50, before: tuple[datetime, int] | None = None
    ) -> list[PushView]:
        """Pushes, latest due first; `before` is the (due_at, row) of the last one already seen."""
        query = select(Push).order_by(Push.due_at.desc(), Push.id.desc()).limit(limit)
        if wanted.states:
            query = query.where(Push.state.in_(wanted.states))
        if wanted.group:
            query = query.where(listing.group_of(self._people()) == wanted.group)
        if wanted.channel:
            query = query.where(Push.channel == wanted.channel)
        if wanted.since:
            query = query.where(Push.due_at >= wanted.since)
        if wanted.until:
            query = query.where(Push.due_at < wanted.until)
        if before:
            due, row = before
            query = query.where((Push.due_at < due) | ((Push.due_at == due) & (Push.id < row)))
        with self._database.read() as session:
            found = session.scalars(query).all()
            counted = progress_by_push(session, [push.id for push in found])
            return [push_view(push, counted[push.id]) for push in found]

    def groups(self, channel: str = "") -> dict[Group, int]:
        """How many pushes are in each group, of all channels or of one."""
        with self._database.read() as session:
            return listing.count_groups(session, self._people(), channel)

    def undecided(self) -> int:
        """How many pushes wait for a person's decision: held, or with a unit on hold or in doubt."""
        with self._database.read() as session:
            return listing.count_undecided(session)

    def decisions(self, limit: int) -> list[Decision]:
        """What a person must decide, a line for each push and kind, the longest waiting first."""
        with self._database.read() as session:
            return listing.decisions(session, limit)

    def gate_answers(self, public_id: str) -> list[GateAnswer]:
        """What the last door has answered for a push so far, other than to send."""
        with self._database.read() as session:
            return gate_answers(session, _find(session, public_id).id)

    def awaited(self, since: datetime, until: datetime) -> int:
        """How many recipients of the pushes due in `[since, until)` wait for a person to send or confirm."""
        with self._database.read() as session:
            return listing.count_awaited(session, self._people(), since, until)

    def progress_of(self, pushes: Collection[str]) -> dict[str, Progress]:
        """How far each of these pushes is, for lists that must not ask once a line."""
        with self._database.read() as session:
            found = session.execute(select(Push.id, Push.public_id).where(Push.public_id.in_(pushes))).all()
            counted = progress_by_push(session, [row for row, _id in found])
        return {public_id: counted[row] for row, public_id in found}

    def recipients(self, public_id: str) -> list[RecipientLine]:
        """Every recipient of a push with what became of it, also those that are in no unit yet."""
        with self._database.read() as session:
            return list(recipient_lines(session, _find(session, public_id).id, self._clock.now()))

    def _people(self) -> list[str]:
        """The channels through which people send or confirm."""
        return [name for name, each in self._channels.items() if each.abilities.sending != Sending.AUTO]

    def get(self, public_id: str) -> PushView:
        with self._database.read() as session:
            push = _find(session, public_id)
            return push_view(push, progress(session, push.id))

    def units(
        self, public_id: str, limit: int = 50, after: int = 0, states: Collection[str] = ()
    ) -> list[UnitView]:
        """The units of a push with recipients and attempts, in order; `states`: only those in one of them."""
        with self._database.read() as session:
            push_id = _find(session, public_id).id
            return unit_views(session, push_id, self._clock.now(), limit, after, states)

    def cancel(self, public_id: str) -> Stopped:
        """Stop what is certainly not written yet, and take back at the channel what is not confirmed there.

        What is under way finishes; what is out stays out. The channel is asked for some seconds, and the
        worker asks for the rest; until then that counts as unclear.
        """
        able, now = self._able_to_return(), self._clock.now()
        with self._database.write() as session:
            push = _find(session, public_id, lock=True)
            asked = ask_to_return(session, push.id, able, now)
            if push.state in FINISHED_PUSHES and (push.cancel_requested or not asked):
                raise Conflict(push.title, _("is already finished; there is nothing left to stop."))
            push.cancel_requested = True
            session.flush()
            settle(session, now, [push.id])
            row_id = push.id
        if asked:
            give_up = self._clock.boottime() + _ASK_FOR
            self._results.poll(row_id, lambda: self._clock.boottime() > give_up)
        with self._database.read() as session:
            return stopped(session, row_id, able, progress(session, row_id))

    def returnable(self, public_id: str) -> int:
        """How many recipients `cancel` would ask the channel to take back: nobody has confirmed them yet."""
        with self._database.read() as session:
            return returnable(session, _find(session, public_id).id, self._able_to_return())

    def _able_to_return(self) -> list[str]:
        return [name for name, each in self._channels.items() if each.abilities.cancel]

    def pause(self, public_id: str) -> None:
        """Let nothing more of the push go out until it is resumed."""
        with self._database.write() as session:
            push = self._found_in(
                session, public_id, PushState.SCHEDULED, PushState.EXPANDING, PushState.RUNNING
            )
            push.state = PushState.PAUSED

    def resume(self, public_id: str, *, although_late: bool = True, held: bool = True) -> None:
        """Go on with a paused or held push, or with the units on hold of one that runs.

        With `held=False` it is only a pause that ends: what the server holds stays on hold.

        A person has looked, so being late is decided too; `although_late=False` refuses what is late, so that
        it can be asked. What is past its deadline is dropped by the gate all the same.
        """
        now = self._clock.now()
        with self._database.write() as session:
            stuck = session.scalar(
                select(Unit.id)
                .join(Push, Push.id == Unit.push_id)
                .where(Push.public_id == public_id, Unit.state == UnitState.HELD)
                .limit(1)
            )
            running = (PushState.RUNNING,) if stuck is not None else ()
            stopped_in = (PushState.HELD, *running) if held else ()
            push = self._found_in(session, public_id, PushState.PAUSED, *stopped_in)
            begun = now >= push.due_at
            late = now - push.due_at > timedelta(seconds=push.late_after) and not push.late_decided
            if late and not although_late:
                raise Conflict(
                    push.title,
                    _("its time has passed by more than it may."),
                    _("Say that it shall go out although it is late, or cancel it."),
                )
            ready = state_to_go(session, push.id)
            go_on = begun and ready == PushState.SCHEDULED
            push.state, push.held_reason = PushState.RUNNING if go_on else ready, ""
            push.late_decided = push.late_decided or begun
            if held:
                forget(session, push.channel)  # a person has seen to it: the next unit may try
                session.execute(
                    update(Unit)
                    .where(Unit.push_id == push.id, Unit.state == UnitState.HELD)
                    .values(state=UnitState.PENDING, reason="", code="", tries=0)
                    .execution_options(synchronize_session=False)
                )

    def _found_in(self, session: Session, public_id: str, *states: PushState) -> Push:
        push = _find(session, public_id, lock=True)
        if push.state not in states:
            raise Conflict(
                push.title, _("its state does not allow this any more."), _("Load the page again.")
            )
        if push.cancel_requested:
            raise Conflict(push.title, _("was cancelled; only what is under way still comes in."))
        return push

    def decide(self, public_id: str, unit_number: int, answer: str, by: str = "", why: str = "") -> None:
        """A person's word on a unit of which nobody knows whether it went out.

        `sent` counts it as sent, `again` sends it once more, `give_up` lets it be. Who said so and why is
        kept with the attempt; the caller writes the audit. Raises Conflict where the unit is not in doubt any
        more, or is to be sent again while the channel is still being asked.
        """
        if answer not in said.OUTCOMES:
            raise Invalid("answer", _("must be sent, again or give_up."))
        with self._database.write() as session:
            push = _find(session, public_id, lock=True)
            said.decide(session, self._clock.now(), push, unit_number, answer, by, why)

    def look_again(self, public_id: str, unit_number: int | None = None) -> int:
        """Have the channel asked once more about a unit in doubt, or about all that a push has: a person has
        mended what kept it from being asked. Answers how many; raises Conflict where none can be.

        Nothing is sent by it, and what is found or not found means what it does in any lookup.
        """
        with self._database.write() as session:
            push = _find(session, public_id, lock=True)
            channel = self._channels.get(push.channel)
            return said.look_again(session, self._clock.now(), push, channel, unit_number)

    def can_be_asked(self, channel: str) -> bool:
        """Whether this channel runs and can be asked what became of a unit."""
        return said.can_be_asked(self._channels.get(channel))

    def breakers(self) -> list[BreakerView]:
        """The ways out that a far end has closed or narrowed."""
        with self._database.read() as session:
            return open_breakers(session)

    def next_due(self) -> datetime | None:
        """When the next unit may go out that this process does not leave to another."""
        without = self._elsewhere()
        with self._database.read() as session:
            return next_due(session, self._clock.now(), without)

    def elsewhere(self) -> Collection[str]:
        """The channels that do not run in this process, but do in another worker; see `lives.Elsewhere`."""
        return self._elsewhere()

    def beat(self, owner: Owner) -> None:
        """Let others know that this worker is alive, and what runs in it."""
        with self._database.write() as session:
            lives.beat(session, self._clock.now(), owner, self._channels)

    def retire(self, owner: Owner) -> None:
        """This worker has stopped of its own will: what it had claimed and not begun is anybody's again."""
        with self._database.write() as session:
            release(session, self._clock.now(), str(owner))
            lives.end(session, self._clock.now(), owner)

    def reap(self, here: Owner) -> dict[str, int]:
        """Take back what dead or overdue workers hold; see `queue.reap`."""
        if self._journal is not None:
            self._journal.bring_in(self._database)  # what is known must not become unknown
        with self._database.read() as session:
            owners = session.scalars(select(Unit.owner).where(OWNED).distinct()).all()
        dead = [owner for owner in owners if is_dead(owner, here)]
        unasked = [name for name, each in self._channels.items() if first_look(each.abilities) is None]
        with self._database.write() as session:
            return reap(session, self._clock.now(), dead, unasked)


def _find(session: Session, public_id: str, *, lock: bool = False) -> Push:
    """The push; `lock` keeps workers from moving it until the transaction ends."""
    query = select(Push).where(Push.public_id == public_id)
    push = session.scalar(query.with_for_update() if lock else query)
    if push is None:
        raise NotFound(public_id, _("there is no such push."))
    return push
