"""Coupon codes: 75 bits and a check character in Crockford's base 32, derived and never stored.

A member needs the code again days later at the till, and a page that is loaded twice must show it twice.
So a code is not drawn and forgotten but derived from the coupon's random id by a key that only the server
has; the table holds another keyed hash of it, to look it up by. Who reads the table alone learns no code.
"""

import hashlib
import hmac
import unicodedata

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 16

_VALUE = {character: value for value, character in enumerate(ALPHABET)}
_VALUE |= {"O": 0, "I": 1, "L": 1}
_IGNORED = set(" -_\t\r\n\u00b7\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fb\u3000")


class CouponCodes:
    """The codes of one server: derived by its pepper, looked up by a second key."""

    def __init__(self, pepper: bytes) -> None:
        if len(pepper) < 16:
            raise ValueError("the pepper of coupon codes must have 16 bytes at least")
        self._make = _subkey(pepper, b"coupon code")
        self._look_up = _subkey(pepper, b"coupon look-up")

    def code(self, coupon: str) -> str:
        """The code of the coupon with this public id: 16 characters, without separators."""
        bits = int.from_bytes(hmac.digest(self._make, coupon.encode(), "sha256")[:10], "big") >> 5
        values = [(bits >> shift) & 31 for shift in range(70, -1, -5)]
        return "".join(ALPHABET[value] for value in [*values, check_value(values)])

    def lookup(self, code: str) -> str:
        """The keyed hash under which a normalised code is stored."""
        return hmac.digest(self._look_up, code.encode(), "sha256").hex()


def normalise(typed: str) -> str | None:
    """What a person typed as a code: any case, O for 0, I or L for 1, full-width, spaces and dashes.

    Answers None where it cannot be a code: a foreign character, the wrong length or a failing check.
    """
    text = unicodedata.normalize("NFKC", typed).upper()
    values = [_VALUE.get(character) for character in text if character not in _IGNORED]
    known = [value for value in values if value is not None]
    if len(known) != len(values) or len(known) != LENGTH or check_value(known[:-1]) != known[-1]:
        return None
    return "".join(ALPHABET[value] for value in known)


def grouped(code: str) -> str:
    """A code as people read it: in groups of four."""
    return " ".join(code[start : start + 4] for start in range(0, len(code), 4))


def check_value(values: list[int]) -> int:
    """Luhn's check in base 32: finds every single mistyped character and nearly every swap of neighbours."""
    total = 0
    for place, value in enumerate(reversed(values)):
        doubled = value * 2 if place % 2 == 0 else value
        total += doubled // 32 + doubled % 32
    return -total % 32


def _subkey(pepper: bytes, label: bytes) -> bytes:
    return hmac.new(pepper, label, hashlib.sha256).digest()
