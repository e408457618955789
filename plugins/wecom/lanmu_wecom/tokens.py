"""The access token: fetched by one process at a time, shared by all, dropped when the far end says so."""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeGuard

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lanmu.i18n import _
from lanmu.interfaces.channels import NotConnected
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.host import Transactions
from lanmu_wecom.client import Refused, Unreachable
from lanmu_wecom.errcodes import is_config, reason_of
from lanmu_wecom.models import TokenRow

MARGIN = timedelta(minutes=5)
"""A token is renewed this long before it runs out, so that none dies on its way."""

REFUSALS_MAX = 3
REFUSALS_PER = timedelta(hours=1)
"""A wrong secret that is tried again and again gets this server's IP blocked for about an hour."""

_LEASE = timedelta(seconds=30)
_WAIT_S = 20.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Fetched:
    """What gettoken answered."""

    token: str
    valid_for: timedelta


@dataclass(frozen=True, slots=True)
class _Known:
    token: str
    expires_at: datetime


class Tokens:
    """The token of one app (`account` = corp id and agent id), kept in the plugin's own table.

    `fetch` calls gettoken once; it raises Refused or Unreachable. The table's lease lets one process
    fetch while the others wait for its outcome.
    """

    def __init__(
        self,
        database: Transactions,
        clock: Clock,
        account: str,
        secret_hint: str,
        fetch: Callable[[], Fetched],
    ) -> None:
        self._database = database
        self._clock = clock
        self._account = account
        self._fingerprint = hashlib.sha256(f"{account}\n{secret_hint}".encode()).hexdigest()[:16]
        self._fetch = fetch
        self._known: _Known | None = None
        self._dead: set[str] = set()
        self._lock = threading.Lock()

    def get(self) -> str:
        """A token that is good for some minutes at least. Raises NotConnected."""
        known = self._known
        if self._is_good(known):
            return known.token
        with self._lock:  # the threads of one process need not race for the lease
            known = self._known
            if not self._is_good(known):
                known = self._known = self._shared()
            return known.token

    def drop(self, token: str) -> None:
        """Take no more of a token that the far end no longer knows.

        Only memory is touched, because this is said in the middle of a send: a database that is locked or
        away must neither hold that up nor put its outcome in doubt. The next `get` clears the table of it.
        """
        self._dead.add(token)

    def _is_good(self, known: _Known | None) -> TypeGuard[_Known]:
        return (
            known is not None
            and known.token not in self._dead
            and self._clock.now() + MARGIN < known.expires_at
        )

    def _shared(self) -> _Known:
        lease = secrets.token_hex(16)
        give_up = time.monotonic() + _WAIT_S  # real waiting, whatever the clock in hand says
        while True:
            known = self._claim(lease)
            if known is not None:
                return known
            if self._owns(lease):
                return self._fetch_and_store(lease)
            if time.monotonic() > give_up:
                reason = _("Another process is still fetching the access token.")
                raise NotConnected(reason, retry_after=timedelta(seconds=5))
            time.sleep(_POLL_S)

    def _claim(self, lease: str) -> _Known | None:
        """The stored token where it is still good; else try to become the one who fetches."""
        now = self._clock.now()
        with self._database.write() as session:
            row = self._row(session)
            if row.fingerprint != self._fingerprint:
                row.fingerprint = self._fingerprint
                row.token, row.expires_at = "", None
                row.refusals, row.refused_since = 0, None
            if row.token in self._dead:
                row.token, row.expires_at = "", None
            if row.token and row.expires_at is not None and now + MARGIN < row.expires_at:
                return _Known(row.token, row.expires_at)
            if row.refused_since is not None and now - row.refused_since >= REFUSALS_PER:
                row.refusals, row.refused_since = 0, None
            if row.refusals >= REFUSALS_MAX and row.refused_since is not None:
                wait = row.refused_since + REFUSALS_PER - now
                raise NotConnected(reason_of(row.refused_code), retry_after=wait, config=True)
            if row.lease_until is None or row.lease_until <= now or not row.lease:
                row.lease, row.lease_until = lease, now + _LEASE
            return None

    def _row(self, session: Session) -> TokenRow:
        row = session.get(TokenRow, self._account, with_for_update=True)
        if row is not None:
            return row
        try:
            with session.begin_nested():
                session.add(
                    TokenRow(
                        account=self._account,
                        fingerprint=self._fingerprint,
                        token="",
                        lease="",
                        refusals=0,
                        refused_code=0,
                    )
                )
        except IntegrityError:
            pass  # another process made the row between our look and our insert
        return session.get_one(TokenRow, self._account, with_for_update=True)

    def _owns(self, lease: str) -> bool:
        with self._database.read() as session:
            row = session.get(TokenRow, self._account)
            return row is not None and row.lease == lease

    def _fetch_and_store(self, lease: str) -> _Known:
        try:
            fetched = self._fetch()
        except Refused as refused:
            self._store_refusal(lease, refused.code)
            raise NotConnected(reason_of(refused.code), config=is_config(refused.code)) from refused
        except Unreachable as unreachable:
            self._release(lease)
            raise NotConnected(str(unreachable)) from unreachable
        now = self._clock.now()
        known = _Known(fetched.token, now + fetched.valid_for)
        with self._database.write() as session:
            session.execute(
                update(TokenRow)
                .where(TokenRow.account == self._account, TokenRow.lease == lease)
                .values(
                    token=known.token,
                    fetched_at=now,
                    expires_at=known.expires_at,
                    lease="",
                    lease_until=None,
                    refusals=0,
                    refused_since=None,
                )
            )
        # This one alone, which may be the same again: another thread may still have the dead one in hand.
        self._dead.discard(known.token)
        return known

    def _store_refusal(self, lease: str, code: int) -> None:
        with self._database.write() as session:
            row = self._row(session)
            if row.lease == lease:
                row.lease, row.lease_until = "", None
            if is_config(code):
                row.refusals += 1
                row.refused_code = code
                row.refused_since = row.refused_since or self._clock.now()

    def _release(self, lease: str) -> None:
        with self._database.write() as session:
            session.execute(
                update(TokenRow)
                .where(TokenRow.account == self._account, TokenRow.lease == lease)
                .values(lease="", lease_until=None)
            )
