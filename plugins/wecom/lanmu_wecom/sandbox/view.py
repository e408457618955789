"""What the phones show, as data: a customer's WeChat, and an employee's WeCom with tasks to confirm."""

import json
from typing import Any

from lanmu_wecom.sandbox.staff import confirm_overdue
from lanmu_wecom.sandbox.store import Row
from lanmu_wecom.sandbox.world import World

_MESSAGES = 40
_TARGETS = 100
_TASKS = 30


def view(world: World, customer: str, employee: str, after: str) -> dict[str, Any]:
    """One customer's and one employee's phone; unknown ids fall back to the first."""
    confirm_overdue(world)
    with world.store.lock:
        revision = _revision(world)
        if after == f"{revision}/{customer}/{employee}":
            return {"same": True, "now": world.stamp()}
        customers = world.store.all("select id, name from customer order by id limit 200")
        employees = world.store.all("select userid, name, shop from employee order by rowid")
        owner = next((row for row in customers if row["id"] == customer), customers[0])
        worker = next((row for row in employees if row["userid"] == employee), employees[0])
        return {
            "revision": f"{revision}/{owner['id']}/{worker['userid']}",
            "now": world.stamp(),
            "customers": [dict(row) for row in customers],
            "employees": [dict(row) for row in employees],
            "wechat": {**dict(owner), "chats": _customer_chats(world, owner["id"])},
            "wecom": {
                **dict(worker),
                "chats": _staff_chats(world, worker["userid"]),
                "tasks": _tasks(world, worker["userid"]),
            },
        }


def _revision(world: World) -> str:
    """Changes with every write, and when a broadcast's dispatching has come to its end."""
    since = world.stamp() - world.options.dispatch_seconds
    row = world.store.one("select count(*) as n from broadcast where created > ?", since)
    return f"{world.revision}.{row['n'] if row else 0}"


def _customer_chats(world: World, customer: str) -> list[dict[str, Any]]:
    groups = world.store.all(
        "select c.* from chat_member m join chat c on c.id = m.chat where m.customer = ?", customer
    )
    chats = [_chat(world, f"chat:{row['id']}", "group", row["name"], row["members"]) for row in groups]
    follows = world.store.all(
        "select e.userid, e.name, e.shop from follow f join employee e on e.userid = f.userid "
        "where f.customer = ?", customer,
    )  # fmt: skip
    for row in follows:
        place = f"direct:{row['userid']}:{customer}"
        chats.append(_chat(world, place, "direct", row["name"], 0, row["shop"]))
    return _by_time(chats)


def _staff_chats(world: World, userid: str) -> list[dict[str, Any]]:
    robots = world.store.all("select * from robot order by owner <> ?, rowid", userid)
    chats = [_chat(world, f"robot:{row['key']}", "robot", row["chat_name"], row["members"]) for row in robots]
    chats.append(_chat(world, f"app:{userid}", "app", "栏目", 0))
    return _by_time(chats)


def _by_time(chats: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Newest first, as on a phone; a robot's key must not reach the page."""
    chats.sort(key=lambda chat: -(chat["messages"][-1]["at"] if chat["messages"] else 0))
    return chats


def _chat(world: World, place: str, kind: str, name: str, members: int, shop: str = "") -> dict[str, Any]:
    rows = world.store.all(
        "select u.*, b.content as broadcast, e.name as employee, e.shop as shop from bubble u "
        "left join broadcast b on b.msgid = u.msgid left join employee e on e.userid = u.author "
        "where u.place = ? order by u.id desc limit ?",
        place, _MESSAGES,
    )  # fmt: skip
    messages = []
    for row in reversed(rows):
        parts = _broadcast_parts(json.loads(row["broadcast"])) if row["msgid"] else _parts(row)
        author = row["employee"] or ("栏目" if kind == "app" else row["author"])
        for number, part in enumerate(parts):
            head = {
                "id": f"{row['id']}.{number}",
                "author": author,
                "at": row["at"],
                "shop": row["shop"] or "",
            }
            messages.append({**head, **part})
    shown = place if not place.startswith("robot:") else f"robot:{name}"
    return {"id": shown, "kind": kind, "name": name, "members": members, "shop": shop, "messages": messages}


def _head(row: Row, number: int) -> dict[str, Any]:
    return {"id": f"{row['id']}.{number}", "at": row["at"], "shop": row["shop"] or ""}


def _parts(row: Row) -> list[dict[str, Any]]:
    content = json.loads(row["content"])
    kind = content["msgtype"]
    part = content[kind]
    if kind == "text":
        mentions = "".join(f"@{name} " for name in part.get("mentioned_list") or ())
        return [{"kind": "text", "text": mentions + part["content"]}]
    if kind in ("markdown", "markdown_v2"):
        return [{"kind": "markdown", "text": part["content"]}]
    if kind == "news":
        return [
            {
                "kind": "card",
                "title": one["title"],
                "text": one["description"],
                "url": one["url"],
                "picture": one["picurl"],
            }
            for one in part["articles"]
        ]
    if kind == "image":
        return [{"kind": "image", "src": f"sandbox/media/{part.get('media') or part['media_id']}"}]
    if kind == "textcard":
        return [
            {
                "kind": "card",
                "title": part["title"],
                "text": part["description"],
                "url": part["url"],
                "picture": "",
            }
        ]
    title = (part.get("main_title") or {}).get("title") or part.get("sub_title_text") or kind
    return [{"kind": "file", "title": title}]


def _broadcast_parts(content: dict[str, Any]) -> list[dict[str, Any]]:
    """A broadcast arrives as a text and then one bubble for each attachment."""
    parts: list[dict[str, Any]] = []
    if "text" in content:
        parts.append({"kind": "text", "text": content["text"]["content"]})
    for row in content.get("attachments", ()):
        kind = row["msgtype"]
        part = row[kind]
        if kind == "image":
            media_id = part.get("media_id") or part["pic_url"].rsplit("/", 1)[-1]
            parts.append({"kind": "image", "src": f"sandbox/media/{media_id}"})
        elif kind == "link":
            parts.append(
                {
                    "kind": "card",
                    "title": part["title"],
                    "text": part.get("desc", ""),
                    "url": part["url"],
                    "picture": part.get("picurl", ""),
                }
            )
        else:
            parts.append({"kind": "file", "title": part.get("title") or kind})
    return parts


def _tasks(world: World, userid: str) -> list[dict[str, Any]]:
    rows = world.store.all(
        "select b.*, t.send_time, t.declined from task t join broadcast b on b.msgid = t.msgid "
        "where t.userid = ? order by b.created desc, b.rowid desc limit ?", userid, _TASKS,
    )  # fmt: skip
    return [_task(world, row, userid) for row in rows]


def _task(world: World, row: Row, userid: str) -> dict[str, Any]:
    counts = dict.fromkeys(range(4), 0)
    for each in world.store.all(
        "select status, count(*) as n from target where msgid = ? and userid = ? group by status",
        row["msgid"], userid,
    ):  # fmt: skip
        counts[each["status"]] = each["n"]
    names = world.store.all(
        "select t.key, t.status, coalesce(c.name, g.name, t.key) as name, coalesce(g.members, 0) as members "
        "from target t left join customer c on c.id = t.key left join chat g on g.id = t.key "
        "where t.msgid = ? and t.userid = ? order by t.key limit ?", row["msgid"], userid, _TARGETS,
    )  # fmt: skip
    row_ = world.store.one("select count(*) as n from reminder where msgid = ?", row["msgid"])
    return {
        "msgid": row["msgid"],
        "chat_type": row["chat_type"],
        "at": row["created"],
        "state": _state(world, row, counts),
        "reminders": row_["n"] if row_ else 0,
        "waiting": counts[0],
        "sent": counts[1],
        "failed": counts[2] + counts[3],
        "targets": [dict(name) for name in names],
        "parts": _broadcast_parts(json.loads(row["content"])),
    }


def _state(world: World, row: Row, counts: dict[int, int]) -> str:
    if row["send_time"]:
        return "done"
    if row["cancelled"]:
        return "cancelled"
    if world.stamp() - row["created"] < world.options.dispatch_seconds:
        return "dispatching"
    if row["declined"]:
        return "declined"
    return "part" if counts[1] + counts[2] + counts[3] else "open"
