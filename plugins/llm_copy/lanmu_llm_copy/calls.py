"""The ledger of model calls: one row a call, for the budget and for people; it holds no text of anybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Index, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from lanmu.interfaces.clock import Clock
from lanmu.interfaces.host import Transactions
from lanmu.storage import UtcDateTime, plugin_base

_BUDGET_LOCK = 0x6C6C6D


class LlmCopyBase(plugin_base("llm_copy")):  # type: ignore[misc]  # a base made at run time
    """The tables of this plugin."""

    __abstract__ = True


class Call(LlmCopyBase):
    """One HTTP call to the model's server. `outcome` is "started" until it is known.

    Tokens are the server's own count; `estimated` marks rows whose server gave none. A brief is named by
    its hash alone.
    """

    __tablename__ = "plugin_llm_copy_call"
    __table_args__ = (Index("ix_plugin_llm_copy_call_at", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    job: Mapped[str] = mapped_column(String(16))
    brief_hash: Mapped[str] = mapped_column(String(64))
    prompt_version: Mapped[str] = mapped_column(String(16))
    host: Mapped[str] = mapped_column(String(255))
    model: Mapped[str] = mapped_column(String(128))
    attempt: Mapped[int]
    outcome: Mapped[str] = mapped_column(String(32))
    finish_reason: Mapped[str] = mapped_column(String(32), default="")
    latency_ms: Mapped[int] = mapped_column(default=0)
    prompt_tokens: Mapped[int] = mapped_column(default=0)
    completion_tokens: Mapped[int] = mapped_column(default=0)
    estimated: Mapped[bool] = mapped_column(default=False)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a day has used up, and when the count starts anew."""

    calls: int
    tokens: int
    resets_at: datetime


class BudgetUsedUp(Exception):
    """The day's calls or tokens are used up; says how many and when it starts anew."""

    def __init__(self, spent: Spent, limit: int, what: str) -> None:
        super().__init__(what)
        self.spent = spent
        self.limit = limit
        self.what = what


class CallLedger:
    """Books calls before they are made and closes them after, each in one short transaction."""

    def __init__(
        self,
        database: Transactions,
        clock: Clock,
        *,
        zone: str = "Asia/Shanghai",
        daily_calls: int = 0,
        daily_tokens: int = 0,
    ) -> None:
        self._database = database
        self._clock = clock
        self._zone = ZoneInfo(zone)
        self._daily_calls = daily_calls
        self._daily_tokens = daily_tokens

    def open(
        self, *, job: str, brief_hash: str, prompt_version: str, host: str, model: str, attempt: int
    ) -> int:
        """Book a call. Raises BudgetUsedUp.

        The check and the row are one transaction, so two callers cannot both take the last call.
        """
        now = self._clock.now()
        with self._database.write() as session:
            if session.get_bind().dialect.name == "postgresql":
                # SQLite lets one writer in at a time; here two could count before either has booked.
                session.execute(select(func.pg_advisory_xact_lock(_BUDGET_LOCK)))
            spent = self._spent(session, now)
            if self._daily_calls and spent.calls >= self._daily_calls:
                raise BudgetUsedUp(spent, self._daily_calls, "calls")
            if self._daily_tokens and spent.tokens >= self._daily_tokens:
                raise BudgetUsedUp(spent, self._daily_tokens, "tokens")
            call = Call(
                at=now,
                job=job,
                brief_hash=brief_hash,
                prompt_version=prompt_version,
                host=host,
                model=model[:128],
                attempt=attempt,
                outcome="started",
            )
            session.add(call)
            session.flush()
            return call.id

    def close(
        self,
        call: int,
        *,
        outcome: str,
        finish_reason: str = "",
        latency_ms: int = 0,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        estimated: bool = False,
    ) -> None:
        """Write down what became of a call."""
        with self._database.write() as session:
            row = session.get_one(Call, call)
            row.outcome = outcome[:32]
            row.finish_reason = finish_reason[:32]
            row.latency_ms = latency_ms
            row.prompt_tokens = prompt_tokens
            row.completion_tokens = completion_tokens
            row.estimated = estimated

    def judge(self, call: int, outcome: str) -> None:
        """Say what its answer was good for: usable, partial, rejected or not_json."""
        with self._database.write() as session:
            session.get_one(Call, call).outcome = outcome

    def spent(self) -> Spent:
        """What this day has used up so far."""
        with self._database.read() as session:
            return self._spent(session, self._clock.now())

    def recent(self, limit: int = 50) -> Sequence[Call]:
        """The newest calls first."""
        with self._database.read() as session:
            return session.scalars(select(Call).order_by(Call.id.desc()).limit(limit)).all()

    def _spent(self, session: Session, now: datetime) -> Spent:
        local = now.astimezone(self._zone)
        start = local.replace(hour=0, minute=0, second=0, microsecond=0)
        resets_at = datetime.combine(start.date() + timedelta(days=1), start.timetz())
        calls, prompt, completion = session.execute(
            select(
                func.count(Call.id),
                func.coalesce(func.sum(Call.prompt_tokens), 0),
                func.coalesce(func.sum(Call.completion_tokens), 0),
            ).where(Call.at >= start.astimezone(UTC))
        ).one()
        return Spent(int(calls), int(prompt) + int(completion), resets_at)
