"""What JSON may hold before a schema sees it: no key twice, no endless nesting, only text that is text."""

import json
from typing import Any

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid

LARGEST = 1024 * 1024
DEEPEST = 32


def check() -> None:
    """Refuse a request to the API whose JSON two readers could read differently, or no database keeps."""
    if not request.path.startswith("/api/") or not request.content_length:
        return
    if not request.is_json:
        raise UnsupportedMediaType
    if request.content_length > LARGEST:
        raise RequestEntityTooLarge
    try:
        document = json.loads(request.get_data(), object_pairs_hook=_once_each, parse_constant=_no_number)
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError:
        return  # not JSON at all: the view says so in its own way
    _walk(document)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(twice, _("stands twice in one object."), _("Leave one of them out."))
    return found


def _no_number(name: str) -> float:
    raise Invalid("body", _("holds %(name)s, which is no number."), name=name)


def _walk(document: Any) -> None:
    level, depth = [document], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise _too_deep()
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, str) and not _storable(value):
                raise Invalid("body", _("holds a character that no text has (NUL or half of a pair)."))
        level = below


def _storable(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _too_deep() -> Invalid:
    return Invalid("body", _("is nested more than %(deepest)s deep."), deepest=DEEPEST)
