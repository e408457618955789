"""The way in: an approved request becomes a push with its units and targets, once for its source key."""

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from lanmu.delivery import expansion
from lanmu.delivery.expansion import Packed
from lanmu.delivery.models import Push
from lanmu.delivery.states import PushState
from lanmu.i18n import _
from lanmu.interfaces.channels import Abilities, Channel
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Invalid
from lanmu.library.placeholders import used_placeholders
from lanmu.storage.once import insert_once

DEFAULT_DEADLINE = timedelta(hours=6)


class Recipient(NamedTuple):
    """Who is to get it: the key at the channel, who sends, and which community or member that is.

    `zone` is where they live, for quiet hours; "" is the shop's.
    """

    key: str
    name: str
    sender: str = ""
    community_id: int | None = None
    member_id: int | None = None
    zone: str = ""


@dataclass(frozen=True, slots=True)
class PushRequest:
    """An approved intent. `source_key` names the firing: the same key is the same push, for ever.

    `content_hash` is the hash of the approved revision, `body` its text; a test brings its own words.
    `late_after` says from when on a send is late; nothing goes out from `deadline_at` on. Where a limit lets
    only one of two go out, that of the higher `priority` does.
    """

    source_key: str
    title: str
    channel: str
    revision_id: int | None
    material_id: int | None
    content_hash: str
    body: str
    due_at: datetime
    zone: str
    recipients: Sequence[Recipient]
    approved_by: str
    approved_at: datetime
    created_by: str
    column_name: str = ""
    content_class: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    late_policy: str = "ask"
    late_after: timedelta = timedelta(minutes=15)
    deadline_at: datetime | None = None
    is_test: bool = False
    priority: int = 0


def text_hash(text: str) -> str:
    """What stands for a content hash where the words are a test's own."""
    return hashlib.sha256(text.encode()).hexdigest()


def audience_hash(recipients: Iterable[Recipient]) -> str:
    """A hash over who gets it, whatever their order."""
    return _hash_of(f"{recipient.key}\t{recipient.sender}" for recipient in recipients)


def _hash_of(keys: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(set(keys))).encode()).hexdigest()


def approval_hash(
    content_hash: str, audience: str, channel: str, due_at: datetime, options: Mapping[str, str]
) -> str:
    """What an approval binds: content, recipients, channel, time and options. Any change voids it."""
    document = [content_hash, audience, channel, due_at.timestamp(), dict(options)]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def split(recipients: Sequence[Recipient], abilities: Abilities, personal: bool) -> list[list[Recipient]]:
    """The recipients of each unit: of one zone, of one sender where the channel wants that, within its batch.

    A text that differs from one recipient to the next needs a unit for each. Nobody is in twice: whoever is
    named again stays as named first.
    """
    by_key: dict[str, Recipient] = {}
    for recipient in recipients:
        by_key.setdefault(recipient.key, recipient)
    size = 1 if personal else max(1, abilities.batch_max)
    kinds: dict[tuple[str, str], list[Recipient]] = {}
    for recipient in by_key.values():
        kind = (recipient.sender if abilities.by_sender else "", recipient.zone)
        kinds.setdefault(kind, []).append(recipient)
    groups = [kinds[kind] for kind in sorted(kinds)]
    return [group[start : start + size] for group in groups for start in range(0, len(group), size)]


def pack(groups: Sequence[Sequence[Recipient]], most: int) -> Iterator[Packed]:
    """The units of a push, numbered from 1, so many together that they come to `most` rows, or one unit."""
    units: list[tuple[object, ...]] = []
    targets: list[tuple[object, ...]] = []
    for number, (group, token) in enumerate(zip(groups, _tokens(len(groups)), strict=True), 1):
        if units and len(units) + len(targets) + len(group) >= most:
            yield _packed(units, targets)
            units, targets = [], []
        units.append((number, group[0].sender, group[0].zone, token))
        targets += [(number, each.key, each.name, each.community_id, each.member_id) for each in group]
    yield _packed(units, targets)


def _tokens(count: int) -> list[str]:
    # In their order, so that those of a portion lie side by side in their index: by chance each would have a
    # page of its own, and all of it would be written anew with every portion.
    drawn = secrets.token_hex(8 * count)
    return sorted(drawn[at : at + 16] for at in range(0, len(drawn), 16))


def _packed(units: Sequence[object], targets: Sequence[tuple[object, ...]]) -> Packed:
    communities = sum(target[3] is not None for target in targets)
    members = sum(target[3] is None and target[4] is not None for target in targets)
    return Packed(_json(units), _json(targets), len(targets), communities, members)


def _json(rows: Sequence[object]) -> str:
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def take_in(
    session: Session, request: PushRequest, channel: Channel | None, clock: Clock
) -> tuple[Push, bool]:
    """Store the push with whom it goes to; answers it, and whether it is new.

    A small push has its units and targets at once; a large one waits as `expanding` until `Expansion` has
    made them, from the list that is stored here. A push whose channel does not run just now is stored held,
    so that it is seen and not lost.
    """
    if not request.recipients:
        raise Invalid("recipients", _("there is nobody to send to."))
    abilities = channel.abilities if channel else Abilities()
    personal = len(request.recipients) > 1 and bool(used_placeholders(request.body))
    groups = split(request.recipients, abilities, personal)
    planned = sum(map(len, groups))
    # The sender that a unit has is who sends to all in it: that is what is approved, and what verify finds.
    audience = _hash_of(f"{each.key}\t{group[0].sender}" for group in groups for each in group)
    held, at_once = channel is None, planned <= expansion.AT_ONCE
    ready = PushState.SCHEDULED if at_once else PushState.EXPANDING
    values = {
        "public_id": Push.fresh_id(),
        "source_key": request.source_key,
        "title": request.title,
        "column_name": request.column_name,
        "content_class": request.content_class,
        "channel": request.channel,
        "material_id": request.material_id,
        "revision_id": request.revision_id,
        "test_text": request.body if request.is_test else "",
        "options": dict(request.options),
        "state": PushState.HELD if held else ready,
        "held_reason": _("The channel is not running; look at the plugins page.") if held else "",
        "due_at": request.due_at,
        "zone": request.zone,
        "late_after": int(request.late_after.total_seconds()),
        "late_policy": request.late_policy,
        "priority": request.priority,
        "deadline_at": request.deadline_at or request.due_at + DEFAULT_DEADLINE,
        "planned": planned,
        "audience_hash": audience,
        "approved_hash": approval_hash(
            request.content_hash, audience, request.channel, request.due_at, request.options
        ),
        "approved_by": request.approved_by,
        "approved_at": request.approved_at,
        "created_by": request.created_by,
        "created_at": clock.now(),
    }
    # Made before the first statement: on SQLite nobody else writes from there on.
    packed = list(pack(groups, 2 * planned + 1 if at_once else expansion.PORTION))
    portions = [] if at_once else expansion.portions(packed)
    new_id = insert_once(session, Push, ["source_key"], values)
    if new_id is None:
        return session.scalars(select(Push).where(Push.source_key == request.source_key)).one(), False
    push = session.get_one(Push, new_id)
    if at_once:
        expansion.write_at_once(session, push, packed)
    else:
        expansion.store(session, push.id, portions)
    return push, True
