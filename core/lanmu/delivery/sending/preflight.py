"""Pre-flight: everything that is made ready before the intent, while no lock is held and nothing is sent.

The text is rendered, files are uploaded where the channel wants that, plugins may object, and the channel
composes the exact bytes. What fails here is proven not to have been sent.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select
from sqlalchemy.orm import Session

from lanmu.audience.models import Community, Member
from lanmu.delivery.carried import Claimed, Ready, Sheet
from lanmu.delivery.door.gate import Answer, Door
from lanmu.delivery.intake import approval_hash, text_hash
from lanmu.delivery.models import Push
from lanmu.delivery.sending import asking
from lanmu.delivery.sending.outcomes import Next
from lanmu.delivery.sending.uploads import Uploads
from lanmu.delivery.states import EXIT, OBJECTION, UnitState
from lanmu.i18n import _, joined, told
from lanmu.interfaces.channels import Asset, Channel, Message, Refusal
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import LanmuError
from lanmu.interfaces.events import Objection
from lanmu.library.models import Material
from lanmu.library.placeholders import MissingValue, render, used_placeholders
from lanmu.library.views import Snapshot
from lanmu.storage import Database
from lanmu.storage.rows import Keys
from lanmu.storage.types import AnyRow

Objections = Callable[[Message, str], Sequence[Objection]]

_SNAPSHOTS = 256


class Preflight:
    """Makes units ready to be sent. `snapshot` answers an approved revision, or raises what keeps it back."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        snapshot: Callable[[int], Snapshot],
        objections: Objections,
        shop_name: str,
    ) -> None:
        self._database = database
        self._uploads = Uploads(database, clock)
        # A revision never changes and its material's lock tells of every decision on it: the two are a key.
        self._snapshot = lru_cache(_SNAPSHOTS)(lambda revision, _material_lock: snapshot(revision))
        self._objections = objections
        self._shop_name = shop_name

    def read_sheets(self, push_ids: Collection[int]) -> dict[int, Sheet]:
        """The sheets of these pushes."""
        with self._database.glance() as connection:
            pushes = read_pushes(connection, push_ids)
        return self.sheets(pushes)

    def sheets(self, pushes: Sequence[AnyRow]) -> dict[int, Sheet]:
        """The sheets of what `read_pushes` read; contents not seen before are read from the library."""
        return {push.id: self._sheet(push) for push in pushes}

    def _sheet(self, push: AnyRow) -> Sheet:
        content, fault, rendered = None, _("The material of this push no longer exists."), ""
        if push.test_text:
            content = _own_words(push)
        elif push.revision_id is not None:
            try:
                content = self._snapshot(push.revision_id, push.lock)
            except LanmuError as error:
                fault = told(error)
        if content is not None:
            rendered = approval_hash(
                content.content_hash, push.audience_hash, push.channel, push.due_at, push.options
            )
        return Sheet(
            push.id, push.public_id, push.deadline_at, push.options, content, fault, push.lock, rendered
        )

    def values(self, units: Sequence[Claimed], sheets: Mapping[int, Sheet]) -> dict[int, dict[str, object]]:
        """What the placeholders of each unit stand for; units with several recipients share the shop's.

        A text without placeholders asks for nothing.
        """
        filled = [unit for unit in units if _has_placeholders(sheets[unit.push_id])]
        if not filled:
            return {}
        with self._database.read() as session:
            communities = _named(session, _COMMUNITIES, {unit.community_id for unit in filled})
            members = _named(session, _MEMBERS, {unit.member_id for unit in filled})
        found: dict[int, dict[str, object]] = {}
        for unit in filled:
            values: dict[str, object] = {"shop.name": self._shop_name, "sender.name": unit.sender}
            if (community := communities.get(unit.community_id)) is not None:
                values |= {"community.name": community.name, "community.size": community.size}
                if community.shop:
                    values["shop.name"] = community.shop
            if (member := members.get(unit.member_id)) is not None:
                values["member.nickname"] = member.name
            found[unit.id] = values
        return found

    def prepare(
        self, unit: Claimed, sheet: Sheet, channel: Channel, values: Mapping[str, object]
    ) -> Ready | Next:
        """The bytes for one unit, or what becomes of it instead. Raises what asking a channel raises."""
        if sheet.content is None:
            return Next(UnitState.HELD, sheet.fault, "no_content", hold_push=True)
        try:
            text = render(sheet.content.body, values)
            assets = self._files(channel, sheet.content.assets)
        except MissingValue as error:
            return Next(UnitState.HELD, told(error), "missing_value")
        except LanmuError as error:
            return Next(UnitState.HELD, told(error), "content", hold_push=True)
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
            over = [each for each in objections if each.ends]
            why = joined("; ", [each.reason for each in over or objections])
            if over:
                return Next(UnitState.SKIPPED, why, EXIT, answer=Answer(Door.DROP, EXIT, why))
            return Next(UnitState.HELD, why, OBJECTION, answer=Answer(Door.HOLD, OBJECTION, why))
        request = asking.composed(channel, message, unit.targets)
        if isinstance(request, Refusal):
            code = "settings" if request.config else "content"
            return Next(UnitState.HELD, _refused(request), code, hold_push=True)
        return Ready(unit, sheet, request)

    def _files(self, channel: Channel, assets: Sequence[Asset]) -> tuple[Asset, ...]:
        return tuple(self._uploads.uploaded(channel, asset) for asset in assets)


def _own_words(push: AnyRow) -> Snapshot:
    """What a test send carries: its own text, from no material, and usable at any time."""
    return Snapshot(
        key=0,
        revision_key=0,
        id=push.public_id,
        name=push.title,
        number=0,
        title=push.title,
        body=push.test_text,
        assets=(),
        content_class="",
        kind="",
        content_hash=text_hash(push.test_text),
        usable_from=None,
        usable_until=None,
        retired=False,
    )


def _has_placeholders(sheet: Sheet) -> bool:
    try:
        return sheet.content is not None and bool(used_placeholders(sheet.content.body))
    except LanmuError:  # a body that cannot be read is told by `prepare`, of its unit alone
        return False


_IDS = Keys("ids")


def read_pushes(connection: Connection, push_ids: Collection[int]) -> Sequence[AnyRow]:
    """What their sheets are made of, as it stands in this transaction."""
    dialect = connection.dialect.name
    return connection.execute(_pushes(dialect), _IDS.pack(dialect, push_ids)).all()


@cache
def _pushes(dialect: str) -> Select[*tuple[Any, ...]]:
    return (
        select(
            *(getattr(Push, name) for name in ("id", "public_id", "channel", "due_at", "deadline_at")),
            *(getattr(Push, name) for name in ("options", "revision_id", "audience_hash", "title")),
            Push.test_text,
            Material.lock,
        )
        .outerjoin(Material, Material.id == Push.material_id)
        .where(_IDS.hold(dialect, Push.__table__.c.id))
    )


_COMMUNITIES = select(Community.id, Community.name, Community.size, Community.shop).where(
    Community.id.in_(bindparam("ids", expanding=True))
)
_MEMBERS = select(Member.id, Member.name).where(Member.id.in_(bindparam("ids", expanding=True)))


def _named(
    session: Session, query: Select[*tuple[Any, ...]], ids: Collection[int | None]
) -> dict[int | None, AnyRow]:
    wanted = [row_id for row_id in ids if row_id is not None]
    if not wanted:
        return {}
    return {row.id: row for row in session.connection().execute(query, {"ids": wanted})}


def _refused(refusal: Refusal) -> str:
    return told(LanmuError("", refusal.reason, refusal.way_out, **refusal.params))
