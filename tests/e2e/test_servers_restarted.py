"""PostgreSQL and Valkey die while a push goes out: workers go on by themselves, and nobody has it twice."""

import signal
from collections.abc import Iterator
from functools import partial

import pytest
from tests.e2e.crowd import Crowd, health, live, log_of, said
from tests.e2e.installation import Lanmu, until
from tests.e2e.servers import Postgres, Valkey

pytestmark = pytest.mark.long
AWAY, BACK = "cannot be used; it is tried again", "can be used again"


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    server = Valkey()
    yield server
    server.kill()


@pytest.fixture
def on_valkey(bare_large: Lanmu, valkey_url: str, valkey: Valkey) -> Lanmu:
    """With a Valkey that may be killed."""
    bare_large.change(valkey_url, valkey.url)
    return bare_large


def test_a_database_killed_twice_while_a_push_goes_out_loses_nobody_and_gives_nobody_two(
    on_postgres: Lanmu, mortal: Postgres
):
    web = on_postgres.serve("--no-worker")
    workers = [on_postgres.worker(), on_postgres.worker()]
    crowd = Crowd(on_postgres, 300)
    crowd.gather()
    crowd.slow(0.4)
    crowd.push()
    for already, how in ((40, signal.SIGQUIT), (120, signal.SIGKILL)):
        until("some went out", partial(crowd.has_sent, already))
        assert crowd.out() < crowd.count, "it is killed while they go out"
        mortal.kill(how)
        assert health(on_postgres) == 503
        mortal.start()
        until("the web is well again", lambda: health(on_postgres) == 200)
    crowd.all_came()
    assert crowd.looked_up() == 0, "the answers were kept until the database took them"
    live(web, *workers)


def test_a_database_away_for_longer_than_a_lease_is_told_in_a_line_and_its_answers_are_kept(
    on_postgres: Lanmu, mortal: Postgres
):
    web = on_postgres.serve("--no-worker")
    worker = on_postgres.worker()
    crowd = Crowd(on_postgres, 60)
    crowd.gather()
    crowd.slow(2)
    crowd.push()
    until("some are being written", lambda: crowd.states()["calling"] >= 8)
    mortal.kill(signal.SIGQUIT)
    journal = on_postgres.folder / "data" / "outcome.journal"
    until("the answers are in the journal", lambda: journal.exists() and journal.stat().st_size > 0)
    assert health(on_postgres) == 503
    live(web, worker)
    assert said(on_postgres, worker, AWAY) == 1
    assert said(on_postgres, worker, "Traceback") == 0
    assert len(log_of(on_postgres, worker).read_text().splitlines()) < 25
    mortal.start()
    until("the web is well again", lambda: health(on_postgres) == 200)
    crowd.all_came()
    assert journal.stat().st_size == 0
    assert crowd.looked_up() == 0, "what the journal kept nobody had to ask for"
    until("it is told that the database is back", lambda: said(on_postgres, worker, BACK) == 1)
    live(web, worker)


def test_a_queue_killed_while_a_push_goes_out_and_started_again_is_used_again(
    on_valkey: Lanmu, valkey: Valkey
):
    valkey.start()
    on_valkey.serve("--no-worker")
    workers = [on_valkey.worker(), on_valkey.worker()]
    crowd = Crowd(on_valkey, 200)
    crowd.gather()
    crowd.slow(0.4)
    crowd.push()
    until("some went out", lambda: crowd.out() >= 20)
    valkey.kill()
    until("they tell of it", lambda: all(said(on_valkey, each, AWAY) == 1 for each in workers))
    valkey.start()
    crowd.all_came()
    until("it is used again", lambda: all(said(on_valkey, each, BACK) == 1 for each in workers))
    live(*workers)
    assert all(said(on_valkey, each, "Traceback") == 0 for each in workers)


def test_a_queue_that_is_never_there_keeps_no_message_back(on_valkey: Lanmu):
    on_valkey.serve("--no-worker")
    workers = [on_valkey.worker(), on_valkey.worker()]
    crowd = Crowd(on_valkey, 100)
    crowd.gather()
    crowd.push()
    crowd.all_came()
    live(*workers)
    for each in workers:
        assert said(on_valkey, each, AWAY) == 1
        assert said(on_valkey, each, "Traceback") == 0
        assert len(log_of(on_valkey, each).read_text().splitlines()) < 10
