"""The demo shop: communities, members, offers and columns, made from data where they are not there yet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from lanmu.audience.views import Address, CommunityDraft, IdentityKey, Imported, MemberDraft
from lanmu.delivery.door.quiet import AT_ANY_HOUR
from lanmu.i18n import LOCALES, _
from lanmu.interfaces.errors import Faults, Invalid
from lanmu.interfaces.events import MemberEvent
from lanmu.schedule.columns import ColumnDraft, ColumnView, PoolDraft, SlotDraft, Targets
from lanmu.server import Server


@dataclass(frozen=True, slots=True)
class _Shown:
    """A column that shows a channel at work."""

    name: str
    channel: str
    communities: tuple[str, ...]
    pool: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)


_SHOWN = (
    _Shown(_("Demo: customer groups"), "wecom.group", ("母婴",), ("母婴", "干货")),
    # A robot's message is one call, and a call holds either the words or a picture: the words matter here.
    _Shown(_("Demo: internal group"), "wecom.robot", ("内部",), ("母婴", "干货"), {"pictures": "leave_out"}),
    _Shown(_("Demo: personal WeChat"), "personal_wechat_export.pack", ("个人微信",), ("母婴", "干货")),
)
_SOON = timedelta(seconds=20)
_NEEDED = {"communities": ("name",), "offers": ("title", "cost"), "members": ("name", "wecom")}


@dataclass(frozen=True, slots=True)
class Demo:
    """When the demo columns are due, in the shop's zone."""

    due: datetime
    columns: tuple[str, ...]


def prepare(server: Server, folder: Path) -> Demo:
    """Make the demo shop from `folder`, and let its demo columns be due at the next full minute.

    What is there already stays as it is, but for the demo columns' time, which moves to this start.
    """
    document = _read(folder / "demo.yaml", _NEEDED)
    _communities(server, document)
    _members(server, document)
    _offers(server, document)
    _orders(server, document)
    for path in sorted((folder / "columns").glob("*.yaml")):
        _columns(server, _read(path, {"columns": ("name", "slots")}, "trade"))
    return _due_soon(server)


def _read(path: Path, needed: Mapping[str, Sequence[str]], *names: str) -> dict[str, Any]:
    """A document with these names, whose lists hold entries with at least the keys they need."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Invalid(str(path), _("cannot be read: %(error)s."), error=error) from error
    if not isinstance(found, dict):
        raise Invalid(str(path), _("must hold names and values, as the shipped one does."))
    faults = [Invalid(str(path), _("lacks %(names)s."), names=name) for name in names if name not in found]
    for name, keys in needed.items():
        for number, entry in enumerate(found.get(name) or (), 1):
            place = f"{path}: {name} {number}"
            if not isinstance(entry, dict):
                faults.append(Invalid(place, _("must hold names and values, as the shipped one does.")))
            elif missing := [key for key in keys if key not in entry]:
                faults.append(Invalid(place, _("lacks %(names)s."), names=", ".join(missing)))
    if faults:
        raise Faults(faults)
    return found


def _communities(server: Server, document: Mapping[str, Any]) -> None:
    there = {community.name for community in server.audience.communities.find(active=None)}
    drafts = [
        CommunityDraft(
            name=each["name"],
            shop=each.get("shop", ""),
            type=each.get("type", "general"),
            stage=each.get("stage", "active"),
            zone=server.config.server.zone,
            size=each.get("size", 0),
            executor=each.get("executor", ""),
            mix=each.get("mix"),
            tags=tuple(each.get("tags", ())),
            addresses={
                channel: Address(address.get("key", ""), address.get("sender", ""))
                for channel, address in each.get("addresses", {}).items()
            },
        )
        for each in document.get("communities", ())
        if each["name"] not in there
    ]
    _all_taken_in(server.audience.communities.load(drafts))


def _members(server: Server, document: Mapping[str, Any]) -> None:
    drafts = [
        MemberDraft(
            name=each["name"],
            identities=(IdentityKey("wecom", each["wecom"]),),
            tags=tuple(each.get("tags", ())),
        )
        for each in document.get("members", ())
        if server.audience.find_member("wecom", each["wecom"]) is None
    ]
    _all_taken_in(server.audience.members.load(drafts))


def _all_taken_in(imported: Imported) -> None:
    if imported.faults:
        raise Faults(fault for _number, fault in imported.faults)


def _offers(server: Server, document: Mapping[str, Any]) -> None:
    known = {offer.title for offer in server.ledger.shelf.all()}
    for each in document.get("offers", ()):
        if each["title"] not in known:
            server.ledger.shelf.create(
                each["title"],
                each["cost"],
                detail=each.get("detail", ""),
                cap=each.get("cap"),
                per_member=each.get("per_member"),
                coupon_days=each.get("coupon_days"),
            )


def _orders(server: Server, document: Mapping[str, Any]) -> None:
    """The members' demo orders, through the same door as a real shop's: each counts once for its key."""
    now = server.clock.now()
    for each in document.get("members", ()):
        member = server.audience.find_member("wecom", each["wecom"])
        for number, amount in enumerate(each.get("orders", ()), 1):
            if member is not None:
                server.events.record(
                    MemberEvent(
                        key=f"order:demo:{each['wecom']}-{number}",
                        kind="purchase",
                        member=member.id,
                        at=now,
                        local_date=now.astimezone(ZoneInfo(member.zone)).date(),
                        data={
                            "shop": "demo",
                            "order": f"{each['wecom']}-{number}",
                            "amount": str(amount * 100),
                        },
                    )
                )


def _columns(server: Server, document: Mapping[str, Any]) -> None:
    """The columns of one trade, each for the communities that carry the trade's tag."""
    channel = document.get("channel", "wecom.group")
    for each in document.get("columns", ()):
        if (
            server.schedule.columns.by_name(each["name"]) is not None
            or channel not in server.plugins.channels
        ):
            continue
        pool = each.get("pool", {})
        zone = pool.get("zone")
        server.schedule.columns.create(
            ColumnDraft(
                name=each["name"],
                channel=channel,
                classes=tuple(each.get("class", ())),
                slots=tuple(
                    SlotDraft(slot.get("weekday", ""), slot.get("time", ""), slot.get("rrule", ""))
                    for slot in each["slots"]
                ),
                targets=Targets(tags=(document["trade"],)),
                pool=PoolDraft(
                    tags=tuple(pool.get("tags", ())),
                    kinds=tuple(pool.get("kinds", ())),
                    zones=(zone,) if zone else (),
                ),
                goal=each.get("goal", ""),
                owner=each.get("owner", ""),
                zone=document.get("timezone", server.config.server.zone),
                cooldown_days=each.get("cooldown_days", 14),
                approval=each.get("approval", "each"),
            )
        )


def _due_soon(server: Server) -> Demo:
    zone = server.config.server.zone
    soon = server.clock.now() + _SOON
    due = (soon + timedelta(minutes=1)).replace(second=0, microsecond=0).astimezone(ZoneInfo(zone))
    rule = f"DTSTART:{due:%Y%m%dT%H%M%S} RRULE:FREQ=DAILY;COUNT=1"
    say: Callable[[str], str] = lambda text: server.catalog.gettext(server.config.server.locale, text)  # noqa: E731
    made = []
    for shown in _SHOWN:
        if shown.channel not in server.plugins.channels:
            continue
        draft = ColumnDraft(
            name=say(shown.name),
            channel=shown.channel,
            slots=(SlotDraft(rrule=rule),),
            targets=Targets(tags=shown.communities),
            pool=PoolDraft(tags=shown.pool),
            options={**shown.options, AT_ANY_HOUR: "yes"},
            goal=say(_("Shows a push going out, a minute after the start.")),
            zone=zone,
            cooldown_days=0,
            approval="auto",
            late_policy="send",
        )
        there = _there(server, shown.name)
        if there is None:
            server.schedule.columns.create(draft)
        elif there.draft.active:
            server.schedule.columns.edit(there.id, draft, there.lock)
        else:
            continue  # a person has switched it off
        made.append(draft.name)
    return Demo(due, tuple(made))


def _there(server: Server, name: str) -> ColumnView | None:
    """A demo column of an earlier start, which may have spoken the other language."""
    names = (server.catalog.gettext(locale, name) for locale in LOCALES)
    return next((found for each in names if (found := server.schedule.columns.by_name(each))), None)
