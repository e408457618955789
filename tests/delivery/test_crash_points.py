"""Crash points cost nothing and do nothing unless two switches are on, and then die where they are told."""

import pytest

from lanmu.delivery import crash_points
from lanmu.delivery.crash_points import NAMES, armed


class Killed(BaseException):
    pass


def kill():
    raise Killed


def test_a_name_alone_kills_nobody():
    reach = armed({"LANMU_CRASH_AT": "after_intent"}, kill)
    for name in NAMES:
        reach(name)
    assert crash_points.reach is crash_points._nothing, "off in every process that nobody wants dead"


def test_the_process_dies_at_the_named_point_and_at_no_other():
    reach = armed({"LANMU_CRASH_POINTS": "1", "LANMU_CRASH_AT": "after_intent"}, kill)
    for name in NAMES:
        if name != "after_intent":
            reach(name)
    with pytest.raises(Killed):
        reach("after_intent")


def test_a_count_lets_the_process_come_by_before_it_dies():
    reach = armed({"LANMU_CRASH_POINTS": "1", "LANMU_CRASH_AT": "before_record:3"}, kill)
    reach("before_record")
    reach("before_record")
    with pytest.raises(Killed):
        reach("before_record")


def test_a_name_that_is_none_is_told_with_those_there_are():
    with pytest.raises(ValueError, match="no crash point") as told:
        armed({"LANMU_CRASH_POINTS": "1", "LANMU_CRASH_AT": "after_lunch"}, kill)
    assert "after_intent" in str(told.value)


def test_every_point_is_a_place_in_the_code(pytestconfig):
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for path in (pytestconfig.rootpath / "core" / "lanmu" / "delivery").rglob("*.py")
        if path.name != "crash_points.py"
    )
    assert [name for name in NAMES if f'crash_points.reach("{name}")' not in code] == []
