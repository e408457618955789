"""企业群发 in the look-alike: making a task, listing, results, remind and cancel (paths 92135, 93338)."""

import base64
import json
import secrets
from typing import Any

from lanmu_wecom.sandbox.content import broadcast_content
from lanmu_wecom.sandbox.reading import Fields, required
from lanmu_wecom.sandbox.staff import confirm_overdue
from lanmu_wecom.sandbox.store import Row
from lanmu_wecom.sandbox.world import WecomError, World

SINGLE_MAX = 10_000
GROUP_MAX = 2000
_MONTH_S = 31 * 24 * 3600
_REMINDERS = 3


def create(world: World, fields: Fields) -> dict[str, Any]:
    """`add_msg_template`: a task for each sender; nobody has been sent anything yet."""
    chat_type = fields.text("chat_type") or "single"
    if chat_type not in ("single", "group"):
        raise WecomError(40058, "invalid chat_type. invalid Request Parameter")
    content = broadcast_content(world, fields)
    sender = fields.text("sender")
    if sender and world.store.one("select 1 from employee where userid = ?", sender) is None:
        raise WecomError(40003, "invalid userid")
    by_sender, failed = (_groups if chat_type == "group" else _customers)(world, fields, sender)
    spent = _spent(world, [key for keys in by_sender.values() for key in keys])
    for userid, keys in by_sender.items():
        by_sender[userid] = [key for key in keys if key not in spent]
    failed += spent
    if not any(by_sender.values()):
        raise WecomError(41048, "no customer to send", fail_list=failed)
    msgid = "msg" + secrets.token_urlsafe(20)
    store = world.store
    store.run(
        "insert into broadcast (msgid, chat_type, sender, created, content) values (?, ?, ?, ?, ?)",
        msgid, chat_type, sender, world.stamp(), json.dumps(content, ensure_ascii=False),
    )  # fmt: skip
    for userid, keys in by_sender.items():
        if keys:
            store.run("insert into task (msgid, userid) values (?, ?)", msgid, userid)
            store.run_many(
                "insert into target (msgid, userid, key) values (?, ?, ?)",
                ((msgid, userid, key) for key in keys),
            )
    world.changed()
    return {"fail_list": failed, "msgid": msgid}


def _customers(world: World, fields: Fields, sender: str) -> tuple[dict[str, list[str]], list[str]]:
    store = world.store
    ids = list(dict.fromkeys(fields.texts("external_userid")))
    if len(ids) > SINGLE_MAX:
        raise WecomError(40058, f"external_userid exceed max size {SINGLE_MAX}")
    if not ids and fields.has("tag_filter"):
        ids = _tagged(world, fields.part("tag_filter"), sender)
    elif not ids:
        required(sender, "sender")
        ids = [row["customer"] for row in store.all("select customer from follow where userid = ?", sender)]
    follows: dict[str, set[str]] = {}
    for row in store.among("select userid, customer from follow where customer in (?*)", ids):
        follows.setdefault(row["customer"], set()).add(row["userid"])
    if sender:
        if follows and not any(sender in users for users in follows.values()):
            raise WecomError(84061, "not external contact", fail_list=[])
        mine = [key for key in ids if sender in follows.get(key, ())]
        return {sender: mine}, [key for key in ids if sender not in follows.get(key, ())]
    # Several employees know the customer: the task goes to the one who last chatted.
    chosen: dict[str, list[str]] = {}
    for row in store.among("select id, last_chat from customer where id in (?*)", ids):
        users = follows.get(row["id"], set())
        if users:
            userid = row["last_chat"] if row["last_chat"] in users else min(users)
            chosen.setdefault(userid, []).append(row["id"])
    return chosen, [key for key in ids if key not in follows]


def _tagged(world: World, tag_filter: Fields, sender: str) -> list[str]:
    """Customers by tags: any within a list, all between lists."""
    found: set[str] | None = None
    for group in tag_filter.parts("group_list"):
        tags = group.texts("tag_list")
        known = {
            row["tag"]
            for row in world.store.among("select distinct tag from customer_tag where tag in (?*)", tags)
        }
        if len(tags) > 100 or not set(tags) <= known:
            raise WecomError(40068, "invalid tagid")
        rows = world.store.among("select customer from customer_tag where tag in (?*)", tags)
        here = {row["customer"] for row in rows}
        found = here if found is None else found & here
    keys = sorted(found or ())
    if not sender:
        return keys
    rows = world.store.all("select customer from follow where userid = ?", sender)
    mine = {row["customer"] for row in rows}
    return [key for key in keys if key in mine]


def _groups(world: World, fields: Fields, sender: str) -> tuple[dict[str, list[str]], list[str]]:
    required(sender, "sender")
    ids = list(dict.fromkeys(fields.texts("chat_id_list")))
    if len(ids) > GROUP_MAX:
        raise WecomError(40058, f"chat_id_list exceed max size {GROUP_MAX}")
    if not ids:  # the owner picks among all groups
        ids = [row["id"] for row in world.store.all("select id from chat where owner = ?", sender)]
    rows = world.store.among("select id from chat where owner = ? and id in (?*)", ids, sender)
    own = {row["id"] for row in rows}
    return {sender: [key for key in ids if key in own]}, [key for key in ids if key not in own]


def _spent(world: World, keys: list[str]) -> list[str]:
    """Who has had this month's broadcasts already."""
    month, limit = world.month()
    rows = world.store.among(
        "select key from quota where month = ? and used >= ? and key in (?*)", keys, month, limit
    )
    return [row["key"] for row in rows]


def _named(world: World, fields: Fields) -> Row:
    msgid = fields.text("msgid")
    if not msgid:
        raise WecomError(41046, "missing group msg id")
    row = world.store.one("select * from broadcast where msgid = ?", msgid)
    if row is None:
        raise WecomError(41047, "invalid group msg id")
    return row


def _dispatched(world: World, *rows: Row) -> None:
    if any(world.stamp() - row["created"] < world.options.dispatch_seconds for row in rows):
        raise WecomError(41063, "group msg is being dispatched")


def listing(world: World, fields: Fields) -> dict[str, Any]:
    """`get_groupmsg_list_v2`. Broadcasts made by API have no creator."""
    chat_type = required(fields.text("chat_type"), "chat_type")
    since, until = fields.number("start_time"), fields.number("end_time")
    if not since or until < since or until - since > _MONTH_S:
        raise WecomError(600018, "invalid start or end time")
    rows = world.store.all(
        "select * from broadcast where chat_type = ? and created >= ? and created < ? "
        "order by created, msgid",
        chat_type, since, until + 1,
    )  # fmt: skip
    if fields.text("creator") or fields.number("filter_type", 2) == 1:
        rows = []
    _dispatched(world, *rows)
    shown, cursor = _page(world, fields, rows, most=100, usual=50)
    return {
        "next_cursor": cursor,
        "group_msg_list": [
            {
                "msgid": row["msgid"],
                "create_time": int(row["created"]),
                "create_type": 0,
                **json.loads(row["content"]),
            }
            for row in shown
        ],
    }


def tasks(world: World, fields: Fields) -> dict[str, Any]:
    """`get_groupmsg_task`: who has confirmed."""
    _dispatched(world, _named(world, fields))
    confirm_overdue(world)
    rows = world.store.all("select * from task where msgid = ? order by userid", fields.text("msgid"))
    shown, cursor = _page(world, fields, rows, most=1000, usual=500)
    task_list = []
    for row in shown:
        task: dict[str, Any] = {"userid": row["userid"], "status": 2 if row["send_time"] else 0}
        if row["send_time"]:
            task["send_time"] = int(row["send_time"])
        task_list.append(task)
    return {"next_cursor": cursor, "task_list": task_list}


def results(world: World, fields: Fields) -> dict[str, Any]:
    """`get_groupmsg_send_result`: each recipient of one employee; unsent groups are not listed."""
    broadcast = _named(world, fields)
    userid = fields.text("userid")
    if not userid:
        raise WecomError(41009, "missing userid")
    _dispatched(world, broadcast)
    confirm_overdue(world)
    group = broadcast["chat_type"] == "group"
    rows = world.store.all(
        "select * from target where msgid = ? and userid = ? and (status > 0 or ?) order by key",
        broadcast["msgid"], userid, not group,
    )  # fmt: skip
    shown, cursor = _page(world, fields, rows, most=1000, usual=500)
    send_list = []
    for row in shown:
        sent: dict[str, Any] = {"chat_id" if group else "external_userid": row["key"]}
        sent |= {"userid": userid, "status": row["status"]}
        if row["status"] == 1:
            sent["send_time"] = int(row["send_time"])
        send_list.append(sent)
    return {"next_cursor": cursor, "send_list": send_list}


def remind(world: World, fields: Fields) -> dict[str, Any]:
    """`remind_groupmsg_send`: at most three times in 24 hours."""
    broadcast = _named(world, fields)
    if broadcast["cancelled"]:
        raise WecomError(41093, "group msg has been cancelled")
    since = world.stamp() - 24 * 3600
    row = world.store.one(
        "select count(*) as n from reminder where msgid = ? and at > ?", broadcast["msgid"], since
    )
    if row is not None and row["n"] >= _REMINDERS:
        raise WecomError(41094, "remind group msg too frequently")
    world.store.run("insert into reminder values (?, ?)", broadcast["msgid"], world.stamp())
    world.changed()
    return {}


def cancel(world: World, fields: Fields) -> dict[str, Any]:
    """`cancel_groupmsg_send`: who has not confirmed cannot any more; what went out stays."""
    broadcast = _named(world, fields)
    if broadcast["cancelled"]:
        raise WecomError(41093, "group msg has been cancelled")
    world.store.run("update broadcast set cancelled = ? where msgid = ?", world.stamp(), broadcast["msgid"])
    world.changed()
    return {}


def _page(world: World, fields: Fields, rows: list[Row], *, most: int, usual: int) -> tuple[list[Row], str]:
    limit = fields.number("limit", usual)
    if not 0 < limit <= most:  # over the maximum falls back to the default, in silence
        limit = usual
    start, empty = _place(fields.text("cursor"))
    if empty:
        return [], _cursor(start, empty=False)
    following = start + limit
    if following >= len(rows):
        return rows[start:], ""
    # With quirks the second page is empty although more follow, as it happens on the real platform.
    empty = world.options.quirks and start == 0
    return rows[start:following], _cursor(following, empty=empty)


def _cursor(start: int, *, empty: bool) -> str:
    return base64.urlsafe_b64encode(f"{start}:{int(empty)}".encode()).decode()


def _place(cursor: str) -> tuple[int, bool]:
    if not cursor:
        return 0, False
    try:
        start, empty = base64.urlsafe_b64decode(cursor).decode().split(":")
        return int(start), empty == "1"
    except ValueError:
        raise WecomError(40058, "invalid cursor. invalid Request Parameter") from None
