"""Bodies know a few placeholders and filters, and nothing else of the template language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanmu.interfaces.errors import Faults, Invalid
from lanmu.library.placeholders import (
    FILTERS,
    OUTPUT_CAP,
    VARIABLES,
    MissingValue,
    check_body,
    render,
    used_placeholders,
)

VALUES = {
    "community.name": "三月妈妈群",
    "community.size": 188,
    "shop.name": "小满",
    "member.nickname": "Lily",
    "sender.name": "林晓",
}


@pytest.mark.parametrize("variable", VARIABLES)
def test_every_variable_can_be_asked_for(variable):
    assert render("好{{ " + variable + " }}。\n", VALUES) == f"好{VALUES[variable]}。\n"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("{{ member.nickname | upper }}", "LILY"),
        ("{{ member.nickname|lower }}", "lily"),
        ("{{ community.name | truncate(3) }}", "三月…"),
        ("{{ community.name | truncate(9) }}", "三月妈妈群"),
        ("{{ member.nickname | default('朋友') | upper }}", "LILY"),
        ("{{- member.nickname -}}", "Lily"),
        ("没有占位符 {x} }} %}", "没有占位符 {x} }} %}"),
    ],
)
def test_filters_do_what_they_say(body, shown):
    assert render(body, VALUES) == shown


@pytest.mark.parametrize(
    "body",
    [
        "{{ ''.__class__ }}",
        "{{ member.nickname|attr('y') }}",
        "{{ config }}",
        "{{ member.__class__ }}",
        "{{ member.nickname.__class__ }}",
        "{{ member['nickname'] }}",
        "{{ member.nickname() }}",
        "{{ 7 * 7 }}",
        "{{ member.nickname ~ shop.name }}",
        "{{ member.nickname, shop.name }}",
        "{{ member.nickname if shop.name else '' }}",
        "{{ 'x' }}",
        "{{ self }}",
        "{{ range(9) }}",
        "{{ [1] }}",
        "{{ }}",
        "{{",
        "{{ member.nickname",
        "{% for x in y %}{% endfor %}",
        "{% set x = 1 %}",
        "{% include 'x' %}",
        "{% raw %}{{ config }}{% endraw %}",
        "{# note #}",
        "{{ member.nickname | default(shop.name) }}",
        "{{ member.nickname | default }}",
        "{{ member.nickname | default('x', true) }}",
        "{{ member.nickname | default(value='x') }}",
        "{{ member.nickname | truncate(0) }}",
        "{{ member.nickname | truncate(100000) }}",
        "{{ member.nickname | truncate(-1) }}",
        "{{ member.nickname | truncate(true) }}",
        "{{ member.nickname | upper('x') }}",
        "{{ member.nickname | safe }}",
        "{{ member.nickname" + " | upper" * 6 + " }}",
        "{{ member.nickname is defined }}",
        "{{ member.nickname | default('}}') }}",
    ],
)
def test_everything_else_is_refused_with_its_place(body):
    faults = check_body("第一行\n字" + body)
    assert faults
    assert faults[0].place == "body:2:2"
    assert faults[0].way_out
    with pytest.raises(Faults):
        render("第一行\n字" + body, VALUES)


def test_an_unknown_word_is_answered_with_the_known_ones():
    (variable,) = check_body("{{ member.phone }}")
    assert "member.phone" in str(variable)
    assert all(name in str(variable) for name in VARIABLES)
    (by_filter,) = check_body("{{ member.nickname | tojson }}")
    assert "tojson" in str(by_filter)
    assert all(known.usage in str(by_filter) for known in FILTERS.values())


def test_every_fault_of_a_body_is_told_at_once():
    assert [fault.place for fault in check_body("{{ a }} {{ shop.name }}\n{% b %}\n{{ c.d }}")] == [
        "body:1:1",
        "body:2:1",
        "body:3:1",
    ]


def test_a_missing_value_holds_the_text_and_names_all_that_is_missing():
    with pytest.raises(MissingValue) as raised:
        render(
            "{{ member.nickname }} {{ sender.name }} {{ shop.name }}",
            {"shop.name": "小满", "sender.name": ""},
        )
    assert raised.value.names == ("member.nickname", "sender.name")


def test_a_default_stands_in_for_a_missing_value_and_only_then():
    body = "{{ member.nickname | default('朋友') }}好"
    assert render(body, {}) == "朋友好"
    assert render(body, {"member.nickname": None}) == "朋友好"
    assert render(body, VALUES) == "Lily好"


def test_a_value_is_never_read_as_a_template():
    assert render("{{ member.nickname }}", {"member.nickname": "{{ config }}"}) == "{{ config }}"


def test_a_body_of_a_hundred_kilobytes_is_refused():
    (fault,) = check_body("字" * 34_000)
    assert "102000" in str(fault)


def test_the_outcome_has_a_limit():
    with pytest.raises(Invalid):
        render("{{ shop.name }}" * 700, {"shop.name": "x" * 100})
    assert len(render("{{ shop.name }}" * 600, {"shop.name": "x" * 100})) <= OUTPUT_CAP


def test_the_placeholders_of_a_body_are_listed_in_order():
    used = used_placeholders("{{ shop.name }} {{ member.nickname | default('朋友') }}")
    assert [(item.variable, item.has_default) for item in used] == [
        ("shop.name", False),
        ("member.nickname", True),
    ]


@given(st.text(alphabet="{}%#|. ()'_abmember.nickname\n字", max_size=60))
def test_whatever_is_written_is_either_refused_or_rendered(body):
    if not check_body(body):
        render(body, VALUES)
