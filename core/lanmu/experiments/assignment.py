"""Which community gets which arm: by a stable hash, so that asking again never moves anybody."""

import hashlib
from collections.abc import Sequence


def arm_of(salt: str, recipient: str, arms: Sequence[str]) -> str:
    """One of `arms`, the same for the same salt and recipient, each as likely as the others.

    The arm with the largest hash wins (rendezvous hashing), so when an arm falls out only its own recipients
    go to others.
    """
    return max(arms, key=lambda arm: hashlib.sha256(f"{salt}:{recipient}:{arm}".encode()).digest())
