"""The demo shop and the shipped library: whole, without a fault, and made once."""

import shutil
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from lanmu import config, demo
from lanmu.interfaces.errors import Faults, Invalid
from lanmu.library.presets import FORMS, LIFECYCLE, ZONES
from lanmu.library.sync import SyncReport
from lanmu.server import Server
from lanmu.testing.clock import FakeClock
from lanmu_wecom.sandbox.demo import SEED

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "content_library"


class Demo:
    """A server with the shipped settings and a copy of the shipped library, as `make run` starts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "content_library"
        shutil.copytree(FOLDER, self.folder)
        self.clock = FakeClock()
        raw = tomllib.loads((ROOT / "config.toml").read_text(encoding="utf-8"))
        raw["server"]["data_dir"] = str(folder / "data")
        raw["library"]["folder"] = str(self.folder)
        self.server = Server(config.parse(raw, None, {}), self.clock)
        self.report: SyncReport = self.server.library.folder.run(self.folder)

    def prepare(self) -> demo.Demo:
        return demo.prepare(self.server, self.folder)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Loaded once: a hundred materials take a few seconds."""
    made = Demo(tmp_path_factory.mktemp("demo"))
    made.prepare()
    yield made
    made.server.close()


def counts(made: Demo) -> dict[str, object]:
    server = made.server
    return {
        "communities": server.audience.communities.find(active=None),
        "members": server.audience.members.page(limit=200),
        "offers": [(offer.title, offer.cost) for offer in server.ledger.shelf.all()],
        "columns": sorted(column.draft.name for column in server.schedule.columns.everything()),
        "materials": server.library.materials.count(),
        "points": server.ledger.totals(),
    }


def test_the_shipped_library_loads_without_a_fault(shared: Demo):
    assert [str(fault) for fault in shared.report.faults] == []
    assert shared.report.conflicts == []
    assert len(shared.report.added) == len(list(FOLDER.glob("*/*.md")))
    again = shared.server.library.folder.run(shared.folder)
    assert (again.added, again.changed, again.retired, again.written) == ([], [], [], [])


def test_it_holds_sixty_approved_materials_and_more_of_every_sort(shared: Demo):
    materials = shared.server.library.materials.candidates()
    assert len(materials) >= 60
    assert {each.content_class for each in materials} == {term.code for term in LIFECYCLE.classes}
    assert {each.kind for each in materials} == {term.code for term in LIFECYCLE.kinds}
    assert {each.zone for each in materials} == {term.code for term in ZONES}
    assert {each.form for each in materials} == {term.code for term in FORMS}
    by_trade = Counter("母婴" if "母婴" in each.tags else "职业教育" for each in materials)
    assert min(by_trade.values()) >= 30


def test_every_file_bears_the_name_that_its_content_generates(shared: Demo):
    for path in sorted(shared.folder.glob("*/*.md")):
        month, content_class, _topic, _form, *_rest = path.stem.split("-")
        assert month.isdigit(), path.name
        assert content_class in {term.title_zh for term in LIFECYCLE.classes}, path.name


def test_preparing_twice_makes_nothing_twice(shared: Demo):
    before = counts(shared)
    shared.clock.advance(timedelta(hours=1))
    shared.prepare()
    assert counts(shared) == before


def test_the_demo_columns_are_due_at_the_next_full_minute_of_each_start(shared: Demo):
    schedule = shared.server.schedule
    for second in (0, 39, 41, 59):
        shared.clock.set(datetime(2026, 11, 24, 3, second, second, tzinfo=UTC))
        now = shared.clock.now()
        made = shared.prepare()
        assert made.due.second == 0
        assert timedelta(seconds=20) < made.due - now <= timedelta(seconds=80)
        schedule.plan_ahead()
        due = [
            each
            for each in schedule.occurrences.between(now, now + timedelta(days=1))
            if each.column in made.columns
        ]
        assert {each.due_at for each in due} == {made.due}
        assert {each.state for each in due} == {"planned"}
        assert {each.channel for each in due} == {"wecom.group", "wecom.robot", "personal_wechat_export.pack"}
        assert schedule.hand_over() >= len(due)


def test_every_community_can_be_reached_and_every_column_reaches_some(shared: Demo):
    server = shared.server
    assert [status.reason for status in server.plugins.statuses() if status.state == "set_aside"] == []
    for community in server.audience.communities.find():
        assert set(community.addresses) & set(server.plugins.channels), community.name
    for column in server.schedule.columns.everything():
        reached, unreached = server.schedule.reach(column.id)
        assert reached, column.draft.name
        assert unreached == [], column.draft.name
        assert server.schedule.pool_counts(column.id), column.draft.name


def test_every_column_of_the_files_is_made(shared: Demo):
    """A name that two trades share would leave the second without its column."""
    documents = [yaml.safe_load(path.read_text("utf-8")) for path in sorted(FOLDER.glob("columns/*.yaml"))]
    named = [each["name"] for document in documents for each in document["columns"]]
    assert len(set(named)) == len(named)
    made = {column.draft.name: column.draft for column in shared.server.schedule.columns.everything()}
    assert set(named) <= set(made)
    for document in documents:
        for each in document["columns"]:
            assert made[each["name"]].targets.tags == (document["trade"],)


def test_the_demo_week_has_no_hole_and_keeps_the_mix(shared: Demo):
    server = shared.server
    server.schedule.plan_ahead()
    now = shared.clock.now()
    week = server.schedule.occurrences.between(now, now + timedelta(days=7))
    assert [each.local_time + each.column for each in week if each.state == "empty"] == []
    for name in ("小满妈妈1群(0-1岁)", "跃程会计实操2群"):
        own = Counter(each.content_class for each in week if each.community == name)
        total = sum(own.values())
        assert abs(own["engagement"] / total - 0.5) < 0.15, own
        assert abs(own["conversion"] / total - 0.3) < 0.15, own


def test_the_addresses_are_those_that_the_sandbox_knows(shared: Demo):
    document = yaml.safe_load((FOLDER / "demo.yaml").read_text("utf-8"))
    groups = {
        each["addresses"]["wecom.group"]["key"]: each
        for each in document["communities"]
        if "wecom.group" in each["addresses"]
    }
    assert {key: each["name"] for key, each in groups.items()} == {
        group.chat_id: group.name for group in SEED.groups
    }
    for group in SEED.groups:
        known = groups[group.chat_id]
        assert (known["addresses"]["wecom.group"]["sender"], known["size"]) == (group.owner, group.members)
    robots = [
        each["addresses"]["wecom.robot"]["key"]
        for each in document["communities"]
        if "wecom.robot" in each["addresses"]
    ]
    assert set(robots) <= {robot.name for robot in SEED.robots}
    assert robots
    customers = {customer.external_userid: customer.name for customer in SEED.customers}
    for member in document["members"]:
        assert customers[member["wecom"]] == member["name"]


def test_the_members_have_points_of_their_orders(shared: Demo):
    member = shared.server.audience.find_member("wecom", "wmDEMO0001")
    assert member is not None
    assert shared.server.ledger.balance(member.id) == 268 + 59


def test_what_a_person_changed_in_the_demo_shop_stays(shared: Demo):
    communities, columns = shared.server.audience.communities, shared.server.schedule.columns
    one = communities.find(tags=["内部"])[0]
    communities.edit(one.id, size=15, tags=("内部", "值班"))
    column = columns.by_name("早安问候")
    assert column is not None
    columns.edit(column.id, replace(column.draft, goal="我们自己的目标"), column.lock)
    shared.prepare()
    assert communities.get(one.id).size == 15
    kept = columns.by_name("早安问候")
    assert kept is not None
    assert kept.draft.goal == "我们自己的目标"
    communities.edit(one.id, size=one.size, tags=one.tags)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("communities: [", "cannot be read"),
        ("- a list", "names and values"),
        ("communities:\n  - shop: 无名店\n  - 一个词\nmembers:\n  - {name: 无号}\n", "lacks"),
        ("communities:\n  - {name: 群, zone: x, addresses: {wecom.group: {sender: li}}}\n", "needs a key"),
        ("communities:\n  - {name: 群, stage: asleep}\n", "is not a stage"),
    ],
)
def test_a_faulty_demo_file_is_told(shared: Demo, tmp_path: Path, text: str, told: str):
    (tmp_path / "demo.yaml").write_text(text, encoding="utf-8")
    with pytest.raises((Invalid, Faults)) as caught:
        demo.prepare(shared.server, tmp_path)
    assert told in str(caught.value)


def test_faulty_columns_are_told_by_their_file(shared: Demo, tmp_path: Path):
    (tmp_path / "demo.yaml").write_text("{}", encoding="utf-8")
    (tmp_path / "columns").mkdir()
    path = tmp_path / "columns" / "x.yaml"
    path.write_text("columns:\n  - {slots: []}\n", encoding="utf-8")
    with pytest.raises(Faults) as caught:
        demo.prepare(shared.server, tmp_path)
    assert [fault.place for fault in caught.value.faults] == [str(path), f"{path}: columns 1"]
