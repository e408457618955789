"""Staff accounts and their sessions: the first admin, login with slowed guessing, and who is signed in."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lanmu.i18n import LOCALES, _
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Conflict, Denied, Invalid, LanmuError
from lanmu.staff.models import LoginFailure, Staff, StaffSession
from lanmu.staff.passwords import acceptable, check_password, hash_password, made_up_password
from lanmu.staff.roles import ROLES, permissions_of
from lanmu.storage import Database

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=8)
SESSIONS_EACH = 5
FAILURES_A_MINUTE = 5
FAILURES_A_MINUTE_ADDRESS = 30
FAILURES_KEPT = timedelta(hours=1)


class TooManyTries(LanmuError):
    """Too many wrong passwords in a minute; waiting helps, being locked out is nobody's fate."""

    status = 429
    code = "too_many_tries"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody signed in, with what they may do now; `locale` is "" where they chose no language."""

    id: str
    username: str
    name: str
    locale: str
    roles: tuple[str, ...]
    permissions: frozenset[str]
    must_change_password: bool = False
    csrf: str = ""

    def may(self, permission: str) -> bool:
        return permission in self.permissions


class StaffService:
    """The only place that writes staff accounts and sessions."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def ensure_admin(self, name: str) -> str | None:
        """Create `admin` where there is nobody yet; answers the one-time password, None otherwise."""
        with self._database.read() as session:
            if session.scalar(select(func.count()).select_from(Staff)):
                return None
        password = made_up_password()
        try:
            self.create("admin", name, password, ["admin"], one_time=True)
        except Conflict:  # another process that starts just now was faster, and tells its own
            return None
        return password

    def create(
        self, username: str, name: str, password: str, roles: list[str], *, one_time: bool = False
    ) -> Person:
        """Add an account. Raises Invalid for a bad name, role or password, Conflict for a taken name."""
        username = username.strip().lower()
        if not username or not username.isascii() or len(username) > 60 or " " in username:
            raise Invalid("username", _("must be 1 to 60 Latin letters, digits or signs without blanks."))
        _known(roles)
        if not one_time:
            acceptable(password)
        hashed = hash_password(password)
        with self._database.write() as session:
            if session.scalar(select(Staff.id).where(Staff.username == username)):
                raise Conflict("username", _("%(username)s exists already."), username=username)
            row = Staff(
                public_id=Staff.fresh_id(),
                username=username,
                name=name.strip() or username,
                password_hash=hashed,
                roles=roles,
                one_time_password=one_time,
                created_at=self._clock.now(),
            )
            session.add(row)
            try:
                session.flush()
            except IntegrityError:  # somebody took the name between the look and the write
                raise Conflict("username", _("%(username)s exists already."), username=username) from None
            return _person(row)

    def reset_password(self, username: str) -> str:
        """A new one-time password for an account; ends its sessions. Raises Invalid where there is none."""
        password = made_up_password()
        hashed = hash_password(password)
        with self._database.write() as session:
            row = _of(session, username)
            row.password_hash, row.one_time_password = hashed, True
            session.execute(delete(StaffSession).where(StaffSession.staff_id == row.id))
        return password

    def set_roles(self, username: str, roles: list[str]) -> None:
        """What somebody may do from their next click on. Raises Invalid, Conflict for the last admin."""
        _known(roles)
        with self._database.write() as session:
            row = _of(session, username)
            if "admin" not in roles:
                _keep_an_admin(session, row)
            row.roles = roles

    def close(self, username: str) -> None:
        """Somebody has left: their sessions end, and neither password nor token lets them in.

        What they did keeps their name. Raises Invalid where nobody is called so, Conflict for the last admin.
        """
        with self._database.write() as session:
            row = _of(session, username)
            _keep_an_admin(session, row)
            row.active = False
            session.execute(delete(StaffSession).where(StaffSession.staff_id == row.id))

    def reopen(self, username: str) -> None:
        """Undo `close`: the password and the tokens of before count again. Raises Invalid."""
        with self._database.write() as session:
            _of(session, username).active = True

    def login(self, username: str, password: str, address: str) -> tuple[str, Person]:
        """A session for the right password: the cookie's value and who it is.

        Raises TooManyTries, or Denied, which tells neither what was wrong nor whether the name exists.
        """
        username = username.strip().lower().replace("\0", "")[:60]
        now = self._clock.now()
        network = network_of(address)
        self._slow_down(username, network, now)
        with self._database.read() as session:
            row = session.scalar(select(Staff).where(Staff.username == username, Staff.active))
        if not check_password(row.password_hash if row else None, password[:256]) or row is None:
            with self._database.write() as session:
                session.execute(delete(LoginFailure).where(LoginFailure.at < now - FAILURES_KEPT))
                session.add(LoginFailure(username=username, address=network, at=now))
            raise Denied("password", _("the name or the password is wrong."))
        return self._open_session(row, now)

    def _slow_down(self, username: str, network: str, now: datetime) -> None:
        """Both counts are of one network: nobody far away can keep somebody out by guessing at his name."""
        since = now - timedelta(minutes=1)
        with self._database.read() as session:
            counted = (
                select(func.count())
                .select_from(LoginFailure)
                .where(LoginFailure.at > since, LoginFailure.address == network)
            )
            by_name = session.scalar(counted.where(LoginFailure.username == username)) or 0
            by_address = session.scalar(counted) or 0
        if by_name >= FAILURES_A_MINUTE or by_address >= FAILURES_A_MINUTE_ADDRESS:
            raise TooManyTries("password", _("too many wrong tries."), _("Wait a minute and try again."))

    def _open_session(self, row: Staff, now: datetime) -> tuple[str, Person]:
        token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        with self._database.write() as session:
            # One after the other: else the oldest are chosen first, and a newer one that is not among the
            # kept, since it came meanwhile, is deleted with them.
            session.execute(select(Staff.id).where(Staff.id == row.id).with_for_update())
            session.execute(delete(LoginFailure).where(LoginFailure.username == row.username))
            kept = session.scalars(
                select(StaffSession.id)
                .where(StaffSession.staff_id == row.id)
                .order_by(StaffSession.seen_at.desc())
                .limit(SESSIONS_EACH - 1)
            ).all()
            session.execute(
                delete(StaffSession).where(StaffSession.staff_id == row.id, StaffSession.id.not_in(kept))
            )
            session.add(
                StaffSession(staff_id=row.id, token_hash=_hash(token), csrf=csrf, created_at=now, seen_at=now)
            )
        return token, _person(row, csrf)

    def signed_in(self, token: str) -> Person | None:
        """Who this cookie belongs to; rights are read afresh, so that a cut role works at once."""
        now = self._clock.now()
        with self._database.read() as session:
            found = session.execute(
                select(StaffSession, Staff)
                .join(Staff, Staff.id == StaffSession.staff_id)
                .where(StaffSession.token_hash == _hash(token), Staff.active)
            ).first()
        if found is None:
            return None
        login, row = found
        if now - login.seen_at > IDLE or now - login.created_at > ABSOLUTE:
            return None
        if now - login.seen_at > timedelta(minutes=1):  # not a write for every page
            with self._database.write() as session:
                session.execute(update(StaffSession).where(StaffSession.id == login.id).values(seen_at=now))
        return _person(row, login.csrf)

    def logout(self, token: str) -> None:
        with self._database.write() as session:
            session.execute(delete(StaffSession).where(StaffSession.token_hash == _hash(token)))

    def change_password(self, person: Person, old: str, new: str) -> str:
        """Ends all sessions and begins one; answers its cookie's value.

        Raises Denied where the old one is wrong, Invalid where the new one is.
        """
        with self._database.read() as session:
            row = session.scalar(select(Staff).where(Staff.public_id == person.id))
        if row is None or not check_password(row.password_hash, old):
            raise Denied("old_password", _("is wrong."))
        acceptable(new)
        if new == old:
            raise Invalid("new_password", _("is the same as the old one."))
        hashed = hash_password(new)
        with self._database.write() as session:
            session.execute(
                update(Staff).where(Staff.id == row.id).values(password_hash=hashed, one_time_password=False)
            )
            session.execute(delete(StaffSession).where(StaffSession.staff_id == row.id))
        token, _person_now = self._open_session(row, self._clock.now())
        return token

    def set_locale(self, person: Person, locale: str) -> None:
        if locale not in LOCALES:
            raise Invalid("locale", _("is not a language of Lanmu."))
        with self._database.write() as session:
            session.execute(update(Staff).where(Staff.public_id == person.id).values(locale=locale))

    def names(self) -> dict[str, str]:
        """What people are called, by the name that they sign in with; also who has left."""
        with self._database.read() as session:
            return {row.username: row.name for row in session.execute(select(Staff.username, Staff.name))}

    def everybody(self) -> list[Person]:
        """All active accounts, by name."""
        with self._database.read() as session:
            return [
                _person(row) for row in session.scalars(select(Staff).where(Staff.active).order_by(Staff.id))
            ]


def _known(roles: list[str]) -> None:
    if unknown := [role for role in roles if role not in ROLES]:
        raise Invalid(
            "roles",
            _("%(unknown)s is no role."),
            _("Known roles: %(known)s."),
            unknown=", ".join(unknown),
            known=", ".join(ROLES),
        )


def _of(session: Session, username: str) -> Staff:
    row = session.scalar(select(Staff).where(Staff.username == username))
    if row is None:
        raise Invalid("username", _("nobody here is called %(username)s."), username=username)
    return row


def _keep_an_admin(session: Session, leaving: Staff) -> None:
    """Raises Conflict where nobody else could manage this. Two who leave at once wait in line."""
    active = select(Staff).where(Staff.active).order_by(Staff.id).with_for_update()
    admins = {row.id for row in session.scalars(active) if "admin" in row.roles}
    if admins == {leaving.id}:
        raise Conflict(
            "username",
            _("%(username)s is the only administrator."),
            _("Make somebody else an administrator first."),
            username=leaving.username,
        )


def network_of(address: str) -> str:
    """The network that an address belongs to: /24 of IPv4, /64 of IPv6; others are their own."""
    try:
        bits = 24 if ip_address(address).version == 4 else 64
        return str(ip_network(f"{address}/{bits}", strict=False))
    except ValueError:
        return address[:64]


def _hash(token: str) -> str:
    # The token has 256 random bits, so a plain hash is as good as a slow one.
    return hashlib.sha256(token.encode()).hexdigest()


def _person(row: Staff, csrf: str = "") -> Person:
    return Person(
        id=row.public_id,
        username=row.username,
        name=row.name,
        locale=row.locale,
        roles=tuple(row.roles),
        permissions=permissions_of(row.roles),
        must_change_password=row.one_time_password,
        csrf=csrf,
    )
