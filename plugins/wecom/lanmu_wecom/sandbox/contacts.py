"""Members, customers and customer groups, as far as a channel asks for them (paths 92112, 92120)."""

from typing import Any

from lanmu_wecom.sandbox.reading import Fields
from lanmu_wecom.sandbox.world import WecomError, World


def followers(world: World) -> dict[str, Any]:
    """`get_follow_user_list`."""
    rows = world.store.all("select userid from employee order by userid")
    return {"follow_user": [row["userid"] for row in rows]}


def customers_of(world: World, userid: str) -> dict[str, Any]:
    """`externalcontact/list`; not paged."""
    if not userid:
        raise WecomError(60111, "userid not found")
    if world.store.one("select 1 from employee where userid = ?", userid) is None:
        raise WecomError(40003, "invalid userid", external_userid=[])
    rows = world.store.all("select customer from follow where userid = ? order by customer", userid)
    if not rows:
        raise WecomError(84061, "not external contact", external_userid=[])
    return {"external_userid": [row["customer"] for row in rows]}


def customer(world: World, external_userid: str) -> dict[str, Any]:
    """`externalcontact/get`."""
    if not external_userid:
        raise WecomError(41035, "missing external userid")
    row = world.store.one("select * from customer where id = ?", external_userid)
    if row is None:
        raise WecomError(40096, "invalid external userid", follow_user=[])
    follows = world.store.all("select userid from follow where customer = ?", external_userid)
    return {
        "external_contact": {
            "external_userid": row["id"], "name": row["name"], "type": 1, "gender": 0, "avatar": "",
        },
        "follow_user": [
            {"userid": each["userid"], "remark": row["name"], "createtime": 0, "tags": [], "add_way": 1}
            for each in follows
        ],
        "next_cursor": "",
    }  # fmt: skip


def groups(world: World, fields: Fields) -> dict[str, Any]:
    """`groupchat/list`."""
    limit = fields.number("limit")
    if not 1 <= limit <= 1000:
        raise WecomError(40058, "limit invalid. invalid Request Parameter")
    owners = fields.part("owner_filter").texts("userid_list")
    start = fields.text("cursor")
    rows = world.store.all("select id, owner from chat where id > ? order by id", start)
    rows = [row for row in rows if not owners or row["owner"] in owners]
    shown = rows[:limit]
    cursor = shown[-1]["id"] if len(rows) > limit else ""
    chats = [{"chat_id": row["id"], "status": 0} for row in shown]
    return {"group_chat_list": chats, "next_cursor": cursor}


def group(world: World, fields: Fields) -> dict[str, Any]:
    """`groupchat/get`."""
    row = world.store.one("select * from chat where id = ?", fields.text("chat_id"))
    if row is None:
        raise WecomError(40050, "invalid group id")
    members = world.store.all(
        "select c.id, c.name from chat_member m join customer c on c.id = m.customer where m.chat = ?",
        row["id"],
    )
    staff = [{"userid": row["owner"], "type": 1, "join_time": int(row["created"]), "join_scene": 1}]
    people = [
        {"userid": each["id"], "type": 2, "join_time": int(row["created"]), "join_scene": 3}
        | ({"name": each["name"]} if fields.number("need_name") else {})
        for each in members
    ]
    return {
        "group_chat": {
            "chat_id": row["id"], "name": row["name"], "owner": row["owner"],
            "create_time": int(row["created"]), "notice": "", "member_list": staff + people,
            "admin_list": [], "member_version": "1",
        }
    }  # fmt: skip
