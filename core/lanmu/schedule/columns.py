"""栏目 as people set them up: checked as a whole, kept with their slots, and matched to communities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lanmu.audience.models import Community
from lanmu.audience.presets import STAGES
from lanmu.delivery.sending.asking import no_such_channel
from lanmu.i18n import _
from lanmu.interfaces.channels import Channel
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Conflict, Faults, Invalid, LanmuError, NotFound
from lanmu.library.models import ContentClass, TaxonomyTerm
from lanmu.schedule.calendar import Slot as CalendarSlot
from lanmu.schedule.calendar import is_over, slot_from, zone_of
from lanmu.schedule.models import Column, Slot
from lanmu.schedule.problem import ColumnRules, Pool
from lanmu.schedule.reach import communities_of
from lanmu.storage import Database

APPROVALS = ("auto", "each")
LATE_POLICIES = ("ask", "send", "skip")
PRIORITIES = {"first": 10, "normal": 0, "last": -10}
"""Who goes first where a limit lets only some go out, and the number that stands for it at the last door."""
COOLDOWN_MOST = 365
_LENGTHS = {"owner": 60, "zone": 60}
_SLOT_LENGTHS = {"weekdays": 60, "rrule": 300}


@dataclass(frozen=True, slots=True)
class SlotDraft:
    """When a column comes: `weekdays` and `time`, or an RFC 5545 `rrule`."""

    weekdays: str = ""
    time: str = ""
    rrule: str = ""


@dataclass(frozen=True, slots=True)
class Targets:
    """Which communities a column feeds: any of the named of each filter; an empty filter takes all."""

    tags: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PoolDraft:
    """Which materials a column draws from. A material must carry every tag."""

    tags: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ColumnDraft:
    """A column as a form or a file describes it. `approval`: "auto", or "each" to look at each occurrence.
    `priority`: "first", "normal" or "last", where a limit lets only some go out."""

    name: str
    channel: str
    slots: tuple[SlotDraft, ...]
    classes: tuple[str, ...] = ()
    targets: Targets = Targets()
    pool: PoolDraft = PoolDraft()
    goal: str = ""
    owner: str = ""
    zone: str = "Asia/Shanghai"
    cooldown_days: int = 14
    approval: str = "each"
    late_policy: str = "ask"
    priority: str = "normal"
    options: Mapping[str, str] = field(default_factory=dict)
    active: bool = True


@dataclass(frozen=True, slots=True)
class ColumnView:
    """A column as pages show it. `lock` must be handed back with an edit."""

    id: str
    key: int
    draft: ColumnDraft
    lock: int
    created_at: datetime
    updated_at: datetime

    def has_ended(self, now: datetime) -> bool:
        """Whether every slot of the column lies in the past for good."""
        slots = (calendar_slot(slot, self.draft.zone, self.created_at) for slot in self.draft.slots)
        return all(is_over(slot, now) for slot in slots)


class Columns:
    """The only place that writes columns and their slots."""

    def __init__(self, database: Database, clock: Clock, channels: Mapping[str, Channel]) -> None:
        self._database = database
        self._clock = clock
        self._channels = channels

    def create(self, draft: ColumnDraft) -> ColumnView:
        """Raises Faults with all that is wrong, Conflict where only the name is taken."""
        now = self._clock.now()
        row = Column(public_id=Column.fresh_id(), lock=1, created_at=now, updated_at=now)
        try:
            with self._database.write() as session:
                self._check(session, draft)
                _fill(row, draft)
                session.add(row)
                session.flush()
                _write_slots(session, row.id, draft.slots)
                return _view(session, row)
        except IntegrityError:  # somebody took the name between the look and the write
            raise _taken() from None

    def edit(self, column: str, draft: ColumnDraft, lock: int) -> ColumnView:
        """Raises Faults, NotFound, and Conflict where somebody else was faster or only the name is taken."""
        try:
            with self._database.write() as session:
                row = find_column(session, column, for_update=True)
                if row.lock != lock:
                    raise Conflict(
                        row.name,
                        _("was changed by somebody else while you edited it."),
                        _("Load it again and repeat your change; nothing of theirs is lost."),
                    )
                self._check(session, draft, row)
                _fill(row, draft)
                row.lock += 1
                row.updated_at = self._clock.now()
                session.execute(delete(Slot).where(Slot.column_id == row.id))
                _write_slots(session, row.id, draft.slots)
                return _view(session, row)
        except IntegrityError:
            raise _taken() from None

    def get(self, column: str) -> ColumnView:
        with self._database.read() as session:
            return _view(session, find_column(session, column))

    def everything(self) -> list[ColumnView]:
        """All columns, those that run first, by name."""
        with self._database.read() as session:
            rows = session.scalars(select(Column).order_by(Column.active.desc(), Column.name)).all()
            slots = slots_of(session, [row.id for row in rows])
            return [_view_with(row, slots[row.id]) for row in rows]

    def names(self) -> set[str]:
        """The names that are taken."""
        with self._database.read() as session:
            return set(session.scalars(select(Column.name)))

    def by_name(self, name: str) -> ColumnView | None:
        with self._database.read() as session:
            row = session.scalar(select(Column).where(Column.name == name))
            return _view(session, row) if row else None

    def _check(self, session: Session, draft: ColumnDraft, own: Column | None = None) -> None:
        faults = _field_faults(draft) + _word_faults(session, draft) + _slot_faults(draft, self._clock.now())
        # A column keeps a channel whose plugin is away: else nobody could even switch it off.
        if draft.channel not in self._channels and (own is None or own.channel != draft.channel):
            faults.append(no_such_channel("channel", draft.channel, self._channels))
        taken = session.scalar(select(Column.id).where(Column.name == draft.name.strip()))
        if taken is not None and (own is None or own.id != taken):
            if not faults:
                raise _taken()
            faults.append(_taken())
        if faults:
            raise Faults(faults)


def _taken() -> Conflict:
    return Conflict("name", _("there is a column of this name already."), _("Choose another name."))


def _field_faults(draft: ColumnDraft) -> list[LanmuError]:
    faults: list[LanmuError] = []
    if not 1 <= len(draft.name.strip()) <= 100:
        faults.append(Invalid("name", _("must have 1 to 100 characters.")))
    faults += [
        _too_long(name, most) for name, most in _LENGTHS.items() if len(getattr(draft, name).strip()) > most
    ]
    if not 0 <= draft.cooldown_days <= COOLDOWN_MOST:
        faults.append(Invalid("cooldown_days", _("must be between 0 and %(most)s."), most=COOLDOWN_MOST))
    if draft.approval not in APPROVALS:
        faults.append(Invalid("approval", _("must be auto or each.")))
    if draft.late_policy not in LATE_POLICIES:
        faults.append(Invalid("late_policy", _("must be ask, send or skip.")))
    if draft.priority not in PRIORITIES:
        faults.append(Invalid("priority", _("must be first, normal or last.")))
    return faults


def _too_long(place: str, most: int) -> Invalid:
    return Invalid(place, _("is longer than %(most)s characters."), _("Shorten it."), most=most)


def _word_faults(session: Session, draft: ColumnDraft) -> list[LanmuError]:
    """Words that nothing carries would silently leave a column without material or communities."""
    faults: list[LanmuError] = []
    if unknown := sorted(set(draft.classes) - set(session.scalars(select(ContentClass.code)))):
        faults.append(Invalid("classes", _("%(codes)s is no content class."), codes=", ".join(unknown)))
    for axis, codes in (("kind", draft.pool.kinds), ("zone", draft.pool.zones)):
        known = session.scalars(select(TaxonomyTerm.code).where(TaxonomyTerm.axis == axis)).all()
        if unknown := sorted(set(codes) - set(known)):
            faults.append(
                Invalid(
                    f"pool.{axis}s",
                    _("%(codes)s is not in the taxonomy."),
                    _("Write one of: %(known)s."),
                    codes=", ".join(unknown),
                    known=", ".join(known),
                )
            )
    for stage in sorted(set(draft.targets.stages) - set(STAGES)):
        faults.append(
            Invalid(
                "targets.stages",
                _("“%(value)s” is not a stage."),
                _("Write one of: %(known)s."),
                value=stage,
                known=", ".join(STAGES),
            )
        )
    return faults


def _slot_faults(draft: ColumnDraft, now: datetime) -> list[LanmuError]:
    found: list[LanmuError] = []
    zone = draft.zone.strip()
    try:
        zone_of(zone)
    except LanmuError as error:
        found.append(error)
        zone = "UTC"  # so that each slot's own faults are told in the same go
    if not draft.slots:
        found.append(
            Invalid("slots", _("a column without a slot never comes."), _("Add a weekday and a time."))
        )
    for number, slot in enumerate(draft.slots):
        place = f"slots.{number}"
        found += [
            _too_long(f"{place}.{name}", most)
            for name, most in _SLOT_LENGTHS.items()
            if len(getattr(slot, name).strip()) > most
        ]
        try:
            calendar_slot(slot, zone, now, place)
        except LanmuError as error:
            found.append(error)
    return found


def calendar_slot(slot: SlotDraft, zone: str, created: datetime, place: str = "slot") -> CalendarSlot:
    """The slot as the calendar reads it. A rule without a beginning counts from when the column was made."""
    start = created.astimezone(zone_of(zone, f"{place}.zone")).replace(tzinfo=None, second=0, microsecond=0)
    return slot_from(
        zone=zone, weekdays=slot.weekdays, at=slot.time, rrule=slot.rrule, start=start, place=place
    )


def find_column(session: Session, column: str, *, for_update: bool = False) -> Column:
    """The row of a column. Raises NotFound."""
    query = select(Column).where(Column.public_id == column)
    row = session.scalar(query.with_for_update() if for_update else query)
    if row is None:
        raise NotFound(column, _("there is no such column."))
    return row


def slots_of(session: Session, column_ids: Sequence[int]) -> dict[int, list[SlotDraft]]:
    """The slots of each column, in the order in which they were given."""
    found: dict[int, list[SlotDraft]] = {column_id: [] for column_id in column_ids}
    for slot in session.scalars(select(Slot).where(Slot.column_id.in_(column_ids)).order_by(Slot.id)):
        found[slot.column_id].append(SlotDraft(slot.weekdays, slot.time, slot.rrule))
    return found


def rules_of(row: Column) -> ColumnRules:
    """The column as the planner knows it."""
    pool = row.pool
    return ColumnRules(
        id=row.id,
        classes=tuple(row.classes),
        pool=Pool(
            tags=frozenset(pool.get("tags", ())),
            kinds=frozenset(pool.get("kinds", ())),
            zones=frozenset(pool.get("zones", ())),
            every_tag=True,
        ),
        cooldown_days=row.cooldown_days,
        priority=row.priority,
    )


def communities_for(session: Session, draft: ColumnDraft) -> list[Community]:
    """The active communities that a column would feed and its channel can reach."""
    return matching(session, draft)[0]


def matching(session: Session, draft: ColumnDraft) -> tuple[list[Community], list[Community]]:
    """The active communities that a column would feed: see `communities_of`."""
    row = Column()
    row.targets = _filters(tags=draft.targets.tags, types=draft.targets.types, stages=draft.targets.stages)
    row.channel = draft.channel
    return communities_of(session, row)


def _fill(row: Column, draft: ColumnDraft) -> None:
    row.name = draft.name.strip()
    row.goal = draft.goal.strip()
    row.owner = draft.owner.strip()
    row.classes = list(draft.classes)
    row.targets = _filters(tags=draft.targets.tags, types=draft.targets.types, stages=draft.targets.stages)
    row.pool = _filters(tags=draft.pool.tags, kinds=draft.pool.kinds, zones=draft.pool.zones)
    row.channel = draft.channel
    row.options = dict(draft.options)
    row.zone = draft.zone.strip()
    row.cooldown_days = draft.cooldown_days
    row.approval = draft.approval
    row.late_policy = draft.late_policy
    row.priority = PRIORITIES[draft.priority]
    row.active = draft.active


def _filters(**values: tuple[str, ...]) -> dict[str, list[str]]:
    return {name: list(given) for name, given in values.items() if given}


def _write_slots(session: Session, column_id: int, slots: Sequence[SlotDraft]) -> None:
    session.add_all(
        Slot(
            column_id=column_id,
            weekdays=slot.weekdays.strip(),
            time=slot.time.strip(),
            rrule=slot.rrule.strip(),
        )
        for slot in slots
    )
    session.flush()


def _view(session: Session, row: Column) -> ColumnView:
    return _view_with(row, slots_of(session, [row.id])[row.id])


def _view_with(row: Column, slots: Sequence[SlotDraft]) -> ColumnView:
    targets, pool = row.targets, row.pool
    draft = ColumnDraft(
        name=row.name,
        channel=row.channel,
        slots=tuple(slots),
        classes=tuple(row.classes),
        targets=Targets(
            tuple(targets.get("tags", ())), tuple(targets.get("types", ())), tuple(targets.get("stages", ()))
        ),
        pool=PoolDraft(
            tuple(pool.get("tags", ())), tuple(pool.get("kinds", ())), tuple(pool.get("zones", ()))
        ),
        goal=row.goal,
        owner=row.owner,
        zone=row.zone,
        cooldown_days=row.cooldown_days,
        approval=row.approval,
        late_policy=row.late_policy,
        priority=next((word for word, number in PRIORITIES.items() if number == row.priority), "normal"),
        options=row.options,
        active=row.active,
    )
    return ColumnView(row.public_id, row.id, draft, row.lock, row.created_at, row.updated_at)
