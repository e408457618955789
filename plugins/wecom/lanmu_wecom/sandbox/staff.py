"""The simulated employee: confirms a broadcast for all, for some or for none, and what then happens."""

import json
from collections.abc import Sequence

from lanmu_wecom.sandbox.store import Row
from lanmu_wecom.sandbox.world import World

SENT, NOT_A_FRIEND, QUOTA_USED = 1, 2, 3


class CannotConfirm(Exception):
    """The task does not stand open; the text says why."""


def confirm(world: World, msgid: str, userid: str, keys: Sequence[str] | None = None) -> int:
    """Send to all that wait, or to `keys` among them; answers how many it reached.

    Raises CannotConfirm: unknown, still dispatching, cancelled, or nothing left.
    """
    with world.store.change():
        broadcast, waiting = _open_task(world, msgid, userid)
        chosen = waiting if keys is None else [key for key in waiting if key in set(keys)]
        if not chosen:
            raise CannotConfirm("none of these recipients waits for this broadcast")
        return _send(world, broadcast, userid, chosen, world.stamp())


def decline(world: World, msgid: str, userid: str) -> None:
    """Put the task away without sending. To the platform it stays unsent. Raises CannotConfirm."""
    with world.store.change():
        _open_task(world, msgid, userid)
        world.store.run("update task set declined = 1 where msgid = ? and userid = ?", msgid, userid)
        world.changed()


def confirm_overdue(world: World) -> None:
    """With the option `confirm_after` the employee confirms by himself after that time."""
    after = world.options.confirm_after
    if not after:
        return
    wait = max(after, world.options.dispatch_seconds)
    with world.store.change():
        due = world.store.all(
            "select b.*, t.userid from task t join broadcast b on b.msgid = t.msgid "
            "where t.send_time is null and not t.declined and b.cancelled is null and b.created <= ?",
            world.stamp() - wait,
        )
        for row in due:
            _send(
                world, row, row["userid"], _waiting(world, row["msgid"], row["userid"]), row["created"] + wait
            )


def _open_task(world: World, msgid: str, userid: str) -> tuple[Row, list[str]]:
    broadcast = world.store.one("select * from broadcast where msgid = ?", msgid)
    if broadcast is None:
        raise CannotConfirm("there is no such broadcast")
    if broadcast["cancelled"]:
        raise CannotConfirm("the broadcast was cancelled")
    if world.stamp() - broadcast["created"] < world.options.dispatch_seconds:
        raise CannotConfirm("the broadcast is still being dispatched")
    waiting = _waiting(world, msgid, userid)
    if not waiting:
        raise CannotConfirm("nothing is left to confirm for this employee")
    return broadcast, waiting


def _waiting(world: World, msgid: str, userid: str) -> list[str]:
    rows = world.store.all(
        "select key from target where msgid = ? and userid = ? and status = 0", msgid, userid
    )
    return [row["key"] for row in rows]


def _send(world: World, broadcast: Row, userid: str, keys: Sequence[str], at: float) -> int:
    store, msgid = world.store, broadcast["msgid"]
    group = broadcast["chat_type"] == "group"
    month, limit = world.month()
    used = {
        row["key"]: row["used"]
        for row in store.among("select key, used from quota where month = ? and key in (?*)", keys, month)
    }
    lost: set[str] = set()
    if not group:
        lost = {
            row["customer"]
            for row in store.among(
                "select customer from follow where userid = ? and friend = 0 and customer in (?*)",
                keys,
                userid,
            )
        }
    reached = [key for key in keys if key not in lost and used.get(key, 0) < limit]
    told = set(reached)
    status = {key: NOT_A_FRIEND if key in lost else SENT if key in told else QUOTA_USED for key in keys}
    store.run_many(
        "update target set status = ?, send_time = ? where msgid = ? and key = ?",
        ((status[key], at, msgid, key) for key in keys),
    )
    store.run_many(
        "insert into quota values (?, ?, 1) on conflict do update set used = used + 1",
        ((key, month) for key in reached),
    )
    places = (f"chat:{key}" if group else f"direct:{userid}:{key}" for key in reached)
    store.run_many(
        "insert into bubble (place, author, at, content, msgid) values (?, ?, ?, '', ?)",
        ((place, userid, at, msgid) for place in places),
    )
    if not _waiting(world, msgid, userid):
        store.run("update task set send_time = ? where msgid = ? and userid = ?", at, msgid, userid)
    world.changed()
    return len(reached)


def show(world: World, place: str, author: str, content: dict[str, object]) -> None:
    """Put a message that needs no confirmation on a phone."""
    world.store.run(
        "insert into bubble (place, author, at, content) values (?, ?, ?, ?)",
        place, author, world.stamp(), json.dumps(content, ensure_ascii=False),
    )  # fmt: skip
    world.changed()
