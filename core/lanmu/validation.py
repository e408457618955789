"""What marshmallow finds wrong, as faults in our words: each with its key's whole path."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import RAISE, Schema, fields
from marshmallow.exceptions import SCHEMA

from lanmu.i18n import Filled, Rewording, _
from lanmu.interfaces.errors import Invalid

_NO_TABLE = _("is not a table of names and values.")
_NO_DURATION = _("is not a period of time.")
_NOT_ACCEPTABLE = _("is not acceptable.")
_NO_IP = _("is not an IP address.")
_UNKNOWN = "Unknown field."

MARSHMALLOW = Rewording(
    {
        "Missing data for required field.": _("is missing."),
        "Field may not be null.": _("must not be empty."),
        "Not a valid string.": _("is not text; put it in quotes."),
        "Not a valid utf-8 string.": _("is not UTF-8 text."),
        "Not a valid integer.": _("is not a whole number."),
        "Not a valid number.": _("is not a number."),
        "Number too large.": _("is too large a number."),
        "Special numeric values (nan or infinity) are not permitted.": _("is not a finite number."),
        "Not a valid boolean.": _("must be true or false."),
        "Not a valid list.": _("is not a list."),
        "Not a valid tuple.": _("is not a list."),
        "Not a valid mapping type.": _NO_TABLE,
        "Invalid input type.": _NO_TABLE,
        "Invalid type.": _NO_TABLE,
        "Not a valid aware datetime.": _("needs a time zone, such as 2026-01-31T20:00:00+08:00."),
        "Not a valid naive datetime.": _("must not have a time zone; write it like 2026-01-31T20:00:00."),
        "Not a valid datetime.": _("is not a date and time such as 2026-01-31T20:00:00+08:00."),
        "Not a valid date.": _("is not a date such as 2026-01-31."),
        "Not a valid time.": _("is not a time of day such as 20:00."),
        "Not a valid period of time.": _NO_DURATION,
        "{value} cannot be formatted as a {kind}.": _NOT_ACCEPTABLE,
        "Not a valid URL.": _("is not a web address."),
        "Not a valid email address.": _("is not an e-mail address."),
        "Not a valid UUID.": _("is not a UUID."),
        "Not a valid IP{kind} address.": _NO_IP,
        "Not a valid IP address.": _NO_IP,
        "Not a valid IP{kind} interface.": _NO_IP,
        "Not a valid IP interface.": _NO_IP,
        "Must be one of: {choices}.": _("must be one of: %(choices)s."),
        "One or more of the choices you made was not in: {choices}.": _("takes only: %(choices)s."),
        "One or more of the choices you made was in: {values}.": _("must not contain: %(values)s."),
        "Must be equal to {other}.": _("must be %(other)s."),
        "Must be greater than or equal to {low} and less than or equal to {high}.": _(
            "must be between %(low)s and %(high)s."
        ),
        "Must be greater than {low} and less than or equal to {high}.": _(
            "must be above %(low)s and at most %(high)s."
        ),
        "Must be greater than or equal to {low} and less than {high}.": _(
            "must be at least %(low)s and below %(high)s."
        ),
        "Must be greater than {low} and less than {high}.": _("must be above %(low)s and below %(high)s."),
        "Must be greater than or equal to {low}.": _("must be at least %(low)s."),
        "Must be greater than {low}.": _("must be above %(low)s."),
        "Must be less than or equal to {high}.": _("must be at most %(high)s."),
        "Must be less than {high}.": _("must be below %(high)s."),
        "Shorter than minimum length 1.": _("must not be empty."),
        "Shorter than minimum length {low}.": _("is too short; its length must be at least %(low)s."),
        "Longer than maximum length {high}.": _("is too long; its length may be at most %(high)s."),
        "Length must be between {low} and {high}.": _("must have a length of %(low)s to %(high)s."),
        "Length must be {equal}.": _("must have a length of %(equal)s."),
        "String does not match expected pattern.": _("is not written in the form that is needed here."),
        "Invalid value.": _NOT_ACCEPTABLE,
        "Invalid input.": _NOT_ACCEPTABLE,
        "Invalid JSON body.": _("is not valid JSON."),
    }
)
"""Every message of marshmallow's fields and validators, and webargs' one about the body."""


def faults(messages: object, schema: Schema | None = None, place: str = "") -> list[Invalid]:
    """A ValidationError's nested `messages` as faults at paths like `slots[0].time`, beginning with `place`.

    With the `schema` that found them, an unknown key is told with the name it may have been meant for.
    """
    return list(_walk(messages, schema, place))


def tables(
    schema: Schema, place: str, unknown: str | None = None, within: tuple[type[Schema], ...] = ()
) -> Iterator[tuple[str, Schema, bool]]:
    """Every table that a schema checks, those in its lists and tables too: its place, where NAME stands for
    any key; its schema; and whether it refuses keys that it does not know.

    `unknown` is what the field that holds the table says of those, if it does.
    """
    if type(schema) in within:
        return
    yield place, schema, (unknown or schema.unknown) == RAISE
    for name, field in schema.fields.items():
        nested, below = _innermost(field, _path(place, field.data_key or name))
        if nested is not None:
            yield from tables(nested.schema, below, nested.unknown, (*within, type(schema)))


def _innermost(field: object, place: str) -> tuple[fields.Nested | None, str]:
    """The field of the tables that a field holds, however deep in lists and tables of any key."""
    if isinstance(field, fields.List):
        return _innermost(field.inner, place)
    if isinstance(field, fields.Dict):
        return _innermost(field.value_field, _path(place, "NAME"))
    return (field if isinstance(field, fields.Nested) else None), place


_Node = Schema | fields.Field[Any] | None


def _walk(messages: object, node: _Node, place: str) -> Iterator[Invalid]:
    if not isinstance(messages, Mapping):
        for said in messages if isinstance(messages, list) else [messages]:
            yield Invalid(place, said if isinstance(said, Filled) else MARSHMALLOW(str(said)))
        return
    # marshmallow finds unknown keys in a set's order, which no two runs share.
    by_name = sorted(messages.items(), key=lambda item: str(item[0]) if item[1] == [_UNKNOWN] else "")
    for key, inner in by_name:
        if key == SCHEMA:
            yield from _walk(inner, node, place)
        elif inner == [_UNKNOWN]:
            yield _unknown(_path(place, key), str(key), node)
        elif (
            isinstance(node, fields.Dict) and isinstance(inner, Mapping) and inner.keys() <= {"key", "value"}
        ):
            # What is wrong with an entry's name and with its value stand one level deeper.
            for part, told in inner.items():
                value = _opened(node.value_field) if part == "value" else None
                yield from _walk(told, value, _path(place, key))
        else:
            yield from _walk(inner, _below(node, key), _path(place, key))


def _unknown(place: str, key: str, node: _Node) -> Invalid:
    fault = _("is not known here.")
    if not isinstance(node, Schema):
        return Invalid(place, fault)
    known = [field.data_key or name for name, field in node.fields.items() if not field.dump_only]
    if not known:
        way_out = _("There is nothing to set here. Has the plugin set its settings_schema?")
        return Invalid(place, fault, way_out)
    if near := difflib.get_close_matches(key, known, n=1):
        return Invalid(place, fault, _("Did you mean %(near)s?"), near=near[0])
    return Invalid(place, fault, _("Known here: %(known)s."), known=", ".join(known))


def _below(node: _Node, key: object) -> _Node:
    """What checks the part of a document that `key` leads to."""
    if isinstance(node, fields.List):
        return _opened(node.inner)
    if not isinstance(node, Schema) or isinstance(key, int):
        return node  # a number picks one of many that the same schema checks
    return _opened(next((f for name, f in node.fields.items() if (f.data_key or name) == key), None))


def _opened(field: fields.Field[Any] | None) -> _Node:
    return field.schema if isinstance(field, fields.Nested) else field


def _path(place: str, key: object) -> str:
    if isinstance(key, int):
        return f"{place}[{key}]"
    return f"{place}.{key}" if place else str(key)
