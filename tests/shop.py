"""A shop to plan for: library, audience, schedule and delivery on one database, with a scripted channel."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select
from tests.statements import counting

from lanmu.audience.models import Community, CommunityAddress, CommunityTag
from lanmu.audience.service import AudienceService
from lanmu.audience.views import Address, CommunityDraft, CommunityView
from lanmu.delivery.door.questions import Gatekeeper
from lanmu.delivery.door.quiet import QuietHours
from lanmu.delivery.installation.owner import this_process
from lanmu.delivery.models import Push
from lanmu.delivery.sending.dispatcher import Dispatcher
from lanmu.delivery.sending.preflight import Preflight
from lanmu.delivery.service import DeliveryService
from lanmu.experiments.service import Experiments
from lanmu.interfaces.channels import Channel
from lanmu.library import records
from lanmu.library.content import Content, fields_of, tidy
from lanmu.library.models import Material, MaterialTag, Revision
from lanmu.library.review import MET, let_through
from lanmu.library.service import Library
from lanmu.library.views import MaterialView
from lanmu.reports.service import Reports
from lanmu.schedule.columns import ColumnDraft, ColumnView, SlotDraft
from lanmu.schedule.occurrences import OccurrenceView
from lanmu.schedule.service import ScheduleService
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock
from lanmu.testing.fakes import FakeChannel

CHANNEL = "fake.channel"
AUTHOR, REVIEWER = "li", "wang"
_KINDS = {"engagement": "user_story", "conversion": "product_review", "brand": "values"}
_numbers = count(1)


class Shop:
    """Every room that takes part between a material and its arrival. `channel` is the far end's script."""

    def __init__(self, database: Database, clock: FakeClock, folder: Path) -> None:
        self.database = database
        self.clock = clock
        self.channel = FakeChannel(CHANNEL, clock=clock)
        self.channels: dict[str, Channel] = {CHANNEL: self.channel}
        self.reports = Reports(database, clock)
        self.library = Library(database, clock, folder, usage=self.reports.usage)
        self.library.seed()
        self.audience = AudienceService(database, clock)
        self.delivery = DeliveryService(database, clock, self.channels)
        self.experiments = Experiments(database, clock, self.library)
        self.schedule = self.scheduling()

    def scheduling(self, **settings: Any) -> ScheduleService:
        """A schedule of its own, as another process would have it."""
        return ScheduleService(
            self.database,
            self.clock,
            self.library.materials,
            self.delivery,
            self.experiments,
            self.channels,
            **settings,
        )

    def content(self, content_class: str = "engagement", **changes: Any) -> Content:
        number = next(_numbers)
        usual: dict[str, Any] = {
            "title": f"素材 {number}",
            "body": f"今天说第 {number} 件小事。",
            "content_class": content_class,
            "kind": _KINDS[content_class],
            "zone": "knowledge",
            "genre": "guide",
            "topic": "日常",
            "form": "text",
            "month": "202611",
            "owner": AUTHOR,
        }
        return Content(**{**usual, **changes})

    def material(self, content_class: str = "engagement", **changes: Any) -> MaterialView:
        """Approved material."""
        made = self.library.materials.create(self.content(content_class, **changes), AUTHOR)
        self.library.reviews.submit(made.id)
        return self.library.reviews.approve(made.id, 1, REVIEWER)

    def stock(self, each: int = 8, **changes: Any) -> None:
        """As much approved material of every class, in the rows that the library writes for each of them.

        All at once: one by one, by the way that people take, was more than half of the time of these tests.
        """
        now = self.clock.now()
        contents = [tidy(self.content(each_class, **changes)) for each_class in _KINDS for _ in range(each)]
        with self.database.write() as session:
            rows = [Material(public_id=Material.fresh_id(), created_at=now, updated_at=now) for _ in contents]
            for row, content in zip(rows, contents, strict=True):
                records.fill(row, content)
            session.add_all(rows)
            session.flush()
            revisions = [
                Revision(
                    material_id=row.id,
                    number=1,
                    title=content.title,
                    body=content.body,
                    author=AUTHOR,
                    fields=fields_of(content),
                    content_hash=records.digest(content, ()),
                    created_at=now,
                )
                for row, content in zip(rows, contents, strict=True)
            ]
            session.add_all(revisions)
            session.flush()
            for row, revision in zip(rows, revisions, strict=True):
                row.current_revision_id = revision.id
                row.lock = 3  # created, submitted, approved
                let_through(session, row, revision, REVIEWER, MET, "", now)
                session.add_all(
                    MaterialTag(material_id=row.id, tag=tag, position=position)
                    for position, tag in enumerate(row.tags)
                )
            session.flush()
            for row, content in zip(rows, contents, strict=True):
                records.index(session, row, content)

    def rewrite(self, material: str, body: str, *, approve: bool = True) -> MaterialView:
        """A new text, let through by the reviewer unless told otherwise."""
        kept = self.library.materials.get(material)
        changed = self.library.materials.edit(material, _with_body(kept.content, body), kept.lock, AUTHOR)
        if not approve:
            return changed
        self.library.reviews.submit(material)
        return self.library.reviews.approve(material, changed.revision, REVIEWER)

    def community(self, name: str, *, channel: str = CHANNEL, **changes: Any) -> CommunityView:
        addresses = {channel: Address(f"key-{name}")} if channel else {}
        return self.audience.communities.create(CommunityDraft(name, addresses=addresses, **changes))

    def communities(self, number: int, tag: str = "") -> None:
        """Many at once."""
        with self.database.write() as session:
            ids = session.scalars(
                insert(Community).returning(Community.id),
                [
                    {"public_id": Community.fresh_id(), "name": f"群 {n:04d}", "created_at": self.clock.now()}
                    for n in range(number)
                ],
            ).all()
            session.execute(
                insert(CommunityAddress),
                [{"community_id": row, "channel": CHANNEL, "key": f"k{row}"} for row in ids],
            )
            if tag:
                session.execute(insert(CommunityTag), [{"community_id": row, "tag": tag} for row in ids])

    def column(self, name: str = "早安", *slots: SlotDraft, **changes: Any) -> ColumnView:
        """A column, every day at 20:00 unless told otherwise, that needs nobody's look at each occurrence."""
        usual: dict[str, Any] = {"approval": "auto", "cooldown_days": 0, "channel": CHANNEL}
        given = slots or (SlotDraft("daily", "20:00"),)
        return self.schedule.columns.create(ColumnDraft(name=name, slots=given, **{**usual, **changes}))

    def all(self, **wanted: str) -> list[OccurrenceView]:
        """Every occurrence, in order; `state="planned"` and the like narrow it down."""
        now = self.clock.now()
        found = self.schedule.occurrences.between(now - timedelta(days=400), now + timedelta(days=400))
        return [each for each in found if all(getattr(each, key) == value for key, value in wanted.items())]

    def states(self) -> Counter[str]:
        return Counter(each.state for each in self.all())

    def to(self, due: datetime, before: timedelta = timedelta(minutes=5)) -> None:
        """Let the time come that lies a little before this instant."""
        self.clock.set(due - before)

    def pushes(self) -> list[Push]:
        """In the order in which they were made."""
        with self.database.read() as session:
            return list(session.scalars(select(Push).order_by(Push.id)))

    def dispatch(self, quiet: QuietHours | None = None) -> int:
        """Send what is due, through the real dispatcher and its last door."""
        preflight = Preflight(
            self.database, self.clock, self.library.materials.snapshot, lambda _message, _channel: [], "小满"
        )
        with ThreadPoolExecutor(4) as pool:
            return Dispatcher(
                self.database,
                self.clock,
                self.channels,
                preflight,
                this_process(),
                pool,
                lambda _receipt: None,
                concurrency=4,
                gatekeeper=Gatekeeper(self.channels, "Asia/Shanghai", quiet) if quiet else None,
            ).run_due()

    def counting(self) -> AbstractContextManager[list[str]]:
        """The statements sent to the database meanwhile."""
        return counting(self.database)


def _with_body(content: Content, body: str) -> Content:
    values = {name: getattr(content, name) for name in content.__dataclass_fields__}
    return Content(**{**values, "body": body})


def daily(*times: str) -> Sequence[SlotDraft]:
    return [SlotDraft("daily", at) for at in times]


def seen(*occurrences: OccurrenceView) -> dict[str, int]:
    """What a person who looks at these has seen, as approving wants it."""
    return {each.id: each.revision_id for each in occurrences}
