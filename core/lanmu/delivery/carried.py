"""What a unit carries on its way from the claim to the write: whom it is for, its push's words, its bytes.

Tuples and not objects with fields of their own: a message makes a dozen of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from lanmu.interfaces.channels import Request, Target
from lanmu.library.views import Snapshot


class Known(NamedTuple):
    """Which row a target is: of a community, of a member, or of neither."""

    account: str
    community_id: int | None
    member_id: int | None


class Claimed(NamedTuple):
    """A unit that a worker holds under `fence`, with the targets it is for.

    `community_id` and `member_id` are there where it has one target alone. `code` is how its last try ended,
    `kept_until` until when a rule kept it back. `counted`: the limits have it already. `known` goes with
    `targets`.
    """

    id: int
    push_id: int
    channel: str
    sender: str
    token: str
    fence: int
    tries: int
    targets: tuple[Target, ...]
    community_id: int | None
    member_id: int | None
    code: str = ""
    zone: str = ""
    kept_until: datetime | None = None
    counted: bool = False
    known: tuple[Known, ...] = ()


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a batch needs to know of one push: its words, and the hash of what they come to.

    `content` is None where there is none that may be sent; `fault` says why. `material_lock` tells whether
    the material has been touched since.
    """

    push_id: int
    public_id: str
    deadline_at: datetime
    options: Mapping[str, str]
    content: Snapshot | None
    fault: str
    material_lock: int | None
    rendered_hash: str


class Ready(NamedTuple):
    """A unit whose bytes are made."""

    unit: Claimed
    sheet: Sheet
    request: Request
