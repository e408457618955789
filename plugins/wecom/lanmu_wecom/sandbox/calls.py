"""Every call the look-alike knows, and the order in which the platform checks one."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lanmu_wecom.sandbox import app_messages, broadcasts, contacts, media, robots
from lanmu_wecom.sandbox.demo import SEED
from lanmu_wecom.sandbox.media import Upload
from lanmu_wecom.sandbox.reading import Fields
from lanmu_wecom.sandbox.world import SWITCHES, WecomError, World

_X = "externalcontact"

JSON_CALLS: dict[str, Callable[[World, Fields], dict[str, Any]]] = {
    f"{_X}/add_msg_template": broadcasts.create,
    f"{_X}/get_groupmsg_list_v2": broadcasts.listing,
    f"{_X}/get_groupmsg_task": broadcasts.tasks,
    f"{_X}/get_groupmsg_send_result": broadcasts.results,
    f"{_X}/remind_groupmsg_send": broadcasts.remind,
    f"{_X}/cancel_groupmsg_send": broadcasts.cancel,
    f"{_X}/groupchat/list": contacts.groups,
    f"{_X}/groupchat/get": contacts.group,
}
OTHER_CALLS = frozenset(
    {
        "gettoken", "webhook/send", "webhook/upload_media", "media/upload", "media/uploadimg",
        "message/send", f"{_X}/get_follow_user_list", f"{_X}/list", f"{_X}/get",
    }
)  # fmt: skip
_GET_CALLS = frozenset({"gettoken", f"{_X}/get_follow_user_list", f"{_X}/list", f"{_X}/get"})
_WRONG_METHOD = {f"{_X}/add_msg_template": 40063, "message/send": 40063}


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it came in."""

    name: str
    method: str
    query: Mapping[str, str]
    body: bytes
    file: Upload | None
    ip: str
    address: str


def known(name: str) -> bool:
    return name in JSON_CALLS or name in OTHER_CALLS


def answer(world: World, call: Call) -> tuple[dict[str, Any], list[str]]:
    """What the platform answers on success, with the mistyped fields it came across. Raises WecomError."""
    world.count(f"ip:{call.ip}", "minute", 60, world.options.ip_per_minute)
    with world.store.change():
        return _answer(world, call)


def _answer(world: World, call: Call) -> tuple[dict[str, Any], list[str]]:
    if call.name == "gettoken":
        return gettoken(world, call.query), []
    if call.name.startswith("webhook/"):
        return _webhook(world, call)
    agentid = check_token(world, call.query.get("access_token", ""))
    for name, code in SWITCHES.items():
        if name in world.switches and (name != "api_denied" or call.name.startswith(_X)):
            raise WecomError(code, name.replace("_", " "))
    _count(world, call)
    if call.method != ("GET" if call.name in _GET_CALLS else "POST"):
        code = _WRONG_METHOD.get(call.name, 40058)
        raise WecomError(code, "http method not match. invalid Request Parameter")
    if call.name == "media/upload":
        return media.upload(world, call.query.get("type", ""), call.file), []
    if call.name == "media/uploadimg":
        return {"url": f"{call.address}/sandbox/media/{media.upload_picture(world, call.file)}"}, []
    if call.name == f"{_X}/get_follow_user_list":
        return contacts.followers(world), []
    if call.name == f"{_X}/list":
        return contacts.customers_of(world, call.query.get("userid", "")), []
    if call.name == f"{_X}/get":
        return contacts.customer(world, call.query.get("external_userid", "")), []
    fields = Fields.of(call.body)
    if call.name == "message/send":
        data = app_messages.send(world, fields, call.body, agentid)
    else:
        data = JSON_CALLS[call.name](world, fields)
    return _unless_strict(world, data, fields)


def _webhook(world: World, call: Call) -> tuple[dict[str, Any], list[str]]:
    if call.method != "POST":
        raise WecomError(40058, "http method not match. invalid Request Parameter")
    key = call.query.get("key", "")
    if call.name == "webhook/upload_media":
        robots.robot_of(world, key)
        return media.upload_for_robot(world, call.query.get("type", ""), call.file, key), []
    fields = Fields.of(call.body)
    return _unless_strict(world, robots.send(world, key, fields), fields)


def _unless_strict(world: World, data: dict[str, Any], fields: Fields) -> tuple[dict[str, Any], list[str]]:
    if fields.warned:
        world.counters.wrong_json += 1
        if world.options.strict:
            raise WecomError(40058, f"strict: wrong json format ({', '.join(fields.warned)})")
    return data, fields.warned


def _count(world: World, call: Call) -> None:
    world.count(call.name, "minute", 60, world.options.call_per_minute)
    world.count(call.name, "hour", 3600, world.options.call_per_hour)


def gettoken(world: World, query: Mapping[str, str]) -> dict[str, Any]:
    """The same token while it is valid."""
    if not query.get("corpsecret"):
        raise WecomError(41004, "corpsecret missing")
    if not query.get("corpid"):
        raise WecomError(41002, "corpid missing")
    if query["corpid"] != SEED.corp.corpid:
        raise WecomError(40013, "invalid corpid")
    if query["corpsecret"] != SEED.corp.secret:
        raise WecomError(40001, "invalid credential")
    now = world.stamp()
    row = world.store.one("select token, expires from token where void = 0 and expires > ?", now)
    if row is None:
        token, expires = secrets.token_urlsafe(160), now + world.options.token_seconds
        corp = SEED.corp
        world.store.run("insert into token values (?, ?, ?, ?, 0)", token, corp.corpid, corp.agentid, expires)
    else:
        token, expires = row["token"], row["expires"]
    return {"access_token": token, "expires_in": int(expires - now)}


def check_token(world: World, token: str) -> int:
    """The agent id of a token; checked before anything else of a call."""
    if not token:
        raise WecomError(41001, "access_token missing")
    row = world.store.one("select agentid, expires, void from token where token = ?", token)
    if row is None or row["void"]:
        raise WecomError(40014, "invalid access_token")
    if world.stamp() >= row["expires"]:
        raise WecomError(42001, "access_token expired")
    return int(row["agentid"])
