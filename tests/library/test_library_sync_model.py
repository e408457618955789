"""Whatever people do to files and in the console, in any order, a sync loses no text and comes to rest."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy import select

from lanmu.library.models import Material, Revision, SyncedFile
from lanmu.library.search import Filters
from lanmu.library.service import Library
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock

FILE = """\
---
title: 标题
class: engagement
kind: industry_insight
zone: knowledge
genre: guide
topic: 睡眠
form: text
month: 2026-11
tags: [{tag}]
owner: 周敏
reviewer: 林晓
state: {state}
---
{text}
"""
NAMES = ("甲.md", "夹/乙.md")
names = st.sampled_from(NAMES)
picks = st.integers(0, 2)


@pytest.mark.parametrize("lives", [20, pytest.param(600, marks=pytest.mark.long)])
def test_no_order_of_edits_loses_a_text(sqlite_template, tmp_path, lives):
    class TwoSides(RuleBasedStateMachine):
        """Each text that anybody writes is a number of its own, so that it can be looked for."""

        def __init__(self) -> None:
            super().__init__()
            self.home = Path(tempfile.mkdtemp(dir=tmp_path))
            shutil.copy(sqlite_template, self.home / "lanmu.db")
            self.folder = self.home / "content"
            self.folder.mkdir()
            self.database = Database(f"sqlite:///{self.home}/lanmu.db")
            self.library = Library(self.database, FakeClock(), self.home / "data")
            self.library.seed()
            self.written = 0

        @initialize()
        def begin(self) -> None:
            for name in NAMES:
                self.write_file(name, "approved", "a")
            self.sync()

        def teardown(self) -> None:
            self.sync()
            self.database.close()

        def text(self) -> str:
            self.written += 1
            return f"文字{self.written}号"

        def material(self, pick):
            rows = self.library.search.find(Filters()).items
            return self.library.materials.get(rows[pick % len(rows)].id) if rows else None

        @rule(
            name=names,
            state=st.sampled_from(["draft", "in_review", "approved", "retired"]),
            tag=st.sampled_from("ab"),
        )
        def write_file(self, name, state, tag):
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(FILE.format(state=state, tag=tag, text=self.text()))

        @rule(name=names, tag=st.sampled_from("abc"))
        def retag_file(self, name, tag):
            path = self.folder / name
            if path.exists():
                lines = [
                    f"tags: [{tag}]" if line.startswith("tags:") else line
                    for line in path.read_text().split("\n")
                ]
                path.write_text("\n".join(lines))

        @rule(name=names)
        def break_file(self, name):
            path = self.folder / name
            if path.exists():
                path.write_text(path.read_text() + "{{ oops }}")

        @rule(name=names)
        def delete_file(self, name):
            (self.folder / name).unlink(missing_ok=True)

        @rule(name=names, other=names)
        def move_file(self, name, other):
            path, target = self.folder / name, self.folder / other
            if path.exists() and not target.exists():
                target.parent.mkdir(exist_ok=True)
                path.rename(target)

        @rule(pick=picks)
        def edit(self, pick):
            found = self.material(pick)
            if found is not None and found.state != "retired":
                self.library.materials.edit(
                    found.id, replace(found.content, body=self.text()), found.lock, "何川"
                )

        @rule(name=names, pick=picks)
        def write_on_both_sides(self, name, pick):
            self.write_file(name, "approved", "a")
            self.edit(pick)

        @rule(name=names, pick=picks)
        def delete_and_edit(self, name, pick):
            self.delete_file(name)
            self.edit(pick)

        @rule(pick=picks)
        def decide(self, pick):
            found = self.material(pick)
            if found is None:
                return
            if found.state == "draft":
                self.library.reviews.submit(found.id)
            elif found.state == "in_review":
                self.library.reviews.approve(found.id, found.revision, "许言")
            elif found.state == "approved":
                self.library.reviews.retire(found.id, "过季")
            else:
                self.library.reviews.restore(found.id)

        @rule()
        def create(self):
            found = self.material(0)
            if found is not None:
                self.library.materials.create(replace(found.content, body=self.text()), "何川")

        @rule()
        def sync(self):
            before, in_console = self.in_files(), self.in_console()
            report = self.library.folder.run(self.folder)
            broken = {fault.place.split(":")[0] for fault in report.faults}
            kept = self.in_revisions()
            for path, text in before.items():
                if path in broken:
                    assert self.in_files()[path] == text, "a faulty file must stay as it is"
                elif ".conflict" not in path:
                    assert any(body in text for body in kept), f"lost: {text}"
            for path in report.conflicts:
                assert any(in_console[path] in text for text in self.in_files().values()), "not laid down"
            again = self.library.folder.run(self.folder)
            done = (again.added, again.changed, again.moved, again.retired, again.written, again.conflicts)
            assert not any(done), done
            self.both_sides_agree(broken)

        def both_sides_agree(self, broken):
            for row in self.library.search.find(
                Filters(state=("draft", "in_review", "approved")), limit=200
            ).items:
                body = self.library.materials.get(row.id).content.body
                shown = [path for path, text in self.in_files().items() if f"---\n{body}\n" in text]
                assert shown or broken, f"in use and in no file: {body}"

        def in_files(self):
            found = {}
            for path in sorted(self.folder.rglob("*.md")):
                found[path.relative_to(self.folder).as_posix()] = path.read_text()
            return found

        def in_console(self):
            with self.database.read() as session:
                return {
                    path: session.get_one(Revision, material.current_revision_id).body
                    for path, material in session.execute(
                        select(SyncedFile.path, Material).join(
                            Material, Material.id == SyncedFile.material_id
                        )
                    )
                }

        def in_revisions(self):
            with self.database.read() as session:
                return set(session.scalars(select(Revision.body)))

    run_state_machine_as_test(
        TwoSides,
        settings=settings(
            max_examples=lives, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
