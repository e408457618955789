"""The channel contract: how a message is composed, written once to the far end, and what was seen.

A channel reports what it saw; the core decides the state. The order of the calls is that of a push:
`upload` (pre-flight) → `compose` → `connect` → *the core commits its intent* → `transmit` → `classify`.
Whatever can fail before the intent proves that nothing was sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from lanmu.interfaces.errors import filled


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that goes along with a message. `ref` is what `Channel.upload` answered for it, if asked."""

    name: str
    media_type: str
    sha256: str
    size: int
    path: Path
    ref: str = ""


@dataclass(frozen=True, slots=True)
class AssetRef:
    """How the far end names an uploaded file, and until when it will know it."""

    ref: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Target:
    """One recipient. `key` is unique in its account: a chat id, a customer id, a robot's name."""

    key: str
    name: str = ""
    kind: Literal["community", "member", "test"] = "community"


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be sent in one unit: rendered, final, the same for all of the unit's targets."""

    push: str
    token: str
    title: str
    text: str
    assets: tuple[Asset, ...] = ()
    sender: str = ""
    deadline: datetime | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """One call to the far end: its bytes, stored before they are written.

    What must be made anew at each write (a token, the time with a signature over it) is `transmit`'s to add.

    `call` is the channel's own word for it, `meta` whatever `transmit`, `find` or `results` need
    besides the bytes. Neither holds a secret: both are stored and shown.
    """

    call: str
    body: bytes
    targets: tuple[str, ...]
    sender: str = ""
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message cannot go through this channel as it is (too long, wrong kind), and the way out.

    Both texts are English gettext ids; `params` fills their `%(name)s` slots after translation. `config` says
    that the channel's settings lack something for it, so that another text would not help.
    """

    reason: str
    way_out: str = ""
    params: Mapping[str, object] = field(default_factory=dict)
    config: bool = False

    def __str__(self) -> str:
        text = f"{self.reason} {self.way_out}".rstrip()
        return filled(text, self.params) if self.params else text


class Line(Protocol):
    """An opened way to the far end, used for one write and closed by the core."""

    def close(self) -> None: ...


class NotConnected(Exception):
    """The far end could not be reached; nothing was written.

    `retry_after` is a wish of the far end; `config` says that no retry helps until a person acts.
    """

    def __init__(self, reason: str, *, retry_after: timedelta | None = None, config: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.config = config


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen of one write, never a verdict.

    `wrote` is False only where it is certain that no byte of the request left. `status` and `body` are the
    answer's, if one came whole; `fault` names what broke otherwise.
    """

    wrote: bool
    status: int | None = None
    body: bytes = b""
    fault: str = ""


class Outcome(StrEnum):
    """What an observation proves."""

    ACCEPTED = "accepted"
    HANDED_OVER = "handed_over"
    REFUSED = "refused"
    LATER = "later"
    NOT_SENT = "not_sent"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class Ref:
    """The far end's name for what it accepted; `detail` is whatever `results` needs to ask again."""

    id: str
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The reading of one observation.

    `scope` says how far a refusal reaches: this unit, the push's content, or the whole account; "unclear"
    where the far end gave a code whose meaning nobody knows.
    `failed` are targets that the far end refused one by one although it accepted the rest (key → reason).
    `free` marks a retry that costs no try (an expired token).
    `trips` says that others must wait as well: "rate" closes the way for a while, "concurrency" halves how
    many calls go out at the same time.
    `stale_files` says that an uploaded file is no longer known there, and is worth uploading once more.
    """

    outcome: Outcome
    ref: Ref | None = None
    reason: str = ""
    code: str = ""
    retry_after: timedelta | None = None
    scope: Literal["unit", "content", "account", "unclear"] = "unit"
    failed: Mapping[str, str] = field(default_factory=dict)
    free: bool = False
    trips: Literal["", "rate", "concurrency"] = ""
    stale_files: bool = False


class TargetState(StrEnum):
    """Where one recipient stands, as far as the channel can tell."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    SKIPPED = "skipped"
    POSTPONED = "postponed"


@dataclass(frozen=True, slots=True)
class TargetResult:
    """The far end's word on one recipient."""

    key: str
    state: TargetState
    reason: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time, both ends included."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class CancelResult:
    """What became of a cancel: how many recipients it stopped, how many already had the message."""

    cancelled: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls in so long a time: of the whole channel, or to each target (a robot, a person)."""

    calls: int
    per: timedelta
    scope: Literal["channel", "target"] = "channel"


class Sending(StrEnum):
    """Who does the sending."""

    AUTO = "auto"
    CONFIRM = "confirm"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a channel can do. What it does not declare is neither asked of it nor tested.

    - `sending`: by itself, after an employee's confirmation, or by a person's own hand.
    - `local`: the write ends on this machine (a file, an own table), so there is no answer to be lost, cut
      or turned into a refusal on its way.
    - `sandbox`: the far end is a stand-in on this machine, so that nobody is reached.
    - `idempotency`: how long a resend of the same bytes is known to have no second effect; None: never.
    - `lookup`: whether `find` can tell afterwards if a request took effect.
    - `settle`: how long after the end of the write a lookup may still miss what it did. Needed with `lookup`
      unless `local`; rather too long than too short: found is found at any time, but what is missing after it
      counts as not sent, and is sent again.
    - `acceptance`: "final", or "async" where `results` tells later what became of each target.
    - `cancel`: whether `cancel` can stop what was accepted but not yet confirmed.
    - `batch_max`: targets in one unit. `by_sender`: targets of one unit share one sender.
    - `text_bytes`, `asset_max`, `asset_bytes`, `asset_types`: limits of one message (UTF-8 bytes).
    - `asset_ttl`: how long an uploaded file is known; None where files travel inside the request.
    - `limits`: what the far end allows; `silent_limits`: beyond which it drops without an error.
    """

    sending: Sending = Sending.AUTO
    local: bool = False
    sandbox: bool = False
    idempotency: timedelta | None = None
    lookup: bool = False
    settle: timedelta = timedelta(0)
    acceptance: Literal["final", "async"] = "final"
    cancel: bool = False
    batch_max: int = 1
    by_sender: bool = False
    text_bytes: int = 4000
    asset_max: int = 9
    asset_bytes: int = 2_000_000
    asset_types: frozenset[str] = frozenset({"image/png", "image/jpeg"})
    asset_ttl: timedelta | None = None
    limits: tuple[Rate, ...] = ()
    silent_limits: tuple[Rate, ...] = ()


class Channel(Protocol):
    """A way out of the house. `lanmu.BaseChannel` gives every method but `compose` and `transmit`."""

    name: str
    title: str
    abilities: Abilities

    def upload(self, asset: Asset) -> AssetRef:
        """Hand a file to the far end ahead of the message; asked only where `asset_ttl` is declared."""
        ...

    def compose(self, message: Message, targets: Sequence[Target]) -> Request | Refusal:
        """Pure: the exact bytes of the call, or why there can be none."""
        ...

    def connect(self, request: Request) -> Line | None:
        """All that may fail before a byte of the request is written: credentials, DNS, TCP, TLS.

        Raises NotConnected. Answers None where there is nothing to open.
        """
        ...

    def transmit(self, request: Request, line: Line | None) -> Observation:
        """Write the request once, with no retry of any kind, and say what was seen. Must not raise."""
        ...

    def classify(self, observation: Observation) -> Verdict:
        """Pure: what the observation proves."""
        ...

    def find(self, request: Request, window: Window) -> Sequence[Ref]:
        """Everything at the far end that this request may have become (abilities.lookup), written within the
        window. What is found is adopted; an empty answer, given twice, has the message sent again.

        Raises NotConnected where the far end cannot be asked: connection refused, cut or too slow, an error
        code, a status other than expected, a page that cannot be read. No answer is not the answer "nothing".
        """
        ...

    def results(self, ref: Ref) -> Iterable[TargetResult]:
        """What became of each target so far (abilities.acceptance == "async"). Raises NotConnected."""
        ...

    def cancel(self, ref: Ref) -> CancelResult:
        """Stop what is not yet confirmed (abilities.cancel).

        Raises NotConnected where the far end cannot be asked; it is asked again then.
        """
        ...
