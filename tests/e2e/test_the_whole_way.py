"""From files to a phone and back: sync, plan, due, received once, confirmed, shown; and once after a kill."""

import base64
import json
import signal
from datetime import datetime
from functools import partial
from urllib.error import HTTPError
from zoneinfo import ZoneInfo

from tests.e2e.installation import Lanmu, soon, until

from lanmu.schedule.columns import ColumnDraft, PoolDraft, SlotDraft, Targets

GROUPS = "externalcontact/add_msg_template"
MOTHERS = ["wrDEMO0001", "wrDEMO0002", "wrDEMO0003"]
"""The customer groups of the mothers' shop, which every column here feeds."""


def plan_column(lanmu: Lanmu, due: datetime, name: str = "验收栏目", pool: str = "早安") -> None:
    """What an operator does in the console: a column that is due at an instant, and a planned week.

    Each column draws from a pool of its own, so that no two of them send the same bytes to one group.
    """
    local = due.astimezone(ZoneInfo("Asia/Shanghai"))
    server = lanmu.inside()
    try:
        server.schedule.columns.create(
            ColumnDraft(
                name=name,
                channel="wecom.group",
                slots=(SlotDraft(rrule=f"DTSTART:{local:%Y%m%dT%H%M%S}\nRRULE:FREQ=DAILY;COUNT=1"),),
                targets=Targets(tags=("母婴",)),
                pool=PoolDraft(tags=("母婴", pool)),
                cooldown_days=0,
                approval="auto",
                late_policy="send",
            )
        )
        server.schedule.plan_ahead()
    finally:
        server.close()


def sent_of(lanmu: Lanmu, name: str) -> list[dict[str, str]]:
    """The broadcasts that took effect at the sandbox for the column's communities, by exact bytes."""
    rows = lanmu.query(
        "SELECT a.request FROM attempt a JOIN unit u ON u.id = a.unit_id JOIN push p ON p.id = u.push_id "
        f"WHERE p.column_name = '{name}'"
    )
    intended = {base64.b64encode(bytes(row[0])).decode() for row in rows}
    return [call for call in lanmu.received(GROUPS) if call["effect"] and call["body"] in intended]


def reached(lanmu: Lanmu, name: str) -> list[str]:
    """The groups that the column's broadcasts reached, each as often as it was reached."""
    return sorted(chat for call in sent_of(lanmu, name) for chat in json.loads(call["text"])["chat_id_list"])


def test_a_column_reaches_the_phones_once_and_its_result_is_shown(lanmu: Lanmu):
    lanmu.serve("--no-worker")
    lanmu.worker()
    assert lanmu.query("SELECT count(*) FROM material WHERE state = 'approved'")[0][0] >= 54

    due = soon(4)
    plan_column(lanmu, due)
    planned = lanmu.query("SELECT count(*) FROM occurrence WHERE state = 'planned'")[0][0]
    assert planned > 50, "a week and more is laid out from the demo columns"

    until("three groups were sent to", lambda: reached(lanmu, "验收栏目") == MOTHERS)
    calls = sent_of(lanmu, "验收栏目")
    for call in calls:
        assert datetime.fromisoformat(call["time"]) >= due, "nothing goes out before its time"
        said = json.loads(call["text"])
        assert said["chat_type"] == "group"
        assert "{{" not in said["text"]["content"], "placeholders are filled"

    until("all are accepted", lambda: {row[0] for row in _units(lanmu)} == {"accepted"})
    tasks = lanmu.query(
        "SELECT u.ref, u.sender FROM unit u JOIN push p ON p.id = u.push_id WHERE p.column_name = '验收栏目'"
    )
    for msgid, sender in tasks:
        until("the employee can confirm the task", partial(_confirmed, lanmu, msgid, sender))
    until(
        "the results are shown",
        lambda: (
            lanmu.query(
                "SELECT count(*) FROM target t JOIN push p ON p.id = t.push_id "
                "WHERE p.column_name = '验收栏目' AND t.state = 'delivered'"
            )[0][0]
            == 3
        ),
    )
    states = lanmu.query("SELECT DISTINCT state FROM push WHERE column_name = '验收栏目'")
    assert [row[0] for row in states] == ["finished"]
    assert reached(lanmu, "验收栏目") == MOTHERS


def _confirmed(lanmu: Lanmu, msgid: str, userid: str) -> bool:
    try:
        return bool(lanmu.sandbox("confirm", {"msgid": msgid, "userid": userid, "answer": "all"})["sent"])
    except HTTPError as error:  # still being dispatched to the phones
        error.close()
        return False


def test_a_worker_killed_while_it_waits_for_the_answer_sends_nothing_twice(lanmu: Lanmu):
    lanmu.serve("--no-worker")
    worker = lanmu.worker()
    # The call takes effect, and the answer is late: the case in which nobody can know.
    lanmu.sandbox("faults", {"kind": "slow", "call": GROUPS, "when": "after", "seconds": 30, "times": 3})
    plan_column(lanmu, soon(3))

    until("the sandbox has taken the calls", lambda: reached(lanmu, "验收栏目") == MOTHERS)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    lanmu.sandbox("faults", method="DELETE")
    assert {row[0] for row in _units(lanmu)} == {"calling"}, "the intents were stored before the calls"

    lanmu.worker()
    until("the units are shown as in doubt", lambda: {row[0] for row in _units(lanmu)} == {"unknown"})
    # A second column shows that the new worker works, and gives it the time to do something wrong.
    plan_column(lanmu, soon(2), "第二个栏目", "日记")
    until("the second column went out", lambda: reached(lanmu, "第二个栏目") == MOTHERS)
    assert reached(lanmu, "验收栏目") == MOTHERS
    assert {row[0] for row in _units(lanmu)} == {"unknown"}


def test_a_worker_killed_before_its_time_sends_everything_once_after_the_restart(lanmu: Lanmu):
    lanmu.serve("--no-worker")
    worker = lanmu.worker()
    due = soon(4)
    plan_column(lanmu, due)
    until(
        "the push is ready",
        lambda: lanmu.query("SELECT count(*) FROM push WHERE column_name = '验收栏目'")[0][0] > 0,
    )
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    lanmu.worker()
    until("all were sent", lambda: reached(lanmu, "验收栏目") == MOTHERS)
    until("all are accepted", lambda: {row[0] for row in _units(lanmu)} == {"accepted"})
    assert reached(lanmu, "验收栏目") == MOTHERS


def _units(lanmu: Lanmu) -> list[tuple[str]]:
    return lanmu.query(
        "SELECT u.state FROM unit u JOIN push p ON p.id = u.push_id WHERE p.column_name = '验收栏目'"
    )


def test_one_process_does_it_all_and_stops_when_told(small: Lanmu):
    process = small.serve()
    plan_column(small, soon(3))
    until("the groups were sent to", lambda: reached(small, "验收栏目") == MOTHERS)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 0
    assert "Stopped." in small.logs()

    small.serve()  # a second start goes on with the same data
    assert small.query("SELECT count(*) FROM push WHERE column_name = '验收栏目'")[0][0] >= 1
    assert reached(small, "验收栏目") == MOTHERS
