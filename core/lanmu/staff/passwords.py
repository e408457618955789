"""Passwords: Argon2id at OWASP's parameters, and the one that is made up at first start."""

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid

# OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane; the library's default takes 7 × as long
# and would let a handful of logins fill a small server.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

SHORTEST = 12
LONGEST = 128


def hash_password(password: str) -> str:
    return _HASHER.hash(password)


def check_password(stored: str | None, password: str) -> bool:
    """Whether the password is right. With nobody to compare to it takes as long, and is wrong."""
    try:
        _HASHER.verify(stored or _nobody(), password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


@cache
def _nobody() -> str:
    return _HASHER.hash(secrets.token_hex(8))


def acceptable(password: str) -> None:
    """Raises Invalid where a chosen password is too short, too long or a single character repeated."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(
            "password",
            _("must have %(shortest)s to %(longest)s characters."),
            shortest=SHORTEST,
            longest=LONGEST,
        )
    if len(set(password)) < 5:
        raise Invalid("password", _("repeats too few characters; mix more of them."))


def made_up_password() -> str:
    """A password to be typed once: four groups of four, without characters that look alike."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _index in range(4)) for _group in range(4))
