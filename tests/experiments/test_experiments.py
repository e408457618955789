"""Wordings side by side: reviewed before they go, and each community gets always the same one."""

from collections import Counter
from datetime import timedelta

import pytest
from tests.shop import AUTHOR, REVIEWER, Shop

from lanmu.experiments.assignment import arm_of
from lanmu.interfaces.errors import Conflict, Denied, Faults, Invalid, NotFound
from lanmu.library.content import Licence
from lanmu.library.review import Criteria
from lanmu.library.views import MaterialView

WRITER = "zhao"


@pytest.fixture
def material(shop: Shop) -> MaterialView:
    return shop.material(body="原来的话。")


def put_to_the_test(shop: Shop, material: MaterialView, *others: str) -> None:
    """A running test of the material's own text and others."""
    for body in others:
        kept = shop.experiments.accept(material.id, body, WRITER, generator="rules")
        shop.library.variants.approve(material.id, kept.arms[-1].revision, REVIEWER)
    shop.experiments.start(material.id)


def test_an_accepted_text_becomes_an_arm_beside_the_materials_own(shop: Shop, material: MaterialView):
    assert shop.experiments.of(material.id) is None
    kept = shop.experiments.accept(material.id, "另一种说法。", WRITER, generator="rules")
    assert kept.state == "draft"
    own, other = kept.arms
    assert (own.key, own.own, own.approved, own.body) == ("A", True, True, "原来的话。")
    assert (other.key, other.own, other.approved, other.body) == ("B", False, False, "另一种说法。")
    assert (other.author, other.generator) == (WRITER, "rules")
    assert shop.experiments.of(material.id) == kept
    unchanged = shop.library.materials.get(material.id)
    assert (unchanged.content, unchanged.state, unchanged.approved_number) == (
        material.content,
        "approved",
        material.approved_number,
    )
    with pytest.raises(Conflict):  # not even by a mistake of a room above
        shop.library.materials.snapshot(_revision_key(shop, material, other.revision))


def test_who_wrote_a_version_does_not_review_it(shop: Shop, material: MaterialView):
    number = shop.experiments.accept(material.id, "另一种说法。", WRITER).arms[1].revision
    with pytest.raises(Denied):
        shop.library.variants.approve(material.id, number, WRITER)
    with pytest.raises(Invalid):
        shop.library.variants.approve(material.id, number, REVIEWER, Criteria(True, True, False))
    with pytest.raises(NotFound):
        shop.library.variants.approve(material.id, 99, REVIEWER)
    kept = shop.experiments.of(material.id)
    assert kept is not None
    assert not kept.arms[1].approved
    shop.library.variants.approve(material.id, number, REVIEWER)
    kept = shop.experiments.of(material.id)
    assert kept is not None
    assert kept.arms[1].approved


def test_a_version_lacks_what_a_material_may_not_lack(shop: Shop, material: MaterialView):
    """Its licence ran out between the material's approval and the version's."""
    today = shop.clock.now().date()
    licensed = shop.material(origin="reprint", licence=Licence("https://example.com/a", "某报", today))
    number = shop.experiments.accept(licensed.id, "转述。", WRITER).arms[1].revision
    shop.clock.advance(timedelta(days=2))
    with pytest.raises(Faults):
        shop.library.variants.approve(licensed.id, number, REVIEWER)


def test_a_test_starts_with_two_approved_versions(shop: Shop, material: MaterialView):
    with pytest.raises(NotFound):
        shop.experiments.start(material.id)
    number = shop.experiments.accept(material.id, "另一种说法。", WRITER).arms[1].revision
    with pytest.raises(Conflict):
        shop.experiments.start(material.id)
    kept = shop.experiments.of(material.id)
    assert kept is not None
    assert [arm.key for arm in kept.arms] == ["A", "B"]  # the refusal takes nothing out
    shop.library.variants.approve(material.id, number, REVIEWER)
    started = shop.experiments.start(material.id)
    assert started.state == "running"
    assert shop.experiments.start(material.id) == started


def test_what_is_not_approved_at_the_start_stays_out(shop: Shop, material: MaterialView):
    put_to_the_test(shop, material, "第二种。")
    shop.experiments.stop(material.id)
    for body in ("第三种。", "第四种。"):
        kept = shop.experiments.accept(material.id, body, WRITER)
    shop.library.variants.approve(material.id, kept.arms[1].revision, REVIEWER)
    late = kept.arms[2].revision
    assert [arm.key for arm in shop.experiments.start(material.id).arms] == ["A", "B"]
    shop.library.variants.approve(material.id, late, REVIEWER)
    with shop.database.read() as session:
        running = shop.experiments.running(session, [material.key])[material.key]
    assert sorted(running.revisions) == ["A", "B"]
    assert shop.library.materials.revision(material.id, late).content.body == "第四种。"


def test_nothing_is_added_to_a_running_test(shop: Shop, material: MaterialView):
    put_to_the_test(shop, material, "另一种说法。")
    revisions = len(shop.library.materials.revisions(material.id))
    with pytest.raises(Conflict):
        shop.experiments.accept(material.id, "第三种说法。", WRITER)
    assert len(shop.library.materials.revisions(material.id)) == revisions


def test_a_test_holds_six_versions_and_none_twice(shop: Shop, material: MaterialView):
    with pytest.raises(Conflict):
        shop.experiments.accept(material.id, "原来的话。", WRITER)
    assert shop.experiments.of(material.id) is None
    for number in range(5):
        shop.experiments.accept(material.id, f"第 {number} 种说法。", WRITER)
    with pytest.raises(Conflict):
        shop.experiments.accept(material.id, "第七种说法。", WRITER)


def test_material_without_an_approved_text_is_not_tested(shop: Shop, material: MaterialView):
    draft = shop.library.materials.create(shop.content(), AUTHOR)
    with pytest.raises(Conflict):
        shop.experiments.accept(draft.id, "另一种说法。", WRITER)
    assert shop.experiments.of(draft.id) is None
    shop.library.reviews.retire(material.id, "过季")
    with pytest.raises(Conflict):
        shop.experiments.accept(material.id, "另一种说法。", WRITER)
    with pytest.raises(NotFound):
        shop.experiments.accept("mat_nothing", "另一种说法。", WRITER)


def test_each_community_gets_its_wording_and_always_the_same(shop: Shop, material: MaterialView):
    bodies = ("第二种说法。", "第三种说法。")
    put_to_the_test(shop, material, *bodies)
    shop.communities(60)
    shop.column()
    shop.scheduling(horizon=timedelta(days=3)).plan_ahead()
    seen: dict[str, set[str]] = {}
    for _day in range(3):
        due = shop.all(state="planned")[0].due_at
        shop.to(due)
        assert shop.schedule.hand_over() == 60
        shop.clock.set(due)
        assert shop.dispatch() == 3
        for effect in shop.channel.effects[-3:]:
            for key in effect.request.targets:
                seen.setdefault(key, set()).add(effect.text)
    assert len(seen) == 60
    assert all(len(texts) == 1 for texts in seen.values())
    spread = Counter(text for texts in seen.values() for text in texts)
    assert set(spread) == {"原来的话。", *bodies}
    assert max(spread.values()) < 40
    assert {push.state for push in shop.pushes()} == {"finished"}


def test_a_version_whose_approval_is_taken_back_falls_out(shop: Shop, material: MaterialView):
    put_to_the_test(shop, material, "第二种说法。", "第三种说法。")

    def running() -> list[str]:
        with shop.database.read() as session:
            found = shop.experiments.running(session, [material.key])
        return sorted(found[material.key].revisions) if found else []

    assert running() == ["A", "B", "C"]
    for body, left in (("第二种说法。", ["A", "C"]), ("第三种说法。", [])):
        draft = shop.rewrite(material.id, body, approve=False)
        shop.library.reviews.submit(material.id)
        shop.library.reviews.reject(
            material.id, draft.revision, REVIEWER, Criteria(False, True, True), "不能这么说"
        )
        assert running() == left


def test_when_the_test_is_over_the_own_text_goes_again(shop: Shop, material: MaterialView):
    put_to_the_test(shop, material, "另一种说法。")
    shop.communities(12)
    shop.column()
    shop.schedule.plan_ahead()
    shop.to(shop.all()[0].due_at)
    shop.schedule.hand_over()
    assert len(shop.pushes()) == 2
    assert shop.experiments.stop(material.id).state == "stopped"
    assert shop.experiments.of(material.id) is None
    with pytest.raises(NotFound):
        shop.experiments.stop(material.id)
    shop.to(shop.all(state="planned")[0].due_at)
    shop.schedule.hand_over()
    assert len(shop.pushes()) == 3
    assert shop.pushes()[-1].revision_id == material.approved_revision_key


def test_a_corrected_text_goes_to_all_and_not_the_versions_of_the_old_one(shop: Shop, material: MaterialView):
    put_to_the_test(shop, material, "旧价格的另一种说法。")
    shop.communities(12)
    shop.column()
    corrected = shop.rewrite(material.id, "新价格。")
    shop.schedule.plan_ahead()
    shop.to(shop.all()[0].due_at)
    shop.schedule.hand_over()
    assert [push.revision_id for push in shop.pushes()] == [corrected.approved_revision_key]


def test_a_new_test_begins_with_the_text_as_it_is_approved_then(shop: Shop, material: MaterialView):
    kept = shop.experiments.accept(material.id, "另一种说法。", WRITER)
    shop.library.variants.approve(material.id, kept.arms[1].revision, REVIEWER)
    shop.rewrite(material.id, "改过的话。")
    assert [arm.body for arm in shop.experiments.start(material.id).arms] == ["改过的话。", "另一种说法。"]


def test_tests_of_many_materials_are_read_at_once(shop: Shop, material: MaterialView):
    put_to_the_test(shop, material, "另一种说法。")
    others = [shop.material().key for _ in range(5)]
    with shop.database.read() as session:
        session.connection()
        with shop.counting() as statements:
            assert list(shop.experiments.running(session, [material.key, *others])) == [material.key]
            assert shop.experiments.running(session, []) == {}
    assert len(statements) <= 6


def test_a_thousand_communities_are_spread_evenly_and_stay_when_an_arm_falls_out():
    before = {n: arm_of("salt", f"com_{n}", "ABC") for n in range(1000)}
    spread = Counter(before.values())
    assert all(283 <= spread[arm] <= 383 for arm in "ABC"), spread  # three and a third standard deviations
    after = {n: arm_of("salt", f"com_{n}", "AC") for n in before}
    assert all(after[n] == arm for n, arm in before.items() if arm != "B")
    assert before == {n: arm_of("salt", f"com_{n}", "CBA") for n in before}
    assert before != {n: arm_of("pepper", f"com_{n}", "ABC") for n in before}


def _revision_key(shop: Shop, material: MaterialView, number: int) -> int:
    return shop.library.materials.revision(material.id, number).id
