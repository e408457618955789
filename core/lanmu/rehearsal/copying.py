"""Takes from the live database, in one snapshot and only by reading, what a rehearsal needs into its own."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Select, Table, event, insert, select, update

from lanmu.audience.models import Community, CommunityAddress, CommunityTag
from lanmu.delivery.door.limit_models import SendLimit
from lanmu.experiments.models import Arm, Experiment
from lanmu.i18n import _
from lanmu.interfaces.errors import Conflict, NotFound
from lanmu.library.models import Asset, ContentClass, Material, MaterialTag, Review, Revision, RevisionAsset
from lanmu.library.models import TaxonomyTerm as Term
from lanmu.rehearsal.people import Profile, Recipient
from lanmu.schedule.models import Column, Slot, SpecialDay
from lanmu.storage import Database
from lanmu.storage.migrate import CORE, upgrade

_AT_ONCE = 500

SIZE = 100
"""People in a virtual community, as a text may name them."""

_APPROVED = select(Material.id).where(Material.approved_revision_id.is_not(None), Material.state != "retired")
_TEXTS = select(Revision.id).where(
    Revision.material_id.in_(_APPROVED),
    Revision.id.in_(select(Material.approved_revision_id)) | Revision.id.in_(select(Arm.revision_id)),
)
_ARMED = select(Experiment.id).where(Experiment.material_id.in_(_APPROVED))

_COPIED: Sequence[tuple[type[Any], Any]] = (
    (ContentClass, None),
    (Term, None),
    (Material, Material.id.in_(_APPROVED)),
    (MaterialTag, MaterialTag.material_id.in_(_APPROVED)),
    (Revision, Revision.id.in_(_TEXTS)),
    (Asset, None),
    (RevisionAsset, RevisionAsset.revision_id.in_(_TEXTS)),
    (Review, Review.revision_id.in_(_TEXTS)),
    (Experiment, Experiment.id.in_(_ARMED)),
    (Arm, Arm.experiment_id.in_(_ARMED) & Arm.revision_id.in_(_TEXTS)),
    (Column, None),
    (Slot, None),
    (SpecialDay, None),
    (SendLimit, None),
)
"""Rules and texts, and nothing of what happened, of members, of staff, or of secrets."""


def own_database(folder: Path) -> Database:
    """An empty database of a rehearsal's own. It is thrown away, so nobody waits for the disk."""
    database = Database(f"sqlite:///{folder / 'rehearsal.db'}", pool_size=2)
    event.listen(database.engine, "connect", _do_not_wait_for_the_disk)
    upgrade(database, CORE)
    return database


def _do_not_wait_for_the_disk(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


def copy_rules(live: Database, own: Database, columns: Collection[str]) -> dict[Profile, int]:
    """Copy what the plans follow; answers how many of the shop's communities are like what.

    `columns` are the ids of those that are to run, all that are switched on where it is empty.
    Raises NotFound for an id that no column has, Conflict where there is nothing to rehearse.
    """
    with _snapshot(live) as source:
        with own.write() as session:
            for model, which in _COPIED:
                table = cast(Table, model.__table__)
                names = [column.name for column in table.columns if column.computed is None]
                wanted: Select[Any] = select(*(table.c[name] for name in names))
                if which is not None:
                    wanted = wanted.where(which)
                for rows in source.execute(wanted).mappings().partitions(_AT_ONCE):
                    session.execute(insert(table), [dict(row) for row in rows])
            known = set(session.scalars(select(Column.public_id)))
            if unknown := [each for each in columns if each not in known]:
                raise NotFound(unknown[0], _("there is no such column."))
            if columns:
                session.execute(update(Column).values(active=Column.public_id.in_(columns)))
            if session.scalar(select(Column.id).where(Column.active).limit(1)) is None:
                raise Conflict("columns", _("no column is switched on."), _("Name one, or switch one on."))
        return _profiles(source)


def _snapshot(live: Database) -> AbstractContextManager[Connection]:
    """One state of the database; on SQLite every reading transaction is that."""
    if live.dialect != "postgresql":
        return live.glance()
    from lanmu.backup import one_state  # what packs a backup would come along at every start

    return one_state(live)


def _profiles(source: Connection) -> dict[Profile, int]:
    tags: defaultdict[int, set[str]] = defaultdict(set)
    for row in source.execute(select(CommunityTag.community_id, CommunityTag.tag)):
        tags[row.community_id].add(row.tag)
    channels: defaultdict[int, set[str]] = defaultdict(set)
    for row in source.execute(select(CommunityAddress.community_id, CommunityAddress.channel)):
        channels[row.community_id].add(row.channel)
    community = cast(Table, Community.__table__)
    counted: defaultdict[Profile, int] = defaultdict(int)
    for row in source.execute(select(community).where(community.c.active.is_(True)).order_by(community.c.id)):
        mix = None if not row.mix else tuple(sorted(row.mix.items()))
        of_it = frozenset(tags[row.id]), frozenset(channels[row.id])
        counted[Profile(row.type, row.stage, row.zone, *of_it, row.daily_cap, mix)] += 1
    return dict(counted)


def put_in(own: Database, recipients: Sequence[Recipient], now: datetime) -> dict[int, Recipient]:
    """Write the virtual communities into the rehearsal's database; answers them by their rows."""
    found = {}
    with own.write() as session:
        for one in recipients:
            profile = one.profile
            row = Community(
                public_id=f"com_{one.key}",
                name=one.key,
                type=profile.type,
                stage=profile.stage,
                zone=profile.zone,
                executor=one.key,
                size=SIZE,
                mix=None if profile.mix is None else dict(profile.mix),
                daily_cap=profile.daily_cap,
                created_at=now,
            )
            session.add(row)
            session.flush()
            session.add_all(CommunityTag(community_id=row.id, tag=tag) for tag in sorted(profile.tags))
            session.add_all(
                CommunityAddress(community_id=row.id, channel=channel, key=one.key, sender=one.key)
                for channel in sorted(profile.channels)
            )
            found[row.id] = one
    return found


def let_leave(own: Database, rows: Collection[int]) -> None:
    """These want no more messages from now on."""
    with own.write() as session:
        session.execute(update(Community).where(Community.id.in_(rows)).values(active=False))
