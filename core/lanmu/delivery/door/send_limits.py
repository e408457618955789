"""The limits as data: what an operator sees and changes of them, and how much of each is used today."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import case, cast, func, select, text
from sqlalchemy.orm import Session

from lanmu.audience.models import Community
from lanmu.delivery.door.limit_models import LimitUse, SendLimit
from lanmu.delivery.door.limits import COMMUNITY_DAY, TEST_DAY, recount, rule_of
from lanmu.delivery.door.pruning import prune
from lanmu.delivery.door.windows import Window, allowed
from lanmu.i18n import _
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Invalid, NotFound
from lanmu.storage import Database
from lanmu.storage.once import insert_once
from lanmu.storage.types import BigId

HIGHEST = 1_000_000

_CHECKED = date(2026, 11, 21)
_BROADCASTS = _("WeCom 92135: as many 企业群发 a month as the month has days")
_APP_MESSAGES = _("WeCom 90312: the corp's account cap × 200 a day; enter your own number and switch it on")
_OTHER_RULE = _("WeCom 92135: the rule where an administrator has chosen it")


def _platform(channel: str, period: str, most: int | None) -> dict[str, object]:
    return {
        "code": f"{channel}.{period}",
        "channel": channel,
        "scope": "recipient",
        "period": period,
        "most": most,
        "origin": "platform",
        "source": _BROADCASTS if most is None else _OTHER_RULE,
        "checked_on": _CHECKED,
        "enabled": most is None,
    }


SEEDS: Sequence[dict[str, object]] = (
    {"code": COMMUNITY_DAY, "scope": "community", "period": "day", "most": 8},
    {"code": "member.day", "scope": "member", "period": "day", "most": 2},
    {"code": TEST_DAY, "scope": "channel", "period": "day", "most": 20},
    _platform("wecom.customer", "month", None),
    _platform("wecom.customer", "week", 7),
    _platform("wecom.customer", "day", 1),
    _platform("wecom.group", "month", None),
    _platform("wecom.group", "week", 7),
    _platform("wecom.group", "day", 1),
    {
        "code": "wecom.app.day",
        "channel": "wecom.app",
        "scope": "channel",
        "period": "day",
        "most": 200,
        "origin": "platform",
        "source": _APP_MESSAGES,
        "checked_on": _CHECKED,
        "enabled": False,
    },
)
"""What a new installation starts with. The platform's are facts with their source and date; all are data."""


@dataclass(frozen=True, slots=True)
class LimitView:
    """One limit. `channel` "": every channel; `most` None: as many as the month has days.

    `is_test` marks the one that only test sends count against.
    """

    code: str
    channel: str
    scope: str
    period: str
    most: int | None
    origin: str
    source: str
    checked_on: date | None
    enabled: bool
    changed_by: str
    changed_at: datetime | None
    is_test: bool


@dataclass(frozen=True, slots=True)
class LimitUsage:
    """How much of a limit is used in its running period: by how many subjects (communities, members, …), how
    many messages they got in all, the most that one got, and how many can get no more."""

    limit: LimitView
    window: Window
    most: int
    subjects: int
    used: int
    highest: int
    full: int


class SendLimits:
    """The limits for people to see and change. `zone` is the shop's: its calendar makes the periods."""

    def __init__(self, database: Database, clock: Clock, zone: str) -> None:
        self._database = database
        self._clock = clock
        self._zone = ZoneInfo(zone)

    def forget_the_past(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Delete what was used in periods long over; answers how many rows that were. Once a day will do."""
        return prune(self._database, self._clock, stopping)

    def seed(self) -> None:
        """Put in what a new installation starts with; what is there already stays as people have set it.

        Where the shop has moved to another zone, the running periods are counted anew by its calendar.
        """
        with self._database.read() as session:
            rows = session.execute(select(SendLimit.code, SendLimit.zone))
            known = {row.code: row.zone for row in rows}
        missing = [seed for seed in SEEDS if seed["code"] not in known]
        moved = [code for code, zone in known.items() if zone != self._zone.key]
        if not missing and not moved:
            return
        with self._database.write() as session:
            for seed in missing:
                insert_once(session, SendLimit, ["code"], _COMPLETE | {"zone": self._zone.key} | seed)
            if moved:
                _let_nobody_count(session)
            for row in session.scalars(select(SendLimit).where(SendLimit.code.in_(moved))):
                row.zone = self._zone.key
                recount(session, row, self._clock.now())

    def everything(self) -> list[LimitView]:
        """Every limit: ours first, then the platforms'."""
        with self._database.read() as session:
            rows = session.scalars(select(SendLimit).order_by(SendLimit.origin, SendLimit.id)).all()
            return [_view(row) for row in rows]

    def change(
        self, code: str, most: int | None, enabled: bool, checked_on: date | None, by: str
    ) -> LimitView:
        """Set how much a limit allows, and whether it counts at all; `by` is who did it.

        It holds from the next intent on, in every process. Raises NotFound, or Invalid for a number that is
        none and for a day that has not come.
        """
        now = self._clock.now()
        with self._database.write() as session:
            _let_nobody_count(session)
            row = session.scalar(select(SendLimit).where(SendLimit.code == code))
            if row is None:
                raise NotFound(code, _("there is no such limit."))
            self._check(row, most, checked_on, now)
            if enabled and not row.enabled:
                recount(session, row, now)
            row.most, row.enabled, row.checked_on = most, enabled, checked_on
            row.changed_by, row.changed_at = by, now
            session.flush()
            return _view(row)

    def _check(self, row: SendLimit, most: int | None, checked_on: date | None, now: datetime) -> None:
        if most is None and row.period != "month":
            raise Invalid("most", _("is missing; only a month can allow as many as it has days."))
        if most is not None and not 0 <= most <= HIGHEST:
            raise Invalid("most", _("must be from 0 to %(highest)s."), highest=HIGHEST)
        if checked_on is not None and checked_on > now.astimezone(self._zone).date():
            raise Invalid("checked_on", _("is a day that has not come yet."))

    def used_today(self, channel: str) -> list[LimitUsage]:
        """How much of each limit that counts for the channel is used in its running day, week or month.

        A limit over all channels tells what all of them have used together, but for one that counts each
        channel by itself: it tells the channel's own use, and with the channel "" that of every one.
        """
        now = self._clock.now()
        with self._database.read() as session:
            rows = session.scalars(
                select(SendLimit)
                .where(SendLimit.enabled, SendLimit.channel.in_(("", channel)))
                .order_by(SendLimit.origin, SendLimit.id)
            ).all()
            return [self._usage(session, row, channel, now) for row in rows]

    def _usage(self, session: Session, row: SendLimit, channel: str, now: datetime) -> LimitUsage:
        window = rule_of(row).window(now)
        most = allowed(row.most, window.starts_on)
        mine = func.count(), func.sum(LimitUse.used), func.max(LimitUse.used)
        query = select(*mine, func.sum(case((LimitUse.used >= most, 1), else_=0)))
        if row.code == COMMUNITY_DAY:
            own = func.coalesce(Community.daily_cap, most)
            query = select(*mine, func.sum(case((LimitUse.used >= own, 1), else_=0))).outerjoin(
                Community, Community.id == cast(LimitUse.subject, BigId)
            )
        query = query.where(
            LimitUse.limit_id == row.id, LimitUse.starts_on == window.starts_on, LimitUse.used > 0
        )
        if row.scope == "channel" and channel:
            query = query.where(LimitUse.subject == channel)
        subjects, used, highest, full = session.execute(query).one()
        return LimitUsage(_view(row), window, most, subjects, int(used or 0), highest or 0, int(full or 0))


def _let_nobody_count(session: Session) -> None:
    """Intents read the limits: wait for those under way, and keep new ones waiting, so that a count made now
    lacks none. SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE send_limit IN ACCESS EXCLUSIVE MODE"))


_COMPLETE: dict[str, object] = {
    "channel": "",
    "origin": "ours",
    "source": "",
    "checked_on": None,
    "enabled": True,
    "changed_by": "",
}


def _view(row: SendLimit) -> LimitView:
    return LimitView(
        row.code,
        row.channel,
        row.scope,
        row.period,
        row.most,
        row.origin,
        row.source,
        row.checked_on,
        row.enabled,
        row.changed_by,
        row.changed_at,
        row.code == TEST_DAY,
    )
