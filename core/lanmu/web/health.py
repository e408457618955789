"""Whether the server is well, for programs that watch it: `/healthz` and `/metrics`."""

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from lanmu.interfaces.access import PUBLIC, requires
from lanmu.web.people import server

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@requires(PUBLIC)
def healthz() -> tuple[Response, int]:
    """200 where the database answers, 503 where it does not."""
    try:
        with server().database.read() as session:
            session.execute(text("SELECT 1"))
    except Exception:  # noqa: BLE001  whatever the driver raises, the answer is the same
        return jsonify(status="database unreachable"), 503
    return jsonify(status="ok"), 200


@blueprint.get("/metrics")
@requires(PUBLIC)
def metrics() -> Response:
    """Counters for Prometheus; numbers only, nothing about anybody."""
    server().measure()
    return Response(generate_latest(server().meters.registry), content_type=CONTENT_TYPE_LATEST)
