"""Signed links: a token that names a value, cannot be forged, and dies at its time."""

import base64
import binascii
import hashlib
import hmac
from datetime import timedelta

from lanmu.interfaces.clock import Clock
from lanmu.interfaces.secrets import Secret

_TAG_BYTES = 16


class Signer:
    """Signs and checks, each purpose with a key of its own derived from the server's secret."""

    def __init__(self, secret: Secret, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def key(self, purpose: str) -> bytes:
        """A key for one purpose; what is signed for another is worthless here."""
        return hmac.digest(self._secret.reveal().encode(), b"lanmu/" + purpose.encode(), hashlib.sha256)

    def sign(self, purpose: str, value: str, valid_for: timedelta) -> str:
        """A token of URL-safe letters for `value`."""
        until = int((self._clock.now() + valid_for).timestamp())
        payload = f"{until}:{value}".encode()
        return _encode(self._tag(purpose, payload) + payload)

    def unsign(self, purpose: str, token: str) -> str | None:
        """The value, or None where the token is forged, damaged or has run out."""
        try:
            raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        except (binascii.Error, ValueError):
            return None
        tag, payload = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(purpose, payload)):
            return None
        until, _colon, value = payload.decode().partition(":")
        return value if int(until) > self._clock.now().timestamp() else None

    def _tag(self, purpose: str, payload: bytes) -> bytes:
        return hmac.digest(self.key(purpose), payload, hashlib.sha256)[:_TAG_BYTES]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
