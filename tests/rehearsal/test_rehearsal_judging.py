"""What a rehearsal takes for an explanation, and for whom it is played."""

from datetime import UTC, datetime, time, timedelta
from itertools import permutations
from zoneinfo import ZoneInfo

from lanmu.interfaces.clock import utc
from lanmu.rehearsal.comparing import Comparison, Kind, Place, Rules, Sent, Word, compare
from lanmu.rehearsal.people import FAR_ZONES, Profile, cast, takes
from lanmu.schedule.columns import ColumnDraft, ColumnView, SlotDraft, Targets

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON, NIGHT, MORNING = utc(2026, 12, 1, 4), utc(2026, 12, 1, 15), utc(2026, 12, 2, 0)
RULES = Rules(SHANGHAI, (time(22), time(8)), {"v1": SHANGHAI}, {}, {"v1": 8})


def _judged(due: datetime, sent: datetime | None, *words: Word) -> Comparison:
    place = Place("col_1", "v1", due)
    return compare({place}, [Sent(place, sent)] if sent else [], {place: words}, RULES)


def _quiet(at: datetime, until: datetime | None) -> Word:
    return Word(at, "quiet", "quiet hours", until)


def test_what_quiet_hours_held_and_let_go_is_kept_and_no_fault():
    done = _judged(NIGHT, MORNING, _quiet(NIGHT, MORNING))
    assert done.green
    assert list(done.kept.values()) == ["quiet hours"]


def test_a_wait_that_never_ended_explains_nothing():
    assert [fault.kind for fault in _judged(NIGHT, None, _quiet(NIGHT, MORNING)).faults] == [Kind.MISSING]


def test_quiet_hours_at_noon_excuse_no_delay():
    done = _judged(NOON, NOON + timedelta(hours=2), _quiet(NOON, NOON + timedelta(hours=2)))
    assert [fault.kind for fault in done.faults] == [Kind.LATE]


def test_what_comes_long_after_its_wait_was_over_is_late():
    done = _judged(NIGHT, MORNING + timedelta(hours=1), _quiet(NIGHT, MORNING))
    assert [fault.kind for fault in done.faults] == [Kind.LATE]


def test_a_message_to_nobody_of_ours_is_wrong_and_does_not_stop_the_comparison():
    done = compare(set(), [Sent(Place("col_1", "stranger", NOON), NOON)], {}, RULES)
    assert [fault.kind for fault in done.faults] == [Kind.WRONG]


def _column(number: int, *stages: str) -> ColumnView:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    draft = ColumnDraft(
        f"栏目{number}", "fake.channel", (SlotDraft("daily", "20:00"),), targets=Targets(stages=stages)
    )
    return ColumnView(f"col_{number}", number, draft, 1, now, now)


def test_each_column_has_recipients_in_far_zones_and_one_who_leaves_though_it_shares_some_with_others():
    here = frozenset({"fake.channel"})
    real = [Profile("general", stage, "Asia/Shanghai", channels=here) for stage in ("new", "loyal", "mature")]
    columns = [_column(1, "new", "mature"), _column(2, "loyal", "mature"), _column(3, "mature"), _column(4)]
    for order in permutations(real):
        found = cast(columns, order, 2, "Asia/Shanghai")
        for column in columns:
            mine = [one for one in found if takes(column, one.profile)]
            assert set(FAR_ZONES) <= {one.profile.zone for one in mine if not one.leaves}
            assert any(one.leaves for one in mine)


def test_a_stage_that_no_community_is_at_is_played_too():
    found = cast([_column(1, "mature", "loyal")], [], 4, "Asia/Shanghai")
    assert {one.profile.stage for one in found} == {"mature", "loyal"}
