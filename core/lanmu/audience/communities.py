"""社群: the chat groups that columns feed, with their addresses, tags, stage and mix."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete, exists, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lanmu.audience.models import Community, CommunityAddress, CommunityTag
from lanmu.audience.presets import STAGES
from lanmu.audience.views import Address, CommunityDraft, CommunityView, Imported
from lanmu.i18n import _
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Conflict, Faults, Invalid, LanmuError, NotFound
from lanmu.storage import Database

_PLAIN = ("name", "type", "stage", "zone", "shop", "executor", "size", "daily_cap", "active")
_LENGTHS = {"name": 100, "type": 32, "zone": 60, "shop": 60, "executor": 60}
_DRAFT = tuple(field.name for field in fields(CommunityDraft))
_LARGEST = 1_000_000


class Communities:
    """The communities of the shop."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, draft: CommunityDraft) -> CommunityView:
        """Raises Faults naming every field at fault, and Conflict where the name is taken."""
        check(draft)
        try:
            with self._database.write() as session:
                _refuse_taken(session, draft.name)
                return _write(session, self._new(session), draft)
        except IntegrityError:  # somebody took the name between the look and the write
            raise _taken(draft.name) from None

    def edit(self, community: str, **changes: Any) -> CommunityView:
        """Change fields, named as in CommunityDraft; `tags` and `addresses` are replaced as a whole.

        Raises NotFound, Faults and Conflict.
        """
        unknown = set(changes) - set(_DRAFT)
        if unknown:
            raise TypeError(f"a community has no such field to edit: {', '.join(sorted(unknown))}")
        with self._database.write() as session:
            row = _by_id(session, community, lock=True)
            draft = replace(_draft(_views(session, [row])[0]), **changes)
            check(draft)
            if draft.name != row.name:
                _refuse_taken(session, draft.name)
            return _write(session, row, draft)

    def set_mix(
        self, community: str, mix: Mapping[str, int] | None, classes: Collection[str] | None = None
    ) -> CommunityView:
        """Set the target shares in percent per class, or None for the house default.

        `classes`: the classes there are, where the caller knows them. Raises NotFound and Invalid.
        """
        if mix is not None:
            check_mix(mix, classes)
        return self.edit(community, mix=mix)

    def get(self, community: str) -> CommunityView:
        """Raises NotFound."""
        with self._database.read() as session:
            return _views(session, [_by_id(session, community)])[0]

    def find(
        self,
        *,
        tags: Collection[str] = (),
        types: Collection[str] = (),
        stages: Collection[str] = (),
        shop: str = "",
        active: bool | None = True,
    ) -> list[CommunityView]:
        """The communities, by name. Within one filter any value will do, between filters all must hold.

        An empty filter takes everything; `active` None takes the inactive ones as well.
        """
        query = select(Community).order_by(Community.name)
        if active is not None:
            query = query.where(Community.active.is_(active))
        if shop:
            query = query.where(Community.shop == shop)
        if types:
            query = query.where(Community.type.in_(types))
        if stages:
            query = query.where(Community.stage.in_(stages))
        if tags:
            query = query.where(
                exists().where(CommunityTag.community_id == Community.id, CommunityTag.tag.in_(tags))
            )
        with self._database.read() as session:
            return _views(session, session.scalars(query).all())

    def tags(self) -> list[str]:
        """Every tag that some community has."""
        with self._database.read() as session:
            return list(session.scalars(select(CommunityTag.tag).distinct().order_by(CommunityTag.tag)))

    def executors(self) -> dict[str, str]:
        """Who stands behind a sender of an address: the executor that all communities of that sender name."""
        with self._database.read() as session:
            rows = session.execute(
                select(CommunityAddress.sender, func.min(Community.executor))
                .join(Community, Community.id == CommunityAddress.community_id)
                .where(CommunityAddress.sender != "", Community.executor != "")
                .group_by(CommunityAddress.sender)
                .having(func.count(Community.executor.distinct()) == 1)
            )
            return {str(row[0]): str(row[1]) for row in rows}

    def load(self, drafts: Iterable[CommunityDraft]) -> Imported:
        """Create or update communities by their names; the same import twice changes nothing.

        A faulty row is told and left out; the rest is stored, each row in a transaction of its own.
        """
        created = changed = unchanged = 0
        faults: list[tuple[int, LanmuError]] = []
        for number, draft in enumerate(drafts, start=1):
            try:
                check(draft)
            except LanmuError as fault:
                faults.append((number, fault))
                continue
            with self._database.write() as session:
                row = session.scalar(select(Community).where(Community.name == draft.name))
                if row is None:
                    _write(session, self._new(session), draft)
                    created += 1
                elif _draft(_views(session, [row])[0]) == _tidy(draft):
                    unchanged += 1
                else:
                    _write(session, row, draft)
                    changed += 1
        return Imported(created, changed, unchanged, tuple(faults))

    def _new(self, session: Session) -> Community:
        row = Community(public_id=Community.fresh_id(), created_at=self._clock.now())
        session.add(row)
        return row


def check(draft: CommunityDraft) -> None:
    """Raises Faults with every fault of a community as it is written down."""
    faults: list[LanmuError] = []
    if not draft.name.strip():
        faults.append(Invalid("name", _("must not be empty."), _("Write the name of the chat group.")))
    for name, most in _LENGTHS.items():
        if len(getattr(draft, name)) > most:
            faults.append(
                Invalid(name, _("is longer than %(most)s characters."), _("Shorten it."), most=most)
            )
    if draft.stage not in STAGES:
        faults.append(
            Invalid(
                "stage",
                _("“%(value)s” is not a stage."),
                _("Write one of: %(known)s."),
                value=draft.stage,
                known=", ".join(STAGES),
            )
        )
    faults += zone_faults(draft.zone)
    if not 0 <= draft.size <= _LARGEST:
        faults.append(
            Invalid("size", _("%(value)s is no number of people."), _("Write 0 or more."), value=draft.size)
        )
    if draft.daily_cap is not None and not 0 <= draft.daily_cap <= 100:
        faults.append(
            Invalid(
                "daily_cap",
                _("%(value)s is not between 0 and 100."),
                _("Leave it empty for the house default."),
                value=draft.daily_cap,
            )
        )
    if draft.mix is not None:
        try:
            check_mix(draft.mix)
        except Invalid as fault:
            faults.append(fault)
    for channel, address in draft.addresses.items():
        if not address.key.strip() or len(address.key) > 128 or len(address.sender) > 64:
            faults.append(
                Invalid(
                    f"addresses.{channel}",
                    _("needs a key of 1 to 128 characters, and a sender of at most 64."),
                    _("The key is what the channel knows the group by."),
                )
            )
    faults += tag_faults(draft.tags)
    if faults:
        raise Faults(faults)


def check_mix(mix: Mapping[str, int], classes: Collection[str] | None = None) -> None:
    """Raises Invalid unless the shares are whole percents from 0 to 100 that add up to 100."""
    for name, share in mix.items():
        if classes is not None and name not in classes:
            raise Invalid(
                f"mix.{name}",
                _("is not a content class."),
                _("Write one of: %(known)s."),
                known=", ".join(classes),
            )
        if not isinstance(share, int) or isinstance(share, bool) or not 0 <= share <= 100:
            raise Invalid(
                f"mix.{name}",
                _("%(value)s is not a whole percentage from 0 to 100."),
                _("Write a number such as 50."),
                value=share,
            )
    if sum(mix.values()) != 100:
        raise Invalid(
            "mix",
            _("the shares add up to %(sum)s, not to 100."),
            _("Change one of them by %(missing)s."),
            sum=sum(mix.values()),
            missing=f"{100 - sum(mix.values()):+d}",
        )


def tag_faults(tags: Iterable[str]) -> list[LanmuError]:
    """What is wrong with tags: each has 1 to 40 characters."""
    return [
        Invalid("tags", _("“%(tag)s” is not 1 to 40 characters long."), _("Shorten it."), tag=tag[:60])
        for tag in tags
        if not 1 <= len(tag.strip()) <= 40
    ]


def zone_faults(zone: str) -> list[LanmuError]:
    """What is wrong with a zone: it must be a name of the IANA table."""
    try:
        ZoneInfo(zone)
    except (LookupError, ValueError, OSError):  # an unknown key, a path that leads out, a folder
        return [
            Invalid(
                "zone", _("“%(zone)s” is not a time zone."), _("Write one like Asia/Shanghai."), zone=zone
            )
        ]
    return []


def _by_id(session: Session, community: str, *, lock: bool = False) -> Community:
    query = select(Community).where(Community.public_id == community)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(
            "community",
            _("There is no community %(id)s."),
            _("Look at the list of communities."),
            id=community,
        )
    return row


def _refuse_taken(session: Session, name: str) -> None:
    if session.scalar(select(Community.id).where(Community.name == name.strip())) is not None:
        raise _taken(name)


def _taken(name: str) -> Conflict:
    return Conflict("name", _("“%(name)s” is a community already."), _("Choose another name."), name=name)


def _write(session: Session, row: Community, draft: CommunityDraft) -> CommunityView:
    draft = _tidy(draft)
    for name in _PLAIN:
        setattr(row, name, getattr(draft, name))
    row.mix = dict(draft.mix) if draft.mix is not None else None
    session.flush()
    session.execute(delete(CommunityTag).where(CommunityTag.community_id == row.id))
    session.execute(delete(CommunityAddress).where(CommunityAddress.community_id == row.id))
    session.add_all(CommunityTag(community_id=row.id, tag=tag) for tag in draft.tags)
    session.add_all(
        CommunityAddress(community_id=row.id, channel=channel, key=address.key, sender=address.sender)
        for channel, address in draft.addresses.items()
    )
    session.flush()
    return _views(session, [row])[0]


def _tidy(draft: CommunityDraft) -> CommunityDraft:
    return replace(
        draft,
        name=draft.name.strip(),
        tags=tuple(sorted({tag.strip() for tag in draft.tags})),
        addresses=dict(sorted(draft.addresses.items())),
    )


def _draft(view: CommunityView) -> CommunityDraft:
    return CommunityDraft(**{name: getattr(view, name) for name in _DRAFT})


def _views(session: Session, rows: Sequence[Community]) -> list[CommunityView]:
    """Three queries, however many communities."""
    ids = [row.id for row in rows]
    tags: dict[int, list[str]] = {}
    for community, tag in session.execute(
        select(CommunityTag.community_id, CommunityTag.tag)
        .where(CommunityTag.community_id.in_(ids))
        .order_by(CommunityTag.tag)
    ):
        tags.setdefault(community, []).append(tag)
    addresses: dict[int, dict[str, Address]] = {}
    for found in session.scalars(
        select(CommunityAddress)
        .where(CommunityAddress.community_id.in_(ids))
        .order_by(CommunityAddress.channel)
    ):
        addresses.setdefault(found.community_id, {})[found.channel] = Address(found.key, found.sender)
    return [
        CommunityView(
            **{name: getattr(row, name) for name in _PLAIN},
            mix=row.mix,
            tags=tuple(tags.get(row.id, ())),
            addresses=addresses.get(row.id, {}),
            id=row.public_id,
            row=row.id,
            created_at=row.created_at,
        )
        for row in rows
    ]
