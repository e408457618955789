"""What a worker does before anything is due changes nothing, and leaves no statement to be compiled."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

if TYPE_CHECKING:
    from tests.delivery.conftest import Room


def test_warming_up_moves_nothing(room: "Room") -> None:
    push = room.send("g1", "g2")
    before = [vars(room.unit(push)) | {"_sa_instance_state": None}]
    room.dispatcher().warm_up()
    assert [vars(room.unit(push)) | {"_sa_instance_state": None}] == before
    assert room.target_states(push) == {"g1": "planned", "g2": "planned"}
    assert room.attempts(push) == []
    assert room.push(push).state == "scheduled"


def test_the_statements_of_a_message_are_known_after_a_warm_up(room: "Room") -> None:
    known = _texts(room.database.engine, room.dispatcher().warm_up)
    room.send("g1")
    used = _texts(room.database.engine, room.run)
    kinds = ("UPDATE unit", "UPDATE target", "UPDATE attempt")
    moving = {text for text in used if text.startswith(kinds) and "unit.fence +" not in text}  # not the claim
    assert len(moving) == 4
    assert moving <= known


def _texts(engine: Engine, work: Callable[[], object]) -> set[str]:
    """The statements that some work runs."""
    seen: set[str] = set()

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.add(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return seen
