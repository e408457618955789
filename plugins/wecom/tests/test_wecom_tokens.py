"""The access token: one fetch for all threads and processes, dropped when dead, never hammered."""

import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from lanmu.interfaces.channels import NotConnected, Outcome, Request, Target
from lanmu.interfaces.secrets import Secret
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock
from lanmu_wecom.broadcast import GroupChannel
from lanmu_wecom.client import Client, Refused
from lanmu_wecom.corp import Corp
from lanmu_wecom.models import TokenRow
from lanmu_wecom.sandbox.demo import SEED
from lanmu_wecom.tokens import Fetched, Tokens

from .wecom_kit import Sandbox, message, push


def test_threads_of_one_process_fetch_once(sandbox: Sandbox, corp: Corp) -> None:
    sandbox.fault(kind="slow", call="gettoken", seconds=0.2)
    barrier = threading.Barrier(6)
    tokens: list[str] = []

    def get() -> None:
        barrier.wait()
        tokens.append(corp._tokens.get())

    threads = [threading.Thread(target=get) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 6
    assert len(set(tokens)) == 1
    assert len(sandbox.received("gettoken")) == 1


_PROCESS = """
import sys
from lanmu.interfaces.secrets import Secret
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock
from lanmu_wecom.client import Client
from lanmu_wecom.corp import Corp
from lanmu_wecom.sandbox.demo import SEED
url, database = sys.argv[1:]
corp = SEED.corp
made = Corp(Client(url), corp.corpid, Secret(corp.secret), corp.agentid, Database(database), FakeClock())
sys.stdin.readline()
print(made._tokens.get())
"""


def test_two_processes_fetch_once(sandbox: Sandbox, database: Database) -> None:
    sandbox.fault(kind="slow", call="gettoken", seconds=0.3)
    command = [sys.executable, "-c", _PROCESS, sandbox.url, str(database.url)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    answers = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        answers.append(process.communicate(timeout=30)[0])
    assert answers[0] == answers[1] != ""
    assert len(sandbox.received("gettoken")) == 1


def test_a_second_process_uses_the_stored_token(
    sandbox: Sandbox, corp: Corp, database: Database, clock: FakeClock, client: Client
) -> None:
    first = corp._tokens.get()
    other = Corp(client, SEED.corp.corpid, Secret(SEED.corp.secret), SEED.corp.agentid, database, clock)
    assert other._tokens.get() == first
    assert len(sandbox.received("gettoken")) == 1


def test_a_token_is_renewed_before_it_runs_out(sandbox: Sandbox, corp: Corp, clock: FakeClock) -> None:
    corp._tokens.get()
    clock.advance(timedelta(seconds=7200 - 301))
    corp._tokens.get()
    assert len(sandbox.received("gettoken")) == 1
    clock.advance(timedelta(seconds=2))
    corp._tokens.get()
    assert len(sandbox.received("gettoken")) == 2


def test_a_voided_token_is_replaced_at_the_next_try(sandbox: Sandbox, corp: Corp) -> None:
    channel = GroupChannel(corp)
    push(channel, message("一"), "wrDEMO0001")
    sandbox.call("/sandbox/api/void_token", {})
    refused = push(channel, message("二"), "wrDEMO0001").verdict
    assert (refused.outcome, refused.free, refused.code) == (Outcome.LATER, True, "40014")
    assert push(channel, message("二"), "wrDEMO0001").verdict.outcome is Outcome.ACCEPTED
    assert len(sandbox.received("gettoken")) == 2


def test_a_question_renews_a_voided_token_by_itself(sandbox: Sandbox, corp: Corp) -> None:
    corp._tokens.get()
    sandbox.call("/sandbox/api/void_token", {})
    assert corp.ask("externalcontact/groupchat/get", {"chat_id": "wrDEMO0001"})["group_chat"]


def test_a_token_that_another_process_renewed_is_not_dropped(
    corp: Corp, database: Database, clock: FakeClock
) -> None:
    corp._tokens.get()
    corp._tokens.drop("some older token")
    with database.read() as session:
        assert session.query(TokenRow).one().token


def test_a_dead_token_is_told_by_the_far_end_though_the_database_is_locked(
    sandbox: Sandbox, corp: Corp, database: Database
) -> None:
    channel = GroupChannel(corp)
    request = channel.compose(message("一"), [Target("wrDEMO0001")])
    assert isinstance(request, Request)
    line = channel.connect(request)
    sandbox.call("/sandbox/api/void_token", {})
    with database.write() as session:  # on SQLite nobody else can write now, on PostgreSQL not that row
        session.execute(select(TokenRow).with_for_update()).one()
        verdict = channel.classify(channel.transmit(request, line))
    line.close()
    assert (verdict.outcome, verdict.code) == (Outcome.LATER, "40014"), "it is proven not to be out"


def test_a_dead_token_is_taken_out_of_the_table_for_the_other_processes_by_the_next_who_asks(
    sandbox: Sandbox, corp: Corp, database: Database, clock: FakeClock, client: Client
) -> None:
    first = corp._tokens.get()
    sandbox.call("/sandbox/api/void_token", {})
    corp._tokens.drop(first)
    second = corp._tokens.get()
    assert second != first
    other = Corp(client, SEED.corp.corpid, Secret(SEED.corp.secret), SEED.corp.agentid, database, clock)
    assert other._tokens.get() == second
    assert len(sandbox.received("gettoken")) == 2


class Fetch:
    """A gettoken that is refused, counted."""

    def __init__(self) -> None:
        self.calls = 0
        self.code = 40001

    def __call__(self) -> Fetched:
        self.calls += 1
        if self.code:
            raise Refused(self.code, "invalid credential")
        return Fetched("T", timedelta(hours=2))


def test_a_wrong_secret_is_tried_three_times_an_hour_at_most(database: Database, clock: FakeClock) -> None:
    fetch = Fetch()
    tokens = Tokens(database, clock, "ww1:1", "wrong", fetch)
    for _ in range(10):
        with pytest.raises(NotConnected) as caught:
            tokens.get()
        assert caught.value.config
    assert fetch.calls == 3
    assert caught.value.retry_after == timedelta(hours=1)
    clock.advance(timedelta(hours=1))
    with pytest.raises(NotConnected):
        tokens.get()
    assert fetch.calls == 4


def test_a_mended_secret_is_tried_at_once(database: Database, clock: FakeClock) -> None:
    fetch = Fetch()
    for _ in range(3):
        with pytest.raises(NotConnected):
            Tokens(database, clock, "ww1:1", "wrong", fetch).get()
    fetch.code = 0
    assert Tokens(database, clock, "ww1:1", "right", fetch).get() == "T"


def test_a_token_that_died_stays_dead_for_whoever_has_it_in_hand_and_one_given_again_lives(
    database: Database, clock: FakeClock
) -> None:
    given = iter(["one", "two", "two"])
    tokens = Tokens(database, clock, "ww1:1", "s", lambda: Fetched(next(given), timedelta(hours=2)))
    assert tokens.get() == "one"
    in_hand = tokens._known  # as another thread that is about to look whether it is good
    tokens.drop("one")
    assert tokens.get() == "two"
    assert not tokens._is_good(in_hand)
    tokens.drop("two")
    assert [tokens.get(), tokens.get()] == ["two", "two"], "WeCom gives the same again while it lasts"


def test_a_lease_whose_owner_died_is_taken_over(database: Database, clock: FakeClock) -> None:
    with database.write() as session:
        session.add(
            TokenRow(account="ww1:1", fingerprint="", token="", lease="dead",
                     lease_until=clock.now() - timedelta(seconds=1), refusals=0, refused_code=0)
        )  # fmt: skip
    fetch = Fetch()
    fetch.code = 0
    assert Tokens(database, clock, "ww1:1", "s", fetch).get() == "T"


def test_neither_token_nor_secret_is_in_what_the_core_stores(sandbox: Sandbox, corp: Corp) -> None:
    sent = push(GroupChannel(corp), message(), "wrDEMO0001")
    stored = repr((sent.request, sent.observation, sent.verdict))
    assert corp._tokens.get() not in stored
    assert SEED.corp.secret not in stored


def test_the_table_holds_the_token_but_not_the_secret(corp: Corp, tmp_path: Path) -> None:
    corp._tokens.get()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert SEED.corp.secret.encode() not in content
