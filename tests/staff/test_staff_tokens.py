"""API tokens: what is remembered of one that was just recognised ends with its revocation."""

from sqlalchemy import event
from tests.interleaving import between_the_steps_of

from lanmu.staff.service import StaffService
from lanmu.staff.tokens import TokenService
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock


def test_a_token_that_is_revoked_while_it_is_recognised_is_not_remembered(
    sqlite_database: Database, clock: FakeClock
):
    """Who revokes a token is told that it is dead; a request just under way must not keep it alive."""
    StaffService(sqlite_database, clock).create("li", "Li", "a password for testing alone", ["editor"])
    tokens = TokenService(sqlite_database, clock)
    token = tokens.create("li", "erp", ["content:read"])
    read: list[str] = []
    revoked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "FROM api_token" in statement:
            read.append(statement)

    def revoke() -> None:
        if read and not revoked:
            revoked.append(token)
            tokens.revoke(token.split("_")[1])

    event.listen(sqlite_database.engine, "after_cursor_execute", note)
    with between_the_steps_of(TokenService.recognise, revoke):
        assert tokens.recognise(token) is not None, "it was alive when it was looked up"
    assert revoked
    assert tokens.recognise(token) is None
