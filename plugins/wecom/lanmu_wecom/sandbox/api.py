"""The platform's side over HTTP: `/cgi-bin/…` with its answers, headers, quirks and ordered faults."""

import json
import secrets
import socket
import time
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, current_app, request

from lanmu.interfaces.access import PUBLIC, requires
from lanmu_wecom.sandbox.calls import Call, answer, known
from lanmu_wecom.sandbox.faults import Fault
from lanmu_wecom.sandbox.media import Upload
from lanmu_wecom.sandbox.world import WecomError, World

blueprint = Blueprint("api", __name__)

_BARE = frozenset({40014})
_READS = ("externalcontact/get_", "externalcontact/list", "externalcontact/groupchat/")
_UPLOADS = frozenset({"media/upload", "media/uploadimg", "webhook/upload_media"})
_BAD_GATEWAY = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body>\r\n</html>\r\n"
_HUGE = 1_200_000


def world() -> World:
    """The state of this app."""
    found: World = current_app.extensions["wecom_sandbox"]
    return found


@blueprint.route("/cgi-bin/<path:name>", methods=["GET", "POST"])
@requires(PUBLIC)
def call(name: str) -> Response:
    """Any call of the platform; an unknown path is a 404 with an empty body."""
    here = world()
    if not known(name):
        return Response(b"", 404)
    try:
        here.enter(name)
    except WecomError as error:
        body = _refused(here, error)
        _log(here, name, 200, error.code, effect=False)
        return _json(body, error.code)
    try:
        return _serve(here, name)
    finally:
        here.leave(name)


def _serve(here: World, name: str) -> Response:
    fault = here.faults.take(name)
    if fault is not None and fault.when == "before":
        if fault.kind == "slow":
            time.sleep(fault.seconds)
        elif fault.kind != "dribble":
            _log(here, name, 0, None, effect=False)
            return _broken(fault, b"")
    status, body, code = _answer(here, name)
    _log(here, name, status, code, effect=code == 0)
    if fault is None or (fault.kind == "slow" and fault.when == "before"):
        return _json(body, code)
    if fault.kind == "slow":
        time.sleep(fault.seconds)
        return _json(body, code)
    return _broken(fault, body)


def _answer(here: World, name: str) -> tuple[int, bytes, int]:
    try:
        data, warned = answer(here, _read_call(name))
    except WecomError as error:
        return 200, _refused(here, error), error.code
    head: dict[str, Any] = {"errcode": 0, "errmsg": "ok"}
    if warned:
        head["errmsg"] = "ok. Warning: wrong json format. "
    elif here.options.quirks and name.startswith(_READS) and next(here.reads) % 3 == 0:
        head = {}
    return 200, _encode(here, {**head, **data}), 0


def _refused(here: World, error: WecomError) -> bytes:
    code = str(error.code)
    here.counters.errcodes[code] = here.counters.errcodes.get(code, 0) + 1
    return _encode(here, {"errcode": error.code, "errmsg": _errmsg(error), **error.extra})


def _read_call(name: str) -> Call:
    file = None
    if name in _UPLOADS and request.mimetype == "multipart/form-data":
        part = request.files.get("media")
        if part is not None:
            file = Upload(part.filename or "", part.mimetype, part.read())
    body = b"" if name in _UPLOADS else request.get_data()
    return Call(
        name,
        request.method,
        request.args,
        body,
        file,
        request.remote_addr or "",
        request.host_url.rstrip("/") if name == "media/uploadimg" else "",
    )


def _errmsg(error: WecomError) -> str:
    if error.code in _BARE:
        return error.text
    return (
        f"{error.text}, hint: [{secrets.randbelow(10**20):020d}], from ip: {request.remote_addr}, "
        f"more info at https://open.work.weixin.qq.com/devtool/query?e={error.code}"
    )


def _encode(here: World, data: dict[str, Any]) -> bytes:
    if here.options.quirks and next(here.answers) % 2:
        data = dict(reversed(data.items()))
    return json.dumps(data, ensure_ascii=False).encode()


def _json(body: bytes, code: int) -> Response:
    response = Response(body, 200, content_type="application/json; charset=UTF-8")
    response.headers["Error-Code"] = str(code)
    response.headers["Error-Msg"] = "ok" if code == 0 else "error"
    return response


def _broken(fault: Fault, body: bytes) -> Response:
    body = body or b'{"errcode":0,"errmsg":"ok"}'
    if fault.kind == "html502":
        return Response(_BAD_GATEWAY, 502, content_type="text/html")
    if fault.kind == "garbage":
        return Response(_BAD_GATEWAY[:40], 200, content_type="text/html")
    if fault.kind == "errcode":
        text = {"errcode": fault.code, "errmsg": "ordered by a test"}
        return _json(json.dumps(text).encode(), fault.code)
    if fault.kind == "empty":
        return _json(b"", 0)
    if fault.kind == "huge":
        return _json(body[:-1] + b',"pad":"' + b"x" * _HUGE + b'"}', 0)
    if fault.kind == "drop":
        _hang_up()
        return Response(b"", 200)
    pieces = [body[: len(body) // 2]] if fault.kind == "truncate" else _dribble(body, fault.seconds)
    response = Response(pieces, 200, content_type="application/json; charset=UTF-8")
    response.headers["Content-Length"] = str(len(body))
    return response


def _dribble(body: bytes, seconds: float) -> Iterator[bytes]:
    for index in range(len(body)):
        if index:
            time.sleep(seconds)
        yield body[index : index + 1]


def _hang_up() -> None:
    """Close the connection without a word. WSGI has no such thing; waitress's own callback leads there."""
    channel = getattr(request.environ.get("waitress.client_disconnected"), "__self__", None)
    if channel is None:
        raise RuntimeError("the fault 'drop' needs the sandbox to be served by waitress")
    channel.socket.shutdown(socket.SHUT_RDWR)


def _log(here: World, name: str, status: int, code: int | None, *, effect: bool) -> None:
    """Remember the call with its exact bytes; the token and the secret stay out, a file is its size."""
    query = {key: value for key, value in request.args.items() if key not in ("access_token", "corpsecret")}
    body = b"" if name in _UPLOADS else request.get_data()
    with here.store.change():
        row = here.store.add(
            "insert into received (at, method, call, query, body, status, errcode, effect) "
            "values (?, ?, ?, ?, ?, ?, ?, ?)",
            here.stamp(), request.method, name, json.dumps(query), body, status, code, int(effect),
        )  # fmt: skip
        if row % 1000 == 0:
            here.store.run("delete from received where id <= ?", row - here.options.log_max)
