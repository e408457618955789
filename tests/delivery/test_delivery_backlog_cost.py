"""A batch reads few rows however much waits: on PostgreSQL, which chooses its plans by what it knows."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from lanmu.delivery.expansion import Expansion
from lanmu.delivery.sending.outcomes import Next
from lanmu.delivery.sending.queue import claim, intend
from lanmu.delivery.sending.recorded import Recorded
from lanmu.delivery.sending.recording import record
from lanmu.delivery.states import UnitState
from lanmu.interfaces.channels import Abilities, Observation, Request
from lanmu.storage import Database

LEASE = timedelta(minutes=1)
READ = text(
    "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
    " WHERE relname IN ('push', 'unit', 'target', 'attempt')"
)


def rows_read_for_a_batch(room, database: Database) -> int:
    """From claim to outcome, of four units that are due."""
    now = room.clock.now()
    with database.by_index.write() as session:
        before = session.scalar(READ)
        units = claim(session, now, "me", LEASE, 4)
        assert len(units) == 4
        requests = [(unit, Request("m", b"-", tuple(each.key for each in unit.targets))) for unit in units]
        assert len(intend(session, now, "me", LEASE, requests)) == 4
        seen = Observation(wrote=True)
        assert (
            len(record(session, now, [Recorded(unit, Next(UnitState.ACCEPTED), seen) for unit in units])) == 4
        )
        return int(session.scalar(READ) - before)


@pytest.mark.parametrize("counted", [True, False], ids=["sizes known", "sizes not known yet"])
def test_a_batch_reads_a_dozen_rows_a_message_however_much_waits_and_was_sent(
    make_room, postgres_database, counted
):
    room = make_room(postgres_database, abilities=Abilities(batch_max=1))
    room.send(*(f"g{number}" for number in range(400)))
    room.dispatcher(concurrency=100).run_due()
    room.send(*(f"g{number}" for number in range(4_000)))
    Expansion(postgres_database, room.clock).run()
    if counted:
        with postgres_database.engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE push, unit, target, attempt")
    assert rows_read_for_a_batch(room, postgres_database) <= 4 * 13
