"""Review: who may approve what, and what must be there for it."""

import pytest

from lanmu.interfaces.clock import utc
from lanmu.interfaces.errors import Conflict, Denied, Faults, Invalid
from lanmu.interfaces.events import MaterialApproved
from lanmu.library.content import Licence
from lanmu.library.review import MET, Criteria
from lanmu.library.service import Library

DULL = Criteria(compliance=True, relevance=True, appeal=False)


def handed_in(library, content, by="周敏"):
    made = library.materials.create(content, by)
    return library.reviews.submit(made.id)


def test_the_way_from_draft_to_approved_and_out_of_use(library, content):
    made = handed_in(library, content())
    assert made.state == "in_review"
    approved = library.reviews.approve(made.id, 1, "林晓", MET, "好")
    assert (approved.state, approved.approved_number, approved.in_use) == ("approved", 1, True)
    (review,) = approved.reviews
    assert (review.reviewer, review.approved, review.appeal, review.comment) == ("林晓", True, True, "好")
    retired = library.reviews.retire(made.id, "过季")
    assert (retired.state, retired.retired_reason, retired.in_use) == ("retired", "过季", False)
    with pytest.raises(Conflict):
        library.materials.edit(made.id, content(body="新"), retired.lock, "周敏")
    assert library.reviews.restore(made.id).state == "approved"


def test_nobody_approves_what_they_wrote(library, content):
    made = handed_in(library, content())
    with pytest.raises(Denied):
        library.reviews.approve(made.id, 1, "周敏")
    assert library.materials.get(made.id).state == "in_review"


def test_a_shop_of_one_may_allow_it(sqlite_database, clock, tmp_path, content):
    library = Library(sqlite_database, clock, tmp_path, solo_approval=True)
    library.seed()
    made = handed_in(library, content())
    assert library.reviews.approve(made.id, 1, "周敏").state == "approved"


def test_every_criterion_must_be_met(library, content):
    made = handed_in(library, content())
    with pytest.raises(Invalid):
        library.reviews.approve(made.id, 1, "林晓", DULL)
    with pytest.raises(Invalid):
        library.reviews.reject(made.id, 1, "林晓", DULL, "  ")
    back = library.reviews.reject(made.id, 1, "林晓", DULL, "开头太平")
    assert (back.state, back.reviews[0].approved, back.reviews[0].comment) == ("draft", False, "开头太平")


def test_a_reviewer_decides_on_what_they_have_read(library, content):
    made = handed_in(library, content())
    library.materials.edit(made.id, content(body="改了"), made.lock, "周敏")
    library.reviews.submit(made.id)
    with pytest.raises(Conflict):
        library.reviews.approve(made.id, 1, "林晓")
    assert library.reviews.approve(made.id, 2, "林晓").approved_number == 2


def test_an_edit_takes_a_material_out_of_review(library, content):
    made = handed_in(library, content())
    assert library.materials.edit(made.id, content(body="改了"), made.lock, "周敏").state == "draft"
    with pytest.raises(Conflict):
        library.reviews.approve(made.id, 2, "林晓")


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ({"origin": "reprint"}, ["licence.source", "licence.licensor", "licence.until"]),
        ({"origin": "reprint", "licence": Licence("https://e.org", "慢学")}, ["licence.until"]),
        (
            {"origin": "reprint", "licence": Licence("https://e.org", "慢学", utc(2026, 11, 22).date())},
            ["licence.until"],
        ),
        ({"origin": "ugc"}, ["consent"]),
        ({"zone": "ugc", "genre": "praise_screenshot"}, ["consent"]),
        ({"zone": "activity", "genre": "live_preview"}, ["valid_until"]),
        ({"content_class": "conversion", "kind": "limited_offer"}, ["valid_until"]),
        ({"valid_until": utc(2026, 11, 23)}, ["valid_until"]),
        ({"form": "poster"}, ["attachments"]),
        (
            {"origin": "ugc", "zone": "activity", "genre": "live_preview", "form": "poster"},
            ["consent", "valid_until", "attachments"],
        ),
    ],
)
def test_what_a_material_still_lacks_is_told_all_at_once(small_library, content, changes, places):
    made = small_library.materials.create(content(**changes), "周敏")
    with pytest.raises(Faults) as raised:
        small_library.reviews.submit(made.id)
    assert [fault.place for fault in raised.value.faults] == places
    assert all(fault.way_out for fault in raised.value.faults)


def test_a_question_to_users_needs_nobodys_consent(small_library, content):
    assert (
        handed_in(small_library, content(zone="ugc", genre="interaction_topic", form="topic")).state
        == "in_review"
    )


def test_what_ran_out_while_it_waited_is_not_approved(small_library, content, clock):
    made = handed_in(small_library, content(valid_until=utc(2026, 11, 24)))
    clock.set(utc(2026, 11, 24))
    with pytest.raises(Faults):
        small_library.reviews.approve(made.id, 1, "林晓")


def test_an_approval_is_told_after_it_is_kept(sqlite_database, clock, tmp_path, content):
    heard: list[MaterialApproved] = []

    def listen(event: MaterialApproved) -> None:
        assert library.materials.get(event.material).state == "approved"
        heard.append(event)

    library = Library(sqlite_database, clock, tmp_path, approved=listen)
    library.seed()
    made = handed_in(library, content())
    library.reviews.approve(made.id, 1, "林晓")
    assert heard == [MaterialApproved(made.id, 1, "林晓", clock.now())]


def test_retiring_needs_a_reason_and_may_be_done_twice(library, content):
    made = library.materials.create(content(), "周敏")
    with pytest.raises(Invalid):
        library.reviews.retire(made.id, " ")
    library.reviews.retire(made.id, "过季")
    assert library.reviews.retire(made.id, "再次").retired_reason == "过季"
    assert library.reviews.restore(made.id).state == "draft"
