"""The network between worker and sandbox fails in every way; everybody has the message once in the end."""

from collections.abc import Iterator

import pytest
from tests.e2e.installation import Lanmu, soon, until
from tests.e2e.proxy import Wire
from tests.e2e.test_killed_at_every_point import COLUMN, SETTLE, states
from tests.e2e.test_the_whole_way import MOTHERS, plan_column, reached

CALL = b"add_msg_template"


@pytest.fixture
def wire(lanmu: Lanmu) -> Iterator[Wire]:
    """The worker's way to the sandbox leads over it; the sandbox itself listens where the test looks."""
    wire = Wire(lanmu.sandbox_port)
    config = lanmu.folder / "config.toml"
    told = config.read_text(encoding="utf-8")
    config.write_text(
        told.replace("sandbox = true", f"sandbox = true\nsettle_seconds = {SETTLE}"), encoding="utf-8"
    )
    (lanmu.folder / "worker.toml").write_text(
        config.read_text(encoding="utf-8")
        .replace(f"127.0.0.1:{lanmu.sandbox_port}", f"127.0.0.1:{wire.port}")
        .replace("sandbox = true\n", ""),
        encoding="utf-8",
    )
    yield wire
    wire.close()


@pytest.mark.parametrize(
    "mood",
    [
        "cut_after",
        pytest.param("truncate", marks=pytest.mark.long),
        pytest.param("delay", marks=pytest.mark.long),
        pytest.param("refuse", marks=pytest.mark.long),
        pytest.param("drop", marks=pytest.mark.long),
    ],
)
def test_a_network_that_fails_costs_nobody_a_message_and_gives_nobody_two(
    lanmu: Lanmu, wire: Wire, mood: str
):
    lanmu.serve("--no-worker")
    lanmu.worker("worker.toml")
    wire.only, wire.mood = (b"" if mood == "refuse" else CALL), mood
    plan_column(lanmu, soon(2))
    if mood == "refuse":
        until("the worker met the closed door", lambda: states(lanmu) == {"retry_wait"})
    elif mood == "delay":
        until("the answers came late", lambda: wire.met >= 3)
    else:
        until("nobody can know", lambda: "unknown" in states(lanmu) or "accepted" in states(lanmu))
    if mood in ("cut_after", "truncate"):
        assert reached(lanmu, COLUMN), "the far end has taken what was passed on to it"
    wire.mood = "fine"
    until("everybody has it", lambda: reached(lanmu, COLUMN) == MOTHERS, patience=90)
    until("the books say so", lambda: states(lanmu) == {"accepted"}, patience=90)
    assert reached(lanmu, COLUMN) == MOTHERS, "and nobody has it twice"
