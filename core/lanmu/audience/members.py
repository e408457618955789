"""会员: customers with their identities at providers, their tags, and what they allow."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import CursorResult, delete, exists, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lanmu.audience.communities import tag_faults, zone_faults
from lanmu.audience.models import Community, CommunityMember, Identity, Member, MemberTag
from lanmu.audience.views import IdentityKey, Imported, MemberDraft, MemberRecord
from lanmu.i18n import _
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Conflict, Faults, Invalid, LanmuError, NotFound
from lanmu.storage import Database


class Members:
    """The members of the shop."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, draft: MemberDraft) -> MemberRecord:
        """Raises Faults, and Conflict where one of the identities is somebody's already."""
        check(draft)
        try:
            with self._database.write() as session:
                owners = _owners(session, draft.identities)
                if owners:
                    raise _known(owners[0].public_id)
                return self._write(session, self._new(session), draft)
        except IntegrityError:  # somebody stored one of the identities between the look and the write
            raise _known("") from None

    def load(self, drafts: Iterable[MemberDraft]) -> Imported:
        """Create or update members by their identities; the same import twice changes nothing.

        A member is known again by any identity; names, tags and attributes of the import are added or win,
        none is taken away. A faulty row is told and left out; the rest is stored.
        """
        created = changed = unchanged = 0
        faults: list[tuple[int, LanmuError]] = []
        for number, draft in enumerate(drafts, start=1):
            try:
                check(draft)
                if not draft.identities:
                    raise Invalid(
                        "identities",
                        _("are missing."),
                        _("Give one, so that the next import knows the member again."),
                    )
                with self._database.write() as session:
                    outcome = self._load_one(session, draft)
            except LanmuError as fault:
                faults.append((number, fault))
                continue
            created += outcome == "created"
            changed += outcome == "changed"
            unchanged += outcome == "unchanged"
        return Imported(created, changed, unchanged, tuple(faults))

    def get(self, member: str) -> MemberRecord:
        """Raises NotFound."""
        with self._database.read() as session:
            return _records(session, [_by_id(session, member)])[0]

    def look_up(self, member: str) -> MemberRecord | None:
        """As `get`, with None for a stranger."""
        with self._database.read() as session:
            row = session.scalar(select(Member).where(Member.public_id == member))
            return _records(session, [row])[0] if row else None

    def find(self, provider: str, user: str, account: str | None = None) -> MemberRecord | None:
        """Who is known at `provider` as `user`? Without `account`, only where no two accounts disagree."""
        query = (
            select(Member)
            .join(Identity, Identity.member_id == Member.id)
            .where(Identity.provider == provider, Identity.user == user)
            .distinct()
        )
        if account is not None:
            query = query.where(Identity.account == account)
        with self._database.read() as session:
            found = session.scalars(query.limit(2)).all()
            return _records(session, found)[0] if len(found) == 1 else None

    def page(
        self, *, search: str = "", tag: str = "", cursor: str = "", limit: int = 50
    ) -> tuple[list[MemberRecord], str]:
        """Members, newest first, and the cursor of the next page ("": no more).

        `search` finds names that contain it. Raises Invalid for a cursor of another list.
        """
        query = select(Member).order_by(Member.id.desc()).limit(limit + 1)
        if search.strip():
            query = query.where(Member.name.icontains(search.strip(), autoescape=True))
        if tag:
            query = query.where(exists().where(MemberTag.member_id == Member.id, MemberTag.tag == tag))
        with self._database.read() as session:
            if cursor:
                last = session.scalar(select(Member.id).where(Member.public_id == cursor))
                if last is None:
                    raise Invalid(
                        "cursor",
                        _("“%(cursor)s” is not a cursor of this list."),
                        _("Take it from the last page, or leave it out for the first."),
                        cursor=cursor[:40],
                    )
                query = query.where(Member.id < last)
            rows = session.scalars(query).all()
            records = _records(session, rows[:limit])
        return records, records[-1].id if len(rows) > limit else ""

    def names(self, members: Sequence[str]) -> dict[str, str]:
        """The names of these members, by id; strangers are left out."""
        with self._database.read() as session:
            found = session.execute(
                select(Member.public_id, Member.name).where(Member.public_id.in_(members))
            )
            return dict(found.all())

    def count(self) -> int:
        """How many members there are."""
        with self._database.read() as session:
            return session.scalar(select(func.count()).select_from(Member)) or 0

    def rename(self, member: str, name: str) -> MemberRecord:
        """Raises NotFound and Faults."""
        check(MemberDraft(name))
        return self._set(member, name=name.strip())

    def freeze(self, member: str, frozen: bool = True) -> MemberRecord:
        """Stop a member's spending of points, or allow it again. Raises NotFound."""
        return self._set(member, frozen=frozen)

    def opt_out(self, member: str, opted_out: bool = True) -> MemberRecord:
        """Stop every message to a member, or allow them again. Raises NotFound."""
        return self._set(member, opted_out=opted_out)

    def is_frozen(self, member: str) -> bool:
        """May this member's points not be spent? A stranger's may."""
        with self._database.read() as session:
            return bool(session.scalar(select(Member.frozen).where(Member.public_id == member)))

    def tag(self, member: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> MemberRecord:
        """Add and take away tags; twice is as good as once. Raises NotFound and Faults."""
        faults = tag_faults(add)
        if faults:
            raise Faults(faults)
        with self._database.write() as session:
            row = _by_id(session, member, lock=True)
            _tag(session, row.id, add)
            session.execute(delete(MemberTag).where(MemberTag.member_id == row.id, MemberTag.tag.in_(remove)))
            return _records(session, [row])[0]

    def join(self, member: str, community: str) -> bool:
        """Note that a member is in a community; answers whether that is new. Raises NotFound."""
        with self._database.write() as session:
            row = _by_id(session, member, lock=True)
            group = session.scalar(select(Community.id).where(Community.public_id == community))
            if group is None:
                raise NotFound(
                    "community",
                    _("There is no community %(id)s."),
                    _("Look at the list of communities."),
                    id=community,
                )
            if session.get(CommunityMember, (group, row.id)) is not None:
                return False
            session.add(CommunityMember(community_id=group, member_id=row.id, joined_at=self._clock.now()))
            return True

    def leave(self, member: str, community: str) -> bool:
        """Note that a member has left a community; answers whether they were in it. Raises NotFound."""
        with self._database.write() as session:
            row = _by_id(session, member, lock=True)
            group = select(Community.id).where(Community.public_id == community).scalar_subquery()
            gone = session.execute(
                delete(CommunityMember)
                .where(CommunityMember.member_id == row.id, CommunityMember.community_id == group)
                .execution_options(synchronize_session=False)
            )
            return cast("CursorResult[Any]", gone).rowcount > 0

    def _set(self, member: str, **values: Any) -> MemberRecord:
        with self._database.write() as session:
            row = _by_id(session, member, lock=True)
            session.execute(update(Member).where(Member.id == row.id).values(**values))
            session.refresh(row)
            return _records(session, [row])[0]

    def _new(self, session: Session) -> Member:
        row = Member(public_id=Member.fresh_id(), created_at=self._clock.now())
        session.add(row)
        return row

    def _load_one(self, session: Session, draft: MemberDraft) -> str:
        owners = _owners(session, draft.identities)
        if len(owners) > 1:
            raise Conflict(
                "identities",
                _("belong to different members: %(ids)s."),
                _("Split the row, or remove one identity."),
                ids=", ".join(owner.public_id for owner in owners),
            )
        if not owners:
            self._write(session, self._new(session), draft)
            return "created"
        before = _records(session, owners)[0]
        after = self._write(session, owners[0], draft)
        return "unchanged" if before == after else "changed"

    @staticmethod
    def _write(session: Session, row: Member, draft: MemberDraft) -> MemberRecord:
        row.name, row.zone = draft.name.strip(), draft.zone
        row.attributes = {**(row.attributes or {}), **draft.attributes}
        session.flush()
        for identity in draft.identities:
            kept = session.scalar(_identity(identity))
            if kept is None:
                kept = Identity(
                    member_id=row.id,
                    provider=identity.provider,
                    account=identity.account,
                    user=identity.user,
                )
                session.add(kept)
            kept.sender = identity.sender or kept.sender or ""
        _tag(session, row.id, draft.tags)
        session.flush()
        return _records(session, [row])[0]


def check(draft: MemberDraft) -> None:
    """Raises Faults with every fault of a member as one is written down."""
    faults: list[LanmuError] = []
    if not 1 <= len(draft.name.strip()) <= 100:
        faults.append(Invalid("name", _("must have 1 to 100 characters."), _("A nickname will do.")))
    faults += zone_faults(draft.zone)
    for identity in draft.identities:
        if not (1 <= len(identity.provider) <= 32 and 1 <= len(identity.user) <= 128):
            faults.append(
                Invalid(
                    "identities",
                    _("need a provider of 1 to 32 characters and a user of 1 to 128."),
                    _("For instance wecom and the external user id."),
                )
            )
        if len(identity.account) > 64 or len(identity.sender) > 64:
            faults.append(
                Invalid(
                    "identities",
                    _("have an account or a sender of more than 64 characters."),
                    _("Give the ids by which the provider knows them."),
                )
            )
    faults += tag_faults(draft.tags)
    if faults:
        raise Faults(faults)


def _known(member: str) -> Conflict:
    return Conflict(
        "identities",
        _("one of them belongs to a member already: %(id)s."),
        _("Look this member up instead of creating one."),
        id=member or "?",
    )


def _identity(key: IdentityKey) -> Any:
    return select(Identity).where(
        Identity.provider == key.provider, Identity.account == key.account, Identity.user == key.user
    )


def _owners(session: Session, identities: Sequence[IdentityKey]) -> list[Member]:
    found: dict[int, Member] = {}
    for key in identities:
        identity = session.scalar(_identity(key))
        if identity is not None:
            found[identity.member_id] = session.get_one(Member, identity.member_id)
    return list(found.values())


def _by_id(session: Session, member: str, *, lock: bool = False) -> Member:
    query = select(Member).where(Member.public_id == member)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(
            "member", _("There is no member %(id)s."), _("Look at the list of members."), id=member
        )
    return row


def _tag(session: Session, member: int, tags: Iterable[str]) -> None:
    kept = set(session.scalars(select(MemberTag.tag).where(MemberTag.member_id == member)))
    wanted = {tag.strip() for tag in tags}
    session.add_all(MemberTag(member_id=member, tag=tag) for tag in sorted(wanted - kept))
    session.flush()


def _records(session: Session, rows: Sequence[Member]) -> list[MemberRecord]:
    """Three queries, however many members."""
    ids = [row.id for row in rows]
    tags: dict[int, list[str]] = {}
    for member, tag in session.execute(
        select(MemberTag.member_id, MemberTag.tag).where(MemberTag.member_id.in_(ids)).order_by(MemberTag.tag)
    ):
        tags.setdefault(member, []).append(tag)
    identities: dict[int, list[IdentityKey]] = {}
    for kept in session.scalars(select(Identity).where(Identity.member_id.in_(ids)).order_by(Identity.id)):
        key = IdentityKey(kept.provider, kept.user, kept.account, kept.sender)
        identities.setdefault(kept.member_id, []).append(key)
    return [
        MemberRecord(
            id=row.public_id,
            name=row.name,
            zone=row.zone,
            frozen=row.frozen,
            opted_out=row.opted_out,
            tags=tuple(tags.get(row.id, ())),
            identities=tuple(identities.get(row.id, ())),
            attributes=_texts(row.attributes),
            created_at=row.created_at,
        )
        for row in rows
    ]


def _texts(attributes: Mapping[str, object] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (attributes or {}).items()}
