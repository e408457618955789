"""`Idempotency-Key`: the first answer to a key is kept, and its repetition gets the same one."""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Response, current_app, make_response, request
from sqlalchemy import delete, select, update

from lanmu.i18n import _
from lanmu.interfaces.errors import Conflict, Invalid
from lanmu.staff.models import IdempotencyRecord
from lanmu.storage.once import insert_once
from lanmu.web.people import server, signed_in

View = TypeVar("View", bound=Callable[..., Any])

KEPT_FOR = timedelta(days=30)
_ABANDONED_AFTER = timedelta(minutes=5)


def idempotent(view: View) -> View:
    """Carry a POST out once for its Idempotency-Key; without the header it is carried out each time.

    Goes above `arguments` and `response`: what it keeps is the answer as it is sent.
    """

    @wraps(view)
    def once(*args: Any, **kwargs: Any) -> Any:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return current_app.ensure_sync(view)(*args, **kwargs)
        if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
            raise Invalid("Idempotency-Key", _("must be 1 to 255 printable ASCII characters."))
        place = {"actor": signed_in().username, "route": str(request.url_rule), "key": key}
        body_hash = hashlib.sha256(request.path.encode() + b"\n" + request.get_data()).hexdigest()
        if replayed := _begin(place, body_hash):
            return replayed
        try:
            answer = make_response(view(*args, **kwargs))
        except BaseException:
            _forget(place)  # nothing was done, so the same key may try again
            raise
        _keep(place, answer)
        return answer

    return cast(View, once)


def _begin(place: dict[str, str], body_hash: str) -> Response | None:
    now = server().clock.now()
    with server().database.write() as session:
        session.execute(delete(IdempotencyRecord).where(IdempotencyRecord.created_at < now - KEPT_FOR))
        made = insert_once(
            session, IdempotencyRecord, ["actor", "route", "key"],
            {**place, "request_hash": body_hash, "body": "", "created_at": now},
        )  # fmt: skip
        if made is not None:
            return None
        row = session.scalars(select(IdempotencyRecord).filter_by(**place)).one()
        if row.request_hash != body_hash:
            raise Invalid("Idempotency-Key", _("was used before with another body."), _("Choose a new key."))
        if row.status is None:
            if now - row.created_at < _ABANDONED_AFTER:
                raise Conflict(
                    "Idempotency-Key", _("the first request with this key is still being carried out.")
                )
            row.created_at = now  # whoever carried it out is gone; its own keys keep it from a second effect
            return None
        answer = make_response(row.body, row.status)
        answer.mimetype = "application/json"
        answer.headers["Idempotency-Replayed"] = "true"
        return answer


def _keep(place: dict[str, str], answer: Response) -> None:
    with server().database.write() as session:
        session.execute(
            update(IdempotencyRecord)
            .filter_by(**place)
            .values(status=answer.status_code, body=json.dumps(answer.get_json(), ensure_ascii=False))
        )


def _forget(place: dict[str, str]) -> None:
    with server().database.write() as session:
        session.execute(delete(IdempotencyRecord).filter_by(**place))
