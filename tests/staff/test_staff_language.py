"""Which language somebody chose; that nobody chose one is known, also of accounts made before it was."""

import pytest
from sqlalchemy import text

from lanmu.interfaces.errors import Invalid
from lanmu.staff.service import StaffService
from lanmu.storage import Database
from lanmu.storage.migrate import CORE, upgrade
from lanmu.testing.clock import FakeClock

GOOD = "a password for testing alone"


@pytest.fixture
def staff(database: Database, clock: FakeClock) -> StaffService:
    return StaffService(database, clock)


def test_a_new_account_has_chosen_no_language(staff: StaffService):
    who = staff.create("li", "Li", GOOD, ["editor"])
    assert who.locale == ""
    staff.set_locale(who, "zh-CN")
    assert staff.everybody()[0].locale == "zh-CN"
    with pytest.raises(Invalid, match="locale"):
        staff.set_locale(who, "")


def test_accounts_from_before_are_taken_to_have_chosen_only_what_was_not_given_to_all(
    staff: StaffService, database: Database
):
    for name, had in (("li", "zh-CN"), ("wang", "en")):
        staff.set_locale(staff.create(name, name, GOOD, ["editor"]), had)
    with database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE worker DROP COLUMN channels"))  # of 0013, which comes again
        connection.execute(text("UPDATE alembic_version SET version_num = '0011'"))
    upgrade(database, CORE)
    assert [each.locale for each in staff.everybody()] == ["", "en"]
