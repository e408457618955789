"""API tokens: made, recognised and revoked; only the hash of the secret part is stored."""

import hashlib
import hmac
import secrets
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select, update

from lanmu.i18n import _
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Invalid, NotFound
from lanmu.staff.models import ApiToken, Staff
from lanmu.staff.roles import SCOPES, permissions_of
from lanmu.staff.service import Person
from lanmu.storage import Database

PREFIX = "lanmu_"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LONGEST_DAYS = 365

REMEMBERED_SECONDS = 1.0
"""For so long a token that was just recognised is not looked up again; a program asks many times a second.

A revocation by this process is felt at once, one by another process when this has passed.
"""
_REMEMBERED_MOST = 1000

# Asked with every request of the API: plain columns of a statement made once take half the time of two rows.
_BY_PUBLIC_ID = (
    select(
        ApiToken.id, ApiToken.name, ApiToken.secret_hash, ApiToken.scopes, ApiToken.expires_at,
        ApiToken.last_used_at, ApiToken.revoked_at,
        Staff.public_id, Staff.username, Staff.locale, Staff.roles,
    )
    .join(Staff, Staff.id == ApiToken.staff_id)
    .where(ApiToken.public_id == bindparam("public"), Staff.active)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token without its secret."""

    id: str
    name: str
    owner: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked: bool


class TokenService:
    """The only place that writes API tokens."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._remembered: dict[str, tuple[float, datetime, Person]] = {}

    def create(self, username: str, name: str, scopes: list[str], days: int = 90) -> str:
        """A new token, told this once. Raises Invalid for an unknown scope, owner or length of life."""
        if unknown := [scope for scope in scopes if scope not in SCOPES]:
            raise Invalid(
                "scopes",
                _("%(unknown)s is no scope."),
                _("Known scopes: %(known)s."),
                unknown=", ".join(unknown),
                known=", ".join(SCOPES),
            )
        if not scopes:
            raise Invalid("scopes", _("a token without a scope can do nothing; name at least one."))
        if not 1 <= days <= LONGEST_DAYS:
            raise Invalid("days", _("must be between 1 and %(longest)s."), longest=LONGEST_DAYS)
        now = self._clock.now()
        public, secret = _random(8), _random(43)
        with self._database.write() as session:
            owner = session.scalar(select(Staff).where(Staff.username == username, Staff.active))
            if owner is None:
                raise Invalid("username", _("nobody here is called %(username)s."), username=username)
            session.add(
                ApiToken(
                    public_id=public,
                    staff_id=owner.id,
                    name=name.strip()[:60] or "token",
                    secret_hash=_hash(secret),
                    scopes=scopes,
                    created_at=now,
                    expires_at=now + timedelta(days=days),
                )
            )
        body = f"{PREFIX}{public}_{secret}"
        return body + _checksum(body)

    def recognise(self, token: str) -> Person | None:
        """Whom the token speaks for: its scopes, cut to what its owner may do now."""
        body, checksum = token[:-6], token[-6:]
        if not token.startswith(PREFIX) or _checksum(body) != checksum:
            return None
        public, _sep, secret = body[len(PREFIX) :].partition("_")
        now, boot = self._clock.now(), self._clock.boottime()
        key = _hash(body)
        remembered = self._remembered  # a revocation meanwhile puts another in its place
        known = remembered.get(key)
        if known is not None and boot < known[0] and now < known[1]:
            return known[2]
        with self._database.glance() as connection:
            row = connection.execute(_BY_PUBLIC_ID, {"public": public}).first()
        if row is None:
            return None
        if row.revoked_at or row.expires_at <= now or not hmac.compare_digest(row.secret_hash, _hash(secret)):
            return None
        if row.last_used_at is None or now - row.last_used_at > timedelta(minutes=1):
            with self._database.write() as session:
                session.execute(update(ApiToken).where(ApiToken.id == row.id).values(last_used_at=now))
        scoped = frozenset[str]().union(*(SCOPES.get(scope, frozenset()) for scope in row.scopes))
        found = Person(
            id=row.public_id,
            username=f"{row.username}/{row.name}",
            name=row.name,
            locale=row.locale,
            roles=tuple(row.roles),
            permissions=scoped & permissions_of(row.roles),
        )
        if len(remembered) >= _REMEMBERED_MOST:
            remembered.clear()
        remembered[key] = boot + REMEMBERED_SECONDS, row.expires_at, found
        return found

    def revoke(self, public_id: str) -> None:
        with self._database.write() as session:
            done = session.execute(
                update(ApiToken)
                .where(ApiToken.public_id == public_id, ApiToken.revoked_at.is_(None))
                .values(revoked_at=self._clock.now())
                .returning(ApiToken.id)
            ).first()
        self._remembered = {}
        if done is None:
            raise NotFound("token", _("there is no live token %(id)s."), id=public_id)

    def everything(self) -> list[TokenView]:
        """All tokens, newest first."""
        with self._database.read() as session:
            rows = session.execute(
                select(ApiToken, Staff.username).join(Staff).order_by(ApiToken.id.desc())
            ).all()
        return [
            TokenView(
                row.public_id,
                row.name,
                owner,
                tuple(row.scopes),
                row.created_at,
                row.expires_at,
                row.last_used_at,
                row.revoked_at is not None,
            )
            for row, owner in rows
        ]


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _index in range(length))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _checksum(body: str) -> str:
    # Not a guard: it lets a mistyped token fail at once and scanners recognise a leaked one.
    number, letters = zlib.crc32(body.encode()), ""
    for _index in range(6):
        number, digit = divmod(number, len(_ALPHABET))
        letters += _ALPHABET[digit]
    return letters
