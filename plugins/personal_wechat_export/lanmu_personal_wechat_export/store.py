"""The packs and what executors tick on them; the only place that writes the plugin's tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from lanmu.i18n import _
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Conflict, Invalid, NotFound
from lanmu.interfaces.host import Transactions
from lanmu.storage import new_public_id
from lanmu_personal_wechat_export.document import PackDocument, from_plain, to_plain
from lanmu_personal_wechat_export.models import Item, Pack

SKIP_REASONS = {
    "busy": _("The group is busy with something else"),
    "similar": _("Something similar was just sent there"),
    "unfit": _("The content does not suit this group"),
    "not_in": _("I am not in this group"),
}


@dataclass(frozen=True, slots=True)
class ItemView:
    """A recipient and where it stands: waiting, delivered, skipped or postponed."""

    position: int
    key: str
    name: str
    kind: str
    state: str
    reason: str
    until: datetime | None
    changed_at: datetime | None

    @property
    def settled(self) -> bool:
        return self.state in ("delivered", "skipped")


@dataclass(frozen=True, slots=True)
class PackView:
    """A pack with everything that its pages show."""

    id: str
    executor: str
    title: str
    document: PackDocument
    deadline: datetime | None
    created_at: datetime
    opened_at: datetime | None
    finished_at: datetime | None
    cancelled_at: datetime | None
    items: tuple[ItemView, ...]

    def count(self, state: str) -> int:
        return sum(item.state == state for item in self.items)

    @property
    def settled(self) -> int:
        return sum(item.settled for item in self.items)

    @property
    def finished(self) -> bool:
        return self.settled == len(self.items)


@dataclass(frozen=True, slots=True)
class Tick:
    """What the executor says of one recipient. `reason` is a key of SKIP_REASONS; `until` is for a delay."""

    act: Literal["done", "skip", "postpone", "undo"]
    reason: str = ""
    until: datetime | None = None


class PackStore:
    """Packs in the plugin's own tables."""

    def __init__(self, database: Transactions, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, session: Session, document: PackDocument) -> str:
        """Insert a pack, once for its token; answers its public id either way."""
        known = session.scalar(select(Pack.public_id).where(Pack.token == document.token))
        if known is not None:
            return known
        pack = Pack(
            public_id=new_public_id("pck"),
            token=document.token,
            push=document.push,
            executor=document.executor,
            title=document.title[:200],
            document=to_plain(document),
            deadline=document.deadline,
            created_at=self._clock.now(),
        )
        session.add(pack)
        session.flush()
        session.add_all(
            Item(pack_id=pack.id, position=n, key=target.key, name=target.name[:100], kind=target.kind)
            for n, target in enumerate(document.targets, 1)
        )
        session.flush()
        return pack.public_id

    def id_of(self, token: str) -> str | None:
        """The pack that a unit's token has become, if any."""
        with self._database.read() as session:
            return session.scalar(select(Pack.public_id).where(Pack.token == token))

    def get(self, public_id: str) -> PackView:
        """Raises NotFound."""
        with self._database.read() as session:
            return _view(session, _pack(session, public_id))

    def listing(self, since: datetime, limit: int = 200) -> Sequence[PackView]:
        """Packs made since then, and older ones that nobody has finished or taken back; newest first."""
        wanted = (Pack.created_at >= since) | (Pack.finished_at.is_(None) & Pack.cancelled_at.is_(None))
        with self._database.read() as session:
            packs = session.scalars(
                select(Pack).where(wanted).order_by(Pack.created_at.desc(), Pack.id.desc()).limit(limit)
            ).all()
            items: dict[int, list[Item]] = {pack.id: [] for pack in packs}
            for item in session.scalars(
                select(Item).where(Item.pack_id.in_(items)).order_by(Item.pack_id, Item.position)
            ):
                items[item.pack_id].append(item)
            return [_assemble(pack, items[pack.id]) for pack in packs]

    def opened(self, public_id: str) -> None:
        """The executor has looked at the pack; only the first look counts."""
        with self._database.write() as session:
            pack = _pack(session, public_id)
            if pack.opened_at is None:
                pack.opened_at = self._clock.now()

    def tick(self, public_id: str, position: int, tick: Tick) -> PackView:
        """Note what became of one recipient. The same tick twice is one tick.

        Raises NotFound; Conflict where the pack was taken back; Invalid for a reason or a time that
        cannot be.
        """
        now = self._clock.now()
        with self._database.write() as session:
            pack = _pack(session, public_id)
            item = session.scalar(
                select(Item).where(Item.pack_id == pack.id, Item.position == position).with_for_update()
            )
            if item is None:
                raise NotFound("item", _("This pack has no such recipient."))
            if pack.cancelled_at is not None and tick.act not in ("done", "undo"):
                raise Conflict("pack", _("This pack was taken back; nothing needs to be sent any more."))
            _apply(pack, item, tick, now)
            session.flush()
            view = _view(session, pack)
            pack.finished_at = (pack.finished_at or now) if view.finished else None
        return view

    def cancel(self, public_id: str) -> bool:
        """Take a pack back, if any recipient is still open."""
        with self._database.write() as session:
            pack = _pack(session, public_id)
            if _view(session, pack).finished:
                return False
            pack.cancelled_at = pack.cancelled_at or self._clock.now()
            return True


def _apply(pack: Pack, item: Item, tick: Tick, now: datetime) -> None:
    reason, until = "", None
    match tick.act:
        case "done":
            state = "delivered"
        case "undo":
            state = "waiting"
        case "skip":
            if tick.reason not in SKIP_REASONS:
                raise Invalid("reason", _("Say why this one is skipped."), _("Choose one of the reasons."))
            state, reason = "skipped", SKIP_REASONS[tick.reason]
        case "postpone":
            state, until = "postponed", _later(pack, tick.until, now)
    if (item.state, item.reason, item.until) != (state, reason, until):
        item.state, item.reason, item.until = state, reason, until
        item.changed_at = now


def _later(pack: Pack, until: datetime | None, now: datetime) -> datetime:
    if until is None:
        raise Invalid("until", _("Say until when it is postponed."), _("Choose a time."))
    if until <= now:
        raise Invalid("until", _("That time has passed."), _("Choose a later one."))
    if pack.deadline is not None and until > pack.deadline:
        raise Invalid("until", _("That is after the deadline."), _("Choose an earlier time, or skip it."))
    if until > now + timedelta(days=30):
        raise Invalid("until", _("That is more than 30 days ahead."), _("Choose an earlier time."))
    return until


def _pack(session: Session, public_id: str) -> Pack:
    pack: Pack | None = session.scalar(select(Pack).where(Pack.public_id == public_id))
    if pack is None:
        raise NotFound("pack", _("There is no pack %(id)s."), id=public_id)
    return pack


def _view(session: Session, pack: Pack) -> PackView:
    items = session.scalars(select(Item).where(Item.pack_id == pack.id).order_by(Item.position)).all()
    return _assemble(pack, items)


def _assemble(pack: Pack, items: Sequence[Item]) -> PackView:
    return PackView(
        id=pack.public_id,
        executor=pack.executor,
        title=pack.title,
        document=from_plain(pack.document),
        deadline=pack.deadline,
        created_at=pack.created_at,
        opened_at=pack.opened_at,
        finished_at=pack.finished_at,
        cancelled_at=pack.cancelled_at,
        items=tuple(
            ItemView(i.position, i.key, i.name, i.kind, i.state, i.reason, i.until, i.changed_at)
            for i in items
        ),
    )
