"""What marshmallow finds is told in our words, at the key's whole path, in both languages."""

import inspect
from datetime import date
from enum import Enum
from typing import Any

import pytest
from marshmallow import Schema, ValidationError, fields, validate

from lanmu.i18n import Catalog, Filled, Rewording, told
from lanmu.interfaces.channels import Refusal
from lanmu.interfaces.errors import Faults, Invalid
from lanmu.validation import MARSHMALLOW, faults


class _Slot(Schema):
    time = fields.Time(required=True)


class _Colour(Enum):
    RED = 1


class _Document(Schema):
    port = fields.Integer(strict=True, validate=validate.Range(0, 65535))
    name = fields.String(validate=validate.Length(min=1, max=3))
    slots = fields.List(fields.Nested(_Slot))
    more = fields.Nested(_Slot, many=True)
    shares = fields.Dict(keys=fields.String(), values=fields.Integer(strict=True))
    by_name = fields.Dict(keys=fields.String(validate=validate.Length(max=3)), values=fields.Nested(_Slot))
    word = fields.String(data_key="the_word")
    colour = fields.Enum(_Colour)
    day = fields.Date(validate=validate.Range(min=date(2026, 1, 1)))


def _told(document: Any) -> list[str]:
    schema = _Document()
    with pytest.raises(ValidationError) as caught:
        schema.load(document)
    return [str(fault) for fault in faults(caught.value.messages, schema)]


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ({"port": "x"}, "port: is not a whole number."),
        ({"port": 65536}, "port: must be between 0 and 65535."),
        ({"port": None}, "port: must not be empty."),
        ({"name": "long"}, "name: must have a length of 1 to 3."),
        ({"slots": [{"time": "20:00"}, {}]}, "slots[1].time: is missing."),
        ({"slots": 3}, "slots: is not a list."),
        ({"more": [{"time": "late"}]}, "more[0].time: is not a time of day such as 20:00."),
        ({"more": [{"tme": "20:00", "time": "20:00"}]}, "more[0].tme: is not known here. Did you mean time?"),
        ({"slots": [{"x": 1, "time": "20:00"}]}, "slots[0].x: is not known here. Known here: time."),
        ({"shares": {"brand": "x"}}, "shares.brand: is not a whole number."),
        ({"by_name": {"long": {"time": "20:00"}}}, "by_name.long: is too long; its length may be at most 3."),
        (
            {"by_name": {"a": {"tim": "20:00", "time": "20:00"}}},
            "by_name.a.tim: is not known here. Did you mean time?",
        ),
        ({"the_wrd": "x"}, "the_wrd: is not known here. Did you mean the_word?"),
        ({"colour": "BLUE"}, "colour: must be one of: RED."),
        ({"day": "2025-12-31"}, "day: must be at least 2026-01-01."),
    ],
)
def test_a_fault_is_told_at_its_path_in_our_words(document, line):
    assert _told(document) == [line]


def test_every_fault_of_a_document_is_told():
    assert len(_told({"port": "x", "name": "", "slots": [{}], "unknown": 1})) == 4


def test_a_document_that_is_none_is_told():
    assert _told([]) == ["is not a table of names and values."]


def _messages_of_marshmallow() -> dict[str, str]:
    """Every message template of its fields and validators, with slots filled by something."""
    found: dict[str, str] = {}
    classes = [*vars(fields).values(), *vars(validate).values(), Schema]
    for each in filter(inspect.isclass, classes):
        own = {
            **vars(each).get("default_error_messages", {}),
            **vars(each).get("_default_error_messages", {}),
        }
        own |= {k: v for k, v in vars(each).items() if k.startswith(("message_", "default_message"))}
        found |= {f"{each.__name__}.{name}": text for name, text in own.items() if isinstance(text, str)}
    return found


def _is_part_of_a_sentence(text: str) -> bool:
    return not text.endswith(".")


@pytest.mark.parametrize(("name", "text"), sorted(_messages_of_marshmallow().items()))
def test_every_message_of_marshmallow_has_words_of_ours(name, text):
    if _is_part_of_a_sentence(text) or name == "Schema.unknown":
        return  # the words between two limits, and what is told with the keys that are known
    operators = {"min_op": "greater than", "max_op": "less than or equal to", "awareness": "aware"}
    filled = text.replace("{{", "{").replace("}}", "}")
    for slot, value in {**operators, "obj_type": "datetime"}.items():
        filled = filled.replace(f"{{{slot}}}", value)
    assert isinstance(MARSHMALLOW(filled), Filled), filled


def test_words_of_ours_are_left_as_they_are():
    assert (
        str(faults({"zone": ["is not a time zone; 100% sure."]})[0]) == "zone: is not a time zone; 100% sure."
    )


def test_several_faults_are_one_text_that_can_be_translated():
    errors = Faults(
        [
            Invalid("port", MARSHMALLOW("Not a valid integer.")),
            Invalid("", "is empty.", "Fill %(n)s in.", n=1),
        ]
    )
    assert str(errors) == told(errors) == "port: is not a whole number.\nis empty. Fill 1 in."
    assert Catalog().gettext("zh-CN", told(errors)) == "port: 不是整数。\n是空的。Fill 1 in."


def test_a_librarys_sentence_may_hold_another():
    reword = Rewording(
        {"Invalid {name}: {fault}": "%(name)s: %(fault)s", "No {thing}.": "there is no %(thing)s."}
    )
    assert reword("Invalid --limit: No number.") == "--limit: there is no number."
    assert reword("Something else.") == "Something else."


def test_english_sentences_are_parted_in_chinese_too():
    error = Invalid("views.py", "is open to nobody.", "Add it.")
    assert Catalog().gettext("zh-CN", told(error)) == "views.py: is open to nobody. Add it."


@pytest.mark.parametrize("text", ["50 % of %(n)s", "%(n)s is 50%", "%(n)s of %(missing)s", "%(n)d of %s"])
def test_a_slip_in_a_text_with_slots_hides_nothing(text: str):
    error = Invalid("", text, "Take %(n)s.", n="two")
    for shown in (str(error), str(told(error)), Catalog().gettext("zh-CN", told(error))):
        assert "two" in shown
        assert shown.endswith("Take two.")
    assert "two" in str(Refusal(text, params={"n": "two"}))


def test_unknown_keys_are_told_in_their_order_and_where_there_are_none_so_is_the_likely_slip():
    class Nothing(Schema):
        pass

    with pytest.raises(ValidationError) as raised:
        Nothing().load(dict.fromkeys("dbca", 1))
    found = faults(raised.value.messages, Nothing(), "plugins.echo")
    assert [fault.place for fault in found] == [f"plugins.echo.{key}" for key in "abcd"]
    assert "settings_schema" in str(found[0])
