"""What is to be written down of one unit."""

from typing import NamedTuple

from lanmu.delivery.carried import Claimed
from lanmu.delivery.sending.outcomes import Next
from lanmu.delivery.states import UnitState
from lanmu.interfaces.channels import Observation


class Recorded(NamedTuple):
    """What is to be recorded of one unit. `seen` is None where there was no intent to write.

    `was` is the state that it comes from: `calling` where something was seen, else `leased`, unless given.
    """

    unit: Claimed
    next: Next
    seen: Observation | None = None
    was: UnitState | None = None
