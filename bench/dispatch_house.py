"""A delivery room over a bare database, with a channel to the sink: Lanmu's side of bench.dispatch."""

import json
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from datetime import datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from bench.sink import Line, request
from sqlalchemy import func, insert, select

import lanmu.every_model  # noqa: F401  the tables must be known before they are migrated
from lanmu.audience.models import Community
from lanmu.authoring import BaseChannel
from lanmu.clock import SystemClock
from lanmu.delivery.door.questions import Gatekeeper
from lanmu.delivery.door.quiet import QuietHours
from lanmu.delivery.door.send_limits import SendLimits
from lanmu.delivery.installation.owner import this_process
from lanmu.delivery.intake import PushRequest, Recipient
from lanmu.delivery.models import Attempt, Push, Unit, UnitTarget
from lanmu.delivery.sending.dispatcher import Dispatcher
from lanmu.delivery.sending.preflight import Preflight
from lanmu.delivery.service import DeliveryService
from lanmu.interfaces.channels import (
    Abilities,
    Message,
    NotConnected,
    Observation,
    Outcome,
    Ref,
    Request,
    Target,
    Verdict,
)
from lanmu.interfaces.channels import Line as OpenLine
from lanmu.interfaces.clock import utc
from lanmu.library.models import Material, Revision
from lanmu.library.views import Snapshot
from lanmu.storage import Database
from lanmu.storage.migrate import CORE, upgrade

TEXT = "宝宝夜里总醒？今晚八点，育儿师在群里说说睡前一小时怎么过。" * 4
_LONG_AGO = utc(2026, 1, 1)


class _Kept:
    """A line that goes back to its channel instead of being closed, unless it failed."""

    def __init__(self, idle: "deque[_Kept]", line: Line) -> None:
        self.idle, self.line, self.whole = idle, line, True

    def close(self) -> None:
        if self.whole:
            self.idle.append(self)
        else:
            self.line.close()


class SinkChannel(BaseChannel):
    """One HTTP request for each message, as a light client makes it."""

    name = title = "sink"

    def __init__(self, port: int, *, fresh_lines: bool, batch_max: int = 1) -> None:
        self.abilities = Abilities(batch_max=batch_max)
        self._port = port
        self._fresh = fresh_lines
        self._idle: deque[_Kept] = deque()

    def compose(self, message: Message, targets: Sequence[Target]) -> Request:
        return Request("m", (message.token + message.text).encode(), tuple(each.key for each in targets))

    def connect(self, request: Request) -> OpenLine:
        try:
            if self._fresh:
                return Line(self._port)
            return self._idle.popleft() if self._idle else _Kept(self._idle, Line(self._port))
        except OSError as error:
            raise NotConnected(str(error)) from error

    def transmit(self, request_: Request, line: OpenLine | None) -> Observation:
        way = line.line if isinstance(line, _Kept) else line
        assert isinstance(way, Line)
        try:
            way.write(request("/m", request_.body))
            return Observation(wrote=True, status=200, body=way.read())
        except OSError as error:
            if isinstance(line, _Kept):
                line.whole = False
            return Observation(wrote=True, fault=str(error))

    def classify(self, observation: Observation) -> Verdict:
        if observation.body and json.loads(observation.body)["errcode"] == 0:
            return Verdict(Outcome.ACCEPTED, ref=Ref("m"))
        return Verdict(Outcome.AMBIGUOUS, reason=observation.fault)


class House:
    """The rooms that a push goes through, with one approved material."""

    def __init__(self, url: str, port: int, *, fresh_lines: bool = False, batch_max: int = 1) -> None:
        self.clock = SystemClock()
        self.database = Database(url, pool_size=32)
        self._channels = {"sink": SinkChannel(port, fresh_lines=fresh_lines, batch_max=batch_max)}
        self.service = DeliveryService(self.database, self.clock, self._channels)

    def dispatcher(self, pool: Executor, preparing: Executor, concurrency: int) -> Dispatcher:
        preflight = Preflight(
            self.database, self.clock, _snapshot, lambda _message, _channel: (), "Little Star"
        )
        zone = "Asia/Shanghai"
        hour = self.clock.now().astimezone(ZoneInfo(zone)).hour
        quiet = QuietHours(time((hour + 11) % 24), time((hour + 12) % 24))
        return Dispatcher(
            self.database.by_index,
            self.clock,
            self._channels,
            preflight,
            this_process(),
            pool,
            lambda _receipt: None,
            concurrency=concurrency,
            preparing=preparing,
            gatekeeper=Gatekeeper(self._channels, zone, quiet),
        )

    def prepare(self) -> None:
        """The tables, the limits of a new installation, and the material."""
        upgrade(self.database, CORE)
        SendLimits(self.database, self.clock, "Asia/Shanghai").seed()
        with self.database.write() as session:
            session.add(
                Material(
                    id=1, public_id="mat_bench", title="t", content_class="engagement", kind="tips",
                    zone="z", genre="g", topic="t", form="text", month="202601", origin="original",
                    owner="o", state="approved", created_at=_LONG_AGO, updated_at=_LONG_AGO,
                )
            )  # fmt: skip
            session.flush()
            session.add(
                Revision(
                    id=1, material_id=1, number=1, title="t", body=TEXT, author="o", fields={},
                    content_hash="h", created_at=_LONG_AGO,
                )
            )  # fmt: skip

    def fill(self, n: int, due_at: datetime, recipients: int = 20) -> None:
        """Pushes to so many communities each, `n` messages in all, due at one instant."""
        self.prepare()
        with self.database.write() as session:
            for start in range(0, n, 5000):
                session.execute(
                    insert(Community),
                    [
                        {
                            "id": number,
                            "public_id": f"c{number}",
                            "name": f"{number}",
                            "created_at": _LONG_AGO,
                        }
                        for number in range(start + 1, min(n, start + 5000) + 1)
                    ],
                )
        requests = (
            push_request(
                f"bench:{number}",
                [
                    Recipient(f"c{each}", "群", community_id=each + 1)
                    for each in range(number, min(n, number + recipients))
                ],
                due_at,
            )
            for number in range(0, n, recipients)
        )
        while some := list(islice(requests, 200)):
            with self.database.write() as session:
                for request_ in some:
                    self.service.request(session, request_)

    def books(self) -> dict[str, int]:
        """What the database says afterwards, to be compared with what the sink saw."""
        with self.database.read() as session:
            return {
                "accepted": session.scalar(select(func.count()).where(Unit.state == "accepted")) or 0,
                "targets": session.scalar(select(func.count()).where(UnitTarget.state == "accepted")) or 0,
                "attempts": session.scalar(select(func.count(Attempt.id))) or 0,
                "unfinished": session.scalar(select(func.count()).where(Push.state != "finished")) or 0,
            }


def _snapshot(_revision: int) -> Snapshot:
    return Snapshot(
        key=1, revision_key=1, id="mat_bench", name="n", number=1, title="t", body=TEXT, assets=(),
        content_class="engagement", kind="tips", content_hash="h", usable_from=None, usable_until=None,
        retired=False,
    )  # fmt: skip


def push_request(source_key: str, recipients: Sequence[Recipient], due_at: datetime) -> PushRequest:
    """An approved request for the material of a House."""
    return PushRequest(
        source_key=source_key,
        title="t",
        channel="sink",
        revision_id=1,
        material_id=1,
        content_hash="h",
        body=TEXT,
        due_at=due_at,
        zone="Asia/Shanghai",
        recipients=recipients,
        approved_by="o",
        approved_at=_LONG_AGO,
        created_by="o",
        late_policy="send",
        deadline_at=due_at + timedelta(hours=6),
    )
