"""Whom a column goes to: the active communities that it means, and which of them its channel can reach."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from lanmu.audience.models import Community, CommunityAddress, CommunityTag
from lanmu.schedule.models import Column
from lanmu.storage.types import json_text


class Reach(NamedTuple):
    """The active communities that a column means: those its channel can reach, and those it cannot."""

    reached: list[Community]
    unreached: list[Community]


def communities_of(session: Session, row: Column) -> Reach:
    """Whom the column goes to."""
    return communities_of_each(session, [row])[row]


def communities_of_each(session: Session, rows: Iterable[Column]) -> Mapping[Column, Reach]:
    """Whom each of these columns goes to; what several of them mean, or go by, is read once."""
    meant: dict[str, list[Community]] = {}
    addressed: dict[str, set[int]] = {}
    found = {}
    for row in rows:
        aim, channel = json_text(row.targets), row.channel
        if aim not in meant:
            meant[aim] = list(session.scalars(_active(row)))
        if channel not in addressed:
            of_channel = select(CommunityAddress.community_id).where(CommunityAddress.channel == channel)
            addressed[channel] = set(session.scalars(of_channel))
        found[row] = Reach(
            [community for community in meant[aim] if community.id in addressed[channel]],
            [community for community in meant[aim] if community.id not in addressed[channel]],
        )
    return found


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
