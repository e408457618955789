"""The one material of the simulations, and a database that has it."""

from datetime import timedelta
from pathlib import Path

from sqlalchemy import text
from tests.simulation.sim_clock import START

import lanmu.every_model  # noqa: F401  the tables must be known before they are migrated
from lanmu.delivery.door.limit_models import SendLimit
from lanmu.library.models import Material, Revision
from lanmu.library.views import Snapshot
from lanmu.storage import Database
from lanmu.storage.migrate import CORE, upgrade

LIMITED = "sim.mute"
"""The channel that has a limit of its own: fewer messages than are planned for it."""
BY_SENDER = "sim.listing"
"""The channel each of whose senders has a limit."""
PACED = "sim.remembering"
"""The channel that may be called only so often a minute."""

_SENDERS = 4

Stocked = tuple[Path, Snapshot]
"""A database file to copy for each run, and the material in it."""

_STALE = """
CREATE TRIGGER stale_intent_watch BEFORE INSERT ON attempt
WHEN NEW.fence <> (SELECT fence FROM unit WHERE id = NEW.unit_id)
BEGIN INSERT INTO stale_intent VALUES (NEW.unit_id, NEW.fence); END
"""
"""Notes an intent by a worker whose lease another one has by then."""


def sender_of(number: int) -> str:
    """Who sends to a recipient of this number."""
    return f"sender-{number % _SENDERS}"


def zone_of(number: int) -> str:
    """Where a recipient of this number lives: in the zone of the shop, or an hour ahead of it."""
    return "Asia/Tokyo" if number % _SENDERS else ""


def is_quiet_for(key: str) -> bool:
    """Whether the quiet hours of the run are those of this recipient."""
    return zone_of(number_of(key)) == ""


def number_of(key: str) -> int:
    """A recipient's number within its push, by its key."""
    return int(key.partition("/")[2])


def with_material(path: Path) -> Snapshot:
    """Put the material into the database of this file, migrated first, and answer what the library would."""
    database = Database(f"sqlite:///{path}")
    upgrade(database, CORE)
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
            created_at=START,
            updated_at=START,
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
            created_at=START,
        )
        session.add(revision)
        # So low that not all that is planned has room; each run sets how low.
        session.add(
            SendLimit(
                code="sim", channel=LIMITED, scope="channel", period="month", zone="Asia/Shanghai", most=0
            )
        )
        session.add(
            SendLimit(
                code="sim.sender",
                channel=BY_SENDER,
                scope="sender",
                period="week",
                zone="Asia/Shanghai",
                most=0,
            )
        )
        session.flush()
        snapshot = Snapshot(
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
            usable_until=START + timedelta(days=30),
            retired=False,
        )
    with database.engine.connect() as connection:
        connection.execute(text("COMMIT"))
        connection.execute(text("CREATE TABLE stale_intent (unit_id INTEGER, fence INTEGER)"))
        connection.execute(text(_STALE))
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        connection.execute(text("BEGIN"))
    database.close()
    return snapshot
