"""Whom a column goes to: the active communities that it means, and which of them its channel can reach."""

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from lanmu.audience.models import Community, CommunityAddress, CommunityTag
from lanmu.schedule.models import Column


def communities_of(session: Session, row: Column) -> tuple[list[Community], list[Community]]:
    """The active communities that the column feeds: those its channel can reach, and those it cannot."""
    addressed = set(
        session.scalars(select(CommunityAddress.community_id).where(CommunityAddress.channel == row.channel))
    )
    matched = session.scalars(_active(row)).all()
    return (
        [community for community in matched if community.id in addressed],
        [community for community in matched if community.id not in addressed],
    )


def ids_fed(session: Session, row: Column) -> set[int]:
    """The rows of the active communities that the column feeds and its channel can reach."""
    reachable = select(CommunityAddress.community_id).where(CommunityAddress.channel == row.channel)
    return set(
        session.scalars(_active(row).with_only_columns(Community.id).where(Community.id.in_(reachable)))
    )


def _active(row: Column) -> Select[Community]:
    """The active communities that the column means."""
    targets = row.targets
    query = select(Community).where(Community.active).order_by(Community.id)
    if targets.get("tags"):
        tagged = select(CommunityTag.community_id).where(CommunityTag.tag.in_(targets["tags"]))
        query = query.where(Community.id.in_(tagged))
    if targets.get("types"):
        query = query.where(Community.type.in_(targets["types"]))
    if targets.get("stages"):
        query = query.where(Community.stage.in_(targets["stages"]))
    return query
