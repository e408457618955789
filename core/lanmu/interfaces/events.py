"""Things that happened, as plugins hear of them, and the points that are proposed for them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class MemberEvent:
    """Something a member did. `key` is its natural key: the same key is the same event, for ever.

    `kind` is a word such as check_in, message, purchase; `data` holds what the kind needs (an order's
    amount in cents as text, a message's community). `local_date` is the day in the member's zone.
    """

    key: str
    kind: str
    member: str
    at: datetime
    local_date: date
    data: Mapping[str, str] = field(default_factory=dict)


def natural_key(kind: str, *names: str) -> str:
    """The key of what other systems name: `natural_key("order", shop, order)` is `order:SHOP:ORDER`.

    The ledger's keys are printable ASCII, and shops are called 旗舰店: a name that no key can hold, or that
    holds a colon where another follows, stands in it by its hash. So no two names make one key.
    """
    last = len(names) - 1
    held = [_in_key(name, colons=place == last) for place, name in enumerate(names)]
    return ":".join([kind, *held])


def _in_key(name: str, *, colons: bool) -> str:
    if name.isascii() and name.isprintable() and len(name) <= 128 and (colons or ":" not in name):
        return name
    return "~" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:40]


@dataclass(frozen=True, slots=True)
class Award:
    """Points proposed for an event. The ledger posts it once for its key, and never beyond the caps.

    `points` > 0, whole. `per_day` caps what this rule gives this member on `local_date`, None: no cap.
    `expires_after_days` counts from the posting; None: never. Within `min_interval` of another award of
    the same rule to the same member nothing is given.
    """

    rule: str
    key: str
    member: str
    points: int
    reason: str
    local_date: date
    per_day: int | None = None
    expires_after_days: int | None = 365
    min_interval: timedelta = timedelta(0)


class PointsRule(Protocol):
    """Proposes awards for an event; pure."""

    name: str
    title: str

    def propose(self, event: MemberEvent) -> Iterable[Award]: ...


@runtime_checkable
class DescribedRule(PointsRule, Protocol):
    """A rule that tells people what it gives; one that does not is shown by its title alone."""

    def describe(self) -> Sequence[str]:
        """What it gives, within which limits and for how long, each in a few words, the gist first.

        The words are translated where they are shown: marked texts, or `lanmu.i18n.Filled` with the numbers.
        """
        ...


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one unit: told after the commit."""

    push: str
    unit: int
    channel: str
    state: str
    targets: int
    at: datetime


@dataclass(frozen=True, slots=True)
class MaterialApproved:
    """A material has an approved revision."""

    material: str
    revision: int
    approved_by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a message should not go out without a person's look at it, or, where it `ends` it, not at all.

    What ends a message is an exit rule that has come true, such as an order before its reminder: nobody is
    asked, and the message counts as not wanted any more.
    """

    reason: str
    ends: bool = False
