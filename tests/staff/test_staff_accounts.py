"""Accounts: the first admin, names and passwords that are refused, and sessions on both databases."""

import threading

import pytest
from sqlalchemy import select

from lanmu.interfaces.errors import Conflict, Denied, Invalid
from lanmu.staff.models import LoginFailure, StaffSession
from lanmu.staff.passwords import check_password, hash_password, made_up_password
from lanmu.staff.service import StaffService, TooManyTries, network_of
from lanmu.staff.tokens import TokenService
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock

GOOD = "a password for testing alone"


@pytest.fixture
def staff(database: Database, clock: FakeClock) -> StaffService:
    return StaffService(database, clock)


def test_the_first_admin_gets_a_password_for_once_and_there_is_no_second_first(staff: StaffService):
    password = staff.ensure_admin("管理员")
    assert password is not None
    assert len(password) == 19
    assert staff.ensure_admin("管理员") is None
    _cookie, who = staff.login("admin", password, "127.0.0.1")
    assert (who.must_change_password, who.roles, who.name) == (True, ("admin",), "管理员")


def test_two_made_up_passwords_are_never_alike():
    assert len({made_up_password() for _index in range(200)}) == 200


@pytest.mark.parametrize("name", ["", " ", "a b", "名字", "x" * 61, "é"])
def test_a_name_that_is_none_is_refused(staff: StaffService, name: str):
    with pytest.raises(Invalid, match="username"):
        staff.create(name, "x", GOOD, ["admin"])


@pytest.mark.parametrize("password", ["", "short", "x" * 200, "aaaaaaaaaaaaaaaa", "ababababababab"])
def test_a_password_that_is_none_is_refused(staff: StaffService, password: str):
    with pytest.raises(Invalid, match="password"):
        staff.create("li", "Li", password, ["admin"])


def test_a_name_is_taken_once_whatever_its_capitals(staff: StaffService):
    staff.create("li", "Li", GOOD, ["editor"])
    with pytest.raises(Conflict):
        staff.create(" LI ", "Li", GOOD, ["editor"])
    assert staff.login("Li", GOOD, "::1")[1].username == "li"
    with pytest.raises(Invalid, match="emperor"):
        staff.create("wang", "Wang", GOOD, ["emperor"])


def test_a_password_is_stored_as_a_slow_hash_alone(staff: StaffService):
    stored = hash_password(GOOD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert hash_password(GOOD) != stored
    assert check_password(stored, GOOD)
    for wrong in ("", GOOD + " ", GOOD.upper()):
        assert not check_password(stored, wrong)
    assert not check_password(None, GOOD)
    assert not check_password("no hash", GOOD)


def test_a_cookie_is_stored_as_a_hash_alone(staff: StaffService, database: Database):
    staff.create("li", "Li", GOOD, ["editor"])
    cookie, _who = staff.login("li", GOOD, "127.0.0.1")
    with database.read() as session:
        (row,) = session.scalars(select(StaffSession)).all()
    assert cookie not in (row.token_hash, row.csrf)
    assert staff.signed_in(cookie) is not None
    for forged in (row.token_hash, "", cookie[:-1], cookie + "x"):
        assert staff.signed_in(forged) is None


def test_many_who_sign_in_at_once_have_five_sessions(staff: StaffService, database: Database):
    staff.create("li", "Li", GOOD, ["editor"])
    threads = [threading.Thread(target=staff.login, args=("li", GOOD, "127.0.0.1")) for _index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    staff.login("li", GOOD, "127.0.0.1")
    with database.read() as session:
        assert len(session.scalars(select(StaffSession)).all()) == 5


def test_failures_are_forgotten_after_an_hour(staff: StaffService, database: Database, clock: FakeClock):
    from datetime import timedelta

    for number in range(5):
        with pytest.raises(Denied):
            staff.login(f"name{number}", "wrong", "192.0.2.1")
    clock.advance(timedelta(hours=1, seconds=1))
    with pytest.raises(Denied):
        staff.login("another", "wrong", "192.0.2.1")
    with database.read() as session:
        assert len(session.scalars(select(LoginFailure)).all()) == 1


def test_the_right_password_clears_the_count(staff: StaffService):
    staff.create("li", "Li", GOOD, ["editor"])
    for _time in range(3):
        for _failure in range(4):
            with pytest.raises(Denied):
                staff.login("li", "wrong", "192.0.2.1")
        staff.login("li", GOOD, "192.0.2.1")
    for _failure in range(5):
        with pytest.raises(Denied):
            staff.login("li", "wrong", "192.0.2.1")
    with pytest.raises(TooManyTries):
        staff.login("li", GOOD, "192.0.2.200")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_addresses_are_counted_by_their_network(address: str, network: str):
    assert network_of(address) == network


def test_the_first_admin_of_two_processes_that_start_at_once_has_one_password(
    staff: StaffService, monkeypatch: pytest.MonkeyPatch
):
    told: list[str | None] = []

    def while_another_starts() -> str:
        monkeypatch.undo()
        told.append(staff.ensure_admin("Admin"))
        return made_up_password()

    monkeypatch.setattr("lanmu.staff.service.made_up_password", while_another_starts)
    told.append(staff.ensure_admin("Admin"))
    assert [bool(each) for each in told] == [True, False]
    assert staff.login("admin", str(told[0]), "127.0.0.1")


def test_whoever_has_left_is_signed_out_and_let_in_no_more_until_reopened(
    staff: StaffService, database: Database, clock: FakeClock
):
    staff.create("boss", "Boss", GOOD, ["admin"])
    staff.create("mei", "梅", GOOD, ["editor"])
    cookie, _who = staff.login("mei", GOOD, "127.0.0.1")
    tokens = TokenService(database, clock)
    token = tokens.create("mei", "t", ["content:read"])
    staff.close("mei")
    assert staff.signed_in(cookie) is None
    assert tokens.recognise(token) is None
    with pytest.raises(Denied):
        staff.login("mei", GOOD, "127.0.0.1")
    assert [each.username for each in staff.everybody()] == ["boss"]
    assert staff.names() == {"boss": "Boss", "mei": "梅"}
    staff.reopen("mei")
    assert staff.signed_in(cookie) is None, "an ended session stays ended"
    assert tokens.recognise(token) is not None
    assert staff.login("mei", GOOD, "127.0.0.1")[1].name == "梅"


def test_other_roles_hold_at_once(staff: StaffService):
    staff.create("mei", "梅", GOOD, ["editor"])
    cookie, _who = staff.login("mei", GOOD, "127.0.0.1")
    staff.set_roles("mei", ["reviewer"])
    now = staff.signed_in(cookie)
    assert now is not None
    assert (now.roles, now.may("content.approve"), now.may("content.edit")) == (("reviewer",), True, False)
    with pytest.raises(Invalid, match="king"):
        staff.set_roles("mei", ["king"])
    for wrong in (staff.close, staff.reopen):
        with pytest.raises(Invalid, match="nobody"):
            wrong("nobody")


def test_the_last_administrator_stays(staff: StaffService):
    staff.create("boss", "Boss", GOOD, ["admin"])
    staff.create("mei", "梅", GOOD, ["editor", "admin"])
    staff.close("mei")
    for leave in (lambda: staff.close("boss"), lambda: staff.set_roles("boss", ["editor"])):
        with pytest.raises(Conflict, match="only administrator"):
            leave()
    staff.reopen("mei")
    staff.set_roles("boss", ["editor"])
    staff.close("boss")
    assert [each.username for each in staff.everybody()] == ["mei"]
