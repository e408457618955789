"""A console to click on: a server in a folder of its own, a clock to set, and people who are signed in."""

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import update
from werkzeug.test import TestResponse

from lanmu import config
from lanmu.audience.views import Address, CommunityDraft
from lanmu.delivery.intake import PushRequest, Recipient, text_hash
from lanmu.delivery.models import Push, Unit, UnitTarget
from lanmu.delivery.views import PushView
from lanmu.i18n import Catalog
from lanmu.library.content import Content
from lanmu.schedule.columns import ColumnDraft, SlotDraft
from lanmu.server import Server
from lanmu.staff import passwords
from lanmu.staff.roles import SCOPES
from lanmu.staff.service import StaffService
from lanmu.storage import Database
from lanmu.storage.migrate import upgrade
from lanmu.testing.clock import FakeClock
from lanmu.web.app import create_app
from tests.conftest import into_one_file

Send = Callable[..., PushView]
PASSWORD = "a password for testing alone"
PLUGINS = ("personal_wechat_export", "llm_copy", "points")
CHANNEL = "personal_wechat_export.pack"
_TOKEN = re.compile(r'name="csrf-token" content="([^"]*)"')


class Browser:
    """Somebody signed in, who sends forms with the token of their session as a page would."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.token = ""

    def get(self, path: str, **headers: str) -> TestResponse:
        answer = self.client.get(path, headers={"Accept": "text/html", **headers})
        found = _TOKEN.search(answer.text) if answer.mimetype == "text/html" else None
        if found:
            self.token = found[1]
        return answer

    def post(self, path: str, data: dict[str, Any] | None = None, *, follow: bool = True) -> TestResponse:
        if not self.token:
            self.get("/materials")
        form = {"csrf_token": self.token, **(data or {})}
        return self.client.post(path, data=form, headers={"Accept": "text/html"}, follow_redirects=follow)


class Program:
    """Something that calls the API with a token."""

    def __init__(self, client: FlaskClient, token: str) -> None:
        self.client = client
        self.token = token

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        given = {"Authorization": f"Bearer {self.token}", **headers}
        return self.client.open(f"/api/v1{path}", method=method, headers=given, json=body)

    def raw(self, path: str, body: bytes, mimetype: str = "application/json") -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": mimetype}
        return self.client.post(f"/api/v1{path}", data=body, headers=headers)


class _Compiled(BytecodeCache):
    """Templates that one app had compiled, for all: it took a third of these tests' time."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key, bucket.checksum] = bucket.code


def _raw(data: Path) -> dict[str, Any]:
    return {
        "server": {"data_dir": str(data), "shop_name": "小满"},
        "demo": {"enabled": False},
        "plugins": {name: {} for name in PLUGINS},
    }


@pytest.fixture(scope="session")
def compiled() -> BytecodeCache:
    return _Compiled()


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The texts of the plugins below, read once."""
    return Catalog(["lanmu", *(f"lanmu_{name}" for name in PLUGINS)])


@pytest.fixture(scope="session")
def peopled(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database to copy, with the plugins' tables and one of each role.

    To check a password takes as much as to store it did. Theirs take little: nearly every test signs in.
    """
    folder = tmp_path_factory.mktemp("peopled")
    another = Server(config.parse(_raw(folder / "elsewhere"), None, {}), FakeClock())
    path = folder / "lanmu.db"
    shutil.copy(sqlite_template, path)
    database = Database(f"sqlite:///{path}")
    for chain in another.plugins.chains():
        upgrade(database, chain)
    another.close()
    staff = StaffService(database, FakeClock())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        for username, roles in (
            ("admin", ["admin"]),
            ("writer", ["editor"]),
            ("reader", ["reviewer"]),
            ("auditor", ["auditor"]),
        ):
            staff.create(username, username.capitalize(), PASSWORD, roles)
    into_one_file(database)
    return path


@pytest.fixture
def server(peopled: Path, catalog: Catalog, tmp_path: Path, clock: FakeClock) -> Iterator[Server]:
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(peopled, data / "lanmu.db")
    made = Server(config.parse(_raw(data), None, {}), clock)
    assert set(made.catalog._packages) == set(catalog._packages)
    made.catalog = catalog
    yield made
    made.close()


@pytest.fixture
def app(server: Server, compiled: BytecodeCache) -> Flask:
    app = create_app(server)
    app.jinja_env.bytecode_cache = compiled
    return app


@pytest.fixture
def sign_in(app: Flask) -> Callable[[str], Browser]:
    def sign(username: str) -> Browser:
        client = app.test_client()
        answer = client.post("/login", data={"username": username, "password": PASSWORD})
        assert answer.status_code == 302, answer.text
        return Browser(client)

    return sign


@pytest.fixture
def admin(sign_in: Callable[[str], Browser]) -> Browser:
    return sign_in("admin")


@pytest.fixture
def stocked(server: Server) -> Server:
    """Three approved materials, two communities that a channel reaches, a column, and its plan."""
    for number, (content_class, kind) in enumerate(
        (("engagement", "industry_insight"), ("conversion", "product_review"), ("brand", "values"))
    ):
        made = server.library.materials.create(
            Content(
                title=f"素材{number}",
                body=f"早安，{{{{ community.name }}}}，第 {number} 条",
                content_class=content_class,
                kind=kind,
                zone="knowledge",
                genre="guide",
                topic="早安",
                form="text",
                month="202611",
                owner="writer",
                tags=("早安",),
            ),
            "writer",
        )
        server.library.reviews.submit(made.id)
        server.library.reviews.approve(made.id, 1, "reader")
    for name in ("一群", "二群"):
        address = {CHANNEL: Address(name, "admin")}
        server.audience.communities.create(CommunityDraft(name, size=200, addresses=address))
    server.schedule.columns.create(
        ColumnDraft("早安", CHANNEL, (SlotDraft("daily", "12:00"),), cooldown_days=1, approval="each")
    )
    server.schedule.plan_ahead()
    return server


@pytest.fixture
def program(app: Flask, server: Server) -> Callable[..., Program]:
    def made(*scopes: str, owner: str = "admin", days: int = 90) -> Program:
        return Program(app.test_client(), server.tokens.create(owner, "erp", list(scopes or SCOPES), days))

    return made


@pytest.fixture
def send(server: Server) -> Send:
    """A push to some recipients, its units and targets then put into the states that a test is about."""

    def make(*names: str, push: str = "", unit: str = "", target: str = "", asked: bool = False) -> PushView:
        now = server.clock.now()
        made = server.delivery.send(
            PushRequest(
                source_key=f"test:{'+'.join(names)}:{push}:{unit}:{target}",
                title=f"推给{names[0]}",
                channel=CHANNEL,
                revision_id=None,
                material_id=None,
                content_hash=text_hash("早安"),
                body="早安",
                due_at=now,
                zone="Asia/Shanghai",
                recipients=[Recipient(name, name, "admin") for name in names],
                approved_by="admin",
                approved_at=now,
                created_by="早安",
                late_policy="send",
            )
        )
        with server.database.write() as session:
            if push:
                ended = now if push.startswith("finished") else None
                session.execute(update(Push).where(Push.id == made.row).values(state=push, finished_at=ended))
            if unit:
                values = {"state": unit, "results_at": now + timedelta(hours=1) if asked else None}
                session.execute(update(Unit).where(Unit.push_id == made.row).values(values))
            if target:
                session.execute(update(UnitTarget).where(UnitTarget.push_id == made.row).values(state=target))
        return server.delivery.get(made.id)

    return make
