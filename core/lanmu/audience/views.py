"""What the audience hands out, and what it takes in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lanmu.interfaces.errors import LanmuError


@dataclass(frozen=True, slots=True)
class Address:
    """Where a channel finds a community: its key there, and the employee who sends (a group's owner)."""

    key: str
    sender: str = ""


@dataclass(frozen=True, slots=True)
class CommunityDraft:
    """A community as it is written down. `mix` None: the house default; `daily_cap` None: likewise."""

    name: str
    type: str = "general"
    stage: str = "active"
    zone: str = "Asia/Shanghai"
    shop: str = ""
    executor: str = ""
    size: int = 0
    mix: Mapping[str, int] | None = None
    daily_cap: int | None = None
    active: bool = True
    tags: tuple[str, ...] = ()
    addresses: Mapping[str, Address] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommunityView(CommunityDraft):
    """A community as it is kept. `row` is the id that other tables refer to."""

    id: str = ""
    row: int = 0
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IdentityKey:
    """Who somebody is at a provider: never the bare user id, for two accounts may have the same one.

    `sender` is the employee who knows this person there, and through whom messages go.
    """

    provider: str
    user: str
    account: str = ""
    sender: str = ""


@dataclass(frozen=True, slots=True)
class MemberDraft:
    """A member as one is written down."""

    name: str
    identities: tuple[IdentityKey, ...] = ()
    zone: str = "Asia/Shanghai"
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A member as the console shows one."""

    id: str
    name: str
    zone: str
    frozen: bool
    opted_out: bool
    tags: tuple[str, ...]
    identities: tuple[IdentityKey, ...]
    attributes: Mapping[str, str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did. Faulty rows are named, each by its number from 1; the rest is in."""

    created: int
    changed: int
    unchanged: int
    faults: tuple[tuple[int, LanmuError], ...]
