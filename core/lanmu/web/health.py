"""Whether the server is well, for programs that watch it: `/livez`, `/healthz` and `/metrics`.

They answer within a second or two whatever the database does: one that hangs would else hold whoever asks,
and with the next questions every thread, for as long as its patience lasts.
"""

import threading
import time
from concurrent.futures import Future
from typing import cast

from flask import Blueprint, Response, current_app, jsonify
from flask.blueprints import BlueprintSetupState
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import URL, select

from lanmu.interfaces.access import PUBLIC, requires
from lanmu.staff.models import SettingRecord
from lanmu.storage import Database
from lanmu.web.people import server

blueprint = Blueprint("health", __name__)

LANE = frozenset({"/livez", "/healthz"})
"""What is answered also while every thread is taken, see `lanmu.web.lane`."""

_PATIENCE = 1.0
_SILENT, _AWAY = "database does not answer", "database unreachable"
_EXTENSION = "lanmu-readiness"


class Readiness:
    """Asks the database at `url` whether it answers: once for all who want to know at that moment.

    It has a connection of its own, which never waits for one that others hold, and gives up by itself soon
    after those who ask have. It is opened for each question alone: to make one opens nothing.
    """

    def __init__(self, url: URL, patience: float = _PATIENCE) -> None:
        if url.get_backend_name() == "postgresql":
            url = url.update_query_dict({"connect_timeout": "2"})  # the least that its driver knows
        self._database = Database(url, pool_size=1, patience=patience)
        self._patience = patience
        self._lock = threading.Lock()
        self._asked: Future[None] = Future()
        self._asked.set_result(None)
        self._since = 0.0

    def why_not(self) -> str:
        """Empty where the database answers; else why it is of no use, in words that tell nothing of it."""
        with self._lock:
            if self._asked.done():
                self._asked, self._since = Future(), time.monotonic()
                threading.Thread(target=self._ask, args=(self._asked,), name="health", daemon=True).start()
            asked, since = self._asked, self._since
        try:
            asked.result(max(0.0, since + self._patience - time.monotonic()))
        except TimeoutError:
            return _SILENT
        except Exception:  # noqa: BLE001  whatever the driver raises, the answer is the same
            return _AWAY
        return ""

    def _ask(self, asked: Future[None]) -> None:
        away = None
        try:
            with self._database.read() as session:
                session.execute(select(SettingRecord.key).limit(1))
        except Exception as error:  # noqa: BLE001  it reaches whoever waits for it
            away = error
        self._database.close()  # before the answer: after it the next to ask has a connection of it
        if away is None:
            asked.set_result(None)
        else:
            asked.set_exception(away)


@blueprint.record_once
def _make(mounted: BlueprintSetupState) -> None:
    mounted.app.extensions[_EXTENSION] = Readiness(mounted.app.extensions["lanmu"].database.url)


def _why_not_ready() -> str:
    return cast(Readiness, current_app.extensions[_EXTENSION]).why_not()


@blueprint.get("/livez")
@requires(PUBLIC)
def livez() -> Response:
    """200 as long as this process answers at all; the database is not asked."""
    return jsonify(status="ok")


@blueprint.get("/healthz")
@requires(PUBLIC)
def healthz() -> tuple[Response, int]:
    """200 where the database answers, 503 with the reason where it does not within a second."""
    why = _why_not_ready()
    return jsonify(status=why or "ok"), 503 if why else 200


@blueprint.get("/metrics")
@requires(PUBLIC)
def metrics() -> Response:
    """Counters for Prometheus; numbers only, nothing about anybody. 503 where they cannot be counted."""
    if why := _why_not_ready():
        return Response(f"{why}\n", 503, mimetype="text/plain")
    server().measure()
    return Response(generate_latest(server().meters.registry), content_type=CONTENT_TYPE_LATEST)
