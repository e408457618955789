"""Pre-flight: everything that is made ready before the intent, while no lock is held and nothing is sent.

The text is rendered, files are uploaded where the channel wants that, plugins may object, and the channel
composes the exact bytes. What fails here is proven not to have been sent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from lanmu.audience.models import Community, Member
from lanmu.delivery.intake import approval_hash
from lanmu.delivery.models import Push, UploadedAsset
from lanmu.delivery.outcomes import Next
from lanmu.delivery.queue import Claimed
from lanmu.delivery.states import UnitState
from lanmu.i18n import _
from lanmu.interfaces.channels import Asset, Channel, Message, Refusal, Request
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import LanmuError
from lanmu.interfaces.events import Objection
from lanmu.library.placeholders import MissingValue, render
from lanmu.storage import Database

REUPLOAD_BEFORE = timedelta(hours=2)


class Snapshot(Protocol):
    """An approved revision as it is sent."""

    @property
    def title(self) -> str: ...
    @property
    def body(self) -> str: ...
    @property
    def content_hash(self) -> str: ...
    @property
    def assets(self) -> Sequence[Asset]: ...
    @property
    def valid_until(self) -> datetime | None: ...


Objections = Callable[[Message, str], Sequence[Objection]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a batch needs to know of one push, read once: its words, and the hash of what was approved."""

    push_id: int
    public_id: str
    channel: str
    due_at: datetime
    deadline_at: datetime
    options: Mapping[str, str]
    content: Snapshot | None
    rendered_hash: str
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class Ready:
    """A unit whose bytes are made."""

    unit: Claimed
    sheet: Sheet
    request: Request


class Preflight:
    """Makes units ready to be sent."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        snapshot: Callable[[Session, int], Snapshot | None],
        objections: Objections,
        shop_name: str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._snapshot = snapshot
        self._objections = objections
        self._shop_name = shop_name

    def read_sheets(self, push_ids: set[int]) -> dict[int, Sheet]:
        """The sheets of the pushes that a batch belongs to."""
        with self._database.read() as session:
            return {
                push.id: self._sheet(session, push)
                for push in session.scalars(select(Push).where(Push.id.in_(push_ids)))
            }

    def _sheet(self, session: Session, push: Push) -> Sheet:
        content = self._snapshot(session, push.revision_id) if push.revision_id else None
        rendered = (
            approval_hash(content.content_hash, push.audience_hash, push.channel, push.due_at, push.options)
            if content
            else ""
        )
        return Sheet(
            push.id,
            push.public_id,
            push.channel,
            push.due_at,
            push.deadline_at,
            push.options,
            content,
            rendered,
            content.valid_until if content else None,
        )

    def values(self, units: Sequence[Claimed]) -> dict[int, dict[str, object]]:
        """What the placeholders of each unit stand for; units with several recipients share the shop's."""
        communities = {unit.community_id for unit in units if unit.community_id is not None}
        members = {unit.member_id for unit in units if unit.member_id is not None}
        with self._database.read() as session:
            named = {
                row.id: row for row in session.scalars(select(Community).where(Community.id.in_(communities)))
            }
            known = {row.id: row for row in session.scalars(select(Member).where(Member.id.in_(members)))}
        found: dict[int, dict[str, object]] = {}
        for unit in units:
            values: dict[str, object] = {"shop.name": self._shop_name, "sender.name": unit.sender}
            if (community := named.get(unit.community_id or 0)) is not None:
                values |= {"community.name": community.name, "community.size": community.size}
                if community.shop:
                    values["shop.name"] = community.shop
            if (member := known.get(unit.member_id or 0)) is not None:
                values["member.nickname"] = member.name
            found[unit.id] = values
        return found

    def prepare(
        self, unit: Claimed, sheet: Sheet, channel: Channel, values: Mapping[str, object]
    ) -> Ready | Next:
        """The bytes for one unit, or what becomes of it instead."""
        if sheet.content is None:
            return Next(
                UnitState.HELD, _("The material of this push no longer exists."), "no_content", hold_push=True
            )
        try:
            text = render(sheet.content.body, values)
            assets = tuple(self._uploaded(channel, asset) for asset in sheet.content.assets)
        except MissingValue as error:
            return Next(UnitState.HELD, str(error), "missing_value")
        except LanmuError as error:
            return Next(UnitState.HELD, str(error), "content", hold_push=True)
        message = Message(
            push=sheet.public_id,
            token=unit.token,
            title=sheet.content.title,
            text=text,
            assets=assets,
            sender=unit.sender,
            deadline=sheet.deadline_at,
            options=sheet.options,
        )
        if objections := self._objections(message, channel.name):
            return Next(UnitState.HELD, "; ".join(each.reason for each in objections), "objection")
        request = channel.compose(message, unit.targets)
        if isinstance(request, Refusal):
            return Next(
                UnitState.HELD, f"{request.reason} {request.way_out}".strip(), "content", hold_push=True
            )
        return Ready(unit, sheet, request)

    def _uploaded(self, channel: Channel, asset: Asset) -> Asset:
        """The asset under the far end's name, uploaded anew where that name dies soon."""
        if channel.abilities.asset_ttl is None:
            return asset
        key = {"channel": channel.name, "account": "", "sha256": asset.sha256}
        with self._database.read() as session:
            known = session.get(UploadedAsset, key)
        if known is not None and known.expires_at > self._clock.now() + REUPLOAD_BEFORE:
            return replace(asset, ref=known.ref)
        uploaded = channel.upload(asset)
        with self._database.write() as session:
            session.merge(UploadedAsset(**key, ref=uploaded.ref, expires_at=uploaded.expires_at))
        return replace(asset, ref=uploaded.ref)
