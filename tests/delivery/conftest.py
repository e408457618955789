"""A delivery room to test in: one material, a scripted channel, and as many dispatchers as a test wants."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from lanmu.delivery.door.questions import Gatekeeper
from lanmu.delivery.door.quiet import QuietHours
from lanmu.delivery.door.send_limits import SendLimits
from lanmu.delivery.followup.results import Results
from lanmu.delivery.installation.owner import Owner, this_process
from lanmu.delivery.intake import PushRequest, Recipient
from lanmu.delivery.models import Attempt, Push, Unit, UnitTarget
from lanmu.delivery.sending.dispatcher import Dispatcher
from lanmu.delivery.sending.journal import Journal
from lanmu.delivery.sending.preflight import Preflight
from lanmu.delivery.service import DeliveryService
from lanmu.delivery.views import PushView
from lanmu.interfaces.channels import Asset, Channel, Message
from lanmu.interfaces.errors import NotFound
from lanmu.interfaces.events import Objection, Receipt
from lanmu.library.models import Material, Revision
from lanmu.library.views import Snapshot
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock
from lanmu.testing.fakes import FakeChannel

_numbers = count(1)


@dataclass
class Room:
    """Everything around the dispatcher. `snapshot` is what the library answers; a test may change it."""

    database: Database
    clock: FakeClock
    channel: FakeChannel
    pool: ThreadPoolExecutor
    snapshot: Snapshot
    channels: dict[str, Channel] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    exits: list[str] = field(default_factory=list)
    snapshots_read: int = 0
    quiet: QuietHours | None = None

    def __post_init__(self) -> None:
        self.channels[self.channel.name] = self.channel
        self.limits = SendLimits(self.database, self.clock, "Asia/Shanghai")
        self.service = DeliveryService(self.database, self.clock, self.channels)
        self.results = Results(self.database, self.clock, self.channels)

    def request(self, *keys: str, **changes: Any) -> PushRequest:
        """A push that is due now, to these recipients; each is a community without a row unless given."""
        recipients = [Recipient(key, f"Group {key}") for key in keys or ("g1",)]
        request = PushRequest(
            source_key=f"test:{next(_numbers)}",
            title="Evening story",
            channel=self.channel.name,
            revision_id=self.snapshot.revision_key,
            material_id=self.snapshot.key,
            content_hash="hash-1",
            body=self.snapshot.body,
            due_at=self.clock.now(),
            zone="Asia/Shanghai",
            recipients=recipients,
            approved_by="li",
            approved_at=self.clock.now(),
            created_by="li",
        )
        return replace(request, **changes)

    def send(self, *keys: str, **changes: Any) -> PushView:
        return self.service.send(self.request(*keys, **changes))

    def dispatcher(
        self,
        owner: Owner | None = None,
        concurrency: int = 8,
        clock_is_sane: Callable[[], bool] = lambda: True,
        journal: Journal | None = None,
    ) -> Dispatcher:
        return Dispatcher(
            self.database,
            self.clock,
            self.channels,
            Preflight(self.database, self.clock, self.read_snapshot, self.objections, "Little Star"),
            owner or this_process(),
            self.pool,
            self.receipts.append,
            concurrency=concurrency,
            clock_is_sane=clock_is_sane,
            journal=journal,
            pause=lambda seconds: self.clock.advance(timedelta(seconds=seconds)),
            gatekeeper=Gatekeeper(self.channels, "Asia/Shanghai", self.quiet),
        )

    def run(self) -> int:
        return self.dispatcher().run_due()

    def read_snapshot(self, revision: int) -> Snapshot:
        self.snapshots_read += 1
        if revision != self.snapshot.revision_key:
            raise NotFound("revision", "there is no such revision.")
        return self.snapshot

    def change_material(self, **changes: Any) -> None:
        """What the library does with every edit and decision: new content, and a new lock."""
        self.snapshot = replace(self.snapshot, **changes)
        with self.database.write() as session:
            session.execute(
                update(Material).where(Material.id == self.snapshot.key).values(lock=Material.lock + 1)
            )

    def objections(self, message: Message, channel: str) -> list[Objection]:
        ended = [Objection(reason, ends=True) for reason in self.exits]
        return [Objection(reason) for reason in self.objects] + ended

    def unit(self, push: PushView, number: int = 1) -> Unit:
        with self.database.read() as session:
            return session.scalars(select(Unit).where(Unit.push_id == push.row, Unit.number == number)).one()

    def states(self, push: PushView) -> list[str]:
        """The states of the push's units, in order."""
        with self.database.read() as session:
            query = select(Unit.state).where(Unit.push_id == push.row).order_by(Unit.number)
            return list(session.scalars(query))

    def target_states(self, push: PushView) -> dict[str, str]:
        with self.database.read() as session:
            query = select(UnitTarget.recipient_key, UnitTarget.state).where(UnitTarget.push_id == push.row)
            return {key: state for key, state in session.execute(query)}  # noqa: C416  rows are no pairs to mypy

    def push(self, push: PushView) -> Push:
        with self.database.read() as session:
            return session.get_one(Push, push.row)

    def attempts(self, push: PushView) -> list[Attempt]:
        with self.database.read() as session:
            query = select(Attempt).join(Unit, Unit.id == Attempt.unit_id).where(Unit.push_id == push.row)
            return list(session.scalars(query.order_by(Attempt.id)))

    def total_is_planned(self, push: PushView) -> bool:
        counted = self.service.get(push.id).progress
        return sum(counted.targets.values()) == self.push(push).planned


@pytest.fixture(scope="session")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


@pytest.fixture
def make_room(clock: FakeClock, pool: ThreadPoolExecutor) -> Callable[..., Room]:
    def make(database: Database, **channel: Any) -> Room:
        snapshot = stored_material(database, clock.now())
        return Room(database, clock, FakeChannel(clock=clock, **channel), pool, snapshot)

    return make


@pytest.fixture
def room(make_room: Callable[..., Room], database: Database) -> Room:
    """On each of the two databases."""
    return make_room(database)


@pytest.fixture
def picture(tmp_path: Path) -> Asset:
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG")
    return Asset("picture.png", "image/png", "ab" * 32, 4, path)


def stored_material(database: Database, now: datetime) -> Snapshot:
    """A material's rows, and the snapshot that the library would answer of them."""
    with database.write() as session:
        material = Material(
            public_id=Material.fresh_id(),
            title="Night feeds",
            content_class="engagement",
            kind="tips",
            zone="knowledge",
            genre="care",
            topic="sleep",
            form="text",
            month="202611",
            origin="original",
            owner="li",
            state="approved",
            created_at=now,
            updated_at=now,
        )
        session.add(material)
        session.flush()
        revision = Revision(
            material_id=material.id,
            number=1,
            title=material.title,
            body="Sleep well.",
            author="li",
            fields={},
            content_hash="hash-1",
            created_at=now,
        )
        session.add(revision)
        session.flush()
        return Snapshot(
            key=material.id,
            revision_key=revision.id,
            id=material.public_id,
            name="202611 engagement",
            number=1,
            title=material.title,
            body=revision.body,
            assets=(),
            content_class=material.content_class,
            kind=material.kind,
            content_hash="hash-1",
            usable_from=None,
            usable_until=now + timedelta(days=30),
            retired=False,
        )
