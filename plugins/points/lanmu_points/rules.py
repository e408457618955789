"""What earns points: a check-in, a message, a purchase. Pure; the ledger posts each award once."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from lanmu.i18n import Filled, _
from lanmu.interfaces.errors import Invalid
from lanmu.interfaces.events import Award, MemberEvent, natural_key
from lanmu_points.settings import PointsSettings

CHECK_IN = _("Daily check-in")
MESSAGE = _("Spoke in the community")
PURCHASE = _("Order")

KNOWN_REASONS = frozenset(
    {
        CHECK_IN,
        MESSAGE,
        PURCHASE,
        _("Points earned"),
        _("Points spent"),
        _("Redeemed for a coupon"),
        _("Adjusted by the shop"),
        _("Points expired"),
        _("Points refunded"),
        _("Points taken back"),
    }
)
"""The reasons in a statement that are to be translated; all others are somebody's own words."""

_LONGEST_AMOUNT = 11
_NOTHING = _("Gives nothing: its points are set to 0 in config.toml.")


class CheckInRule:
    """签到: once a local day. The key is the day, not the tap."""

    name = "check_in"
    title = CHECK_IN

    def __init__(self, settings: PointsSettings) -> None:
        self._settings = settings

    def propose(self, event: MemberEvent) -> Iterable[Award]:
        points = self._settings.check_in_points
        if event.kind == self.name and points:
            yield Award(
                rule=self.name,
                key=check_in_key(event.member, event.local_date),
                member=event.member,
                points=points,
                reason=CHECK_IN,
                local_date=event.local_date,
                expires_after_days=self._settings.expires_after_days,
            )

    def describe(self) -> Sequence[str]:
        points = self._settings.check_in_points
        if not points:
            return [_NOTHING]
        gist = Filled(_("%(points)s points for a check-in"), points=points)
        return [gist, _("once a day"), _lasting(self._settings)]


class MessageRule:
    """发言: with a cap a day and a pause between two, since points for every message would pay for floods."""

    name = "message"
    title = MESSAGE

    def __init__(self, settings: PointsSettings) -> None:
        self._settings = settings

    def propose(self, event: MemberEvent) -> Iterable[Award]:
        settings = self._settings
        if event.kind == self.name and settings.message_points:
            number = event.data.get("id") or event.key.removeprefix("message:")
            yield Award(
                rule=self.name,
                key=natural_key("message", number),
                member=event.member,
                points=settings.message_points,
                reason=MESSAGE,
                local_date=event.local_date,
                per_day=settings.message_daily_cap or None,
                expires_after_days=settings.expires_after_days,
                min_interval=timedelta(minutes=settings.message_interval_minutes),
            )

    def describe(self) -> Sequence[str]:
        settings = self._settings
        if not settings.message_points:
            return [_NOTHING]
        told = [Filled(_("%(points)s points for a message"), points=settings.message_points)]
        if settings.message_daily_cap:
            told.append(Filled(_("at most %(points)s a day"), points=settings.message_daily_cap))
        if settings.message_interval_minutes:
            told.append(Filled(_("one in %(n)s minutes counts"), n=settings.message_interval_minutes))
        return [*told, _lasting(settings)]


class PurchaseRule:
    """消费: points for each whole yuan. `data` holds shop, order, and the amount in fen; points are ours."""

    name = "purchase"
    title = PURCHASE

    def __init__(self, settings: PointsSettings) -> None:
        self._settings = settings

    def propose(self, event: MemberEvent) -> Iterable[Award]:
        if event.kind != self.name:
            return
        points = fen(event) // 100 * self._settings.purchase_points_per_yuan
        if points:
            shop = event.data.get("shop") or "main"
            order = event.data.get("order") or event.key
            yield Award(
                rule=self.name,
                key=f"{natural_key('order', shop, order)}:earn",
                member=event.member,
                points=points,
                reason=PURCHASE,
                local_date=event.local_date,
                expires_after_days=self._settings.expires_after_days,
            )

    def describe(self) -> Sequence[str]:
        points = self._settings.purchase_points_per_yuan
        if not points:
            return [_NOTHING]
        gist = Filled(_("%(points)s points for each whole yuan of an order"), points=points)
        return [gist, _("once an order"), _lasting(self._settings)]


def _lasting(settings: PointsSettings) -> str:
    days = settings.expires_after_days
    return Filled(_("valid for %(n)s days"), n=days) if days else _("never expire")


def fen(event: MemberEvent) -> int:
    """The amount of a purchase in fen. Raises Invalid, naming the field."""
    amount = event.data.get("amount", "")
    if not (amount.isascii() and amount.isdecimal() and len(amount) <= _LONGEST_AMOUNT):
        raise Invalid(
            "data.amount",
            _("must be the order's amount in fen, as digits, not %(value)s."),
            _("¥199.00 is written 19900."),
            value=repr(amount[:40]),
        )
    return int(amount)


def check_in_key(member: str, day: date) -> str:
    """The natural key of a member's check-in on a day."""
    return f"checkin:{member}:{day.isoformat()}"


def check_in(member: str, zone: str, now: datetime) -> MemberEvent:
    """A check-in at this instant, on the day that it is where the member lives."""
    day = now.astimezone(ZoneInfo(zone)).date()
    return MemberEvent(check_in_key(member, day), "check_in", member, now, day)
