"""Which community gets which arm: by a stable hash, so that asking again never moves anybody."""

import hashlib
from collections.abc import Sequence


def arm_of(salt: str, recipient: str, arms: Sequence[str]) -> str:
    """One of `arms`, the same for the same salt and recipient, each as likely as the others."""
    digest = hashlib.sha256(f"{salt}:{recipient}".encode()).digest()
    return arms[int.from_bytes(digest[:8], "big") % len(arms)]
