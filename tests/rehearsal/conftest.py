"""A shop with communities of its own, and a way to rehearse it."""

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from tests.shop import CHANNEL, Shop

from lanmu.delivery.door.quiet import QuietHours
from lanmu.delivery.door.send_limits import SendLimits
from lanmu.delivery.sending.preflight import Objections
from lanmu.rehearsal.report import Report
from lanmu.rehearsal.running import Asked, House, rehearse
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock
from tests.conftest import into_one_file

ZONE = "Asia/Shanghai"
Rehearse = Callable[..., Report]


def stocked(database: Database, clock: FakeClock, folder: Path) -> Shop:
    shop = Shop(database, clock, folder)
    shop.stock(12)
    shop.schedule.special_days.seed()
    SendLimits(database, clock, ZONE).seed()
    for name in ("一群", "二群"):
        shop.community(name, stage="active")
    return shop


@pytest.fixture(scope="session")
def shop_template(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of such a shop, to copy: writing and approving its materials takes half a second."""
    folder = tmp_path_factory.mktemp("shop")
    path = folder / "lanmu.db"
    shutil.copy(sqlite_template, path)
    database = Database(f"sqlite:///{path}")
    stocked(database, FakeClock(), folder / "data")
    into_one_file(database)
    return path


@pytest.fixture
def shop(shop_template: Path, clock: FakeClock, tmp_path: Path) -> Iterator[Shop]:
    shutil.copy(shop_template, tmp_path / "lanmu.db")
    database = Database(f"sqlite:///{tmp_path / 'lanmu.db'}")
    yield Shop(database, clock, tmp_path / "data")
    database.close()


def rehearsed(
    shop: Shop,
    first: str = "2026-11-24",
    days: int = 30,
    recipients: int = 4,
    columns: tuple[str, ...] = (),
    objections: Objections = lambda _message, _channel: (),
) -> Report:
    start = datetime.combine(datetime.fromisoformat(first), time(), ZoneInfo(ZONE))
    house = House(
        ZONE,
        "小满",
        QuietHours(time(22), time(8)),
        timedelta(days=14),
        timedelta(minutes=10),
        {CHANNEL: shop.channel.abilities},
        objections,
    )
    asked = Asked(start, start + timedelta(days=days), days, recipients, columns)
    return rehearse(shop.database, house, asked, lambda _done, _days: None)
