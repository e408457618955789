"""The sandbox's own side over JSON: what was received, what shall go wrong, and the employee's hand."""

import base64
import json
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify, request

from lanmu.interfaces.access import PUBLIC, requires
from lanmu_wecom.sandbox import media, staff
from lanmu_wecom.sandbox.api import world
from lanmu_wecom.sandbox.view import view
from lanmu_wecom.sandbox.world import SWITCHES, instant

blueprint = Blueprint("admin", __name__, url_prefix="/sandbox")


class BadRequest(Exception):
    """What was asked cannot be done; the text says why and what would do."""


@blueprint.errorhandler(BadRequest)
def bad_request(error: BadRequest) -> tuple[Response, int]:
    return jsonify(error=str(error)), 400


def _body() -> dict[str, Any]:
    # A page of another origin cannot send JSON without asking first, so it cannot play the employee.
    if request.mimetype != "application/json":
        raise BadRequest("send a JSON object with Content-Type: application/json")
    data = request.get_json(silent=True)
    if not isinstance(data, dict):
        raise BadRequest("send a JSON object")
    return data


@blueprint.get("/api/received")
@requires(PUBLIC)
def received() -> Response:
    """Calls in the order they came: `?call=`, `?after=ID`, `?limit=` (at most 10,000, 1,000 unasked).

    `body` is base64 of the exact bytes, `text` the same where it is UTF-8.
    """
    after, limit = request.args.get("after", 0, int), request.args.get("limit", 1000, int)
    name = request.args.get("call", "")
    rows = world().store.all(
        "select * from received where id > ? and (? = '' or call = ?) order by id limit ?",
        after, name, name, max(1, min(limit, 10_000)),
    )  # fmt: skip
    calls = []
    for row in rows:
        body = bytes(row["body"])
        calls.append(
            {
                "id": row["id"], "at": row["at"], "time": instant(row["at"]), "method": row["method"],
                "call": row["call"], "query": json.loads(row["query"]), "status": row["status"],
                "errcode": row["errcode"], "effect": bool(row["effect"]),
                "body": base64.b64encode(body).decode(), "text": body.decode("utf-8", "replace"),
            }
        )  # fmt: skip
    return jsonify(received=calls)


@blueprint.delete("/api/received")
@requires(PUBLIC)
def forget() -> Response:
    """Forget what was received (the phones keep their messages)."""
    return jsonify(forgotten=world().store.run("delete from received"))


@blueprint.get("/api/counters")
@requires(PUBLIC)
def counters() -> Response:
    here = world()
    rows = here.store.all(
        "select call, count(*) as n, sum(effect) as effects, min(at) as first, max(at) as last "
        "from received group by call"
    )
    by_call = {row["call"]: dict(row) for row in rows}
    return jsonify(
        received=by_call,
        switches=sorted(here.switches),
        faults=here.faults.listed(),
        options=asdict(here.options),
        **asdict(here.counters),
    )


@blueprint.post("/api/faults")
@requires(PUBLIC)
def order_fault() -> Response:
    """Order a fault (see faults.py)."""
    try:
        return jsonify(asdict(world().faults.order(_body())))
    except ValueError as error:
        raise BadRequest(str(error)) from error


@blueprint.delete("/api/faults")
@requires(PUBLIC)
def clear_faults() -> Response:
    world().faults.clear()
    return jsonify(faults=[])


@blueprint.post("/api/switches")
@requires(PUBLIC)
def switch() -> Response:
    """`{"ip_not_allowed": true}`: what an administrator has set wrong."""
    wishes = _body()
    for name, on in wishes.items():
        if name not in SWITCHES or not isinstance(on, bool):
            raise BadRequest(f"switches are {', '.join(SWITCHES)}, each true or false")
    for name, on in wishes.items():
        world().set_switch(name, on)
    return jsonify(switches=sorted(world().switches))


@blueprint.post("/api/options")
@requires(PUBLIC)
def change_options() -> Response:
    try:
        world().options.change(_body())
    except ValueError as error:
        raise BadRequest(str(error)) from error
    return jsonify(asdict(world().options))


@blueprint.post("/api/void_token")
@requires(PUBLIC)
def void_token() -> Response:
    """Make every token unknown before its time, as the platform may."""
    _body()
    return jsonify(voided=world().store.run("update token set void = 1 where void = 0"))


@blueprint.post("/api/clock")
@requires(PUBLIC)
def put_forward() -> Response:
    """`{"seconds": 259200}`: let the sandbox's time run ahead."""
    seconds = _body().get("seconds")
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or seconds < 0:
        raise BadRequest("seconds must be a number, 0 or more")
    world().put_forward(float(seconds))
    return jsonify(now=world().now().isoformat())


@blueprint.post("/api/unfriend")
@requires(PUBLIC)
def unfriend() -> Response:
    """`{"userid", "external_userid"}`: the customer deletes the employee."""
    data = _body()
    count = world().store.run(
        "update follow set friend = 0 where userid = ? and customer = ?",
        data.get("userid"), data.get("external_userid"),
    )  # fmt: skip
    return jsonify(changed=count)


@blueprint.post("/api/robot")
@requires(PUBLIC)
def set_robot() -> Response:
    """`{"key", "enabled"}`: switch a robot off or on."""
    data = _body()
    count = world().store.run(
        "update robot set enabled = ? where key = ?", int(data.get("enabled") is True), data.get("key")
    )
    return jsonify(changed=count)


@blueprint.post("/api/groups")
@requires(PUBLIC)
def add_groups() -> Response:
    """`{"groups": [{"chat_id", "name", "owner", "members"}]}`: more customer groups, for load."""
    rows = _body().get("groups")
    if not isinstance(rows, list):
        raise BadRequest("groups must be a list")
    here = world()
    with here.store.change():
        here.store.run_many(
            "insert or ignore into chat values (?, ?, ?, ?, 0)",
            [
                (str(row["chat_id"]), str(row["name"]), str(row["owner"]), int(row.get("members", 1)))
                for row in rows
            ],
        )
    here.changed()
    return jsonify(groups=len(rows))


@blueprint.post("/api/confirm")
@requires(PUBLIC)
def confirm() -> tuple[Response, int] | Response:
    """Play the employee: `{"msgid", "userid", "answer": "all"|"part"|"none", "targets": […]}`."""
    data = _body()
    msgid, userid = str(data.get("msgid", "")), str(data.get("userid", ""))
    wish, targets = data.get("answer", "all"), data.get("targets")
    if wish not in ("all", "part", "none") or (wish == "part" and not isinstance(targets, list)):
        raise BadRequest("answer is all, part (with a list of targets) or none")
    try:
        if wish == "none":
            staff.decline(world(), msgid, userid)
            return jsonify(sent=0)
        chosen = [str(key) for key in targets or ()] if wish == "part" else None
        return jsonify(sent=staff.confirm(world(), msgid, userid, chosen))
    except staff.CannotConfirm as error:
        return jsonify(error=str(error)), 409


@blueprint.get("/api/view")
@requires(PUBLIC)
def phones() -> Response:
    """What the phones show; with `?after=REVISION` only that nothing has changed, where nothing has."""
    args = request.args
    return jsonify(view(world(), args.get("customer", ""), args.get("employee", ""), args.get("after", "")))


@blueprint.get("/media/<media_id>")
@requires(PUBLIC)
def show_media(media_id: str) -> Response:
    row = media.read(world(), media_id)
    if row is None:
        return Response(b"", 404)
    response = Response(bytes(row["bytes"]), content_type=row["type"])
    response.headers["Cache-Control"] = "private, max-age=86400"
    return response
