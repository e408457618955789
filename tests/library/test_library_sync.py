"""Files and library are brought together; whatever goes wrong, no text is lost and the rest goes on."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.library.conftest import make_png

from lanmu.interfaces.clock import utc
from lanmu.interfaces.errors import Conflict, NotFound
from lanmu.library.content import Attachment
from lanmu.library.search import Filters
from lanmu.library.service import Library
from lanmu.library.views import MaterialView
from lanmu.storage import Database
from lanmu.storage.migrate import CORE, upgrade
from lanmu.testing.clock import FakeClock

HEAD = """\
---
# 编辑部的备注
title: 睡袋怎么选
class: engagement
kind: industry_insight
zone: knowledge
genre: guide
topic: 睡眠
form: text
month: 2026-11
tags: [母婴, 睡眠]
origin: original
owner: 周敏
reviewer: 林晓
state: approved
our_own_key: {keep: me}
---
"""
BODY = "量一次，少退一次。\n"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "content"
    (made / "母婴" / "images").mkdir(parents=True)
    return made


def put(folder: Path, name: str = "母婴/睡袋.md", body: str = BODY, **changes: str) -> Path:
    """Write a file with some keys changed; None as a value takes the key away."""
    head = HEAD
    for key, value in changes.items():
        lines = [line for line in head.splitlines() if not line.startswith(f"{key}:")]
        if value is not None:
            lines.insert(-1, f"{key}: {value}")
        head = "\n".join(lines) + "\n"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + body)
    return path


def only(library: Library) -> MaterialView:
    (row,) = library.search.find().items
    return library.materials.get(row.id)


def faults(report):
    return [str(fault) for fault in report.faults]


def test_a_file_becomes_a_material_that_is_approved_by_its_reviewer(library, folder):
    put(folder)
    report = library.folder.run(folder)
    assert (report.added, faults(report)) == (["母婴/睡袋.md"], [])
    found = only(library)
    assert (found.name, found.content.title, found.content.body) == (
        "202611 促活-睡眠-短文", "睡袋怎么选", "量一次，少退一次。",
    )  # fmt: skip
    assert (found.state, found.author, found.reviews[0].reviewer) == ("approved", "周敏", "林晓")
    assert library.search.find(Filters(text="睡袋", tags=("母婴",), in_use=True)).total == 1


def test_a_second_sync_changes_nothing(library, folder):
    path = put(folder)
    library.folder.run(folder)
    before, text = only(library), path.read_bytes()
    report = library.folder.run(folder)
    assert (report.unchanged, report.added, report.changed, report.written) == (1, [], [], [])
    assert (only(library), path.read_bytes()) == (before, text)


def test_a_changed_file_becomes_a_new_revision(library, folder):
    put(folder)
    library.folder.run(folder)
    put(folder, body="先量肩宽。\n", tags="[母婴, 冬天]")
    assert library.folder.run(folder).changed == ["母婴/睡袋.md"]
    found = only(library)
    assert (found.content.body, found.content.tags, found.revision) == ("先量肩宽。", ("母婴", "冬天"), 2)
    assert (found.state, found.approved_number) == ("approved", 2)


def test_a_file_that_is_taken_away_retires_its_material_and_may_come_back(library, folder):
    path = put(folder)
    library.folder.run(folder)
    text = path.read_bytes()
    path.unlink()
    assert library.folder.run(folder).retired == ["母婴/睡袋.md"]
    assert only(library).state == "retired"
    assert library.folder.run(folder).retired == []
    path.write_bytes(text)
    assert library.folder.run(folder).changed == ["母婴/睡袋.md"]
    assert only(library).state == "approved"


def test_a_file_that_moves_stays_the_same_material(library, folder):
    path = put(folder)
    library.folder.run(folder)
    before = only(library).id
    path.rename(folder / "睡袋二.md")
    report = library.folder.run(folder)
    assert (report.moved, report.added, report.retired) == (["睡袋二.md"], [], [])
    assert only(library).id == before


def test_what_the_console_changes_is_written_back_and_all_else_stays_as_it_was(library, folder):
    path = put(folder)
    library.folder.run(folder)
    found = only(library)
    changed = library.materials.edit(
        found.id, replace(found.content, title="睡袋：怎么选", tags=("母婴", "新")), found.lock, "何川"
    )
    report = library.folder.run(folder)
    assert report.written == ["母婴/睡袋.md"]
    text = path.read_text()
    assert "title: 睡袋：怎么选\n" in text
    assert "tags: [母婴, 新]\n" in text
    assert "state: draft\n" in text
    assert "author: 何川\n" in text
    assert "# 编辑部的备注\n" in text
    assert "our_own_key: {keep: me}\n" in text
    assert text.endswith("---\n" + BODY)
    assert library.folder.run(folder).unchanged == 1
    assert only(library) == changed


def test_an_approval_in_the_console_is_written_back(library, folder):
    path = put(folder, state="in_review")
    library.folder.run(folder)
    found = only(library)
    library.reviews.approve(found.id, found.revision, "许言")
    library.folder.run(folder)
    assert "state: approved\n" in path.read_text()
    assert "reviewer: 许言\n" in path.read_text()
    assert library.folder.run(folder).unchanged == 1


def test_what_both_sides_changed_stands_in_both_afterwards(library, folder):
    path = put(folder)
    library.folder.run(folder)
    found = only(library)
    library.materials.edit(found.id, replace(found.content, body="控制台的话"), found.lock, "何川")
    put(folder, body="文件里的话\n")
    report = library.folder.run(folder)
    assert report.conflicts == ["母婴/睡袋.md"]
    assert "文件里的话" in path.read_text()
    beside = folder / "母婴" / "睡袋.conflict.md"
    assert "控制台的话" in beside.read_text()
    now = only(library)
    assert (now.content.body, now.state) == ("文件里的话", "draft")
    assert now.approved_number == 1
    assert library.materials.revision(now.id, 2).content.body == "控制台的话"
    report = library.folder.run(folder)
    assert (report.unchanged, report.added, report.conflicts) == (1, [], [])


def test_the_same_change_on_both_sides_is_no_conflict(library, folder):
    put(folder)
    library.folder.run(folder)
    found = only(library)
    library.materials.edit(found.id, replace(found.content, body="同样的话"), found.lock, "何川")
    put(folder, body="同样的话\n", state="draft")
    report = library.folder.run(folder)
    assert report.conflicts == []
    assert library.folder.run(folder).unchanged == 1


def test_what_was_retired_in_the_console_does_not_come_back_by_an_edit_of_its_file(library, folder):
    put(folder)
    library.folder.run(folder)
    library.reviews.retire(only(library).id, "过季")
    put(folder, body="文件里的话\n")
    assert library.folder.run(folder).conflicts == ["母婴/睡袋.md"]
    now = only(library)
    assert (now.state, now.content.body) == ("retired", "文件里的话")


def test_a_file_taken_away_while_the_console_changed_it_is_written_again(library, folder):
    path = put(folder)
    library.folder.run(folder)
    found = only(library)
    library.materials.edit(found.id, replace(found.content, body="控制台的话"), found.lock, "何川")
    path.unlink()
    report = library.folder.run(folder)
    assert (report.conflicts, report.retired) == (["母婴/睡袋.md"], [])
    assert "控制台的话" in path.read_text()
    assert only(library).state == "draft"


def test_material_made_in_the_console_gets_a_file_with_its_images(library, folder, content, png):
    image = library.assets.store(png, "封面.png")
    made = library.materials.create(
        content(form="image", attachments=(Attachment(image.id, "封面"),), valid_until=utc(2026, 11, 30, 16)),
        "周敏",
    )
    (path,) = library.folder.run(folder).written
    text = (folder / path).read_text()
    assert "valid_until: 2026-11-30\n" in text
    assert f"![封面](images/封面-{image.sha256[:8]}.png)" in text
    assert (folder / path).parent.joinpath("images", f"封面-{image.sha256[:8]}.png").read_bytes() == png
    assert library.folder.run(folder).unchanged == 1
    assert library.materials.get(made.id) == made
    shutil.copytree(folder, folder.parent / "other")
    other = library_on_another_database(library, folder.parent)
    other.folder.run(folder.parent / "other")
    copy = only(other)
    assert copy.content.body == made.content.body
    assert copy.content.valid_until == made.content.valid_until
    assert [item.asset.sha256 for item in copy.attachments] == [image.sha256]


def library_on_another_database(library: Library, folder: Path) -> Library:
    database = Database(f"sqlite:///{folder}/other.db")
    upgrade(database, CORE)
    made = Library(database, FakeClock(), folder / "other-data")
    made.seed()
    return made


def test_images_go_along_in_order_and_an_exchanged_image_is_a_change(small_library, folder):
    for shade, name in enumerate(("a.png", "b.png")):
        (folder / "母婴" / "images" / name).write_bytes(make_png(2, 2, shade))
    put(folder, body="看图\n\n![第二](images/b.png)\n![第一](images/a.png)\n", form="image_text")
    small_library.folder.run(folder)
    first = only(small_library)
    assert [(item.asset.name, item.caption) for item in first.attachments] == [
        ("b.png", "第二"),
        ("a.png", "第一"),
    ]
    assert first.content.body == "看图"
    (folder / "母婴" / "images" / "a.png").write_bytes(make_png(3, 3, 9))
    assert small_library.folder.run(folder).changed == ["母婴/睡袋.md"]
    assert only(small_library).attachments[1].asset.width == 3


@pytest.mark.parametrize(
    ("changes", "line", "word"),
    [
        ({"class": "fun"}, 16, "fun"),
        ({"title": None}, 1, "title"),
        ({"kind": "limited_offer"}, 16, "limited_offer"),
        ({"month": "2026-13"}, 16, "2026-13"),
        ({"state": "published"}, 16, "published"),
        ({"reviewer": "周敏"}, 16, "周敏"),
        ({"reviewer": None}, 14, "reviewer"),
        ({"tags": "{a: b}"}, 16, "tags"),
        ({"title": "[a, b]"}, 16, "title"),
        ({"title": "a: b"}, 16, "YAML"),
        ({"origin": "reprint"}, 1, "licence"),
        ({"licence": "yes"}, 17, "licence"),
        ({"valid_until": "tomorrow"}, 17, "tomorrow"),
        ({"body": "一\n\n{{ shop.phone }}\n"}, 20, "shop.phone"),
        ({"body": "一\n![图](images/none.png)\n"}, 19, "none.png"),
        ({"body": "一\n![图](../../secret.png)\n"}, 19, "secret.png"),
        ({"body": "一\n![图](/etc/passwd)\n"}, 19, "/etc/passwd"),
        ({"body": "一\n![图](https://example.org/x.png)\n"}, 19, "example.org"),
        ({"form": "image"}, 1, "image"),
    ],
)
def test_a_fault_names_its_line_and_the_rest_is_loaded(small_library, folder, changes, line, word):
    put(folder, "好.md")
    put(folder, "坏.md", **changes)
    (folder.parent / "secret.png").write_bytes(make_png(2, 2))
    report = small_library.folder.run(folder)
    assert report.added == ["好.md"]
    assert report.faults[0].place.split(" ")[0] == f"坏.md:{line}", faults(report)
    assert word in faults(report)[0]


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"", 1),
        (b"no front matter", 1),
        (b"---\ntitle: x\n", 1),
        (b"---\n- a\n---\n", 2),
        (b"---\ntitle: a\ntitle: b\n---\nx", 3),
        (b"---\na: &x [1]\nb: *x\n---\n", 2),
        (b"---\ntitle: \xff\xfe\n---\n", 2),
        (b"---\ntitle: 'a\n---\nx\n", 3),
        (b"---\n? [a]\n: b\n---\n", 2),
        (b"---\ntitle: !!python/object/apply:os.system ['true']\n---\n", 2),
        (b"\0" * 100, 1),
    ],
)
def test_no_bytes_whatever_stop_the_sync(small_library, folder, raw, line):
    put(folder, "好.md")
    (folder / "坏.md").write_bytes(raw)
    report = small_library.folder.run(folder)
    assert report.added == ["好.md"]
    assert report.faults[0].place.split(" ")[0] == f"坏.md:{line}", faults(report)


def test_a_faulty_change_leaves_the_material_as_it_was(small_library, folder):
    put(folder)
    small_library.folder.run(folder)
    before = only(small_library)
    path = put(folder, body="{{ oops }}\n")
    text = path.read_text()
    assert len(small_library.folder.run(folder).faults) == 1
    assert only(small_library) == before
    assert path.read_text() == text


def test_links_out_of_the_folder_are_not_followed(small_library, folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    put(outside, "geheim.md")
    (outside / "x.png").write_bytes(make_png(2, 2))
    os.symlink(outside, folder / "link")
    os.symlink(outside / "geheim.md", folder / "link.md")
    os.symlink(outside / "x.png", folder / "母婴" / "images" / "x.png")
    put(folder, body="一\n![图](images/x.png)\n")
    report = small_library.folder.run(folder)
    assert report.added == []
    assert [fault.place.split(":")[0] for fault in report.faults] == ["link.md", "母婴/睡袋.md"]


def test_other_files_are_left_alone(small_library, folder):
    for name in (
        "README.md",
        "母婴/readme.md",
        "columns/早报.md",
        ".git/x.md",
        "母婴/睡袋.conflict.md",
        "a.txt",
    ):
        put(folder, name)
    report = small_library.folder.run(folder)
    assert (report.added, report.faults) == ([], [])


def test_a_folder_that_is_suddenly_empty_retires_nothing(small_library, folder):
    for number in range(5):
        put(folder, f"{number}.md", title=f"标题{number}")
    small_library.folder.run(folder)
    for number in range(5):
        (folder / f"{number}.md").unlink()
    with pytest.raises(Conflict):
        small_library.folder.run(folder)
    assert small_library.search.find(Filters(state=("approved",))).total == 5
    with pytest.raises(NotFound):
        small_library.folder.run(folder / "nirgends")


def test_a_file_takes_its_approval_back(small_library, folder):
    put(folder)
    small_library.folder.run(folder)
    put(folder, state="draft")
    small_library.folder.run(folder)
    assert (only(small_library).state, only(small_library).in_use) == ("draft", False)


def test_an_offer_that_is_over_is_loaded_and_stays_where_it_is(small_library, folder):
    put(folder, valid_until="2020-01-31", valid_from="2020-01-01")
    assert not small_library.folder.run(folder).faults
    (candidate,) = small_library.materials.candidates()
    assert candidate.usable_until == utc(2020, 1, 31, 16)


def test_progress_is_told(small_library, folder):
    for number in range(3):
        put(folder, f"{number}.md")
    told: list[tuple[int, int]] = []
    small_library.folder.run(folder, progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_the_shipped_library_loads_without_a_fault_and_is_not_touched(small_library, tmp_path):
    shipped = Path(__file__).parents[2] / "content_library"
    folder = tmp_path / "copy"
    shutil.copytree(shipped, folder)
    report = small_library.folder.run(folder)
    assert faults(report) == []
    assert len(report.added) >= 60
    assert report.written == []
    again = small_library.folder.run(folder)
    assert again.unchanged == len(report.added)
