"""The small language of bodies: `{{ member.nickname | default('朋友') }}` and nothing more.

A body is written by one person and rendered for many, so it is checked against an allow-list of syntax before
Jinja2 compiles it; the sandbox behind that is the second wall.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from lanmu.i18n import _
from lanmu.interfaces.errors import Faults, Invalid, LanmuError

VARIABLES = ("community.name", "community.size", "shop.name", "member.nickname", "sender.name")
"""Everything a body may ask for."""

SOURCE_CAP = 64 * 1024
"""Most bytes of UTF-8 that a body may have."""

OUTPUT_CAP = 64 * 1024
"""Most bytes of UTF-8 that a rendered body may have."""

_MARK = re.compile(r"\{\{|\{%|\{#")
_FILTER_DEPTH = 5
_TEXT_ARGUMENT = 100
_TRUNCATE_MOST = 500


@dataclass(frozen=True, slots=True)
class _Filter:
    """A filter with the test of its constant arguments."""

    apply: Callable[..., str]
    fits: Callable[[Sequence[object]], bool]
    usage: str


def _is_default(arguments: Sequence[object]) -> bool:
    return len(arguments) == 1 and isinstance(arguments[0], str) and 0 < len(arguments[0]) <= _TEXT_ARGUMENT


def _is_length(arguments: Sequence[object]) -> bool:
    return len(arguments) == 1 and type(arguments[0]) is int and 1 <= arguments[0] <= _TRUNCATE_MOST


def _default(value: object, instead: str) -> str:
    return instead if isinstance(value, StrictUndefined) else str(value)


def _truncate(value: object, length: int) -> str:
    text = str(value)
    return text if len(text) <= length else text[: length - 1] + "…"


FILTERS: Mapping[str, _Filter] = {
    "default": _Filter(_default, _is_default, "default('…')"),
    "lower": _Filter(lambda value: str(value).lower(), lambda given: not given, "lower"),
    "truncate": _Filter(_truncate, _is_length, "truncate(20)"),
    "upper": _Filter(lambda value: str(value).upper(), lambda given: not given, "upper"),
}
"""Every filter by its name."""


class MissingValue(LanmuError):
    """The one who is to get the text lacks values that it needs. `names` lists all of them."""

    status = 409
    code = "missing_value"

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        super().__init__(
            "body",
            _("there is no value for %(names)s."),
            _("Fill it in, or give the placeholder a default, such as | default('…')."),
            names=", ".join(names),
        )


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A placeholder of a body: what it asks for, and whether it has words for when that is missing."""

    variable: str
    has_default: bool


def check_body(body: str) -> list[LanmuError]:
    """Every fault of a body's placeholders, each placed as `body:LINE:COLUMN`; empty where it is fine."""
    return list(_parsed(body)[1])


def used_placeholders(body: str) -> tuple[Placeholder, ...]:
    """The placeholders of a body in their order. Raises Faults where it is not a good body."""
    found, faults = _parsed(body)
    if faults:
        raise Faults(faults)
    return found


def render(body: str, values: Mapping[str, object]) -> str:
    """The body with its placeholders filled from `values` ("member.nickname" → …).

    None and empty text count as missing. Raises MissingValue (naming all that is missing and has no
    default), Faults for a body that would not have been saved, Invalid where the outcome is too long.
    """
    present = {name: value for name, value in values.items() if value is not None and value != ""}
    used = used_placeholders(body)
    missing = dict.fromkeys(
        item.variable for item in used if not item.has_default and item.variable not in present
    )
    if missing:
        raise MissingValue(list(missing))
    if not used:
        return body
    context: dict[str, dict[str, object]] = {name.split(".", 1)[0]: {} for name in VARIABLES}
    for name, value in present.items():
        root, _dot, attribute = name.partition(".")
        context.setdefault(root, {})[attribute] = value
    pieces: list[str] = []
    size = 0
    for piece in _compiled(body).generate(context):
        size += len(piece.encode())
        if size > OUTPUT_CAP:
            raise Invalid(
                "body",
                _("the text is longer than %(most)d KB once its placeholders are filled."),
                _("Shorten it."),
                most=OUTPUT_CAP // 1024,
            )
        pieces.append(piece)
    return "".join(pieces)


def _environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,  # bodies are plain text; whatever shows them as HTML escapes them there
        keep_trailing_newline=True,
        cache_size=0,
    )
    made.globals.clear()
    made.tests.clear()
    made.filters = {name: known.apply for name, known in FILTERS.items()}
    return made


_ENVIRONMENT = _environment()


@lru_cache(maxsize=512)
def _compiled(body: str) -> Template:
    return _ENVIRONMENT.from_string(body)


@lru_cache(maxsize=512)
def _parsed(body: str) -> tuple[tuple[Placeholder, ...], tuple[LanmuError, ...]]:
    size = len(body.encode("utf-8", "replace"))
    if size > SOURCE_CAP:
        fault = Invalid(
            "body",
            _("it has %(size)d bytes; at most %(most)d are allowed."),
            _("Shorten it."),
            size=size,
            most=SOURCE_CAP,
        )
        return (), (fault,)
    found: list[Placeholder] = []
    faults: list[LanmuError] = []
    at = 0
    while (mark := _MARK.search(body, at)) is not None:
        end = body.find("}}", mark.end()) + 2 if mark.group() == "{{" else 1
        if end == 1:
            faults.append(_unreadable(body, mark.start()))
            at = mark.end()
            continue
        try:
            found.append(_read(body[mark.start() : end]))
        except _NotAllowed as error:
            faults.append(error.placed(body, mark.start()))
        at = end
    if found and not faults and not _seen_alike(body, len(found)):
        faults.append(_unreadable(body, body.index("{{")))
    return tuple(found), tuple(faults)


def _seen_alike(body: str, count: int) -> bool:
    """Does Jinja2 see in the whole body just the pieces that were looked at one by one?"""
    try:
        tree = _ENVIRONMENT.parse(body)
    except TemplateError:
        return False
    return len(list(tree.find_all(nodes.Getattr))) == count and all(
        isinstance(node, nodes.Output) for node in tree.body
    )


class _NotAllowed(Exception):
    def __init__(self, fault: str, way_out: str, **params: object) -> None:
        self.fault, self.way_out, self.params = fault, way_out, params

    def placed(self, body: str, at: int) -> Invalid:
        return Invalid(_place(body, at), self.fault, self.way_out, **self.params)


def _read(piece: str) -> Placeholder:
    """What `{{ … }}` asks for. Raises _NotAllowed."""
    try:
        tree = _ENVIRONMENT.parse(piece)
    except TemplateError:
        raise _refused(piece) from None
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output) or len(tree.body[0].nodes) != 1:
        raise _refused(piece)
    node: nodes.Node | None = tree.body[0].nodes[0]
    has_default = False
    depth = 0
    while isinstance(node, nodes.Filter):
        depth += 1
        known = FILTERS.get(node.name)
        if known is None:
            raise _NotAllowed(
                _("there is no filter “%(name)s”."),
                _("Allowed are: %(known)s."),
                name=node.name,
                known=", ".join(item.usage for item in FILTERS.values()),
            )
        arguments = [argument.value if isinstance(argument, nodes.Const) else None for argument in node.args]
        if node.kwargs or node.dyn_args or node.dyn_kwargs or not known.fits(arguments):
            raise _NotAllowed(
                _("the filter “%(name)s” cannot be used like this."),
                _("Write it as %(usage)s; text up to %(text)d characters, lengths up to %(length)d."),
                name=node.name,
                usage=known.usage,
                text=_TEXT_ARGUMENT,
                length=_TRUNCATE_MOST,
            )
        has_default = has_default or node.name == "default"
        node = node.node
    if depth > _FILTER_DEPTH:
        raise _refused(piece)
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        variable = f"{node.node.name}.{node.attr}"
    elif isinstance(node, nodes.Name):
        variable = node.name
    else:
        raise _refused(piece)
    if variable not in VARIABLES:
        raise _NotAllowed(
            _("there is no placeholder “%(name)s”."),
            _("Allowed are: %(known)s."),
            name=variable,
            known=", ".join(VARIABLES),
        )
    return Placeholder(variable, has_default)


_WAY_OUT = _(
    "Only placeholders such as %(example)s are understood. Allowed are: %(known)s; filters: %(filters)s."
)


def _hints() -> dict[str, str]:
    return {
        "example": "{{ member.nickname | default('…') }}",
        "known": ", ".join(VARIABLES),
        "filters": ", ".join(item.usage for item in FILTERS.values()),
    }


def _refused(piece: str) -> _NotAllowed:
    return _NotAllowed(_("“%(piece)s” is not allowed."), _WAY_OUT, piece=piece[:60], **_hints())


def _unreadable(body: str, at: int) -> Invalid:
    return _refused(body[at : at + 20]).placed(body, at)


def _place(body: str, at: int) -> str:
    line = body.count("\n", 0, at) + 1
    column = at - (body.rfind("\n", 0, at) + 1) + 1
    return f"body:{line}:{column}"
