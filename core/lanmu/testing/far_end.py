"""The other side of a channel, as its author's test plays it: what it is told to do, and what it tells."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol


class Behaviour(StrEnum):
    """What a far end is told to do with every call that follows, be it a write or a question afterwards."""

    ACCEPT = "accept"
    """Take what is sent and answer what is asked, as on any other day."""
    REFUSE = "refuse"
    """Say no in the way it says no: for an HTTP service that is often an error code inside a 200."""
    DROP = "drop"
    """Take the request in and close the connection before a byte of the answer."""
    SLOW = "slow"
    """Take the request in and answer later than the channel waits."""
    GARBAGE = "garbage"
    """Answer with a 200 and half a page of HTML."""
    BROKEN = "broken"
    """Take the request in and answer with a 500 and a page of HTML, as the gateways before a service do."""
    UNREACHABLE = "unreachable"
    """Nobody is there: connection refused, a disk that is gone."""


class FarEnd(Protocol):
    """The other side of a channel, played by its author's test."""

    def behave(self, behaviour: Behaviour) -> None:
        """What to do from now on, with writes and with questions; it accepts until it is told otherwise, and
        again once it is told so. From UNREACHABLE it need not come back."""
        ...

    @property
    def writes(self) -> Sequence[bytes]:
        """The messages that arrived as they came, one for each write, in order. Calls for a token and
        questions afterwards do not count."""
        ...
