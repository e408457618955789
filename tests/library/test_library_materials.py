"""Materials: written, changed by two at once, and taken by planner and delivery."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lanmu.interfaces.clock import utc
from lanmu.interfaces.errors import Conflict, Faults, Invalid, NotFound
from lanmu.library.content import Attachment, Licence
from lanmu.library.materials import EditConflict


def approved(library, content, by="林晓"):
    made = library.materials.create(content, content.owner)
    library.reviews.submit(made.id)
    return library.reviews.approve(made.id, made.revision, by)


def test_a_material_is_stored_as_it_was_written(library, content):
    given = content(valid_from=utc(2026, 11, 1), valid_until=utc(2026, 12, 1), body="一行\r\n两行 \r\n")
    made = library.materials.create(given, "周敏")
    found = library.materials.get(made.id)
    assert found == made
    assert found.content == replace(given, body="一行\n两行")
    assert (found.state, found.revision, found.lock, found.in_use) == ("draft", 1, 1, False)
    assert found.name == "202503 促活-育儿干货-短文"
    assert library.materials.by_key(found.key) == found


def test_every_fault_of_a_content_is_told_at_once(library, content):
    with pytest.raises(Faults) as raised:
        library.materials.create(
            content(
                title=" ",
                body="{{ x }}",
                content_class="fun",
                kind="hot",
                zone="attic",
                genre="x",
                form="opera",
                month="202513",
                origin="stolen",
                topic="t" * 61,
                owner="",
                tags=("a,b", "x" * 41),
                valid_from=utc(2026, 2, 1),
                valid_until=utc(2026, 1, 1),
            ),
            "周敏",
        )
    assert {fault.place for fault in raised.value.faults} == {
        "title", "body:1:1", "content_class", "kind", "zone", "genre", "form", "month", "origin", "topic",
        "owner", "tags", "valid_until",
    }  # fmt: skip


def test_a_kind_must_belong_to_its_class_and_a_genre_to_its_zone(library, content):
    with pytest.raises(Faults) as raised:
        library.materials.create(content(kind="limited_offer", genre="sticker"), "周敏")
    assert [fault.place for fault in raised.value.faults] == ["kind", "genre"]
    assert "industry_insight (行业干货)" in str(raised.value)


@pytest.mark.parametrize("sign", ["\0", "\ud800", "\x1b"])
def test_characters_that_no_database_takes_are_refused(library, content, sign):
    with pytest.raises(Faults):
        library.materials.create(content(body=f"好{sign}"), "周敏")


def test_an_edit_writes_a_revision_and_the_first_one_stays(library, content):
    made = library.materials.create(content(), "周敏")
    edited = library.materials.edit(made.id, content(title="新标题"), made.lock, "何川", note="改标题")
    assert (edited.content.title, edited.revision, edited.author) == ("新标题", 2, "何川")
    newest, first = library.materials.revisions(made.id)
    assert (newest.number, newest.note, first.content) == (2, "改标题", made.content)
    assert library.materials.revision(made.id, 1) == first


def test_saving_what_stands_already_changes_nothing(library, content):
    made = library.materials.create(content(), "周敏")
    assert library.materials.edit(made.id, made.content, made.lock, "何川") == made
    assert library.materials.edit(made.id, made.content, 99, "何川") == made


def test_of_two_who_save_at_once_the_second_is_told_and_loses_nothing(library, content):
    made = library.materials.create(content(), "周敏")
    library.materials.edit(made.id, content(body="林晓的话"), made.lock, "林晓")
    with pytest.raises(EditConflict) as raised:
        library.materials.edit(made.id, content(body="何川的话"), made.lock, "何川")
    assert "林晓" in str(raised.value)
    assert "何川" in str(raised.value)
    now = library.materials.get(made.id)
    assert (now.content.body, now.revision) == ("林晓的话", raised.value.newest)
    kept = library.materials.revision(made.id, raised.value.kept)
    assert (kept.content.body, kept.author, kept.conflict) == ("何川的话", "何川", True)
    later = library.materials.edit(made.id, content(body="两人的话"), now.lock, "何川")
    assert later.revision == 4


def test_only_what_sorts_a_material_may_change_without_a_new_review(library, content):
    made = approved(library, content())
    sorted_anew = library.materials.edit(
        made.id, content(tags=("母婴", "冬天"), topic="保暖"), made.lock, "周敏"
    )
    assert (sorted_anew.state, sorted_anew.approved_number) == ("approved", 2)
    rewritten = library.materials.edit(made.id, content(body="新的话"), sorted_anew.lock, "周敏")
    assert (rewritten.state, rewritten.approved_number, rewritten.in_use) == ("draft", 2, True)
    (candidate,) = library.materials.candidates()
    assert library.materials.snapshot(candidate.revision_key).body == content().body
    back = library.materials.edit(made.id, content(tags=("母婴",)), rewritten.lock, "周敏")
    assert (back.state, back.approved_number) == ("approved", 4)


def test_a_longer_validity_counts_only_once_it_is_approved(library, content):
    made = approved(library, content(valid_until=utc(2026, 12, 1)))
    library.materials.edit(made.id, content(valid_until=utc(2027, 12, 1)), made.lock, "周敏")
    (candidate,) = library.materials.candidates()
    assert candidate.usable_until == utc(2026, 12, 1)


def test_candidates_are_what_may_be_sent_with_all_that_a_planner_asks(library, content):
    library.materials.create(content(), "周敏")
    gone = approved(library, content())
    library.reviews.retire(gone.id, "过季")
    licence = Licence("https://example.org/a", "慢学札记", utc(2026, 12, 31).date())
    made = approved(library, content(origin="reprint", licence=licence, valid_from=utc(2026, 11, 1)))
    library.materials.set_weight(made.id, 150)
    (found,) = library.materials.candidates()
    assert (found.key, found.id, found.weight) == (made.key, made.id, 150)
    assert (found.content_class, found.kind, found.zone, found.form) == (
        "engagement", "industry_insight", "knowledge", "text",
    )  # fmt: skip
    assert found.tags == {"母婴", "0-1岁"}
    assert found.usable_from == utc(2026, 11, 1)
    assert found.usable_until == utc(2026, 12, 31, 16)  # the day ends in Shanghai


def test_a_snapshot_holds_all_that_goes_out(library, content, png):
    image = library.assets.store(png, "封面.png")
    made = approved(library, content(form="image", attachments=(Attachment(image.id, "封面"),)))
    shot = library.materials.snapshot(made.revision_key)
    assert (shot.title, shot.body, shot.number) == (made.content.title, made.content.body, 1)
    (asset,) = shot.assets
    assert (asset.name, asset.sha256, asset.path.read_bytes()) == ("封面.png", image.sha256, png)
    other = approved(library, content(form="image", attachments=(Attachment(image.id, "别的说明"),)))
    assert library.materials.snapshot(other.revision_key).content_hash != shot.content_hash


def test_a_snapshot_says_why_it_may_not_go_out(library, content, clock):
    made = approved(library, content(valid_from=utc(2026, 11, 24), valid_until=utc(2026, 11, 25)))
    shot = library.materials.snapshot(made.revision_key)
    assert shot.why_not(clock.now())
    assert not shot.why_not(utc(2026, 11, 24))
    assert shot.why_not(utc(2026, 11, 25))
    library.reviews.retire(made.id, "过季")
    assert library.materials.snapshot(made.revision_key).why_not(utc(2026, 11, 24))


def test_there_is_no_snapshot_of_what_nobody_approved(library, content):
    made = library.materials.create(content(), "周敏")
    with pytest.raises(Conflict):
        library.materials.snapshot(made.revision_key)
    with pytest.raises(NotFound):
        library.materials.snapshot(10_000)


def test_a_weight_has_bounds(small_library, content):
    made = small_library.materials.create(content(), "周敏")
    with pytest.raises(Invalid):
        small_library.materials.set_weight(made.id, -1)
    assert small_library.materials.set_weight(made.id, 0).weight == 0


def test_a_file_that_does_not_exist_cannot_be_attached(library, content):
    with pytest.raises(Invalid):
        library.materials.create(content(attachments=(Attachment("ast_nothere"),)), "周敏")
    assert library.materials.count() == 0


def test_what_is_not_there_is_said_so(library):
    with pytest.raises(NotFound):
        library.materials.get("mat_nothere")


def test_times_move_with_the_clock(small_library, content, clock):
    made = small_library.materials.create(content(), "周敏")
    clock.advance(timedelta(hours=1))
    edited = small_library.materials.edit(made.id, content(body="新"), made.lock, "周敏")
    assert (edited.created_at, edited.updated_at) == (made.created_at, clock.now())
